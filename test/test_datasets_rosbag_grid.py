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
"""The grid of a recording: at each of its steps, what the policy node would have seen."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from bags import command, mark, MS, PERIOD, START, state, write_bag
import numpy as np
from policies import write_policy
import pytest
from robot_samples import shipped_robot
from test_controller import controller

from dfp_ros.decision import State
from dfp_ros.observation import Sample
from dfp_ros.policy import OnnxPolicy
from dfp_ros.sample_reader import SampleReader
from training.datasets.rosbag import convert, Options
from training.datasets.rosbag_commands import ActionScale

ROBOT = shipped_robot()


@pytest.mark.parametrize('seed', range(3))
def test_a_step_is_kept_where_the_node_would_have_run(tmp_path: Path, seed: int) -> None:
    """
    Sources fall silent, and arrive late, at random; the node's own controller is asked.

    Where it holds the robot there is no step, and elsewhere the step has what it saw.
    """
    random = np.random.default_rng(seed)
    messages = [
        message for i in range(200) for message in command(START + i * PERIOD + 5 * MS, [0.1] * 5)]
    for source in ROBOT.sources.values():
        late = int(random.integers(0, 150)) * MS
        time = START - int(random.integers(0, 60)) * MS
        while time < START + 200 * PERIOD:
            messages += [each for each in state(time, (time - START) * 1e-11, time - late)
                         if each[1] == f'/{source.topic}']
            time += int(random.choice([20, 30, 40, 50, 230], p=[0.3, 0.3, 0.2, 0.15, 0.05])) * MS
    path = write_bag(
        tmp_path / 'bag',
        messages + mark(START, 'start') + mark(START + 200 * PERIOD - MS, 'failure'))
    data, report = convert([path], ROBOT, Options(0.05, ActionScale.of_robot(ROBOT)))

    node = controller(OnnxPolicy(write_policy(tmp_path / 'policy.onnx')))
    readers = {
        f'/{source.topic}': (name, SampleReader(ROBOT.readings(name), stamped=True))
        for name, source in ROBOT.sources.items()}
    arrivals = sorted((each for each in messages if each[1] in readers), key=lambda each: each[0])
    samples: dict[str, Sample] = {}
    seen = []
    for now in range(START, START + 200 * PERIOD, PERIOD):
        while arrivals and arrivals[0][0] <= now:
            time, topic, message = arrivals.pop(0)
            name, reader = readers[topic]
            samples[name] = reader.read(message, time)
        decision = node.step(now, samples)
        seen.append(decision.observation if decision.state is State.RUNNING else None)
    kept = [(one, other) for one, other in pairwise(seen) if one is not None and other is not None]
    assert 20 < len(kept) < 190
    np.testing.assert_array_equal(data.observations, [one for one, _ in kept])
    np.testing.assert_array_equal(data.next_observations, [other for _, other in kept])
    assert report.counts['steps of episodes'] == 200
