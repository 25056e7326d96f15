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
Every setting of a training run, and presets by name.

The dataclass is the command line, the file beside a checkpoint and the documentation at once.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields, replace
import difflib
import json
import math
from typing import Any, Literal

# For data that comes from no simulator: nothing is evaluated.
NO_ENVIRONMENT = 'none'


class ConfigError(ValueError):
    """A setting is unknown or out of its range."""


@dataclass(frozen=True)
class TrainConfig:
    """Settings of one run."""

    # What to learn from, and for what.
    data: str = 'data/cube-single-demo-task2-v0.npz'
    """Data file: OGBench's, Robomimic's, or what training.convert made of a recording; or the
    folder of OGBench's numbered files."""
    environment: str = 'cube-single-singletask-task2-v0'
    """Environment that rewards and evaluates; ``none`` for a robot that has no simulator, which is
    chosen where none is named and the data file is of such a robot."""
    filter_key: str = ''
    """Which of a Robomimic file's demonstrations: a name under ``mask``; all where empty."""
    observation_keys: tuple[str, ...] = ()
    """Parts of a Robomimic file's observation, in order; its usual ones where empty."""
    policy: Literal['dfp', 'flow', 'fql', 'meanflow'] = 'dfp'
    """What learns: the drifting field policy, or one of those that it is compared with."""
    success_timing: Literal['pre', 'post'] = 'pre'
    """Whether the state before or after a step decides its reward; OGBench 1.1 had ``post``."""
    sparse: bool = False
    """Whether the reward is -1 until the task is solved, whatever the environment says."""
    seed: int = 0
    """Seed of everything random in the run."""
    device: Literal['cpu', 'cuda'] = 'cpu'
    """Where the networks live."""
    threads: int = 0
    """Threads of torch on the CPU; 0 leaves torch's own choice."""
    compile: bool = False
    """Whether torch.compile makes the networks' passes; needs a C++ compiler on the CPU."""

    # How long, and how fast.
    steps: int = 1_000_000
    """Updates on the data file: all of an offline run, or its offline phase."""
    online_steps: int = 0
    """Environment steps of the online phase that follows; 0 ends the run before it."""
    online_start: int = 5_000
    """Environment steps of the online phase before its first update."""
    updates_per_step: int = 1
    """Updates an environment step of the online phase."""
    replay: int = 0
    """Most transitions kept, the oldest go first; 0 keeps the data file and all that follows."""
    swap_every: int = 1_000
    """Updates before another one of numbered files is taken; one is in memory at a time."""
    batch_size: int = 256
    """States an update."""
    learning_rate: float = 3e-4
    """Adam's rate for actor and critics."""
    schedule: Literal['constant', 'cosine'] = 'constant'
    """Whether the rate stays or falls to zero along a half cosine over the run."""

    # Networks.
    hidden: tuple[int, ...] = (512, 512, 512, 512)
    """Widths of the hidden layers of actor and critics."""
    critics: int = 2
    """Members of the critic ensemble."""
    normalise: bool = False
    """Whether observations are shifted and scaled to unit deviation inside the policy."""

    # Actions and value.
    horizon: int = 1
    """H: actions in a chunk."""
    best_of: int = 1
    """N': candidates of which the critic picks the best, in targets and in execution."""
    discount: float = 0.99
    """Discount a step."""
    target_rate: float = 5e-3
    """Rate at which the target critics follow."""

    # The drifting field.
    bandwidths: tuple[float, ...] = (0.05,)
    """Kernel widths, in units of the mean distance."""
    generated: int = 8
    """G: chunks generated a state."""
    clip_generated: bool = True
    """Whether these are clipped first, as in the release; what leaves [-1, 1] stays there then."""
    value_weight: float = 0.45
    """lambda: weight of the top-K drift; 0 clones behaviour only."""
    pool: int = 16
    """N: candidates drawn from the anchor policy a state."""
    top: int = 8
    """K: best candidates of the pool that serve as positives."""
    anchor_rate: float = 1e-4
    """Rate at which the anchor policy follows the actor."""
    improve_after: int = 0
    """Updates of cloning before the top-K drift of an offline run; the anchor is copied then."""

    # The policies it is compared with.
    flow_steps: int = 10
    """Euler steps of the flow policies: ``flow``, and the teacher of ``fql``."""
    distillation: float = 100.0
    """alpha: weight of the student's distance to its teacher, in ``fql``."""
    normalise_value: bool = False
    """Whether the student of ``fql`` climbs the value divided by its mean size."""
    instantaneous: float = 0.75
    """Share of time pairs with r = t, the instantaneous velocity, in ``meanflow``."""

    # Execution, evaluation, logging.
    noise_scale: float = 1.0
    """Factor on the noise wherever the policy acts: critic targets, top-K pool, execution."""
    evaluate_every: int = 50_000
    """Updates between evaluations; one more follows the last update."""
    episodes: int = 50
    """Episodes an evaluation."""
    environments: int = 1
    """Environments that an evaluation steps side by side."""
    log_every: int = 100
    """Updates between log rows."""
    checkpoint_every: int = 5_000
    """Updates between checkpoints."""

    def __post_init__(self) -> None:
        """Check ranges once."""
        for name in (
                'steps', 'batch_size', 'critics', 'horizon', 'best_of', 'generated', 'pool', 'top',
                'evaluate_every', 'episodes', 'environments', 'log_every', 'checkpoint_every',
                'updates_per_step', 'flow_steps', 'swap_every'):
            _require(name, getattr(self, name), getattr(self, name) >= 1, 'at least 1')
        for name in (
                'seed', 'threads', 'value_weight', 'noise_scale', 'online_steps', 'online_start',
                'replay', 'distillation', 'improve_after'):
            value = getattr(self, name)
            _require(name, value, math.isfinite(value) and value >= 0, '0 or more')
        for name in ('learning_rate', 'discount', 'target_rate', 'anchor_rate'):
            _require(name, getattr(self, name), 0 < getattr(self, name) <= 1, 'within (0, 1]')
        _require(
            'instantaneous', self.instantaneous, 0 <= self.instantaneous <= 1, 'within [0, 1]')
        _require('top', self.top, self.top <= self.pool, f'at most pool, {self.pool}')
        for name in ('hidden', 'bandwidths'):
            values = getattr(self, name)
            _require(name, values, bool(values) and all(v > 0 for v in values), 'positive numbers')

        _require(
            'online_steps', self.online_steps,
            self.online_steps == 0 or self.environment != NO_ENVIRONMENT,
            'an environment to take them in, or 0')
        _require(
            'online_steps', self.online_steps,
            self.online_steps == 0 or self.online_steps > self.online_start,
            f'0, or more than online_start, {self.online_start}')

    @property
    def updates(self) -> int:
        """Count the updates of the whole run, both phases."""
        online = max(0, self.online_steps - self.online_start)
        return self.steps + online * self.updates_per_step

    def to_json(self) -> str:
        """Write the settings as JSON text."""
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> TrainConfig:
        """
        Read settings that :meth:`to_json` wrote.

        :raises ConfigError: Where a key is unknown; the message has the nearest known one.
        """
        values: dict[str, Any] = json.loads(text)
        known = [member.name for member in fields(cls)]
        for key in values:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                hint = f'; did you mean {near[0]!r}?' if near else ''
                raise ConfigError(f'configuration: found the unknown key {key!r}{hint}')
        for key in ('hidden', 'bandwidths', 'observation_keys'):
            if key in values:
                values[key] = tuple(values[key])
        return cls(**values)


def _require(name: str, value: Any, holds: bool, expected: str) -> None:
    if not holds:
        raise ConfigError(f'{name}: found {value!r}, expected {expected}')


# Small networks on a CPU: a decayed rate and a wide bandwidth learn in minutes what a constant
# rate does not in hours, because the normalised force does not shrink near equilibrium.
_SMALL = TrainConfig(
    hidden=(256, 256, 256), normalise=True, schedule='cosine', learning_rate=1e-3,
    bandwidths=(0.2,), clip_generated=False)
# In chunks, with top-K improvement; docs/results.md has the measurements that chose these.
_SMALL_CHUNKS = replace(
    _SMALL, data='data/cube-single-play-v0.npz', horizon=5, best_of=4, value_weight=0.2, pool=8,
    top=2, anchor_rate=1e-3, noise_scale=0.5)

# Table 5: chunks of 5, best of 16, a million updates on data and a million steps after them.
_ONLINE = TrainConfig(
    horizon=5, best_of=16, top=4, value_weight=0.5, online_steps=1_000_000)
# Robomimic's tasks, low-dimensional, multi-human.
_ROBOMIMIC = replace(_ONLINE, top=2, best_of=4, bandwidths=(0.005, 0.05))


def _task(name: str, config: TrainConfig, **changes: Any) -> TrainConfig:
    """Name data and environment of a task of OGBench's."""
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
    'lift-cpu': (
        "Behaviour cloning of Robomimic's Lift with small networks, minutes on a CPU",
        replace(
            _SMALL, data='data/robomimic/lift/mh/low_dim_v15.hdf5',
            environment='lift-mh-low_dim', value_weight=0.0, noise_scale=0.5, steps=6_000,
            evaluate_every=6_000)),
    'lift-joint-cpu': (
        'The same of its arm commanded at its joints',
        replace(
            _SMALL, data='data/robomimic/lift/joint/low_dim_v15.hdf5',
            environment='lift-joint-low_dim', value_weight=0.0, noise_scale=0.5, steps=6_000,
            evaluate_every=6_000, observation_keys=(
                'robot0_joint_pos', 'robot0_eef_pos', 'robot0_eef_quat', 'robot0_gripper_qpos',
                'object'))),
    'small-offline': (
        'Cloning and top-K improvement in chunks with small networks, an hour on a CPU',
        replace(_SMALL_CHUNKS, steps=12_000, evaluate_every=4_000)),
    'cpu': (
        'Any of the policies in chunks with small networks, minutes on a CPU, for comparisons',
        replace(_SMALL_CHUNKS, steps=3_000, evaluate_every=3_000, checkpoint_every=500)),
    'cpu-online': (
        'The same offline to online: 1500 updates on data, 6000 steps in the simulator',
        replace(
            _SMALL_CHUNKS, steps=1_500, online_steps=6_000, online_start=1_000,
            evaluate_every=1_000, checkpoint_every=500)),
}
