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
"""Messages of simulated scenes, read as the robot description says."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('rclpy')
pytest.importorskip('ogbench')

from builtin_interfaces.msg import Time

from dfp_ros.core.description.robot import load_robot_description
from dfp_ros.core.observation.builder import ObservationBuilder
from dfp_ros.node.messages.source_reader import SourceReader
from dfp_ros.resources import find_shared
from dfp_ros.sim.sim_robot.messages import messages
from dfp_ros.sim.simulation.ogbench_simulation import Simulation


@pytest.mark.parametrize(('robot', 'environment'), [
    ('ur5e_cube', 'cube-single-singletask-task2-v0'),
    ('ur5e_scene', 'scene-singletask-task2-v0')])
def test_messages_and_description_give_the_observation(robot: str, environment: str) -> None:
    """Every number of the environment's observation, at several steps, in its order."""
    description = load_robot_description(find_shared(robot, 'config', '.yaml'))
    readers = {
        name: SourceReader(source, description) for name, source in description.sources.items()}
    builder = ObservationBuilder(description.observation)
    simulation = Simulation(environment)
    simulation.reset(2)
    generator = np.random.default_rng(2)
    for _ in range(10):
        found = messages(simulation.state(), Time(sec=1))
        samples = {
            name: readers[name].read(found[source.topic], 10**9)
            for name, source in description.sources.items()}
        np.testing.assert_allclose(
            builder.build(samples, 10**9), simulation.observation(), rtol=0, atol=1e-6)
        simulation.step(generator.uniform(-1, 1, 5))
