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
"""Choice of MuJoCo's backend for rendering without a window."""

from __future__ import annotations

from collections.abc import Mapping
import ctypes.util
import glob
import os


class RenderingError(RuntimeError):
    """No image can be rendered; the message says why."""


def choose_backend(environment: Mapping[str, str] = os.environ) -> str:
    """
    Find a MuJoCo backend for rendering without a window.

    :param environment: Environment variables; ``MUJOCO_GL`` decides if it is set.
    :return: A value for ``MUJOCO_GL``.
    :raises RenderingError: If there is none.
    """
    wanted = environment.get('MUJOCO_GL', '').strip().lower()
    if wanted in ('disable', 'disabled', 'off', 'false', '0'):
        raise RenderingError(f'MUJOCO_GL={wanted} disables rendering')
    if wanted:
        return wanted
    devices = glob.glob('/dev/nvidia[0-9]*') + glob.glob('/dev/dri/renderD*')
    if devices and ctypes.util.find_library('EGL'):
        return 'egl'
    if ctypes.util.find_library('OSMesa'):
        return 'osmesa'
    raise RenderingError(
        'found neither a GPU with EGL nor the OSMesa library; on Debian and Ubuntu, '
        'apt-get install libosmesa6 brings the latter')
