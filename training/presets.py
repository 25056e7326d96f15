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
"""Presets: named settings of training runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dfp_ros.core.text.errors import nearest
from dfp_ros.core.text.printable import quoted
from training.config import ConfigError, TrainConfig

# Small networks on a CPU: learning-rate decay and a wide bandwidth learn in minutes what a
# constant rate does not learn in hours, because the normalised force does not shrink near
# equilibrium.
_SMALL = TrainConfig(
    hidden=(256, 256, 256), normalise=True, schedule='cosine', learning_rate=1e-3,
    bandwidths=(0.2,), clip_generated=False)
# Action chunks with top-K improvement; chosen by the measurements in docs/results.md.
_SMALL_CHUNKS = replace(
    _SMALL, data='data/cube-single-play-v0.npz', horizon=5, best_of=4, value_weight=0.2, pool=8,
    top=2, anchor_rate=1e-3, noise_scale=0.5)
# Updates before an ascent that is for the robot.
_NEVER = 1_000_000
# Table 5: chunks of 5, best of 16, a million offline updates, then a million online steps.
_ONLINE = TrainConfig(
    horizon=5, best_of=16, top=4, value_weight=0.5, online_steps=1_000_000)
# Robomimic's tasks, low-dimensional, multi-human.
_ROBOMIMIC = replace(_ONLINE, top=2, best_of=4, bandwidths=(0.005, 0.05))


def _task(name: str, config: TrainConfig, **changes: Any) -> TrainConfig:
    """Set data and environment of an OGBench task."""
    kind, task = name.rsplit('-', 1)
    return replace(
        config, data=f'data/{kind}-play-v0.npz', environment=f'{kind}-singletask-{task}-v0',
        **changes)


PRESETS: dict[str, tuple[str, TrainConfig]] = {
    'cube-single': (
        "The paper's offline run on cube-single (table 8)", _task(
            'cube-single-task2', TrainConfig())),
    'cube-double': (
        "The paper's offline run on cube-double (table 8)", _task(
            'cube-double-task2', TrainConfig(), value_weight=0.55)),
    'scene': (
        "The paper's offline run on scene (table 8)", _task(
            'scene-task2', TrainConfig(), value_weight=0.5, bandwidths=(0.01, 0.05))),
    'puzzle-3x3': (
        "The paper's offline run on puzzle-3x3 (table 8)", _task(
            'puzzle-3x3-task4', TrainConfig(), value_weight=0.5, bandwidths=(0.01, 0.05))),
    'puzzle-4x4': (
        "The paper's offline run on puzzle-4x4 (table 8)", _task(
            'puzzle-4x4-task4', TrainConfig(), value_weight=0.5, bandwidths=(0.01, 0.05),
            pool=32, top=16)),
    'cube-double-online': (
        "The paper's offline-to-online run on cube-double (table 5)",
        _task('cube-double-task2', _ONLINE)),
    'cube-triple-online': (
        "The paper's offline-to-online run on cube-triple (table 5)",
        _task('cube-triple-task2', _ONLINE)),
    'cube-quadruple-online': (
        "The paper's offline-to-online run on cube-quadruple (table 5)",
        _task('cube-quadruple-task2', _ONLINE)),
    **{f'{task}-online': (
        f"The paper's offline-to-online run on Robomimic's {task} (table 5)",
        replace(
            _ROBOMIMIC, environment=f'{task}-mh-low_dim',
            data=f'data/robomimic/{task}/mh/low_dim_v15.hdf5'))
        for task in ('lift', 'can', 'square')},
    'release-online': (
        "The settings of the release's own configuration files, offline to online",
        _task('cube-double-task2', _ONLINE, bandwidths=(0.1,))),
    'small-clone': (
        'Behaviour cloning of demonstrations, minutes on a CPU; made the shipped policy',
        replace(
            _SMALL, value_weight=0.0, noise_scale=0.5, steps=6_000, evaluate_every=3_000)),
    'visual-cpu': (
        'Behaviour cloning of demonstrations from pictures, less than an hour on a CPU; made the '
        'shipped policy that sees',
        replace(
            _SMALL, data='data/visual-cube-single-demo-task2-v0.npz',
            environment='visual-cube-single-singletask-task2-v0', precision='bf16',
            batch_size=128, horizon=5, shift=2, picture_delay=5, value_weight=0.0, noise_scale=0.5,
            steps=7_000, evaluate_every=7_000, checkpoint_every=500)),
    'visual': (
        'The same on a GPU, with networks and batches of the paper',
        TrainConfig(
            data='data/visual-cube-single-demo-task2-v0.npz',
            environment='visual-cube-single-singletask-task2-v0', precision='bf16', horizon=5,
            picture_delay=5, value_weight=0.0, noise_scale=0.5, normalise=True, steps=100_000,
            evaluate_every=10_000)),
    'lift-cpu': (
        "Behaviour cloning of Robomimic's Lift with small networks, minutes on a CPU",
        replace(
            _SMALL, data='data/robomimic/lift/mh/low_dim_v15.hdf5',
            environment='lift-mh-low_dim', value_weight=0.0, noise_scale=0.5, steps=6_000,
            evaluate_every=6_000)),
    'lift-joint-cpu': (
        'The same with joint control',
        replace(
            _SMALL, data='data/robomimic/lift/joint/low_dim_v15.hdf5',
            environment='lift-joint-low_dim', value_weight=0.0, noise_scale=0.5, steps=6_000,
            evaluate_every=6_000, observation_keys=(
                'robot0_joint_pos', 'robot0_eef_pos', 'robot0_eef_quat', 'robot0_gripper_qpos',
                'object'))),
    'small-offline': (
        'Cloning and top-K improvement in chunks with small networks, an hour on a CPU',
        replace(_SMALL_CHUNKS, steps=12_000, evaluate_every=4_000)),
    'small-ascent': (
        'Cloning, then value ascent from the frozen clone, in chunks with small networks; a '
        'quarter of an hour on a CPU',
        replace(
            _SMALL_CHUNKS, precision='auto', anchor='frozen', value_weight=3.0, pool=16, top=2,
            improve_after=7_000, steps=16_000, evaluate_every=8_000)),
    'learn-clone': (
        'Cloning of play in chunks, minutes on a CPU: a weak policy to go on with on a robot',
        replace(
            _SMALL_CHUNKS, precision='auto', batch_size=128, schedule='constant',
            average_rate=1e-3, best_of=1, anchor='frozen', value_weight=3.0, pool=16, top=2,
            improve_after=_NEVER, steps=8_000, evaluate_every=8_000, episodes=20)),
    'cpu': (
        'Any of the policies in chunks with small networks, minutes on a CPU, for comparisons',
        replace(_SMALL_CHUNKS, steps=3_000, evaluate_every=3_000, checkpoint_every=500)),
    'cpu-100k': (
        'Any of the policies in chunks with small networks and small batches, 100,000 updates in '
        'half an hour on a CPU, for comparisons',
        replace(
            _SMALL_CHUNKS, precision='auto', batch_size=128, actor_every=4, schedule='constant',
            average_rate=1e-3, best_of=16, steps=100_000, evaluate_every=100_000,
            checkpoint_every=10_000, log_every=500)),
    'cpu-online': (
        'The same offline to online: 1500 updates on data, 6000 steps in the simulator',
        replace(
            _SMALL_CHUNKS, steps=1_500, online_steps=6_000, online_start=1_000,
            evaluate_every=1_000, checkpoint_every=500)),
}


def require_preset(name: str) -> None:
    """
    Require that there is a preset of a name.

    :raises ConfigError: If there is none; the message names the nearest.
    """
    if name not in PRESETS:
        raise ConfigError(f'found no preset {quoted(name)}; {nearest(name, PRESETS)}')
