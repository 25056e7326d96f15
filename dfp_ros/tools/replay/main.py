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
Deterministic replay: recorded decisions computed again, and the first that differs reported.

``ros2 run dfp_ros replay bags/monday``
``ros2 run dfp_ros replay bags/monday --policy another.onnx``

Exit status 0 means that all decisions that could be replayed are equal, bit for bit; 1 that one
differs, or that none could be replayed; 2 that the recording, the policy or the robot description
cannot be used.
With another policy than the recorded one, a table shows how its decisions differ, and the status
is 0.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
import sys

from dfp_ros.core.arrays import FloatArray, Pictures
from dfp_ros.core.control.controller import Controller
from dfp_ros.core.control.decision import Commanding
from dfp_ros.core.control.decision_row import DecisionRow
from dfp_ros.core.control.factory import make_controller
from dfp_ros.core.description.robot import count_slots, RobotDescription
from dfp_ros.core.description.urdf import read_recorded_joints
from dfp_ros.core.files.user_path import user_path
from dfp_ros.core.hung_calls import ended_by_interrupts, leave
from dfp_ros.core.policy.deadline import DeadlinePolicy
from dfp_ros.core.policy.interface import ask, Chunk, LateError
from dfp_ros.core.policy.onnx_policy import OnnxPolicy
from dfp_ros.core.settings.setting import SettingsError
from dfp_ros.core.text.errors import explain
from dfp_ros.core.text.printable import listed, printable, quoted
from dfp_ros.core.text.say import say
from dfp_ros.node.loading.pending_policy import load_policy
from dfp_ros.resources import find_shared, hash_robot, load_robot
from dfp_ros.tools.bags.reader import RecordingError
from dfp_ros.tools.replay.policy_comparison import PolicyDifference
from dfp_ros.tools.replay.recorded_bag import RecordedBag, Recording
from dfp_ros.tools.replay.recorded_loop import (
    find_policy,
    hash_policy,
    LoopError,
    MOST_LOOPS,
    recorded_identity,
    recorded_settings,
)
from dfp_ros.tools.replay.replayed_policy import Conditions, ReplayedInference, ReplayedPolicy
from dfp_ros.tools.replay.replayer import Difference, RecordedStep, Replayer

# Timeout of a policy's answer, in s.
LONGEST_ANSWER = 60.0


class NoAnswerError(BaseException):
    """
    A policy did not answer in time.

    Not an Exception, because the controller would handle that as a failure of the policy.
    """


class AnsweringPolicy:
    """
    Policy wrapper with a timeout that ends the replay.

    :param policy: The policy.
    """

    def __init__(self, policy: OnnxPolicy) -> None:
        """Start without a request."""
        self.spec = policy.spec
        self._path = policy.path
        self._policy = DeadlinePolicy(policy, LONGEST_ANSWER)

    def act(
            self, observation: FloatArray, noise: FloatArray,
            state: FloatArray | None = None, pictures: Pictures = ()) -> Chunk:
        """
        Ask the policy.

        :raises NoAnswerError: If there is no answer within :data:`LONGEST_ANSWER`.
        """
        try:
            return ask(self._policy, observation, noise, state, pictures)
        except LateError as error:
            raise NoAnswerError(
                f'{self._path}: gave no answer within {LONGEST_ANSWER:g} s to a recorded '
                'observation; its graph may not terminate') from error


class RecordedLoops:
    """
    Factory of the recorded controllers, from the settings and policies in the recording.

    :param recording: The recording.
    :param robot: The robot description.
    :param policies: Policy files to search before those that the recording names.
    :param other: Policy to use in place of all recorded ones; None for the recorded ones.

    :ivar conditions: Recorded conditions of inference.
    """

    def __init__(
            self, recording: Recording, robot: RobotDescription, policies: Mapping[str, str],
            other: OnnxPolicy | None) -> None:
        """Start without a loaded policy."""
        self.conditions = Conditions()
        self._recording = recording
        self._robot = robot
        self._policies = policies
        self._other = other
        self.find_policy = cache(self._find_policy)
        self._made = 0

    def make(self, loop: int) -> Controller | None:
        """Make the controller of a loop; None if its settings are not recorded."""
        known = self._recording.loops.get(loop)
        if known is None:
            return None
        self._made += 1
        if self._made > 2 * MOST_LOOPS:
            raise RecordingError(
                f'found more than {2 * MOST_LOOPS} changes of the loop between decisions')
        settings = recorded_settings(known)
        policy = self._other or self.find_policy(known['sha256'])
        joints = known['joints']
        robot = replace(
            self._robot, joints=None if joints is None else read_recorded_joints(joints))
        answering = AnsweringPolicy(policy)
        return make_controller(
            settings, robot, ReplayedPolicy(answering, self.conditions), self.conditions.clock,
            ReplayedInference(answering, self.conditions))

    def between(self, before: int, until: int) -> list[int]:
        """List the loops that took over after ``before``, up to and including ``until``."""
        loops = sorted({*self._recording.loops, until})
        return [loop for loop in loops if before < loop <= until]

    def identity(self, loop: int) -> tuple[int, int] | None:
        """Return policy number and seed in the rows of a loop; None if they are not recorded."""
        known = self._recording.loops.get(loop)
        return None if known is None else recorded_identity(known)

    def _find_policy(self, sha256: str) -> OnnxPolicy:
        """Find a policy file by its hash, and load it as recorded."""
        known = next(each for each in self._recording.loops.values() if each['sha256'] == sha256)
        with ended_by_interrupts():
            return find_policy(known, self._policies)


def replay(arguments: argparse.Namespace) -> int:
    """
    Replay a recording and print the result.

    :return: Exit status.
    :raises ValueError: If it cannot be replayed.
    """
    with RecordedBag(arguments.bag) as bag:
        recording = bag.read(arguments.node)
        if not recording.loops:
            raise RecordingError(
                f'{arguments.bag}: found no message on {recording.node}/policy, which names the '
                'policy; record that topic too')
        some = next(iter(recording.loops.values()))
        robot_file = arguments.robot or some['settings']['robot']
        if not arguments.robot and Path(robot_file).name != robot_file and (
                Path(robot_file).suffix not in ('.yaml', '.yml')):
            raise RecordingError(
                f'{arguments.bag}: found the robot description {quoted(robot_file)}, expected a '
                'bare name or one that ends in .yaml; name the file with --robot')
        robot = load_robot(robot_file)
        found, hashes = hash_robot(robot_file), {
            known['robot']['sha256'] for known in recording.loops.values()}
        if hashes != {found}:
            some_of = 'with some of the decisions' if found in hashes else 'with the decisions'
            say(
                f'note: {printable(robot_file)} is not the file that was recorded {some_of}',
                to_errors=True)
        if not recording.has_person:
            # Before the description let a person take over.
            robot = replace(robot, takeover=None)
        steps = bag.with_samples(recording, robot)
        for note in bag.notes:
            say(f'note: {note}', to_errors=True)
        if bag.lost:
            say(
                f'note: {arguments.bag}: is truncated; {bag.lost} bytes at its end are lost',
                to_errors=True)
    policies, other = _given_policy(arguments.policy, recording)
    loops = RecordedLoops(recording, robot, policies, other)
    spec = (other or loops.find_policy(some['sha256'])).spec
    row = DecisionRow(
        robot.every_source, spec.observation_size,
        [(member.name, member.size) for member in spec.action],
        # Older recordings do not have them.
        count_slots(robot) if recording.has_joints else None,
        robot.takeover is not None, recording.has_commander, recording.has_plan,
        [image.name for image in robot.images])
    if row.parts != recording.parts:
        raise RecordingError(
            f'{arguments.bag}: found decisions with the parts '
            f'{listed((label for label, _ in recording.parts), 50)}, expected '
            f'{listed((label for label, _ in row.parts), 50)}; replay with the robot and the '
            'package version of the recording')
    replayer = Replayer(
        row, loops.make, loops.between, loops.conditions, other is None,
        loops.identity)
    differences = PolicyDifference(spec)
    for step, following in zip(steps, [*steps[1:], None], strict=True):
        decision = replayer.step(step, following)
        if decision is not None and other is not None:
            differences.add(step.decision, decision)
    lines = _report(steps, recording, replayer)
    if other is not None:
        lines += ['', f'policy {spec.name!r} ({other.path}) instead:', *differences.lines()]
    say('\n'.join(lines))
    return 0 if replayer.replayed and not replayer.different else 1


def _given_policy(
        name: str | None, recording: Recording) -> tuple[dict[str, str], OnnxPolicy | None]:
    """Return a given policy file as one of the recording, or as another policy."""
    if name is None:
        return {}, None
    path = find_shared(name, 'models', '.onnx')
    sha256 = hash_policy(path)
    if any(sha256 == each['sha256'] for each in recording.loops.values()):
        # Loaded as recorded, with the recorded permissions.
        return {sha256: str(path)}, None
    with ended_by_interrupts():
        return {}, load_policy(str(path))


def _report(
        steps: Sequence[RecordedStep], recording: Recording, replayer: Replayer) -> list[str]:
    """Format the result."""
    span = (steps[-1].decision.stamp - steps[0].decision.stamp) * 1e-9
    lines = [f'{recording.node}: {len(steps)} decisions in {span:.1f} s']
    # Loops that differ only in their settings have the same policy.
    lines += dict.fromkeys(
        f'  {printable(known["name"])} (sha256 {known["sha256"][:12]}) from '
        f'{printable(known["since"])} onwards'
        for known in recording.loops.values())
    by_person = sum(
        step.decision.commander is Commanding.PERSON for step in steps)
    if by_person:
        lines.append(f'  a person commanded in {by_person} of them')
    lines += [
        f'not replayed: {count}, {reason}' for reason, count in replayer.left_out.most_common()]
    if replayer.first is not None:
        lines += [
            f'{replayer.different} of {replayer.replayed} decisions differ; the first is '
            f'number {replayer.first.number}, at {replayer.first.stamp * 1e-9:.3f} s:',
            *_show(replayer.first)]
    else:
        lines.append(f'{replayer.replayed} decisions, all equal' if replayer.replayed else
                     'no decision could be replayed')
    return lines


def _show(difference: Difference) -> list[str]:
    """Format a difference to the last digit."""
    lines = [
        f'  {difference.part}', f'    recorded {difference.recorded.tolist()}',
        f'    computed {difference.computed.tolist()}']
    if not difference.is_certain:
        lines.append('  the recording has a gap since the last reset: the earlier state of '
                     'limits, a ramp-in or histories may explain the difference')
    for source in difference.doubtful:
        lines.append(
            f'  source {source!r}: several messages have one stamp, or none that counts, and '
            'arrived at about the same time, and the recording does not tell which of them the '
            'node used: another one than the replay did may explain the difference; end all '
            'publishers of it but one, and have its messages stamped')
    return lines


def main(arguments: list[str] | None = None) -> int:
    """
    Run the command.

    :return: Exit status; see the module's docstring.
    """
    parser = argparse.ArgumentParser(
        prog='replay', description='Replay recorded decisions, and compare them bit for bit.')
    add = parser.add_argument
    add('bag', type=user_path, help='rosbag2 folder, or one of its files')
    add('--policy', help='the recorded policy file, or another one, to see how its '
                         'decisions differ')
    add('--robot', help='robot description (default: the recorded name)')
    add('--node', default='', help='policy node to replay, if several were recorded')
    asked = parser.parse_args(arguments)
    try:
        return replay(asked)
    except (LoopError, SettingsError) as error:
        text = explain(error)
        say(f'{asked.bag}: its recorded settings are invalid: {text}', to_errors=True)
        return 2
    except (ValueError, OSError, MemoryError) as error:
        say(explain(error), to_errors=True)
        return 2
    except NoAnswerError as error:
        say(error, to_errors=True)
        # The hanging thread never ends, and Python would wait for it.
        return leave(2)


if __name__ == '__main__':
    sys.exit(main())
