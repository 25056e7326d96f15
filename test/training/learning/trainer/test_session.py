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
"""Progress bar and logged speed of a run."""

from __future__ import annotations

import io
import os
from pathlib import Path
import signal
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip('torch')

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: E402
from tqdm import tqdm  # noqa: E402

from testing.learning.runs import settings  # noqa: E402
from training.learning.agents.agent import Agent  # noqa: E402
from training.learning.trainer import checkpoint, session  # noqa: E402
from training.learning.trainer.log import read_rows  # noqa: E402
from training.learning.trainer.run import train  # noqa: E402

PHASES = {'steps': 6, 'online_steps': 14, 'online_start': 6, 'log_every': 4, 'horizon': 5}


def spend(
        monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, clock: list, cost: float) -> None:
    """Advance the session's clock during a call."""
    call = getattr(owner, name)

    def costly(*arguments: Any, **options: Any) -> Any:
        clock[0] += cost
        return call(*arguments, **options)

    monkeypatch.setattr(owner, name, costly)


def test_time_an_update_is_of_updates_alone(
        demonstrations: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(session, 'time', SimpleNamespace(
        monotonic=lambda: clock[0], process_time=lambda: clock[0]))
    spend(monkeypatch, Agent, 'update', clock, 2.0)
    spend(monkeypatch, Agent, 'look', clock, 30.0)
    spend(monkeypatch, Agent, 'act', clock, 100.0)
    spend(monkeypatch, checkpoint, 'save', clock, 1000.0)
    config = settings(demonstrations, **PHASES, evaluate_every=5, checkpoint_every=3)
    train(tmp_path, config)
    rows = read_rows(tmp_path / 'updates.csv')
    assert [row['step'] for row in rows] == [4, 6, 8, 12, 14]
    assert [row['update_ms'] for row in rows] == pytest.approx([2000] * 5)
    # The counters of the whole run have everything.
    assert rows[-1]['wall_seconds'] > 14 * 2 + 5 * 30 + 1000
    board = EventAccumulator(str(tmp_path))
    board.Reload()
    shown = [(event.step, event.value) for event in board.Scalars('update/update_ms')]
    assert shown == [(row['step'], 2000) for row in rows]


def test_bars_are_where_the_run_is_and_one_a_phase(
        demonstrations: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bars = []

    class Recorded(tqdm):
        """A bar as on a terminal, kept for a look at it."""

        def __init__(self, **how: Any) -> None:
            super().__init__(**{**how, 'disable': False}, file=io.StringIO())
            bars.append(self)

    monkeypatch.setattr(session, 'tqdm', Recorded)
    update, taken = Agent.update, []

    def interrupting(self: Agent, batch: Any, **options: Any) -> Any:
        taken.append(1)
        if len(taken) in (4, 9):
            os.kill(os.getpid(), signal.SIGTERM)
        return update(self, batch, **options)

    monkeypatch.setattr(Agent, 'update', interrupting)
    config = settings(demonstrations, **PHASES)
    for _ in range(3):
        train(tmp_path / 'run', config, resume=bool(taken))
    # Stopped after the fourth update and the ninth; the second phase begins with the seventh.
    assert [(bar.desc, bar.initial, bar.n, bar.total) for bar in bars] == [
        ('run', 0, 4, 6), ('run', 4, 6, 6), ('run online', 7, 9, 14), ('run online', 9, 14, 14)]
    # What the first phase came to is still there in the second.
    assert ['success=' in bar.fp.getvalue() for bar in bars] == [False, True, True, True]
    # The time left follows the mean rate: a pause for an evaluation does not throw it about.
    assert {bar.smoothing for bar in bars} == {0}
