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
"""
Preflight check of machine, policy and robot, without sending commands.

``ros2 run dfp_ros preflight --ros-args -p policy:=cube_single -p robot:=ur5e_cube``

The parameters are those of the policy node. The exit status is 0 if nothing failed.
"""

from __future__ import annotations

if __name__ == '__main__':
    # First, because the following imports take half a second.
    from dfp_ros.node.process.start import begin
    begin()

import argparse
import os
import sys

import rclpy
from rclpy.exceptions import ParameterException
from rclpy.parameter import Parameter

from dfp_ros.core.files import replaceable
from dfp_ros.core.files.user_path import user_path
from dfp_ros.core.hung_calls import leave
from dfp_ros.core.text.errors import explain
from dfp_ros.core.text.say import say
from dfp_ros.node.parameters.files import name_from, own_words, read_given, require_meant
from dfp_ros.node.parameters.parameters import list_parameters
from dfp_ros.node.process.end_requests import Requests
from dfp_ros.node.ros.node_main import keep_spinning, LONGEST_END, make_executor
from dfp_ros.node.ros.start import join, suggest_parameter
from dfp_ros.tools.preflight.node import PreflightNode
from dfp_ros.tools.preflight.report import (
    format_report,
    PreflightError,
    require_writable,
    write_report,
)
from dfp_ros.tools.preflight.verdict import judge


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog='preflight', description=(__doc__ or '').strip().splitlines()[0],
        usage='ros2 run dfp_ros preflight [-h] [--seconds SECONDS] [--wait WAIT] [--json JSON] '
        '--ros-args -p policy:=POLICY -p robot:=ROBOT ...',
        epilog='The parameters after --ros-args are those of the policy node: '
        '`ros2 run dfp_ros policy_node --help` lists them.',
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument('--seconds', type=float, default=10.0, help='seconds to measure')
    parser.add_argument(
        '--wait', type=float, default=10.0, help='seconds to wait for the robot at the start')
    parser.add_argument('--json', type=user_path, help='also write the report to this JSON file')
    words = own_words(sys.argv if arguments is None else ['preflight', *arguments])
    asked, unknown = parser.parse_known_args(words[1:])
    for word in unknown:
        hint = suggest_parameter(word, [name for name, _, _ in list_parameters()])
        parser.error(f'found {word!r}, which is no option{hint}')
    for name in ('seconds', 'wait'):
        if not 0 < getattr(asked, name) <= 3600:
            parser.error(
                f'--{name}: found {getattr(asked, name)}, expected above 0 and at most 3600 s')
    if asked.json is not None and not asked.json.absolute().parent.is_dir():
        parser.error(f'--json: there is no folder {asked.json.absolute().parent}')
    if asked.json is not None:
        try:
            replaceable.require_writable(asked.json)
        except OSError as error:
            parser.error(f'--json: {asked.json} cannot be written: {error.strerror}')
    return asked


def _take_overrides(arguments: list[str]) -> list[Parameter]:
    """
    Select the policy node's parameters from the command line; global ones apply anyway.

    :raises ValueError: If a parameter file has no parameters for the node.
    """
    own, other = (name_from(arguments, name) for name in ('dfp_preflight', 'dfp_policy'))
    given = read_given(arguments)
    for line in require_meant(given, other, (own,)):
        say(f'preflight: {line}', to_errors=True)
    values: dict[str, object] = {}
    for each in given:
        if each.is_for(other) and not each.is_for(own):
            values.update(each.values)
    return [Parameter(name, value=value) for name, value in values.items()]


def main(args: list[str] | None = None) -> int:
    """
    Measure, judge, report.

    :return: Exit status: 0 if nothing failed.
    """
    asked = parse(args)
    requests = Requests()
    # Also if the policy hangs in ONNX Runtime, which delays Python's signal handlers.
    requests.limit_end(LONGEST_END)
    status = 1
    try:
        status = _measure(asked, args, requests)
    except (ValueError, OSError, ParameterException) as error:
        if not requests.ending.is_set():
            say(f'preflight: cannot start: {explain(error)}', to_errors=True)
    finally:
        if requests.ending.is_set():
            say(f'preflight: interrupted: {requests.reason}', to_errors=True)
        rclpy.try_shutdown()
        requests.close()
    # An answer that was given up may never come.
    return leave(status)


def _measure(asked: argparse.Namespace, args: list[str] | None, requests: Requests) -> int:
    """
    Measure, judge and report until asked to end.

    :return: Exit status.
    :raises ValueError: If parameters, robot and policy do not fit, or a file cannot be used.
    :raises OSError: If a file cannot be written.
    :raises SettingsError: If a parameter's value is out of range.
    """
    if asked.json is not None:
        # A full disk shows only when something is written.
        require_writable(asked.json)
    join(args)
    overrides = _take_overrides(sys.argv if args is None else args)

    def leave_hung(seconds: float) -> None:
        """Report in place of a thread that does not return, and leave it behind."""
        try:
            _report(node, asked, seconds)
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
        finally:
            os._exit(1)

    node = PreflightNode(
        asked.seconds, asked.wait, requests.ending, leave_hung, parameter_overrides=overrides)
    try:
        executor = make_executor()
        executor.add_node(node)

        def wake() -> None:
            if requests.is_suspending:
                requests.suspend()
            elif not node.ended.done():
                node.ended.set_result(None)
                executor.wake()

        requests.tell(wake)
        keep_spinning(executor, node, node.ended)
        requests.tell(None)
        executor.remove_node(node)
        executor.shutdown()
        if requests.ending.is_set() or not node.ended.done():
            return 1
        return _report(node, asked)
    finally:
        node.close()


def _report(node: PreflightNode, asked: argparse.Namespace, hung: float = 0.0) -> int:
    """
    Judge and report.

    :param node: The node that has measured.
    :param asked: The command line.
    :param hung: As in :meth:`PreflightNode.figures`.
    :return: Exit status.
    """
    figures = node.figures(hung)
    verdict = judge(figures)
    say(format_report(node.subject, figures, verdict))
    if asked.json is not None:
        try:
            write_report(asked.json, node.subject, figures, verdict)
        except PreflightError as error:
            say(f'preflight: {explain(error)}', to_errors=True)
            return 1
    return 0 if verdict.passed else 1


if __name__ == '__main__':
    sys.exit(main())
