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
"""Factory of sliced simulations by the name of their environment."""

from __future__ import annotations

from dfp_ros.sim.simulation.make_env import ROBOMIMIC
from dfp_ros.sim.simulation.sliced_simulation import SlicedSimulation


def make_simulation(environment: str, state_rate: float = 100.0) -> SlicedSimulation:
    """
    Make a simulation whose physics advance in slices.

    :param environment: For example ``cube-single-singletask-task2-v0`` or ``lift-mh-low_dim``.
    :param state_rate: Slices per second of simulated time, Hz.
    :raises ValueError: If there is no such robot, or the rate does not fit.
    """
    if ROBOMIMIC.fullmatch(environment):
        from dfp_ros.sim.simulation.robosuite_simulation import RobosuiteSimulation
        return RobosuiteSimulation(environment, state_rate)
    from dfp_ros.sim.simulation.ogbench_simulation import Simulation
    return Simulation(environment, state_rate)
