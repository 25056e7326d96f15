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
"""
Renderer of simulated states in a separate process.

Software rendering takes a tenth of a second per image, and a broken OpenGL can crash its process.
So states are sent to a child process, which returns images.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
import select
import subprocess
import sys
import tempfile
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from dfp_ros.core.files.atomic import atomic_path
from dfp_ros.sim.simulation.make_env import ROBOMIMIC
from dfp_ros.sim.simulation.render_backend import choose_backend, RenderingError

FIRST_FRAME_TIMEOUT = 60.0
FRAME_TIMEOUT = 20.0


class FrameServer:
    """
    Child process that renders states.

    :param environment: Gymnasium id.
    :param width: Width of an image, in pixels.
    :param height: Height of an image, in pixels.
    :raises RenderingError: If there is no rendering backend.
    """

    def __init__(self, environment: str, width: int, height: int) -> None:
        """Start the child, which loads in the background."""
        self._shape = (height, width, 3)
        self._timeout = FIRST_FRAME_TIMEOUT
        backend = choose_backend()
        # Its own session shields the child from Ctrl-C: the parent ends it by closing its input.
        self._log = tempfile.TemporaryFile()
        self._child = subprocess.Popen(
            [sys.executable, '-m', 'dfp_ros.sim.simulation.rendering', environment, str(width),
             str(height)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log,
            env={**os.environ, 'MUJOCO_GL': backend, 'PYOPENGL_PLATFORM': backend},
            start_new_session=True)

    def draw(self, picture: NDArray[np.float64]) -> NDArray[np.uint8]:
        """
        Render one state.

        :param picture: State from
            :meth:`dfp_ros.sim.simulation.ogbench_simulation.Simulation.picture`.
        :return: Shape (height, width, 3), red green blue.
        :raises RenderingError: If the child died or timed out; with its last output.
        """
        assert self._child.stdin
        data = picture.astype(np.float64).tobytes()
        try:
            self._child.stdin.write(len(data).to_bytes(4, 'little') + data)
            self._child.stdin.flush()
            frame = self._read(int(np.prod(self._shape)))
        except BrokenPipeError:
            raise RenderingError(self._last_words()) from None
        self._timeout = FRAME_TIMEOUT
        return np.frombuffer(frame, np.uint8).reshape(self._shape)

    def close(self) -> None:
        """End the child."""
        if self._child.stdin:
            try:
                self._child.stdin.close()
            except BrokenPipeError:
                pass
        try:
            self._child.wait(5)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
        if self._child.stdout:
            self._child.stdout.close()
        self._log.close()

    def _read(self, size: int) -> bytes:
        """Read exactly ``size`` bytes, within the time limit."""
        assert self._child.stdout
        descriptor = self._child.stdout.fileno()
        found = b''
        while len(found) < size:
            if not select.select([descriptor], [], [], self._timeout)[0]:
                raise RenderingError(f'no image arrived within {self._timeout:g} s')
            part = os.read(descriptor, size - len(found))
            if not part:
                raise RenderingError(self._last_words())
            found += part
        return found

    def _last_words(self) -> str:
        """Return the last output line of a dead child."""
        self._child.wait(5)
        self._log.seek(0)
        lines = self._log.read().decode(errors='replace').strip().splitlines()
        said = lines[-1] if lines else 'it had no output'
        return f'the render process ended with status {self._child.returncode}: {said}'


def write_gif(
        path: Path, frames: list[NDArray[np.uint8]], rate: float, hold: float = 1.0) -> None:
    """
    Write a repeating animation, atomically.

    :param path: The file.
    :param frames: Images of one size.
    :param rate: Images per second.
    :param hold: Duration of the last image, s.
    :raises RenderingError: If Pillow is missing.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise RenderingError(f'Pillow is missing ({error}); pip install pillow') from error
    # One palette for all images keeps the background from flickering and the file small.
    sample = np.concatenate([frames[0], frames[len(frames) // 2], frames[-1]])
    palette = Image.fromarray(sample).quantize(128)
    images = [Image.fromarray(frame).quantize(palette=palette, dither=Image.Dither.NONE)
              for frame in frames]
    durations = [round(1000 / rate)] * (len(images) - 1) + [round(1000 * hold)]
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as partial:
        images[0].save(
            partial, format='GIF', save_all=True, append_images=images[1:], duration=durations,
            loop=0, optimize=True)


def serve(environment: str, width: int, height: int, states: BinaryIO, frames: BinaryIO) -> None:
    """Render states until the input ends."""
    if ROBOMIMIC.fullmatch(environment):
        return _serve_robosuite(environment, width, height, states, frames)
    from dfp_ros.sim.simulation.state_pictures import StatePictures

    pictures = StatePictures(environment, width, height)
    while header := states.read(4):
        values = np.frombuffer(states.read(int.from_bytes(header, 'little')), np.float64)
        frames.write(np.ascontiguousarray(pictures.draw_picture(values)).tobytes())
        frames.flush()


def _serve_robosuite(
        environment: str, width: int, height: int, states: BinaryIO, frames: BinaryIO) -> None:
    """Render states of a robosuite environment with its camera ``agentview``."""
    import mujoco

    from dfp_ros.sim.simulation.robosuite_env import make_env

    env = make_env(environment)
    env.reset(seed=0)
    model, data = env.suite.sim.model._model, env.suite.sim.data._data
    renderer = mujoco.Renderer(model, height, width)
    # Robosuite's group of collision geometries.
    options = mujoco.MjvOption()
    options.geomgroup[0] = 0
    while header := states.read(4):
        data.qpos[:] = np.frombuffer(states.read(int.from_bytes(header, 'little')), np.float64)
        mujoco.mj_forward(model, data)
        renderer.update_scene(data, 'agentview', options)
        frames.write(renderer.render().tobytes())
        frames.flush()


def main() -> None:
    """Serve on standard input and output."""
    parser = argparse.ArgumentParser(description='Render states from stdin as images to stdout.')
    parser.add_argument('environment')
    parser.add_argument('width', type=int)
    parser.add_argument('height', type=int)
    arguments = parser.parse_args()
    # Keep the output of libraries out of the image stream.
    frames = os.fdopen(os.dup(1), 'wb')
    os.dup2(2, 1)
    serve(arguments.environment, arguments.width, arguments.height, sys.stdin.buffer, frames)


if __name__ == '__main__':
    main()
