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
"""Factory of simulated environments by name."""

from __future__ import annotations

from collections.abc import Mapping
import re
from typing import Any, TYPE_CHECKING

from dfp_ros.sim.simulation.picture_names import VISUAL

if TYPE_CHECKING:
    import gymnasium

# Robomimic's names of robosuite's tasks; all others are OGBench's.
ROBOMIMIC = re.compile(r'\w+-(ph|mh|mg|joint)-low_dim')


def make_env(
        environment: str, provenance: Mapping[str, Any] | None = None,
        draw_every: int = 1) -> gymnasium.Env:
    """
    Make a deterministic environment: equal seeds give equal episodes.

    OGBench and robosuite are imported only if needed.

    :param environment: For example ``cube-single-singletask-task2-v0`` or ``lift-mh-low_dim``.
    :param provenance: Provenance of a policy. Robosuite's environments are made from its data's
        ``env_args`` and ``observation_keys``, OGBench's with its configuration's
        ``success_timing``.
    :param draw_every: Steps from one picture to the next, see
        :class:`dfp_ros.sim.simulation.visual_env.VisualEnv`.
    :raises ValueError: If there is no such environment.
    """
    provenance = provenance or {}
    if ROBOMIMIC.fullmatch(environment):
        from dfp_ros.sim.simulation import robosuite_env
        data = provenance.get('data', {})
        return robosuite_env.make_env(
            environment, data.get('env_args'), data.get('observation_keys', ()))
    timing = provenance.get('config', {}).get('success_timing', 'pre')
    kwargs = {} if timing == 'pre' else {'success_timing': timing}
    if environment.startswith(VISUAL):
        from dfp_ros.sim.simulation.visual_env import VisualEnv
        return VisualEnv(environment, draw_every, **kwargs)
    from dfp_ros.sim.simulation import ogbench_env
    return ogbench_env.make_env(environment, **kwargs)
