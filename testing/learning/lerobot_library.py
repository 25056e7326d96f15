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
LeRobot's own library, which reads or writes a dataset in an environment of its own.

It is run by its path, with the Python of that environment, and imports nothing of this package:

    .venv-lerobot/bin/python testing/learning/lerobot_library.py read DATASET read.npz
    .venv-lerobot/bin/python testing/learning/lerobot_library.py write DATASET frames.npz
    .venv-lerobot/bin/python testing/learning/lerobot_library.py write-videos DATASET frames.npz
"""

from __future__ import annotations

import json
from pathlib import Path
import sys
from typing import Any

import numpy as np

TASKS = ['Pick the part', 'Place the part']
RATE = 30


def dataset_class() -> Any:
    """Import the library: LeRobot, or its datasets alone, as others publish them."""
    try:
        from lerobot.datasets.lerobot_dataset import LeRobotDataset
    except ImportError:
        from ledataset.datasets.lerobot_dataset import LeRobotDataset
    return LeRobotDataset


def read(folder: Path, out: Path) -> None:
    """Read each frame, two actions at a time, and what is known of the dataset."""
    made = dataset_class()
    dataset = made('local/tested', root=folder)
    frames = [dataset[i] for i in range(len(dataset))]
    arrays = {
        f'frame/{name}': np.stack([np.asarray(frame[name]) for frame in frames])
        for name in frames[0] if name != 'task'}
    chunks = made('local/tested', root=folder, delta_timestamps={
        'action': [0, 1 / dataset.fps]})
    both = [chunks[i] for i in range(len(chunks))]
    arrays['chunks'] = np.stack([np.asarray(frame['action']) for frame in both])
    arrays['padded'] = np.stack([np.asarray(frame['action_is_pad']) for frame in both])
    for name, statistics in dataset.meta.stats.items():
        for key, values in statistics.items():
            arrays[f'statistics/{name}/{key}'] = np.asarray(values)
    arrays['lengths'] = np.array([episode['length'] for episode in dataset.meta.episodes])
    arrays['known'] = np.array(json.dumps({
        'fps': dataset.fps, 'robot': dataset.meta.robot_type, 'tasks': sorted(
            {frame['task'] for frame in frames}),
        'names': dataset.meta.features['observation.state']['names']}))
    np.savez(out, **arrays)


def write(folder: Path, given: Path, pictures: str = 'image') -> None:
    """Record episodes as LeRobot does, with rewards."""
    with np.load(given) as file:
        frames = dict(file)
    joints = [f'joint_{i}.pos' for i in range(frames['observation.state'].shape[1])]
    features = {
        name: {
            'dtype': str(frames[name].dtype), 'shape': frames[name].shape[1:],
            'names': joints if name in ('observation.state', 'action') else None}
        for name in frames if name != 'episode'}
    for name in features:
        if name.startswith('observation.images.'):
            features[name] |= {'dtype': pictures, 'names': ['height', 'width', 'channels']}
    dataset = dataset_class().create(
        'local/tested', fps=RATE, features=features, root=folder, robot_type='so100_follower',
        use_videos=pictures == 'video')
    for i, episode in enumerate(frames['episode']):
        dataset.add_frame({
            **{name: frames[name][i] for name in features}, 'task': TASKS[episode % 2]})
        if i + 1 == len(frames['episode']) or frames['episode'][i + 1] != episode:
            dataset.save_episode()
    dataset.finalize()


if __name__ == '__main__':
    {
        'read': read, 'write': write,
        'write-videos': lambda folder, given: write(folder, given, 'video'),
    }[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
