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
"""Settings of learning on a robot: the command line of ``training.learn_on_robot``."""

from __future__ import annotations

from dataclasses import asdict, dataclass
import json
import math
from typing import Literal

from dfp_ros.core.description.topic_name import is_topic_name
from dfp_ros.core.text.printable import quoted
from training.config import ConfigError

# Bounds of whole numbers.
_COUNTS = {
    'episodes': (0, 10**9), 'steps': (1, 10**9), 'start': (0, 10**9),
    'updates_per_step': (0, 10_000), 'most_behind': (1, 10**9), 'swap_every': (1, 10**9),
    'shadow_episodes': (0, 10**6), 'window': (2, 10**6), 'checkpoint_every': (1, 10**9),
    'nice': (0, 19), 'threads': (0, 1024), 'keep_policies': (2, 10**6)}


# Names, with examples.
_NAMES = {
    'policy_node': 'left/dfp_policy', 'node_name': 'dfp_learner', 'namespace': 'left',
    'marks': 'episode_marks'}


@dataclass(frozen=True)
class LearnerSettings:
    """Settings of learning on a robot."""

    # The robot.
    policy_node: str = 'dfp_policy'
    """Name of the policy node, relative to the namespace or absolute; its publish_decisions has to
    be true."""
    node_name: str = 'dfp_learner'
    """Name of the learner's own node."""
    namespace: str = ''
    """Namespace of the learner's node."""
    robot: str = ''
    """Robot description, if that of the node cannot be read here by its name."""
    marks: str = 'episode_marks'
    """Topic of the episode marks."""
    episodes: int = 0
    """Episodes after which the learner ends; 0 for no limit."""

    # Updates.
    steps: int = 100_000
    """Transitions after which the learner ends; memory for them is taken at the start."""
    start: int = 1_000
    """Transitions before the first update."""
    updates_per_step: int = 1
    """Updates per transition; 0 records only."""
    most_behind: int = 2_000
    """Transitions that updates may be behind the robot; of those beyond, none has its updates."""
    batches: Literal['balanced', 'uniform'] = 'balanced'
    """Batches: half from the data and half from the robot, or both as often as they come."""
    learning_rate: float = -1.0
    """Learning rate, constant; -1 for the highest of the run."""
    average_rate: float = -1.0
    """Rate of the exponential moving average (EMA) of the actor's weights that policies are
    exported from; 0 for the newest weights, -1 for the setting of the run."""
    value_weight: float = -1.0
    """lambda: weight of the top-K drift; -1 for that of the run."""
    threads: int = 0
    """PyTorch threads; 0 for those of the run."""
    nice: int = 10
    """Niceness of the process, 0 to 19; it shall never delay the robot."""
    processors: str = 'auto'
    """Processors of the process, such as 2,3 or 4-7; auto for the last ones if there are four or
    more, except two; all for no choice."""

    # Policies.
    swap: Literal['between', 'in_flight', 'never'] = 'between'
    """When a new policy takes over: between two episodes, at once, or never."""
    swap_every: int = 500
    """Updates between two policies."""
    shadow_episodes: int = 0
    """Whole episodes that a policy runs as the shadow before it takes over."""
    latency_share: float = 0.5
    """Largest inference time of a new policy, as a fraction of the control period."""
    envelope: float = 0.1
    """Margin around the range of the actions in the data and on the robot so far, as a fraction of
    it, or of 0.2 if that is more, for a new policy's actions on recent observations."""
    outside: float = 0.2
    """Largest share of a new policy's actions outside of that range and margin."""
    window: int = 20
    """Episodes of which the success is compared: if that of the last ones is significantly (95 %)
    below the best before, the policy of then comes back."""
    keep_policies: int = 20
    """Policy files that are kept, beside the running and the best one."""

    sign_key: str = ''
    """Private key that signs new policies, for a node with policy_keys; empty for no signature."""

    # Disk.
    checkpoint_every: int = 1_000
    """Updates between checkpoints, which are written at the end of an episode."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        for name, (least, most) in _COUNTS.items():
            value = getattr(self, name)
            if not least <= value <= most:
                raise ConfigError(
                    f'{name}: found {value}, expected a whole number from {least} to {most}')
        for name, example in _NAMES.items():
            text = getattr(self, name)
            if not is_topic_name(text or example) or name != 'namespace' and not text or (
                    name == 'node_name' and not text.isidentifier()):
                raise ConfigError(
                    f'{name}: found {quoted(text)}, expected a name such as {example}: words of '
                    'letters, digits and _, none of which begins with a digit'
                    + ('' if name == 'node_name' else ', with one / between two'))
        for name, low, high in (
                ('latency_share', 0.001, 10.0), ('envelope', 0.0, 100.0), ('outside', 0.0, 1.0)):
            number = getattr(self, name)
            if not (math.isfinite(number) and low <= number <= high):
                raise ConfigError(f'{name}: found {number:g}, expected {low:g} to {high:g}')
        if self.learning_rate != -1 and not 0 < self.learning_rate <= 1:
            raise ConfigError(
                f'learning_rate: found {self.learning_rate:g}, expected more than 0 and at most '
                '1, or -1 for the highest of the run; --updates-per-step 0 records only')
        if self.average_rate != -1 and not 0 <= self.average_rate <= 1:
            raise ConfigError(
                f'average_rate: found {self.average_rate:g}, expected 0 to 1, or -1 for that of '
                'the run')
        if self.value_weight != -1 and not (
                math.isfinite(self.value_weight) and self.value_weight >= 0):
            raise ConfigError(
                f'value_weight: found {self.value_weight:g}, expected 0 or more, or -1 for that '
                'of the run')
        if self.steps <= self.start:
            raise ConfigError(
                f'start: found {self.start}, expected less than steps, {self.steps}: there would '
                'be no update')

    def to_json(self) -> str:
        """Write them as JSON."""
        return json.dumps(asdict(self), indent=2)
