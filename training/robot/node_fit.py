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
"""Fit of a policy node to the run that learns from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
import json
from typing import Any

from dfp_ros.resources import load_robot
from dfp_ros.spec import PolicySpec
from training.data.formats.rosbag.decision_steps import relative_fields
from training.data.transitions.transitions import SAME_PERIOD
from training.robot.learner_error import LearnerError
from training.robot.live_episodes import anchor_fault


class NodeFit:
    """
    Whether a policy node runs what can be learned from: the fields, robot and period of the run.

    :param node: Name of the node.
    :param spec: Specification of the run's policy.
    :param robot: Robot description; empty for the one that the node names.
    :param say: Prints a line.

    :ivar relative: Names of the actions that are relative, after :meth:`begin`.
    :ivar misfit: Why the node does not fit any more; empty while it does.
    """

    def __init__(
            self, node: str, spec: PolicySpec, robot: str, say: Callable[[str], None]) -> None:
        """Know nothing of the node yet."""
        self._node, self._spec, self._named, self._say = node, spec, robot, say
        self.relative: tuple[str, ...] = ()
        self.misfit = ''
        # Hash of the robot description at the beginning, and whether the node has another now.
        self._robot, self._is_other = '', False

    @property
    def is_left_out(self) -> bool:
        """Whether nothing is to be learned from the node's decisions now."""
        return bool(self.misfit) or self._is_other

    @property
    def is_other_robot(self) -> bool:
        """Whether the node has another robot description than at the beginning."""
        return self._is_other

    def begin(self, status: dict[str, Any]) -> None:
        """
        Require that the node fits, and keep its robot description's hash.

        :param status: First message on ~/policy.
        :raises LearnerError: If it does not.
        """
        self._require_fit(status)
        self._robot = _robot_of(status)
        self._compare_with_data()
        self.relative = self._find_relative(status)
        self._require_fit(status)

    def watch(self, status: dict[str, Any]) -> bool:
        """
        Say once that the node has changed, or was replaced, so that it does not fit.

        :param status: Last message on ~/policy; empty before the first.
        :return: Whether its robot has become another one just now.
        """
        misfit, was_other = '', self._is_other
        if status and self._robot:
            self._is_other = _robot_of(status) != self._robot
        try:
            if status:
                self._require_fit(status)
                self._require_same_robot()
        except LearnerError as error:
            misfit = str(error)
        if misfit and misfit != self.misfit:
            self._say(f'{misfit}; until then, nothing is learned')
        self.misfit = misfit
        return self._is_other and not was_other

    def _compare_with_data(self) -> None:
        """Say that the data of the run were converted with another robot description."""
        data = self._spec.provenance.get('data')
        known = data.get('robot_sha256') if isinstance(data, Mapping) else None
        if isinstance(known, str) and self._robot and known != self._robot:
            self._say(
                f'{self._node}: found the robot description {self._robot[:12]} (sha256), and the '
                f'data of the run were converted with {known[:12]}; if joints have another order '
                'there, or a number another meaning, the robot does what nobody has shown it: '
                'start the node with the description of the data, or train on data of this one')

    def _find_relative(self, status: dict[str, Any]) -> tuple[str, ...]:
        """Find the actions that are relative, in the robot description."""
        name = self._named or str(status.get('settings', {}).get('robot', ''))
        try:
            robot = load_robot(name)
            theirs = (status.get('robot') or {}).get('sha256')
            if theirs and theirs != robot.sha256:
                self._say(
                    f'{self._node}: found another robot description than {name} is '
                    'here; if its commands mean something else, what is learned is wrong: name '
                    "the node's file with --robot, or start the node again with this one")
            return relative_fields(robot)
        except ValueError as error:
            raise LearnerError(
                f'{self._node}: its robot description cannot be read here ({error}); '
                'name it with --robot') from error

    def _require_fit(self, status: dict[str, Any]) -> None:
        """Require that the node publishes decisions and runs a policy for the same robot."""
        node, spec = self._node, self._spec
        if not status.get('settings', {}).get('publish_decisions', True):
            raise LearnerError(
                f'{node}: found publish_decisions false, expected true: without its decisions '
                'there is nothing to learn from; start the node with publish_decisions:=true')
        try:
            other = PolicySpec.from_json(json.dumps(status.get('spec')))
        except ValueError as error:
            raise LearnerError(
                f'{node}: found a policy whose specification cannot be read ({error})') from error
        for kind in ('observation', 'action'):
            ours, theirs = (
                [(field.name, field.size, field.unit, *(
                    (field.low, field.high) if kind == 'action' else ()))
                 for field in getattr(one, kind)] for one in (spec, other))
            if ours != theirs:
                i = next((i for i, pair in enumerate(zip(ours, theirs, strict=False))
                          if pair[0] != pair[1]), min(len(ours), len(theirs)))
                raise LearnerError(
                    f'{node}: found a policy for another robot or other data, expected one with '
                    f'the fields of the run: {kind} field {i} is {_field(theirs, i)} there, and '
                    f'{_field(ours, i)} in the run; start the node with a policy exported from '
                    'the run')
        if fault := anchor_fault(other, self.relative):
            raise LearnerError(
                f'{node}: {fault}; start the node with a policy exported from the run')
        settings = status.get('settings', {})
        rate = settings.get('rate', 0)
        if isinstance(rate, int | float) and rate and settings.get('trigger') != 'samples' and (
                abs(1 / rate - spec.period) > 1e-6):
            raise LearnerError(
                f'{node}: found rate {rate:g} Hz, expected 0, the rate of the policy: steps of '
                f'another period than {spec.period:g} s are not learned from')
        if abs(other.period - spec.period) > SAME_PERIOD * spec.period:
            raise LearnerError(
                f'{node}: found a policy with a period of {other.period:g} s, expected '
                f'{spec.period:g} s; start the node with a policy exported from the run')

    def _require_same_robot(self) -> None:
        """Require the robot description of the beginning."""
        if self._is_other:
            raise LearnerError(
                f'{self._node}: found another robot description than at the '
                'beginning, so that its commands may mean something else; start the node with '
                'that one again, or start this learner again')


def _robot_of(status: dict[str, Any]) -> str:
    """Return the hash of a node's robot description; empty if it does not say it."""
    return str((status.get('robot') or {}).get('sha256') or '')


def _field(fields: list[Any], i: int) -> str:
    """Describe a field, for an error."""
    return ' '.join(map(str, fields[i])) if i < len(fields) else 'missing'
