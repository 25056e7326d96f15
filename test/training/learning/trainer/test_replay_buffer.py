# Copyright 2026 The dfp_ros authors
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
"""Replay buffer: chunks compared with a slow loop, and the oldest data overwritten."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from testing.learning.batches import episodes  # noqa: E402
from testing.learning.pictures import with_pictures  # noqa: E402
from training.data.transitions.transitions import COLUMNS, Transitions  # noqa: E402
from training.learning.agents.batch import Batch  # noqa: E402
from training.learning.trainer.replay_buffer import ReplayBuffer  # noqa: E402


@pytest.mark.parametrize('seed', range(6))
@pytest.mark.parametrize('horizon', [1, 2, 5, 8])
def test_every_chunk_equals_a_slow_loop(horizon: int, seed: int) -> None:
    """On random episodes, single steps and episodes shorter than a chunk among them."""
    generator = np.random.default_rng(100 + seed)
    lengths = [int(length) for length in generator.integers(1, 10, size=12)]
    data = episodes(lengths, seed, solved=np.flatnonzero(generator.random(12) < 0.4).tolist())
    discount = 0.9
    starts = range(len(data) - horizon + 1)
    batch = ReplayBuffer(data, horizon, discount).gather(torch.tensor(list(starts)))
    for row, start in enumerate(starts):
        reward, mask, ended, valid = 0.0, 1.0, 0.0, 1.0
        for i in range(horizon):
            valid = 1.0 - ended
            reward += discount ** i * float(data.rewards[start + i])
            mask = min(mask, float(data.masks[start + i]))
            ended = max(ended, float(data.terminals[start + i]))
        assert batch.reward[row].item() == pytest.approx(reward, abs=1e-5)
        assert (batch.mask[row].item(), batch.valid[row].item()) == (mask, valid)
        np.testing.assert_array_equal(
            batch.chunk[row], data.actions[start:start + horizon].reshape(-1))
        np.testing.assert_array_equal(batch.observation[row], data.observations[start])
        np.testing.assert_array_equal(
            batch.next_observation[row], data.next_observations[start + horizon - 1])


def test_draw_reaches_both_ends_and_repeats() -> None:
    data = episodes([6])
    sampler = ReplayBuffer(data, 3, 0.99)
    batch = sampler.sample(500, np.random.default_rng(1))
    firsts = {tuple(row) for row in batch.observation.tolist()}
    assert firsts == {tuple(row) for row in data.observations[:4].tolist()}
    again = sampler.sample(500, np.random.default_rng(1))
    assert torch.equal(batch.observation, again.observation)


def test_data_shorter_than_a_chunk_is_refused() -> None:
    with pytest.raises(ValueError, match='found 3 steps, expected more than the horizon, 5'):
        ReplayBuffer(episodes([3]), 5, 0.99)


def assert_same(found: object, expected: object) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def add(buffer: ReplayBuffer, data: Transitions, steps: range) -> None:
    for i in steps:
        buffer.add(**{name: getattr(data, name)[i] for name in COLUMNS})


def everything(buffer: ReplayBuffer) -> Batch:
    return buffer.gather(torch.arange(len(buffer) - buffer.horizon + 1))


def test_what_is_added_follows_the_data() -> None:
    data = episodes([4, 3, 5, 2])
    first = replace(data, **{name: getattr(data, name)[:7] for name in COLUMNS})
    grown = ReplayBuffer(first, 3, 0.9, capacity=20)
    assert len(grown) == 7
    add(grown, data, range(7, 14))
    whole, added = everything(ReplayBuffer(data, 3, 0.9)), everything(grown)
    for name in vars(whole):
        assert_same(getattr(whole, name), getattr(added, name))


@pytest.mark.parametrize('steps', [3, 9, 14, 30])
def test_a_full_buffer_forgets_the_oldest(steps: int) -> None:
    data = episodes([4, 3, 5, 2, 6, 4, 7, 6])
    first = replace(data, **{name: getattr(data, name)[:7] for name in COLUMNS})
    buffer = ReplayBuffer(first, 2, 0.9, capacity=10)
    add(buffer, data, range(7, 7 + steps))
    kept = slice(max(0, 7 + steps - 10), 7 + steps)
    expected = ReplayBuffer(
        replace(data, **{name: getattr(data, name)[kept] for name in COLUMNS}), 2, 0.9)
    for name in vars(everything(expected)):
        assert_same(getattr(everything(expected), name), getattr(everything(buffer), name))
    # And the same from a checkpoint, to the place that the next step takes.
    again = ReplayBuffer(first, 2, 0.9, capacity=10)
    again.restore(buffer.additions())
    add(buffer, data, range(2))
    add(again, data, range(2))
    for name in vars(everything(again)):
        assert_same(getattr(everything(again), name), getattr(everything(buffer), name))
    assert again.added == steps + 2


def test_the_range_of_what_was_added() -> None:
    """The data's own rows are not in it, and neither is what was forgotten."""
    data = episodes([20])
    buffer = ReplayBuffer(episodes([6]), 2, 0.9, capacity=10)
    lowest, highest = buffer.range_of_added('actions')
    assert (lowest == np.inf).all()
    assert (highest == -np.inf).all()
    add(buffer, data, range(3))
    for steps in (slice(0, 3), slice(5, 15)):
        lowest, highest = buffer.range_of_added('actions')
        np.testing.assert_array_equal(lowest, data.actions[steps].min(axis=0))
        np.testing.assert_array_equal(highest, data.actions[steps].max(axis=0))
        add(buffer, data, range(3, 15))


def test_a_buffer_smaller_than_the_data_is_refused() -> None:
    with pytest.raises(ValueError, match='found 3, expected 0, or at least 4'):
        ReplayBuffer(episodes([4]), 1, 0.99, capacity=3)


def test_a_balanced_batch_is_half_data_and_half_added() -> None:
    """Only data at first; then half and half, and no chunk of both."""
    data, more = episodes([40, 40], seed=1), episodes([6], seed=2)
    buffer = ReplayBuffer(data, 3, 0.99, capacity=100, balanced=True)
    seen = {tuple(row) for row in data.observations.tolist()}
    for count, expected in ((0, 0), (2, 0), (3, 50), (6, 50)):
        add(buffer, more, range(buffer.added, count))
        batch = buffer.sample(100, np.random.default_rng(0))
        added = [tuple(row) not in seen for row in batch.observation.tolist()]
        assert sum(added) == expected
    firsts = {tuple(row) for row in batch.observation.tolist()} - seen
    assert firsts == {tuple(row) for row in more.observations[:4].tolist()}


def test_an_end_that_is_known_later_is_no_place_for_a_chunk() -> None:
    """As when a run goes on after a part of an episode."""
    buffer = ReplayBuffer(episodes([8]), 2, 0.99, capacity=20)
    buffer.end_episode()
    more = episodes([6], seed=2)
    add(buffer, more, range(3))
    buffer.end_episode()
    add(buffer, more, range(3, 6))
    assert everything(buffer).valid.tolist() == [1] * 7 + [0, 1, 1, 0, 1, 1]


@pytest.mark.parametrize('horizon', [1, 3])
def test_pictures_are_those_of_the_observations(horizon: int) -> None:
    """The first of a chunk, and the one after it, of each camera; without a copy of the data."""
    data = with_pictures(episodes([4, 1, 6]))
    buffer = ReplayBuffer(data, horizon, 0.9)
    starts = torch.arange(len(data) - horizon + 1)
    batch = buffer.gather(starts)
    assert data.frame is not None
    for i, camera in enumerate(data.images):
        for row in starts.tolist():
            np.testing.assert_array_equal(
                batch.pictures[i][row], camera.pixels[data.frame[row]])
            np.testing.assert_array_equal(
                batch.next_pictures[i][row], camera.pixels[data.frame[row + horizon - 1] + 1])
        assert batch.pictures[i].dtype == torch.uint8
    assert len(buffer.sample(4, np.random.default_rng(0)).pictures[0]) == 4
    assert ReplayBuffer(episodes([4]), 2, 0.9).gather(torch.tensor([0])).pictures == ()


def test_pictures_are_older_by_up_to_the_delay() -> None:
    """By each number of steps, never of another episode; the observation is that of its step."""
    data = with_pictures(episodes([4, 9]))
    assert data.frame is not None
    buffer, camera = ReplayBuffer(data, 2, 0.9, picture_delay=3), data.images[0]
    starts = torch.full((4,), 8)
    batch = buffer.gather(starts, np.arange(4))
    # Step 8 is the fifth of the second episode.
    np.testing.assert_array_equal(batch.pictures[0], camera.pixels[data.frame[8] - np.arange(4)])
    np.testing.assert_array_equal(
        batch.next_pictures[0], camera.pixels[data.frame[9] + 1 - np.arange(4)])
    np.testing.assert_array_equal(batch.observation, data.observations[[8] * 4])
    first = buffer.gather(torch.tensor([5]), np.array([3]))
    np.testing.assert_array_equal(first.pictures[0][0], camera.pixels[data.frame[4]])
    drawn = buffer.sample(400, np.random.default_rng(0))
    same = (drawn.pictures[0] == buffer.sample(400, np.random.default_rng(0)).pictures[0])
    assert same.all()
    plain = ReplayBuffer(data, 2, 0.9).sample(400, np.random.default_rng(0))
    assert (plain.observation == drawn.observation).all()
    changed = (drawn.pictures[0] != plain.pictures[0]).flatten(1).any(dim=1).double().mean()
    # Three of four are older, apart from the first steps of an episode.
    assert 0.4 < changed < 0.75
