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
"""Compared policies: the settings of each, on top of the preset ``cpu-100k``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from training.config import TrainConfig
from training.presets import PRESETS

PRESET = 'cpu-100k'


@dataclass(frozen=True)
class Task:
    """
    A task, with its data.

    :param environment: Environment of rewards and evaluations.
    :param data: Data file.
    :param alpha: Weight of the distillation in FQL, that of its authors for the scene.
    :param sparse: Whether the reward is -1 until the task is solved.
    """

    environment: str
    data: str
    alpha: float
    sparse: bool = False

    def settings(self) -> dict[str, Any]:
        """Return settings of a run of this task, for any policy."""
        return {'environment': self.environment, 'data': self.data, 'sparse': self.sparse}


TASKS = {
    'cube-single-task2': Task(
        'cube-single-singletask-task2-v0', 'data/cube-single-play-v0.npz', 300.0),
    'scene-task2': Task('scene-singletask-task2-v0', 'data/scene-play-v0.npz', 300.0, True),
    'puzzle-3x3-task4': Task(
        'puzzle-3x3-singletask-task4-v0', 'data/puzzle-3x3-play-v0.npz', 1000.0, True),
    'lift': Task('lift-mh-low_dim', 'data/robomimic/lift/mh/low_dim_v15.hdf5', 100.0),
    'can': Task('can-mh-low_dim', 'data/robomimic/can/mh/low_dim_v15.hdf5', 100.0)}


@dataclass(frozen=True)
class Method:
    """
    A policy and the way it learns.

    :param title: Its name in the table.
    :param changes: Settings that differ from those of the preset.
    """

    title: str
    changes: dict[str, Any]


METHODS = {
    'dfp-frozen': Method('DFP, top-K from the frozen clone', {
        'anchor': 'frozen', 'value_weight': 3.0, 'pool': 16, 'top': 2, 'improve_after': 40_000}),
    'dfp-following': Method("DFP, top-K as in the paper's table 8, after a warm-up", {
        'anchor': 'following', 'anchor_rate': 1e-4, 'value_weight': 0.5, 'pool': 16, 'top': 8,
        'improve_after': 20_000}),
    'cloning': Method("DFP without top-K, the release's offline phase", {'value_weight': 0.0}),
    'driftql': Method('DriftQL', {
        'policy': 'driftql', 'generated': 32, 'normalise_value': True, 'distillation': 10.0}),
    'qc': Method('QC: flow, best of N', {'policy': 'flow'}),
    'qc-fql': Method('QC-FQL', {'policy': 'fql'}),
    'meanflow': Method('MeanFlow, best of N', {'policy': 'meanflow'})}


def settings(task: str, method: str, seed: int) -> TrainConfig:
    """
    Make the settings of a run.

    :param task: A key of :data:`TASKS`.
    :param method: A key of :data:`METHODS`.
    :param seed: Training seed.
    """
    changes = METHODS[method].changes
    if method == 'qc-fql':
        changes = changes | {'distillation': TASKS[task].alpha}
    return replace(
        PRESETS[PRESET][1], **TASKS[task].settings(), **changes, seed=seed, threads=1)
