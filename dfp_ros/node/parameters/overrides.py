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
"""Refusal of unknown parameters, which ROS would ignore."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rclpy.node import Node

from dfp_ros.core.text.errors import nearest
from dfp_ros.node.parameters.files import Given
from dfp_ros.node.process.parent import PARAMETER

# Parameters of ROS itself, which are declared at their first use.
_ROS = ('use_sim_time', 'start_type_description_service')
# Declared by the function that runs the node as a process.
_PROCESS = (PARAMETER,)
_QOS = 'qos_overrides.'
# Topics of every node, whose QoS can be overridden by parameters.
_ROS_TOPICS = ('/clock', '/parameter_events', '/rosout')


class UnknownParameterError(ValueError):
    """A node was given a parameter that it does not have; the message names the nearest."""


def require_known(node: Node, given: Sequence[Given] = ()) -> None:
    """
    Require that a node has every parameter that it was given.

    Call it once all are declared.

    :param node: The node.
    :param given: Parameters of the command line, to name the origin of unknown ones.
    :raises UnknownParameterError: If some are unknown; the message suggests the nearest.
    """
    # rclpy has no public name for them, in any distribution.
    overrides: Iterable[str] = getattr(node, '_parameter_overrides', {})
    known = sorted(getattr(node, '_parameters', {}))
    unknown = [name for name in sorted(overrides) if not node.has_parameter(name)]
    wrong = []
    for name in unknown:
        if name.startswith(_QOS):
            topic = name.removeprefix(_QOS).rsplit('.', 2)[0]
            if topic not in _ROS_TOPICS:
                node.get_logger().warning(
                    f'parameter {name} has no effect: the quality of service of {topic} is what '
                    'the robot description says (qos)')
        elif name not in (*_ROS, *_PROCESS):
            origin = [each.origin for each in given if name in each.values][-1:]
            where = f' ({origin[0]})' if origin else ''
            wrong.append(f'parameter {name!r}{where}: this node has none of that name; '
                         f'{nearest_parameter(name, known)}')
    if wrong:
        more = f'; and {len(wrong) - 5} more' if len(wrong) > 5 else ''
        raise UnknownParameterError('; '.join(wrong[:5]) + more)


def nearest_parameter(name: str, known: Sequence[str]) -> str:
    """
    Suggest the nearest name of a parameter.

    :param name: The unknown name, which may exist in another group.
    :param known: The known names.
    """
    leaf = name.rpartition('.')[2]
    same = [each for each in known if each.rpartition('.')[2] == leaf]
    return f'did you mean {same[0]!r}?' if same else nearest(name, known)
