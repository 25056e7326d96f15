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
"""HDF5 files in Robomimic's format."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np

from testing.learning.robosuite_samples import OLD_CONTROLLER

WIDTHS = {'robot0_eef_pos': 3, 'robot0_eef_quat': 4, 'robot0_gripper_qpos': 2, 'object': 10}
OLD_ARGS = {'env_name': 'Lift', 'env_version': '1.4.1', 'type': 1, 'env_kwargs': {
    'robots': 'Panda', 'control_freq': 20, 'controller_configs': OLD_CONTROLLER}}


def written(
        path: Path, lengths: dict[int, int], env_args: dict = OLD_ARGS, kind: str = 'f8',
        widths: dict[str, int] = WIDTHS, act_dim: int = 7) -> Path:
    """Write demonstrations by number; each value encodes its position."""
    with h5py.File(path, 'w') as file:
        data = file.create_group('data')
        data.attrs['env_args'] = json.dumps(env_args)
        for number, length in lengths.items():
            group = data.create_group(f'demo_{number}')
            group.attrs['num_samples'] = length
            steps = number + np.arange(length + 1) / 100
            for key, width in widths.items():
                values = steps[:, None] + 1000 * np.arange(width)
                group[f'obs/{key}'] = values[:-1].astype(kind)
                group[f'next_obs/{key}'] = values[1:].astype(kind)
            group['actions'] = np.full((length, act_dim), 0.5, kind)
            # Solved at the last two steps, both of which are marked done.
            group['rewards'] = group['dones'] = (np.arange(length) >= length - 2).astype(kind)
    return path
