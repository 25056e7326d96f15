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
"""What earlier sessions of a learner left, and the next one learns from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from testing.learning.transitions import drawn  # noqa: E402
from training.data.transitions.transitions import COLUMNS  # noqa: E402
from training.learning.trainer.checkpoint import Progress  # noqa: E402
from training.learning.trainer.replay_buffer import ReplayBuffer  # noqa: E402
from training.robot.robot_updates import RobotUpdates  # noqa: E402
from training.robot.run_state import RunFolder  # noqa: E402
from training.robot.settings import LearnerSettings  # noqa: E402

DATA, LEFT = drawn([6]), drawn([8], seed=1)


class Session:
    """Begin of a session that makes no update yet, with what it has saved."""

    def __init__(self, folder: Path, steps: int = 20) -> None:
        self.saved = 0
        self.progress = Progress()
        self.buffer = ReplayBuffer(DATA, 2, 0.9, capacity=len(DATA) + steps)
        state: Any = SimpleNamespace(
            progress=self.progress, buffer=self.buffer, config=SimpleNamespace(steps=0))
        settings = LearnerSettings(steps=steps, start=1, updates_per_step=0)
        self.updates = RobotUpdates(state, settings, self._session, RunFolder(folder), print)

    @property
    def _session(self) -> Any:
        def save() -> None:
            self.saved += 1
        return SimpleNamespace(save=save, log=lambda: None)

    @property
    def terminals(self) -> list[float]:
        """Return the ends of the added transitions."""
        found: list[float] = self.buffer.additions()['terminals'].tolist()
        return found


def rows(*lost: int) -> Iterator[tuple[dict[str, Any], int]]:
    """Read transitions without an end, of which some come after two lost ones."""
    for i in range(len(LEFT)):
        row = {name: getattr(LEFT, name)[i] for name in COLUMNS}
        yield row | {'terminals': np.float32(0)}, 2 * (i in lost)


def test_no_chunk_reaches_across_lost_transitions(tmp_path: Path) -> None:
    session = Session(tmp_path)
    session.buffer.add(**next(rows())[0])
    assert session.updates.catch_up(rows(0, 3), lambda: False) == 8
    assert session.terminals == [1, 0, 0, 1, 0, 0, 0, 0, 1]
    assert session.saved == 1
    # They have their numbers all the same, by which the next session finds what it has to learn.
    assert session.progress.environment_steps == 12


@pytest.mark.parametrize('steps', [5, 6])
def test_as_many_are_lost_as_were_asked_for(tmp_path: Path, steps: int) -> None:
    session = Session(tmp_path, steps)
    assert session.updates.catch_up(rows(4), lambda: False) == 4
    assert session.terminals == [0, 0, 0, 1]
    assert session.progress.environment_steps == steps
    assert session.saved == 1


def test_nothing_was_left(tmp_path: Path) -> None:
    session = Session(tmp_path)
    assert session.updates.catch_up(iter(()), lambda: False) == 0
    assert session.saved == 0


@pytest.mark.parametrize(('asked', 'steps'), [(3, 20), (8, 3)])
def test_it_ends_early(tmp_path: Path, asked: int, steps: int) -> None:
    """At a signal, or with all transitions that were asked for; the next session goes on there."""
    session = Session(tmp_path, steps)
    assert session.updates.catch_up(
        rows(), lambda: session.progress.environment_steps == asked) == 3
    assert session.terminals == [0, 0, 0]
    assert session.saved == 1
