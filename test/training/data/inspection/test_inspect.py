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
"""Inspection of data files: facts, compatibility, and a self-contained page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
import re
import shutil
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from dfp_ros.spec_images import ImageField
from testing import ROOT
from testing.learning.pictures import with_pictures
from testing.learning.transitions import drawn
from training.config import TrainConfig
from training.data.formats.robomimic import writer as write_robomimic
from training.data.inspection.cameras import contact_sheet
from training.data.inspection.facts import gather, summary
from training.data.inspection.inspected import inspect
from training.data.inspection.verdict import judge
from training.data.transitions import stored
from training.data.transitions.transitions import observation_fields, Transitions
from training.inspect_data import main
from training.presets import PRESETS


def followed(lengths: list[int]) -> Transitions:
    """Draw episodes whose steps follow each other, none of them solved, all rewarded with -1."""
    data = drawn(lengths)
    inner = np.flatnonzero(data.terminals[:-1] == 0)
    data.next_observations[inner] = data.observations[inner + 1]
    return replace(
        data, rewards=np.full(len(data), -1, np.float32), masks=np.ones(len(data), np.float32))


def words(data: Transitions, rewarded: bool = True) -> dict[str, str]:
    return dict(summary(gather(data), rewarded))


def test_facts_of_what_is_made_by_hand() -> None:
    data = followed([4, 4, 2])
    # The second episode repeats the first, the last step repeats that before it, and follows it.
    for name in ('observations', 'actions', 'next_observations'):
        values = getattr(data, name)
        values[4:8] = values[0:4]
        values[9] = values[8]
    data.next_observations[8:] = data.observations[8]
    data.next_observations[1] += 1
    data.actions[:, 1] = 0.25
    data.actions[:5, 0] = [1, -1, 0.9995, 0.5, 1]
    data.rewards[2] = data.masks[2] = 0
    facts = gather(data)
    assert facts.lengths.tolist() == [4, 4, 2]
    assert facts.returns.tolist() == [-3, -4, -2]
    assert facts.rewards == {-1: 9, 0: 1}
    assert (facts.solved_at.tolist(), facts.solved_episodes) == ([2], 1)
    # Changed since, rows 1 to 3 of the two episodes differ in the action, and row 1 in the next.
    assert (facts.repeated_steps, facts.repeated_episodes, facts.breaks) == (2, 0, 1)
    assert [one.constant for one in facts.action] == [False, True]
    assert facts.action[0].saturated == pytest.approx(
        (np.abs(data.actions[:, 0]) > 0.999).mean())
    assert facts.action[0].saturated >= 0.4
    assert (facts.action[0].remark, facts.action[1].remark) == (
        'saturated in 40 % of steps', 'constant')
    told = words(data)
    assert told['steps'] == '10 in 3 episodes of 2 to 4 steps, 0 s at 20 Hz'
    assert told['solved'] == '1 step (10.0 %), in 1 of 3 episodes'
    assert told['gaps'] == '1 step whose successor is not the next step of the episode'
    assert told['action'] == '2 numbers, 1 of them constant'


def test_what_a_converter_dropped_is_said(
        tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    stored.save(tmp_path / 'bag.npz', replace(drawn([3]), source={'dropped': {'stale': 4}}))
    assert main([str(tmp_path / 'bag.npz'), '--preset', 'cpu']) == 0
    assert re.search('dropped before +stale: 4\n', capsys.readouterr().out)


def test_an_episode_that_comes_twice_is_counted() -> None:
    data = followed([3, 3, 3])
    for name in ('observations', 'actions', 'next_observations'):
        values = getattr(data, name)
        values[6:] = values[:3]
    assert words(data)['repeated'] == '3 steps, 1 episode'
    data.observations[7, 2] = np.nextafter(data.observations[7, 2], np.float32(9))
    assert words(data)['repeated'] == '2 steps, 0 episodes'


def solve(data: Transitions) -> Transitions:
    data.masks[-1] = data.rewards[-1] = 0
    return data


CLONE = TrainConfig(environment='none', value_weight=0, horizon=3)
VALUE = replace(CLONE, value_weight=0.5)


@pytest.mark.parametrize(('config', 'change', 'answer', 'reason'), [
    (CLONE, lambda data: data, 'yes', ''),
    (VALUE, solve, 'yes', ''),
    (VALUE, lambda data: data, 'no', 'no step is solved and all rewards are equal'),
    (replace(VALUE, environment='cube-single-singletask-v0'), solve, 'no',
     r'observation field 0: cube-single.* has joint_positions \(6\), the data state \(3\)'),
    (replace(VALUE, environment='lift-mh-low_dim'), solve, 'no', 'it is for lift-mh-low_dim'),
    (replace(CLONE, horizon=6), solve, 'no', 'no episode is longer than 5 steps, a chunk has 6'),
    (replace(CLONE, horizon=5), solve, 'but', '88 % of the chunks cross the end of an episode'),
    (VALUE, lambda data: replace(solve(data), actions=data.actions * [[1, 0]]), 'but',
     r'constant action dimensions: velocity\[1\]'),
    (VALUE, lambda data: replace(solve(data), next_observations=data.observations), 'but',
     '6 steps have a successor that is not'),
])
def test_verdicts(config: TrainConfig, change: Callable, answer: str, reason: str) -> None:
    data = change(followed([5, 3]))
    found = judge('mine', config, data, gather(data), True)
    assert found.answer == answer
    assert not reason or any(re.search(reason, one) for one in found.reasons)


def test_partial_rewards_and_an_online_phase_leave_hope() -> None:
    data = followed([5])
    data.rewards[2] = -0.5
    assert judge('mine', VALUE, data, gather(data), True).answer == 'but'
    data.rewards[2] = -1
    online = replace(VALUE, environment='lift-mh-low_dim', online_steps=10_000)
    data = replace(data, source={'env_args': {'env_name': 'Lift'}})
    assert judge('mine', online, data, gather(data), True).reasons == (
        'no step is solved: the critic learns nothing before the online phase',)


def test_demonstrations_fit_the_presets_of_their_scene(demonstrations: Path) -> None:
    found = inspect(demonstrations)
    assert found.environment == 'cube-single-singletask-task2-v0'
    assert found.facts.solved_episodes == len(found.facts.lengths) == 4
    answers = {one.preset: one.answer for one in found.verdicts}
    assert list(answers) == list(PRESETS)
    for preset, (_, config) in PRESETS.items():
        fits = config.environment.startswith('cube-single')
        assert answers[preset] == ('yes' if fits else 'no')


def test_a_preset_is_judged_by_the_rewards_of_its_own_task(
        demonstrations: Path, tmp_path: Path) -> None:
    path = tmp_path / 'cube-single-play-task1-v0-val.npz'
    shutil.copy(demonstrations, path)
    found = inspect(path, presets=('cube-single',))
    assert found.environment == 'cube-single-singletask-task1-v0'
    assert not found.facts.solved_episodes
    assert found.verdicts[0].answer == 'yes'
    asked = inspect(path, 'cube-single-singletask-task1-v0', ('cube-single',))
    assert asked.verdicts[0].answer == 'no'


def test_data_of_an_unknown_scene_are_shown_without_rewards(
        demonstrations: Path, tmp_path: Path) -> None:
    path = tmp_path / 'mine.npz'
    shutil.copy(demonstrations, path)
    found = inspect(path, presets=('small-clone', 'cube-single'))
    assert 'name one with --environment' in dict(found.rows)['rewards']
    assert len(found.facts.observation) == 28
    assert [one.answer for one in found.verdicts] == ['no', 'no']
    assert 'its critic needs rewards, which are unknown' in found.verdicts[1].reasons
    named = inspect(path, 'cube-single-singletask-task2-v0', ('cube-single',))
    assert named.verdicts[0].answer == 'yes'


class Page(HTMLParser):
    """Parser of a page for external resources, scripts and content."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.outside: list[str] = []
        self.shown = ''
        self.figures = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        self.figures += tag == 'figure'
        if tag in ('script', 'link', 'img', 'iframe', 'object'):
            self.outside.append(tag)
        self.outside += [
            value for name, value in attributes
            if name in ('src', 'href') and not (value or '').startswith('#')]

    def handle_data(self, data: str) -> None:
        self.shown += data


def test_the_page_stands_alone_and_shows_every_field(tmp_path: Path) -> None:
    data = drawn([6, 3])
    data = replace(data, observation_fields=observation_fields(
        [('angle', 2, 'rad'), ('<b>$f_0$</b>', 1, '$x')], data.observations))
    paths = []
    for name in ('one.npz', '<i>two.npz'):
        paths.append(str(tmp_path / name))
        stored.save(tmp_path / name, data)
    out = tmp_path / 'page' / 'data.html'
    assert main([*paths, '--html', str(out), '--png', str(tmp_path / 'data.png')]) == 0
    page = Page(out.read_text(encoding='utf-8'))
    assert not page.outside
    # Episodes: lengths, returns, solved; one action field, two observation fields; two files.
    assert page.figures == 2 * (3 + 1 + 2)
    assert '<i>two.npz' in page.shown
    assert '<b>$f_0$</b>' in page.shown
    assert (tmp_path / 'data.png').read_bytes().startswith(b'\x89PNG')


def test_a_file_that_cannot_be_read_does_not_hide_the_others(
        tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    good, bad = tmp_path / 'good.npz', tmp_path / 'bad.npz'
    stored.save(good, drawn([3]))
    stored.save(bad, drawn([3]))
    bad.write_bytes(bad.read_bytes()[:-50])
    assert main([str(bad), str(tmp_path / 'none.npz'), str(good), '--preset', 'cpu']) == 2
    captured = capsys.readouterr()
    assert 'bad.npz: found a file that' in captured.err
    assert 'none.npz: found no such file' in captured.err
    assert '3 in 1 episode of 3 steps' in captured.out


@pytest.mark.parametrize(('name', 'message'), [
    ('run/policy.onnx', '`ros2 run dfp_ros describe {}` prints what a policy file contains'),
    ('run/checkpoint.pt', '`python -m training.report {}` shows the run of a checkpoint'),
    ('run', 'found the folder of a run, expected a data file; `python -m training.report {}`'),
    ('run/notes.txt', 'convert recordings with `python -m training.convert`')])
def test_what_is_no_data_file(
        tmp_path: Path, capsys: pytest.CaptureFixture, name: str, message: str) -> None:
    (tmp_path / 'run').mkdir()
    for each in ('policy.onnx', 'checkpoint.pt', 'notes.txt'):
        (tmp_path / 'run' / each).touch()
    path = tmp_path / name
    assert main([str(path)]) == 2
    shown = path.parent if path.suffix == '.pt' else path
    assert message.format(shown) in capsys.readouterr().err


def test_a_folder_of_numbered_files_is_told_file_by_file(
        tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    folder = tmp_path / 'numbered-100m-v0'
    folder.mkdir()
    for i, lengths in enumerate([[3], [4, 5]]):
        stored.save(folder / f'numbered-v0-{i:03d}.npz', drawn(lengths))
    (folder / 'numbered-v0-000-val.npz').touch()
    given = [str(folder), str(folder / 'numbered-v0.npz')]
    for one in given:
        assert main([one, '--preset', 'cpu']) == 0
        told = capsys.readouterr().out
        assert re.findall(r'numbered-v0-(\d+)\.npz\n', told) == ['000', '001']
        assert '3 in 1 episode of 3 steps' in told
        assert '9 in 2 episodes of 4 to 5 steps' in told
    (tmp_path / 'empty').mkdir()
    assert main([str(tmp_path / 'empty'), given[0], '--preset', 'cpu']) == 2
    captured = capsys.readouterr()
    assert 'empty: found a folder without numbered files' in captured.err
    assert '9 in 2 episodes' in captured.out
    assert main([str(tmp_path), '--preset', 'cpu']) == 2
    assert 'expected name-000.npz and so on\n' in capsys.readouterr().err
    stored.save(tmp_path / 'one.npz', drawn([3]))
    assert main([str(tmp_path), '--preset', 'cpu']) == 2
    assert '; name one of its files: one.npz\n' in capsys.readouterr().err


def test_a_robomimic_file_of_ones_own_robot(
        tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """What training.write makes can be inspected; the message names the option for it."""
    data, path = drawn([3]), str(tmp_path / 'own.hdf5')
    names = [field.name for field in data.observation_fields]
    write_robomimic.write(tmp_path / 'own.hdf5', data)
    assert main([path, '--preset', 'small-clone']) == 2
    assert 'name the keys to read with --observation-keys' in capsys.readouterr().err
    assert main([path, '--preset', 'small-clone', '--observation-keys', *names]) == 0
    told = capsys.readouterr().out
    assert all(name in told for name in names)
    assert 'small-clone can train' in ' '.join(told.split())


def test_the_module_does_not_stand_in_for_pythons_own(tmp_path: Path) -> None:
    stored.save(tmp_path / 'data.npz', drawn([3]))
    done = subprocess.run(
        [sys.executable, '-m', 'training.inspect_data', str(tmp_path / 'data.npz')], cwd=ROOT,
        capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert 'cannot train' in done.stdout


def seeing() -> Transitions:
    """Make two episodes with a camera that is black once, and repeats pictures twice."""
    data = with_pictures(followed([5, 4]), cameras=(
        ImageField('front', 16, 18, 'bgr'), ImageField('wrist', 8, 8, 'gray')))
    pixels = data.images[0].pixels.copy()
    pixels[2] = 8
    pixels[3] = pixels[4] = pixels[5]
    # Repeated across the end of an episode, which is nothing to be said.
    pixels[6] = pixels[5]
    pixels[8] = pixels[7]
    return replace(data, images=(replace(data.images[0], pixels=pixels), data.images[1]))


def test_pictures_are_measured() -> None:
    """Each camera by its channels, red first, with what is black or repeated."""
    data = seeing()
    front, wrist = gather(data).cameras
    steps = data.images[0].pixels[data.frame][..., ::-1].astype(float)
    np.testing.assert_allclose(front.mean, steps.mean(axis=(0, 1, 2)))
    np.testing.assert_allclose(front.deviation, steps.std(axis=(0, 1, 2)))
    assert (front.frames, front.black, front.frozen, front.longest) == (11, 1, 3, 2)
    assert (wrist.black, wrist.frozen, wrist.longest) == (0, 0, 0)
    shown = words(data)
    assert re.fullmatch(
        r'11 pictures, uint8; mean \d+\.\d, .*; of the steps, 1 black, 3 followed by the same '
        r'picture, at most 2 in a row', shown['camera front (16 x 18 bgr)'])
    assert shown['camera wrist (8 x 8 gray)'].endswith(
        'of the steps, none black, none followed by the same picture')
    sheet = contact_sheet(data.images[0], data)
    assert sheet.shape == (3 * 17 - 1, 4 * 19 - 1, 3)
    np.testing.assert_array_equal(
        sheet[17:33, 3 * 19:], data.images[0].pixels[data.frame[7]][..., ::-1])
    assert (sheet[34:, 19:] == 255).all()


def test_the_page_has_a_contact_sheet_of_each_camera(tmp_path: Path) -> None:
    """Within the page, without a file beside it."""
    stored.save(tmp_path / 'seen.npz', seeing())
    out = tmp_path / 'data.html'
    assert main([
        str(tmp_path / 'seen.npz'), '--html', str(out), '--png', str(tmp_path / 'data.png'),
        '--preset', 'small-clone']) == 0
    text = out.read_text(encoding='utf-8')
    page = Page(text)
    assert not page.outside
    assert page.figures == 3 + 1 + 1 + 2
    assert text.count('data:image/png;base64,') == 2
    assert 'front (16 x 18 bgr)' in page.shown
