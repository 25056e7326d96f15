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

from dataclasses import asdict, dataclass, fields
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

        :raises ConfigError: If a key is unknown; the message has the nearest known one.
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
