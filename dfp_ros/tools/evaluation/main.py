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
Success rate of a policy on a robot, with a confidence interval, from marked episodes.

``ros2 run dfp_ros evaluate_on_robot --episodes 20 --out results/monday.json``

The policy node must be running. Between episodes it holds the robot. An episode begins with the
key s, or with a mark ``start`` on ``episode_marks``, and ends with y (success), n (failure), a
mark from another node, or after --seconds, which is a failure. Ctrl-C or q ends the evaluation;
the episodes counted so far are kept.
"""

from __future__ import annotations

import argparse
from pathlib import Path
import sys

import rclpy

from dfp_ros.core.description.topic_name import is_topic_name
from dfp_ros.core.files.replaceable import require_writable
from dfp_ros.core.files.user_path import user_path
from dfp_ros.core.text.printable import printable
from dfp_ros.core.text.say import say
from dfp_ros.node.parameters.files import own_words
from dfp_ros.node.process.end_requests import collected_signals
from dfp_ros.node.process.suspension import Suspension
from dfp_ros.node.ros.start import join
from dfp_ros.tools.episodes.service_call import how_to_resume
from dfp_ros.tools.evaluation.evaluator import Ended, RobotEvaluator
from dfp_ros.tools.evaluation.plan import Plan
from dfp_ros.tools.evaluation.result import EvaluationError, read_evaluation, RobotEvaluation
from dfp_ros.tools.recording.operator_keys import OperatorKeys


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog='evaluate_on_robot', description=(__doc__ or '').strip(),
        formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('--episodes', type=int, default=20, help='number of episodes to count (default: 20)')
    add('--out', type=user_path, required=True,
        help='result file (JSON), updated after each episode')
    add('--seconds', type=float, default=0.0,
        help='time limit of an episode in seconds, after which it is a failure (default: 0, none)')
    add('--scene', default='', metavar='SERVICE',
        help='service (std_srvs/Trigger) that prepares an episode; without it, the operator '
             'prepares it and presses s')
    add('--settle', type=float, default=1.0,
        help='seconds from the answer of --scene to the start (default: 1)')
    add('--release', action='store_true',
        help='deactivate the policy node between episodes, so that others can move the robot')
    add('--policy-node', default='dfp_policy', help="the policy node's name (default: dfp_policy)")
    kept = parser.add_mutually_exclusive_group()
    kept.add_argument(
        '--continue', dest='go_on', action='store_true',
        help='continue the evaluation in --out with the same policy, robot and options')
    kept.add_argument(
        '--force', action='store_true', help='overwrite an existing --out')
    words = sys.argv if arguments is None else ['evaluate_on_robot', *arguments]
    asked = parser.parse_args(own_words(words)[1:])
    for name, least, most in (
            ('episodes', 1, 100_000), ('seconds', 0, 86_400), ('settle', 0, 3600)):
        if not least <= getattr(asked, name) <= most:
            parser.error(
                f'--{name}: found {getattr(asked, name):g}, expected {least} to {most}')
    for name in ('scene', 'policy_node'):
        value = getattr(asked, name)
        if value and not is_topic_name(value):
            parser.error(
                f'--{name.replace("_", "-")}: found {printable(value)!r}, expected a name such as '
                'robot/next_part')
    return asked


def find_earlier(asked: argparse.Namespace) -> RobotEvaluation | None:
    """
    Check for an earlier result.

    :return: Evaluation to continue, or None.
    :raises EvaluationError: If an unexpected file exists, or the result cannot be written.
    """
    path: Path = asked.out
    earlier = read_evaluation(path) if asked.go_on else None
    if earlier is None:
        if path.exists() and not asked.force or path.is_dir():
            raise EvaluationError(
                f'--out: {path} already exists; name another file, continue it (--continue), or '
                'overwrite it (--force)')
        if not path.absolute().parent.is_dir():
            raise EvaluationError(f'--out: there is no folder {path.absolute().parent}')
    try:
        # Before the robot is stopped.
        require_writable(path)
    except OSError as error:
        raise EvaluationError(f'--out: {path} cannot be written: {error.strerror}') from error
    return earlier


def main(args: list[str] | None = None) -> int:
    """
    Run the episodes.

    :return: Exit status: 0 if all were run, 1 if it ended early, 2 if it could not
        start.
    """
    asked = parse(args)
    with collected_signals() as signals:
        return _evaluate(asked, args, signals)


def _evaluate(asked: argparse.Namespace, args: list[str] | None, signals: list[int]) -> int:
    """Run the episodes until a signal."""
    evaluation: RobotEvaluation | None = None
    try:
        earlier = find_earlier(asked)
    except EvaluationError as error:
        _complain(error)
        return 2
    try:
        join(args)
    except ValueError as error:
        _complain(error)
        return 2
    node, suspension = rclpy.create_node('evaluate_on_robot'), Suspension()
    resume = how_to_resume(node, asked.policy_node)
    with OperatorKeys() as keys:
        evaluator = RobotEvaluator(
            node, Plan(asked.episodes, asked.seconds, asked.scene, asked.settle, asked.release,
                       asked.policy_node),
            keys.pressed, lambda: bool(signals), say, suspension)
        try:
            found = evaluator.find()
            if earlier is not None:
                # Before the robot is stopped.
                earlier.require_same(found.policy, found.robot)
                earlier.require_same_plan(found.plan)
                earlier.asked = asked.episodes
                if note := earlier.remark_machine(found.software, found.host):
                    say(f'{note}; all episodes still count as one success rate')
            evaluator.begin()
            evaluation = earlier or found
            with suspension:
                evaluator.run(evaluation, asked.out)
        except Ended as reason:
            say(str(reason))
        except EvaluationError as error:
            _complain(error)
        finally:
            is_stopped = evaluation is not None and evaluator.stop()
            evaluator.close()
            node.destroy_node()
            rclpy.try_shutdown()
    if evaluation is None:
        return 2
    return _report(evaluation, asked, resume if is_stopped else '', evaluator)


def _report(
        evaluation: RobotEvaluation, asked: argparse.Namespace, resume: str,
        evaluator: RobotEvaluator) -> int:
    """Write and print the result; how to resume is empty if the robot is not stopped."""
    say(evaluation.sentence())
    try:
        evaluation.write(asked.out)
        say(f'written to {asked.out}')
        is_written = True
    except EvaluationError as error:
        # The robot is stopped or not, whether or not there is a file.
        _complain(error)
        is_written = False
    if evaluator.is_outranked:
        return 1
    if evaluator.is_released:
        say('the policy node is inactive, and sends no commands until it is activated')
    elif resume:
        say(f'the robot is stopped; {resume} lets the policy continue')
    else:
        _complain('the policy node did not answer: check the robot')
    return 0 if is_written and evaluation.is_complete and resume else 1


def _complain(what: object) -> None:
    """Print an error."""
    say(f'evaluate_on_robot: {printable(what, 2000)}', to_errors=True)


if __name__ == '__main__':
    sys.exit(main())
