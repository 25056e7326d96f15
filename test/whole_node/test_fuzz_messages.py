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
"""Fuzzing of messages: arbitrary content of every source, and the resulting commands."""

from __future__ import annotations

import contextlib
from pathlib import Path
from random import Random
import re
import time
from typing import Any

import numpy as np
import pytest

rclpy = pytest.importorskip('rclpy')

from rclpy.serialization import deserialize_message, serialize_message  # noqa: E402

from dfp_ros.core.control.decision import State  # noqa: E402
from dfp_ros.core.control.factory import make_controller  # noqa: E402
from dfp_ros.core.observation.sample import ObservationError  # noqa: E402
from dfp_ros.core.policy.onnx_policy import OnnxPolicy  # noqa: E402
from dfp_ros.core.settings.node import Settings  # noqa: E402
from dfp_ros.node.messages.introspection import find_message_type  # noqa: E402
from dfp_ros.node.messages.source_reader import SourceReader  # noqa: E402
from testing.fixtures.robot_samples import rest_messages, rest_samples, shipped_robot  # noqa: E402
from testing.policies.small_policy import cube_spec, write_policy  # noqa: E402

MS = 1_000_000
START = 1000 * 1000 * MS
NAN, INFINITY = float('nan'), float('inf')
FLOATS = (0.0, -0.0, 0.1, -1.0, 3.2, 1e9, -1e308, 5e-324, NAN, INFINITY, -INFINITY)
NAMES = ('shoulder_pan_joint', 'elbow_joint', 'gripper_opening', '', ' ', 'x', 'a\nb', '\x1b[31m',
         'ü' * 300, 'shoulder_pan_joint ')
#: How long one message may take to be read and decided upon, in s, on a machine with other work.
LONGEST = 1.0


def anything(kind: str, random: Random) -> Any:
    """Make a value of a field's type."""
    array = re.fullmatch(r'sequence<([^,>]+)(?:, (\d+))?>|([^\[]+)\[(\d+)\]', kind)
    if array:
        element, bound, fixed, size = array.groups()
        count = int(size) if size else random.choice((0, 1, 2, 6, 6, 7, 500))
        return [anything(element or fixed, random) for _ in range(min(count, int(bound or 1000)))]
    if kind in ('double', 'float'):
        value = random.choice((*FLOATS, random.uniform(-4, 4)))
        return value if kind == 'double' or abs(value) < 3e38 else 0.0
    if kind == 'boolean':
        return random.random() < 0.5
    if kind.startswith('string'):
        return random.choice(NAMES)
    if kind in ('octet', 'byte'):
        return bytes([random.randrange(256)])
    if 'int' in kind and '/' not in kind:
        bits = int(re.sub(r'\D', '', kind))
        low = 0 if kind.startswith('u') else -2**(bits - 1)
        return random.choice((low, low + 2**bits - 1, 0, 1))
    return filled(find_message_type(kind.replace('/', '/msg/'), 'here'), random)


def filled(message_type: Any, random: Random) -> Any:
    """Make a message with anything in it."""
    message = message_type()
    for name, kind in message_type.get_fields_and_field_types().items():
        if random.random() < 0.8:
            setattr(message, name, anything(kind, random))
    return message


def changed(message: Any, random: Random) -> Any:
    """Change a sound message in one field, somewhere."""
    fields = message.get_fields_and_field_types()
    name = random.choice(sorted(fields))
    part = getattr(message, name)
    if hasattr(part, 'get_fields_and_field_types') and random.random() < 0.8:
        changed(part, random)
    else:
        setattr(message, name, anything(fields[name], random))
    return message


@pytest.mark.parametrize('block', range(4))
def test_commands_stay_within_bounds_for_any_messages(block: int, tmp_path: Path) -> None:
    """Read or refused by name; decided upon in time; sent within the limits, or a stop."""
    robot = shipped_robot()
    policy = OnnxPolicy(write_policy(tmp_path / 'policy.onnx', cube_spec()))
    controller = make_controller(
        Settings(policy='test', robot='ur5e_cube'), robot, policy, clock=lambda: 0)
    readers = {name: SourceReader(source, robot) for name, source in robot.sources.items()}
    topics = {name: source.topic for name, source in robot.sources.items()}
    random, ran = Random(block), 0
    for number in range(100):
        now = START + number * 50 * MS
        samples = dict(rest_samples(now - MS))
        if random.random() < 0.7:
            name = random.choice(sorted(readers))
            sound = rest_messages(rclpy.time.Time(nanoseconds=now - MS).to_msg())[topics[name]]
            reader = readers[name]
            message = filled(reader.message_type, random) if random.random() < 0.4 else changed(
                sound, random)
            # Only what can be sent can be received.
            message = deserialize_message(serialize_message(message), reader.message_type)
            begin = time.thread_time()
            with contextlib.suppress(ObservationError):
                samples[name] = reader.read(message, now - MS) or samples[name]
        else:
            begin = time.thread_time()
        decision = controller.step(now, samples)
        assert time.thread_time() - begin < LONGEST
        assert decision.text.isprintable()
        if decision.sent is not None:
            assert np.isfinite(decision.sent).all()
            assert (np.abs(decision.sent) <= (1.0, 1.0, 1.0, 6.0, 20.0)).all()
        ran += decision.state is State.RUNNING
    assert ran > 20, 'or nothing was tried'
