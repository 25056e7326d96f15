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
"""Rendering of images and animations."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
import pytest

from dfp_ros.sim.simulation.ogbench_simulation import Simulation
from dfp_ros.sim.simulation.render_backend import choose_backend, RenderingError
from dfp_ros.sim.simulation.rendering import FrameServer, write_gif

TASK = 'cube-single-singletask-task2-v0'


def test_the_users_choice_decides() -> None:
    """MUJOCO_GL is respected; if it disables rendering, the error names it."""
    assert choose_backend({'MUJOCO_GL': 'EGL'}) == 'egl'
    with pytest.raises(RenderingError, match='MUJOCO_GL=disable disables rendering'):
        choose_backend({'MUJOCO_GL': 'disable'})


def test_pictures_show_the_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two states give two pictures, the same state the same picture twice."""
    monkeypatch.delenv('MUJOCO_GL', raising=False)
    try:
        choose_backend()
    except RenderingError as error:
        pytest.skip(f'no off-screen rendering here: {error}')
    simulation = Simulation(TASK)
    simulation.reset(0)
    before = simulation.picture()
    for _ in range(10):
        simulation.step(np.array([1.0, 0.0, 0.0, 0.0, 0.0]))
    server = FrameServer(TASK, 64, 48)
    try:
        frames = [server.draw(state) for state in (before, simulation.picture(), before)]
    finally:
        server.close()
    assert all(frame.shape == (48, 64, 3) for frame in frames)
    assert frames[0].std() > 5
    assert np.array_equal(frames[0], frames[2])
    assert not np.array_equal(frames[0], frames[1])


def test_a_dead_renderer_tells_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend that does not exist kills the child; its last line is in the error."""
    monkeypatch.setenv('MUJOCO_GL', 'no-such-backend')
    server = FrameServer(TASK, 64, 48)
    try:
        with pytest.raises(RenderingError, match=r'ended with status 1: .*no-such-backend'):
            server.draw(np.zeros(24))
    finally:
        server.close()


def test_gif(tmp_path: Path) -> None:
    """All frames arrive, at their rate; nothing temporary stays."""
    frames = [np.zeros((48, 64, 3), np.uint8) for _ in range(20)]
    for i, frame in enumerate(frames):
        frame[10:20, 2 * i:2 * i + 10] = 255
    path = tmp_path / 'new' / 'x.gif'
    write_gif(path, frames, rate=10.0)
    with Image.open(path) as image:
        assert (image.n_frames, image.size, image.info['duration']) == (20, (64, 48), 100)
    assert list(path.parent.iterdir()) == [path]
