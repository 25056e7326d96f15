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
"""Values that a request sets: fitted to the declared parameters, or refused in plain words."""

from __future__ import annotations

from collections.abc import Sequence

from rcl_interfaces.msg import SetParametersResult
from rclpy.exceptions import ParameterNotDeclaredException
from rclpy.node import Node
from rclpy.parameter import Parameter

from dfp_ros.core.text.printable import printable, quoted, TEXT
from dfp_ros.node.parameters.declare import example_of
from dfp_ros.node.parameters.overrides import nearest_parameter


class UndeclaredError(ParameterNotDeclaredException):
    """A request sets a parameter that the node does not have; the message names the nearest."""

    def __init__(self, text: str) -> None:
        """Keep the whole text: rclpy would put its own words in front of it."""
        Exception.__init__(self, text)


def fit_requested(
        node: Node, parameters: Sequence[Parameter]) -> list[Parameter] | SetParametersResult:
    """
    Fit requested values to the parameters of a node before rclpy checks them.

    An integer is taken for a float, as the command line writes 2.0 as 2.

    :param node: The node.
    :param parameters: The request.
    :return: The request to go on with; or its refusal, if a value is of another type.
    :raises UndeclaredError: If the node has none of that name.
    """
    fitted = []
    for parameter in parameters:
        name = parameter.name
        if not node.has_parameter(name):
            known = sorted(getattr(node, '_parameters', {}))
            raise UndeclaredError(
                f'parameter {quoted(name)}: this node has none of that name; '
                f'{nearest_parameter(name, known)}')
        declared, descriptor = node.get_parameter_or(name), node.describe_parameter(name)
        kinds = parameter.type_, declared.type_
        if kinds == (Parameter.Type.INTEGER, Parameter.Type.DOUBLE):
            parameter = Parameter(name, Parameter.Type.DOUBLE, float(parameter.value))
        elif kinds[0] != kinds[1] and Parameter.Type.NOT_SET not in kinds and not (
                descriptor.dynamic_typing or descriptor.read_only):
            return SetParametersResult(successful=False, reason=(
                f'parameter {name}: found {printable(repr(parameter.value), TEXT)}, expected '
                f'{example_of(declared.value)}'))
        fitted.append(parameter)
    return fitted
