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
"""Parameters of the policy node, declared from its settings and read back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
import functools
from typing import Any

from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.parameter import Parameter

from dfp_ros.core.settings.execution import ExecutionSettings
from dfp_ros.core.settings.node import describe, make_settings, require_possible, Settings
from dfp_ros.core.settings.setting import SettingsError
from dfp_ros.node.parameters.declare import declare_parameter
from dfp_ros.node.process.parent import AUTO, PARAMETER, SENTENCE

# Settings and groups of settings whose values are in the first line of the log.
_SAFETY = (
    'safety', 'limits', 'trigger', 'latency_share', 'require_preflight', 'preflight_hours',
    'fallback', 'policy_roots', 'policy_keys')


def declare_parameters(node: Node) -> None:
    """
    Declare the parameters on a node.

    :raises SettingsError: If a value from the command line or a parameter file has another type,
        is out of range, or is not valid.
    """
    for name, default, meaning in describe():
        value = declare_parameter(
            node, name, default, meaning.sentence, meaning.bounds, meaning.is_fixed,
            meaning.choices, meaning.is_any_type)
        require_possible({name: value})


#: Name, default and description of a parameter that all nodes of this package have.
LIFETIME = (PARAMETER, AUTO, SENTENCE)


def list_parameters() -> list[tuple[str, Any, str]]:
    """List name, default and description of each parameter, with that of all nodes."""
    return [
        *((name, default, meaning.sentence) for name, default, meaning in describe()),
        LIFETIME]


def tell_safety(node: Node) -> str:
    """List the safety settings that differ from their defaults."""
    changed = [
        f'{name}={node.get_parameter(name).value}' for name, default, _ in describe()
        if name.split('.')[0] in _SAFETY and node.get_parameter(name).value != default]
    if node.has_parameter(PARAMETER) and (value := node.get_parameter(PARAMETER).value) != AUTO:
        changed.append(f'{PARAMETER}={value}')
    return f'settings of safety: {", ".join(changed) or "all are the defaults"}'


def call_after_set(node: Node, callback: Callable[[list[Parameter]], None]) -> None:
    """
    Call a callback after parameters have been set.

    If the distribution has no such callback (Humble), a timer calls it at once after that. Call
    this before ``add_on_set_parameters_callback``: callbacks that are added later are called
    first, and a refusal ends the chain.

    :param node: The node.
    :param callback: Gets the parameters.
    """
    if hasattr(node, 'add_post_set_parameters_callback'):
        node.add_post_set_parameters_callback(callback)
        return

    def call_soon(parameters: list[Parameter]) -> SetParametersResult:
        def call() -> None:
            node.destroy_timer(timer)
            callback(parameters)

        timer = node.create_timer(0.0, call, clock=Clock(clock_type=ClockType.STEADY_TIME))
        return SetParametersResult(successful=True)

    node.add_on_set_parameters_callback(call_soon)


def read_settings(node: Node, changes: Mapping[str, Any] | None = None) -> Settings:
    """
    Read the parameters of a node.

    :param node: The node.
    :param changes: Values that are about to replace some of them.
    :raises SettingsError: If a value is not valid.
    """
    values = {name: node.get_parameter(name).value for name, _, _ in describe()}
    values.update({name: value for name, value in (changes or {}).items() if name in values})
    return make_settings(values)


def read_execution(node: Node, changes: Mapping[str, Any]) -> ExecutionSettings:
    """
    Read the settings of execution, independently of all others.

    :param node: The node.
    :param changes: Values that are about to replace some of them.
    :raises SettingsError: If a value is not valid.
    """
    values = {
        name: node.get_parameter(name).value
        for name, _, _ in describe(ExecutionSettings, 'execution.')}
    values.update({name: value for name, value in changes.items() if name in values})
    return make_settings(values, ExecutionSettings, 'execution.')


def read_values(settings: Settings, groups: Collection[str]) -> dict[str, Any]:
    """
    List the values of groups of settings.

    :param settings: The settings.
    :param groups: Fields of the settings; for a group, all of its settings.
    :return: Values by parameter.
    """
    values: dict[str, Any] = {}
    for name, _, _ in describe():
        if name.split('.')[0] in groups:
            values[name] = functools.reduce(getattr, name.split('.'), settings)
    return values


def require_changeable(old: Settings, changes: Mapping[str, Any]) -> None:
    """
    Require that a change is possible while the node is configured.

    :param old: Settings of the configured node.
    :param changes: New values by name.
    :raises SettingsError: At the first changed setting that topics depend on.
    """
    for name, _, meaning in describe():
        if meaning.is_unconfigured_only and name in changes and (
                changes[name] != functools.reduce(getattr, name.split('.'), old)):
            raise SettingsError(
                f'parameter {name}: can be set while the node is unconfigured; deactivate and '
                'clean up first')
