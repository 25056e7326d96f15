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
"""Declaration of a node's parameter, with description, range and constraints."""

from __future__ import annotations

from collections.abc import Sequence
import re
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.exceptions import InvalidParameterTypeException, InvalidParameterValueException
from rclpy.node import Node

from dfp_ros.core.settings.setting import SettingsError

# The value in the messages of rclpy.
_VALUE = re.compile(r"to ('.*') of type|value \((.*?)\) for parameter", re.DOTALL)
_EXAMPLES = {float: 'a float, such as 30.0', int: 'an int, such as 30', bool: 'true or false'}


def declare_parameter(
        node: Node, name: str, default: Any, sentence: str,
        bounds: tuple[float, float] | None = None, read_only: bool = True,
        choices: Sequence[str] = (), any_type: bool = False) -> Any:
    """
    Declare one parameter.

    :param node: The node.
    :param name: Its name.
    :param default: Its default, which determines the type.
    :param sentence: Its description in `ros2 param describe`.
    :param bounds: Smallest and largest value of a number.
    :param read_only: Whether it is fixed from the start on.
    :param choices: Allowed words; empty for any value. The caller checks them.
    :param any_type: Whether its value may be of another type than the default.
    :return: Its value.
    :raises SettingsError: If the value given is of another type or out of range.
    """
    descriptor = ParameterDescriptor(
        description=sentence, read_only=read_only, dynamic_typing=any_type,
        additional_constraints=f'one of {", ".join(choices)}' if choices else '')
    if bounds is not None and isinstance(default, float):
        descriptor.floating_point_range = [
            FloatingPointRange(from_value=bounds[0], to_value=bounds[1])]
    elif bounds is not None:
        descriptor.integer_range = [
            IntegerRange(from_value=int(bounds[0]), to_value=int(bounds[1]), step=1)]
    try:
        return node.declare_parameter(name, default, descriptor).value
    except (InvalidParameterTypeException, InvalidParameterValueException) as error:
        # Their text ends with the name again.
        text = str(error).removesuffix(f': {name}')
        if found := _VALUE.search(text):
            text = f'found {found[1] or found[2]}'
        expected = example_of(default)
        if bounds is not None and isinstance(error, InvalidParameterValueException):
            expected = f'{bounds[0]:g} to {bounds[1]:.10g}'
        raise SettingsError(f'parameter {name}: {text}, expected {expected}') from error


def example_of(value: Any) -> str:
    """Name the type of a parameter, with an example of a value."""
    return _EXAMPLES.get(type(value), 'text')
