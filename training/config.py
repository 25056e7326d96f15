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
Settings of a training run.

The dataclass defines the command line, the ``config.json`` of a run, and the documentation.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from itertools import pairwise
import json
import math
from typing import Any, get_args, get_origin, get_type_hints, Literal

from dfp_ros.core.files.bounded_json import JsonError, read_json
from dfp_ros.core.files.user_path import user_path
from dfp_ros.core.text.errors import nearest
from dfp_ros.core.text.printable import listed, printable
from dfp_ros.spec_bounds import MOST_ACTIONS, MOST_CANDIDATES

# For data that comes from no simulator: nothing is evaluated.
NO_ENVIRONMENT = 'none'

_UPDATES = 10**12
#: Bounds of counts, far above any useful value: a number with a digit too many is refused by name,
#: before PyTorch or the system fails at it.
COUNTS: dict[str, tuple[int, int]] = {
    'steps': (1, _UPDATES), 'online_steps': (0, _UPDATES), 'online_start': (0, _UPDATES),
    'replay': (0, _UPDATES), 'improve_after': (0, _UPDATES), 'value_ramp': (0, _UPDATES),
    'anchor_every': (0, _UPDATES), 'swap_every': (1, _UPDATES), 'evaluate_every': (1, _UPDATES),
    'log_every': (1, _UPDATES), 'checkpoint_every': (1, _UPDATES), 'seed': (0, 2**32 - 1),
    'updates_per_step': (1, 10_000), 'actor_every': (1, 10_000), 'episodes': (1, 1_000_000),
    'environments': (1, 1024),
    'threads': (0, 1024), 'batch_size': (1, 2**20), 'critics': (1, 100),
    'horizon': (1, MOST_ACTIONS), 'best_of': (1, MOST_CANDIDATES),
    'generated': (1, MOST_CANDIDATES), 'pool': (1, MOST_CANDIDATES), 'top': (1, MOST_CANDIDATES),
    'flow_steps': (1, 10_000), 'encoder_features': (1, 4096), 'shift': (0, 256),
    'picture_delay': (0, 1000)}
_MOST_STAGES, _MOST_CHANNELS = 8, 1024
_MOST_LAYERS, _MOST_WIDTH, _MOST_BANDWIDTHS = 64, 2**16, 64
# Weights of the hidden layers of all critics, and outputs of one layer in one update: 4 and 64 GiB
# in float32.
_MOST_WEIGHTS, _MOST_OUTPUTS = 2**30, 2**34


class ConfigError(ValueError):
    """A setting is unknown or out of its range."""


@dataclass(frozen=True)
class TrainConfig:
    """Settings of one run."""

    # Data, environment and algorithm.
    data: str = 'data/cube-single-demo-task2-v0.npz'
    """Data file in OGBench's, Robomimic's or this package's format (training.convert), or the
    folder of a LeRobot dataset or of OGBench's numbered files."""
    corrections: tuple[str, ...] = ()
    """What persons did when they took a robot over: data files or folders of them, such as the
    demonstrations of training.learn_on_robot. Half of each batch is from them."""
    environment: str = 'cube-single-singletask-task2-v0'
    """Environment of rewards and evaluations; ``none`` for a robot without a simulator, which is
    the default if the data file is of such a robot."""
    filter_key: str = ''
    """Subset of the demonstrations in a Robomimic file: a name under ``mask``; or the task, in
    words, of a LeRobot dataset's episodes; empty for all."""
    observation_keys: tuple[str, ...] = ()
    """Observation keys of a Robomimic file or a LeRobot dataset, in order; empty for the default
    ones."""
    policy: Literal['dfp', 'flow', 'fql', 'meanflow', 'driftql'] = 'dfp'
    """Policy: the drifting field policy, or one of the policies for comparison."""
    success_timing: Literal['pre', 'post'] = 'pre'
    """Whether the reward of a step depends on the state before or after it; OGBench 1.1:
    ``post``."""
    sparse: bool = False
    """Sparse reward: -1 until the task is solved, instead of the environment's reward."""
    seed: int = 0
    """Random seed of the run."""
    device: Literal['cpu', 'cuda'] = 'cpu'
    """Device of the networks."""
    threads: int = 0
    """Number of PyTorch threads on the CPU; 0 for PyTorch's default."""
    precision: Literal['float32', 'bf16', 'auto'] = 'float32'
    """Precision of the products of layers in updates: float32; bfloat16, with parameters,
    gradients, last layers and losses in float32; or the faster of the two, measured once when the
    run starts."""
    compile: bool = False
    """Whether to compile the networks with torch.compile; needs a C++ compiler on the CPU."""

    # Length of the run, and optimisation.
    steps: int = 1_000_000
    """Gradient updates on the data file: of an offline run, or of the offline phase."""
    online_steps: int = 0
    """Environment steps of the online phase; 0 for an offline run."""
    online_start: int = 5_000
    """Environment steps of the online phase before its first update (warm-up)."""
    updates_per_step: int = 1
    """Updates per environment step in the online phase."""
    acts: Literal['newest', 'exported'] = 'newest'
    """Policy that acts in the online phase: the newest, as in the paper, or the one exported to a
    policy file before each episode, as on a robot that gets its policies between episodes."""
    balanced: bool = False
    """Whether half of each batch of the online phase is from the data and half from its own
    transitions, instead of both as often as they are in the buffer."""
    replay: int = 0
    """Capacity of the replay buffer in transitions; 0 for the data and the whole online phase."""
    swap_every: int = 1_000
    """Updates between numbered data files, of which one is in memory at a time."""
    batch_size: int = 256
    """Batch size of an update."""
    actor_every: int = 1
    """Updates between those that train the actor too; the others train the critics alone (policy
    delay, as in TD3)."""
    learning_rate: float = 3e-4
    """Learning rate of Adam, for actor and critics."""
    schedule: Literal['constant', 'cosine'] = 'constant'
    """Learning-rate schedule: constant, or cosine decay to zero over the run."""
    average_rate: float = 0.0
    """Rate of the exponential moving average (EMA) of the actor's weights that is evaluated,
    exported and acts, instead of the newest; 0 for the newest. In the first updates after random
    weights it is 9 / (9 + updates), if that is more."""

    # Neural networks.
    hidden: tuple[int, ...] = (512, 512, 512, 512)
    """Widths of the hidden layers of actor and critics."""
    critics: int = 2
    """Size of the critic ensemble."""
    normalise: bool = False
    """Whether the policy normalises observations to zero mean and unit standard deviation."""

    # Encoder of pictures, for data that have some.
    encoder: Literal['impala', 'spatial_softmax'] = 'impala'
    """Encoder of the pictures, shared by actor and critics: a small convolutional network as in
    IMPALA, whose last map is flattened, or reduced to the positions of its features."""
    encoder_widths: tuple[int, ...] = (16, 32, 32)
    """Channels of the stages of the encoder, each of which halves height and width."""
    encoder_features: int = 64
    """Numbers that the encoder makes of a picture."""
    shift: int = 4
    """Largest random shift of a picture in an update, in pixels in both directions; 0 for none."""
    picture_delay: int = 0
    """Largest age of the pictures in an update, in control periods: a robot's pictures are older
    than its joint states, by exposure, transport and the period of the camera. Drawn for each
    chunk, from 0 to this."""

    # Action chunks and value function.
    horizon: int = 1
    """H: number of actions in a chunk."""
    best_of: int = 1
    """N' of best-of-N: candidates per action chunk, in critic targets and in execution."""
    discount: float = 0.99
    """Discount factor per step."""
    target_rate: float = 5e-3
    """Rate of Polyak averaging of the target critics."""

    # The drifting field.
    bandwidths: tuple[float, ...] = (0.05,)
    """Kernel bandwidths, in units of the mean distance."""
    field: Literal['release', 'separate'] = 'release'
    """Weights of the drifting field: the release's, normalised over attracting and repelling
    chunks together and in both directions, or separate softmaxes for each of the two, as in the
    paper's equations."""
    generated: int = 8
    """G: chunks generated per state."""
    clip_generated: bool = True
    """Whether generated chunks are clipped to [-1, 1] first, as in the release; this stops the
    gradient outside."""
    value_weight: float = 0.45
    """lambda: weight of the top-K drift; 0 for behaviour cloning only."""
    pool: int = 16
    """N: candidates sampled from the anchor policy per state."""
    top: int = 8
    """K: number of best candidates of the pool that serve as positives."""
    improve_after: int = 0
    """Updates of behaviour cloning before the top-K drift starts in an offline run, with the
    anchor policy as a copy of the actor."""
    value_ramp: int = 0
    """Updates over which lambda rises linearly from 0 when the top-K drift starts."""
    anchor: Literal['following', 'frozen'] = 'following'
    """Whether the anchor policy follows the actor (Polyak averaging), as in the paper, or stays
    the copy of it that is made when the top-K drift starts."""
    anchor_rate: float = 1e-4
    """Rate of Polyak averaging of an anchor policy that follows."""
    anchor_every: int = 0
    """Updates after which the anchor policy is renewed, as a copy of the actor; 0 for never."""
    targets: Literal['actor', 'anchor'] = 'actor'
    """Policy whose candidates the critic's targets are chosen from during the top-K drift: the
    actor, as in the paper, or the anchor policy."""
    pessimism: float = 0.0
    """Standard deviations of the critic ensemble that are subtracted from its mean when a
    candidate is chosen in targets and top-K pool; what acts, as the exported policy, chooses by
    the mean."""

    # Other policies, for comparison.
    flow_steps: int = 10
    """Euler steps of the flow policies: ``flow``, and the teacher of ``fql``."""
    distillation: float = 100.0
    """alpha: weight of the distillation loss in ``fql``, and of the drift in ``driftql``."""
    normalise_value: bool = False
    """Whether ``fql`` and ``driftql`` divide the value in their loss by the mean absolute
    value."""
    instantaneous: float = 0.75
    """Share of time pairs with r = t (instantaneous velocity) in ``meanflow``."""

    # Execution, evaluation, logging.
    noise_scale: float = 1.0
    """Scale of the policy's noise in critic targets, top-K pool and execution."""
    evaluate_every: int = 50_000
    """Updates between evaluations; there is one more after the last update."""
    episodes: int = 50
    """Episodes per evaluation."""
    environments: int = 1
    """Number of parallel environments in an evaluation."""
    log_every: int = 100
    """Updates between log rows."""
    checkpoint_every: int = 5_000
    """Updates between checkpoints."""

    def __post_init__(self) -> None:
        """Check types and ranges of all settings, and expand ``~`` in the path of the data."""
        for name, kind in get_type_hints(type(self)).items():
            _require_type(name, getattr(self, name), kind)
        if self.data.startswith('~'):
            object.__setattr__(self, 'data', str(user_path(self.data)))
        object.__setattr__(self, 'corrections', tuple(
            str(user_path(each)) if each.startswith('~') else each for each in self.corrections))
        for name, (least, most) in COUNTS.items():
            _require_count(name, getattr(self, name), least, most)
        for name in ('value_weight', 'noise_scale', 'distillation', 'pessimism'):
            value = getattr(self, name)
            _require(name, value, math.isfinite(value) and value >= 0, '0 or more')
        _require('average_rate', self.average_rate, 0 <= self.average_rate <= 1, 'within [0, 1]')
        for name in ('learning_rate', 'discount', 'target_rate', 'anchor_rate'):
            _require(name, getattr(self, name), 0 < getattr(self, name) <= 1, 'within (0, 1]')
        _require(
            'instantaneous', self.instantaneous, 0 <= self.instantaneous <= 1, 'within [0, 1]')
        _require('top', self.top, self.top <= self.pool, f'at most pool, {self.pool}')
        _require(
            'bandwidths', self.bandwidths, 1 <= len(self.bandwidths) <= _MOST_BANDWIDTHS and all(
                math.isfinite(width) and width > 0 for width in self.bandwidths),
            f'1 to {_MOST_BANDWIDTHS} positive numbers')
        _require(
            'hidden', self.hidden, 1 <= len(self.hidden) <= _MOST_LAYERS,
            f'1 to {_MOST_LAYERS} layers')
        for width in self.hidden:
            _require_count('hidden', width, 1, _MOST_WIDTH)
        _require(
            'encoder_widths', self.encoder_widths, 1 <= len(self.encoder_widths) <= _MOST_STAGES,
            f'1 to {_MOST_STAGES} stages')
        for width in self.encoder_widths:
            _require_count('encoder_widths', width, 1, _MOST_CHANNELS)
        self._require_memory()

        _require(
            'online_steps', self.online_steps,
            self.online_steps == 0 or self.online_steps > self.online_start,
            f'0, or more than online_start, {self.online_start}')
        _require(
            'online_steps', self.online_steps, not (self.online_steps and self.corrections),
            '0 with corrections, whose half of a batch an online phase would take')

    def require_simulator(self) -> None:
        """
        Require an environment for the steps of an online phase in the simulator.

        :raises ConfigError: If there is none.
        """
        _require(
            'online_steps', self.online_steps,
            self.online_steps == 0 or self.environment != NO_ENVIRONMENT,
            'an environment to take them in, or 0; on a robot, `python -m '
            'training.learn_on_robot` takes them')

    def _require_memory(self) -> None:
        """Refuse settings that are possible one by one, but in no memory together."""
        weights = self.critics * sum(a * b for a, b in pairwise(self.hidden))
        _require(
            'hidden', self.hidden, weights <= _MOST_WEIGHTS,
            f'layers with at most {_MOST_WEIGHTS} weights, not the {weights} of '
            f'{self.critics} critics')
        candidates = max(self.pool, self.generated, self.best_of)
        most = _MOST_OUTPUTS // (candidates * max(self.hidden))
        _require(
            'batch_size', self.batch_size, self.batch_size <= most,
            f'at most {most} for {candidates} candidates and layers of {max(self.hidden)}')

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

        :raises ConfigError: If a key is unknown, for which the message suggests the nearest known
            one, or a value has another type or is out of its range.
        """
        try:
            values = read_json(text, infinite=True)
        except JsonError as error:
            raise ConfigError(f'configuration: {error}') from error
        if not isinstance(values, dict):
            raise ConfigError(
                f'configuration: found {printable(repr(values))}, expected settings by name')
        known = [member.name for member in fields(cls)]
        for key in values:
            if key not in known:
                raise ConfigError(
                    f'configuration: found the unknown key {key!r}; {nearest(key, known)}')
        for key in ('hidden', 'encoder_widths', 'bandwidths', 'observation_keys', 'corrections'):
            if isinstance(values.get(key), list):
                values[key] = tuple(values[key])
        return cls(**values)


def _require_type(name: str, value: Any, kind: Any) -> None:
    """Require the type of a setting's annotation; whole numbers are checked with their range."""
    if get_origin(kind) is Literal:
        _require(name, value, value in get_args(kind), f'one of {listed(get_args(kind), 10)}')
    elif get_origin(kind) is tuple:
        _require(name, value, isinstance(value, tuple), 'a list')
        if get_args(kind)[0] is not int:
            for each in value:
                _require_type(name, each, get_args(kind)[0])
    elif kind is str:
        _require(name, value, isinstance(value, str), 'a text')
    elif kind is bool:
        _require(name, value, isinstance(value, bool), 'true or false')
    elif kind is float:
        is_number = isinstance(value, float | int) and not isinstance(value, bool)
        _require(name, value, is_number, 'a number')


def _require_count(name: str, value: Any, least: int, most: int) -> None:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    _require(
        name, value, is_whole and least <= value <= most, f'a whole number from {least} to {most}')


def _require(name: str, value: Any, holds: bool, expected: str) -> None:
    if not holds:
        raise ConfigError(f'{name}: found {printable(repr(value))}, expected {expected}')
