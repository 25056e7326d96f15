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
"""Policy file for the measured rate, and a matching robot description."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
import json
from pathlib import Path
from typing import Any

import onnx
import yaml

from dfp_ros.core.units import read_unit
from dfp_ros.spec import METADATA_KEY, PolicySpec


def write_variant(model: onnx.ModelProto, spec: PolicySpec, path: Path, rate: float) -> Path:
    """Write a model as a policy trained for this rate, so that each tick may ask it."""
    text = json.loads(spec.to_json())
    text['name'], text['period'] = path.stem, 1 / rate
    onnx.helper.set_model_props(model, {METADATA_KEY: json.dumps(text)})
    onnx.save(model, path)
    return path


def write_robot(
        spec: PolicySpec, folder: Path, picture: Mapping[str, Any] | None = None,
) -> tuple[Path, Path]:
    """
    Describe a robot that fits any policy, with the message that it publishes.

    One JointState carries all observations, half of the numbers as positions and half as
    velocities; one Float64MultiArray takes all actions. Each picture has a camera of its own,
    ``NAME_camera`` on the topic NAME.

    :param spec: Specification of the policy.
    :param folder: Folder for the files.
    :param picture: Encoding and size of the pictures of cameras, if the policy sees.
    :return: Robot description, and the values of its JointState as JSON.
    """
    fields, message = _observations(spec)
    places = {name: range(place.start, place.stop) for name, place in spec.action_slices.items()}
    robot: dict[str, Any] = {
        'robot': 'synthetic',
        'sources': {'joints': {
            'topic': 'joint_states', 'type': 'sensor_msgs/msg/JointState', 'max_age': 2.0}},
        'observation': fields,
        'commands': {'arm': {
            'topic': 'command', 'type': 'std_msgs/msg/Float64MultiArray', 'stop': 'zero',
            'fields': [
                {'action': field.name, 'unit': field.unit, 'path': 'data',
                 'indices': list(places[field.name]),
                 **({} if read_unit(field.unit).is_rate else {'stop': 'keep', 'kind': 'other'})}
                for field in spec.action]}}}
    for image in spec.images:
        robot['sources'][f'{image.name}_camera'] = {
            'topic': image.name, 'type': 'sensor_msgs/msg/Image', 'picture': dict(picture or {}),
            'max_age': 2.0}
        robot.setdefault('images', []).append({
            'name': image.name, 'source': f'{image.name}_camera', 'height': image.height,
            'width': image.width, 'channels': image.channels})
    paths = folder / 'robot.yaml', folder / 'joint_states.json'
    paths[0].write_text(yaml.safe_dump(robot, sort_keys=False))
    paths[1].write_text(json.dumps(message))
    return paths


def _observations(spec: PolicySpec) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Lay the observations out in a JointState, each at the middle of the training data."""
    values: dict[str, list[float]] = {'position': [], 'velocity': []}
    fields = []
    for field in spec.observation:
        path = 'position' if 2 * len(values['position']) < spec.observation_size else 'velocity'
        begin = len(values[path])
        values[path] += [(low + high) / 2 for low, high in zip(field.low, field.high, strict=True)]
        fields.append({
            'name': field.name, 'unit': field.unit, 'source': 'joints', 'path': path,
            # The numbers are in the policy's unit already.
            'scale': 1.0,
            'joints': [f'joint_{i}' for i in range(begin, len(values[path]))]})
    joints = max(len(numbers) for numbers in values.values())
    return fields, {
        'name': [f'joint_{i}' for i in range(joints)],
        **{path: numbers + [0.0] * (joints - len(numbers)) for path, numbers in values.items()}}


def parameters(**values: Any) -> Iterator[str]:
    """Format ROS parameters for a command line."""
    yield '--ros-args'
    for name, value in values.items():
        yield from ('-p', f'{name}:={value}')
