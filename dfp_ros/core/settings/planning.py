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
"""Node parameters: planning with action chunks."""

from __future__ import annotations

from dataclasses import dataclass

from dfp_ros.core.settings.setting import setting


@dataclass(frozen=True)
class PlanningSettings:
    """Execution and blending of action chunks."""

    mode: str = setting(
        'open_loop', 'open_loop: execute each chunk to its end, as in the paper. receding: '
        'request another after replan_every actions. ensemble: likewise, and average the actions '
        'of all chunks for the same time (temporal ensembling).',
        choices=('open_loop', 'receding', 'ensemble'))
    replan_every: int = setting(
        1, 'Actions after which a new chunk is requested, unless the mode is open_loop.',
        bounds=(1, 1000))
    ensemble_decay: float = setting(
        0.01, 'Decay of the weights of the ensemble: exp(-decay * i), with i = 0 for the oldest '
        'chunk.', bounds=(-10.0, 10.0))
    join_jump: float = setting(
        0.0, 'Largest jump between two chunks, in action units; the excess is spread over '
        'join_over actions. 0 allows any jump.', bounds=(0.0, 2.0))
    join_over: int = setting(
        3, 'Actions over which a jump is spread.', bounds=(1, 1000))
    interpolate: bool = setting(
        False, 'Interpolate linearly between actions if ticks are more frequent than actions; '
        'positions only.')
    ahead: bool = setting(
        False, 'Request a chunk one tick before it is due, after the command was sent: commands '
        'are sent earlier, from observations that are a tick older.')
    asynchronous: bool = setting(
        False, 'Inference runs beside the control loop, for policies that take several ticks: no '
        'tick waits for it, the next chunk is requested early enough, and the actions that were '
        'due by its answer are skipped. Can be set while the node is unconfigured.',
        is_unconfigured_only=True)
    lead: float = setting(
        0.0, 'With planning.asynchronous: seconds before the end of a chunk at which the next is '
        'requested; 0 is three times the inference time that was measured when the policy was '
        'loaded.', bounds=(0.0, 1000.0))
    noise: str = setting(
        'each_chunk', 'each_chunk: draw noise for each chunk. held: draw once after activation or '
        '~/reset. zero: no noise.', choices=('each_chunk', 'held', 'zero'))
