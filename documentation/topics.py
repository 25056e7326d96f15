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
Topics and services of all nodes, from the calls that create them.

Every call in the sources is listed by its file and the expression of its name; a call that is not
listed in :data:`NAMES`, or a listed one that is gone, is an error. Types come from the code.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
import re

from documentation.markdown import cell, code, table

CALLS = {
    'create_publisher': 'publishes', 'create_subscription': 'subscribes to',
    'create_service': 'serves', 'create_client': 'calls'}
#: Positions of type and name in the arguments of each call.
_FIRST = {'create_publisher': (0, 1), 'create_subscription': (0, 1), 'create_service': (0, 1),
          'create_client': (0, 1)}
#: Files whose calls pass on the arguments of other calls.
_PASSED_ON = {'dfp_ros/node/ros/guarded_node.py'}


# Of rclpy's lifecycle node.
_LIFECYCLE = {'~/transition_event'}


@dataclass(frozen=True)
class Entry:
    """
    A topic or service in the documentation.

    :param node: Executable.
    :param name: Name as it is shown.
    :param sentence: Its description.
    :param type: Type, if the code computes it.
    """

    node: str
    name: str
    sentence: str
    type: str = ''


POLICY, SIM, EPISODES, RECORDER = 'policy_node', 'sim_node', 'episode_manager', 'recorder'
TELEOP, MARK, COUNT = 'teleop_keyboard, teleop_joy', 'mark_episodes', 'evaluate_on_robot'
LEARNER, DESCRIBE, PREFLIGHT = 'training.learn_on_robot', 'describe', 'preflight'
OPERATOR, DEMO, VIEW = 'scripted_operator', 'demo', 'view'

#: Calls, by file and expression of the name.
NAMES: dict[tuple[str, str], tuple[Entry, ...]] = {
    ('dfp_ros/node/commanding/action_clients.py', "f'{name}/_action/cancel_goal'"): (
        Entry(
            POLICY, 'Actions of the robot description',
            'Goals of FollowJointTrajectory or GripperCommand, and their cancellation.',
            "the description's"),),
    ('dfp_ros/node/commanding/command_publishers.py', 'topic.topic'): (
        Entry(POLICY, 'Command topics of the robot description', 'Commands, one each tick.',
              "the description's"),
        Entry(PREFLIGHT, '~/command_0, ~/command_1, ...', 'Commands as the policy node would '
              'send them, for the time that it takes; no robot hears them.',
              "the description's")),
    ('dfp_ros/node/loop/source_subscriptions.py', 'source.topic'): tuple(Entry(
        node, 'Sources of the robot description',
        'Samples for the observation, and of a person who takes over.', "the description's")
        for node in (POLICY, PREFLIGHT)),
    ('dfp_ros/node/loop/source_subscriptions.py', 'source.static_topic'): tuple(Entry(
        node, '/tf_static', 'Static transforms, if a source has `type: tf`.',
        'tf2_msgs/msg/TFMessage') for node in (POLICY, PREFLIGHT)),
    ('dfp_ros/node/monitors/commander_monitor.py', 'mark'): (Entry(
        POLICY, 'COMMAND_TOPIC/_commander, NODE/_commander',
        'Mark of the nodes of this package that command a topic, or have a name, so that a second '
        'one refuses to.'),),
    ('dfp_ros/node/monitors/urdf_monitor.py', 'TOPIC'): (Entry(
        POLICY, 'robot_description',
        'URDF of the robot, latched, if the description takes limits from it.'),),
    ('dfp_ros/node/reporting/decision_publisher.py', "'~/decision'"): (Entry(
        POLICY, '~/decision', 'Record of one control step; with `publish_decisions`. Its layout '
        'has the names of the parts.'),),
    ('dfp_ros/node/reporting/diagnostics_publisher.py', "'/diagnostics'"): (Entry(
        POLICY, '/diagnostics', 'One status for each concern, with levels, once a second '
        '(`diagnostics.interval`).'),),
    ('dfp_ros/node/reporting/policy_status.py', "'~/policy'"): (Entry(
        POLICY, '~/policy', 'Running policy, settings and robot description as JSON, latched.'),),
    ('dfp_ros/node/reporting/statistics_publisher.py', "'~/statistics'"): (Entry(
        POLICY, '~/statistics', 'The newest decision and the worst values since the last '
        'message, 10 times a second, for plots.'),),
    ('dfp_ros/node/ros/trigger_services.py', 'name'): (
        Entry(POLICY, '~/stop', 'Stops the robot, until `~/resume`.'),
        Entry(POLICY, '~/resume', 'Ends a stop.'),
        Entry(POLICY, '~/reset', 'Slows the robot down, forgets plan and history, and restarts '
              'the noise from its seed; for the start of an episode.'),
        Entry(POLICY, '~/rollback', 'Brings the previous policy back.'),
        Entry(POLICY, '~/promote', 'Has the shadow policy take over.'),
        Entry(LEARNER, '~/offer', 'Offers policies again, after another had chosen one.'),
        Entry(EPISODES, '~/ready', 'The scene was reset by a person.'),
        Entry(EPISODES, '~/start', 'An episode starts.'),
        Entry(EPISODES, '~/success', 'The episode ends as a success.'),
        Entry(EPISODES, '~/failure', 'The episode ends as a failure.'),
        Entry(EPISODES, '~/abandon', 'The episode ends, and does not count.')),
    ('dfp_ros/node/ros/urdf_topic.py', 'topic'): (Entry(
        PREFLIGHT, 'robot_description', 'URDF of the robot, latched, if the description takes '
        'limits from it.'),),
    ('dfp_ros/node/swap/shadow_publisher.py', "'~/shadow'"): (Entry(
        POLICY, '~/shadow', 'Action of the shadow policy beside that of the running one; with '
        '`shadow`.'),),
    ('dfp_ros/tools/view/live_topics.py', 'topic'): (Entry(
        VIEW, 'Topics of a robot and its policy node', 'What Rerun shows: joints, poses, images, '
        'decisions, diagnostics, marks.', 'sensor_msgs, geometry_msgs, std_msgs, ...'),),
    ('dfp_ros/tools/view/node_topics.py', "f'{situation.node}/statistics'"): (Entry(
        f'{VIEW}, {DEMO}', 'POLICY_NODE/statistics', 'Newest decision, for the terminal.'),),
    ('dfp_ros/tools/view/node_topics.py', "'/diagnostics'"): (Entry(
        f'{VIEW}, {DEMO}', '/diagnostics', 'State, reasons and timing, for the terminal.'),),
    ('dfp_ros/tools/view/node_topics.py', "f'{namespace}/{MARKS}'"): (Entry(
        f'{VIEW}, {DEMO}', 'episode_marks', 'Begin and end of episodes, for the terminal.'),),
    ('dfp_ros/sim/demo/listener.py', "'episode'"): (Entry(
        DEMO, 'episode', 'Result of each episode.'),),
    ('dfp_ros/sim/demo/listener.py', "'/diagnostics'"): (Entry(
        DEMO, '/diagnostics', 'Period, inference time, age of observations and missed ticks.'),),
    ('dfp_ros/sim/operator/node.py', 'MARKS_TOPIC'): (Entry(
        OPERATOR, 'episode_marks', 'Begin and end of episodes.'),),
    ('dfp_ros/sim/operator/node.py', "'gripper_state'"): (Entry(
        OPERATOR, 'gripper_state', 'Opening of the gripper.'),),
    ('dfp_ros/sim/operator/node.py', "'effector_pose'"): (Entry(
        OPERATOR, 'effector_pose', 'Pose of the end effector.'),),
    ('dfp_ros/sim/operator/node.py', "'cube_0_pose'"): (Entry(
        OPERATOR, 'cube_0_pose', 'Pose of the cube.'),),
    ('dfp_ros/sim/sim_robot/learner_gate.py', "f'{name}/{SEEN}'"): (Entry(
        SIM, 'LEARNER_NODE/seen', 'Steps that the learner has seen, for which physics wait in '
        'lockstep.'),),
    ('dfp_ros/sim/sim_robot/node.py', "'episode'"): (Entry(
        SIM, 'episode', 'Result of each episode.'),),
    ('dfp_ros/sim/sim_robot/node.py', 'MARKS_TOPIC'): (Entry(
        SIM, 'episode_marks', 'Begin and end of episodes: `start`, `success`, `failure`.'),),
    ('dfp_ros/sim/sim_robot/node.py', "'~/reset'"): (Entry(
        SIM, '~/reset', 'Starts the next episode.'),),
    ('dfp_ros/sim/sim_robot/node.py', 'topic'): (Entry(
        SIM, 'State topics of the environment', 'Joints and poses; `config/` has descriptions of '
        'robots with them.', 'sensor_msgs/msg/JointState, geometry_msgs/msg/PoseStamped'),),
    ('dfp_ros/sim/sim_robot/node.py', "'camera/image_raw'"): (Entry(
        SIM, 'camera/image_raw', 'Image of the scene; with `render`.'),),
    ('dfp_ros/sim/sim_robot/node.py', "'/clock'"): (Entry(
        SIM, '/clock', 'Simulated time; with `publish_clock`.'),),
    ('dfp_ros/sim/sim_robot/node.py', 'command.topic'): (Entry(
        SIM, 'Command topics of the environment', 'Commands, as in the descriptions in '
        '`config/`.', "the description's"),),
    ('dfp_ros/sim/sim_robot/policy_client.py', "f'{name}/set_parameters'"): (Entry(
        SIM, 'POLICY_NODE/set_parameters', 'Sets `noise_seed` before each episode.'),),
    ('dfp_ros/sim/sim_robot/policy_client.py', "f'{name}/reset'"): (Entry(
        SIM, 'POLICY_NODE/reset', 'Called before each episode.'),),
    ('dfp_ros/tools/describe/listener.py', 'URDF_TOPIC'): (Entry(
        DESCRIBE, 'robot_description', 'URDF of the robot, for limits.'),),
    ('dfp_ros/tools/describe/listener.py', 'topic'): (Entry(
        DESCRIBE, 'All topics of known types', 'One message of each, to see what it contains.',
        "the publisher's"),),
    ('dfp_ros/tools/describe/listener.py', "f'{name}/get_parameters'"): (Entry(
        DESCRIBE, 'CONTROLLER/get_parameters', 'Joints of the controllers of ros2_control.'),),
    ('dfp_ros/tools/episodes/manager_claim.py', 'topic'): tuple(Entry(
        node, 'POLICY_NODE/_episode_manager', 'Claim of a policy node, so that a second '
        'manager ends.') for node in (EPISODES, COUNT)),
    ('dfp_ros/tools/episodes/node.py', "'~/state'"): (Entry(
        EPISODES, '~/state', 'State of the episode as JSON, latched.'),),
    ('dfp_ros/tools/episodes/node.py', "'~/statistics'"): (Entry(
        EPISODES, '~/statistics', 'Counts and success rate, latched.'),),
    ('dfp_ros/tools/episodes/node.py', 'settings.judge'): (Entry(
        EPISODES, 'JUDGE', 'Verdicts of another program; with `judge`, and `judge_type`.',
        'std_msgs/msg/String, std_msgs/msg/Bool'),),
    ('dfp_ros/tools/episodes/node.py', "f'{settings.policy_node}/statistics'"): (Entry(
        EPISODES, 'POLICY_NODE/statistics', 'Whether the node runs, and its time.'),),
    ('dfp_ros/tools/episodes/node.py', "'/diagnostics'"): (Entry(
        EPISODES, '/diagnostics', 'Whether the node is active.'),),
    ('dfp_ros/tools/episodes/node.py', 'settings.reset_service'): (Entry(
        EPISODES, 'RESET_SERVICE', 'Resets the scene; with `reset_service`.'),),
    ('dfp_ros/tools/episodes/node.py', 'source.topic'): (Entry(
        EPISODES, 'Sources of the robot description', 'For the success predicate.',
        "the description's"),),
    ('dfp_ros/tools/episodes/node.py', 'source.static_topic'): (Entry(
        EPISODES, '/tf_static', 'For the success predicate, if a source has `type: tf`.',
        'tf2_msgs/msg/TFMessage'),),
    ('dfp_ros/tools/episodes/service_call.py', "f'{name}/change_state'"): (
        Entry(EPISODES, 'POLICY_NODE/change_state', 'Deactivates it during a reset; with '
              '`release`.'),
        Entry(COUNT, 'POLICY_NODE/change_state', 'Deactivates it between episodes; with '
              '`--release`.')),
    ('dfp_ros/tools/episodes/service_call.py', "f'{name}/{word}'"): tuple(Entry(
        node, 'POLICY_NODE/stop, reset, resume', 'Holds and releases the robot.')
        for node in (EPISODES, COUNT)),
    ('dfp_ros/tools/evaluation/policy_reports.py', "f'{name}/policy'"): (Entry(
        COUNT, 'POLICY_NODE/policy', 'The policy that is counted.'),),
    ('dfp_ros/tools/evaluation/policy_reports.py', "'/diagnostics'"): (Entry(
        COUNT, '/diagnostics', 'Faults during an episode.'),),
    ('dfp_ros/tools/evaluation/policy_reports.py', "f'{name}/statistics'"): (Entry(
        COUNT, 'POLICY_NODE/statistics', 'Whether another has stopped or released the robot.'),),
    ('dfp_ros/tools/evaluation/evaluator.py', 'plan.scene'): (Entry(
        COUNT, 'Service of `--scene`', 'Resets the scene.'),),
    ('dfp_ros/tools/preflight/node.py', 'node.resolve_topic_name(topic.topic)'): (Entry(
        PREFLIGHT, 'Command topics of the robot description', 'Whether somebody else commands; '
        'it sends nothing itself.', "the description's"),),
    ('dfp_ros/tools/recording/mark_episodes.py', 'TOPIC'): (Entry(
        MARK, 'episode_marks', 'Marks of keys: `start`, `success`, `failure`.'),),
    ('dfp_ros/tools/recording/mark_topic.py', 'TOPIC'): tuple(Entry(
        node, 'episode_marks', 'Marks of its episodes, and those of others.')
        for node in (EPISODES, COUNT)),
    ('dfp_ros/tools/recording/operator_marks.py', 'TOPIC'): (Entry(
        RECORDER, 'episode_marks', 'Marks of keys, services and buttons, which are recorded.'),),
    ('dfp_ros/tools/recording/operator_marks.py', 'name'): (
        Entry(RECORDER, '~/start_episode', 'Marks the start of an episode.'),
        Entry(RECORDER, '~/end_success', 'Marks its end as a success.'),
        Entry(RECORDER, '~/end_failure', 'Marks its end as a failure.')),
    ('dfp_ros/tools/recording/operator_marks.py', 'joystick'): (Entry(
        RECORDER, 'JOYSTICK', 'Buttons that mark episodes; with `joystick`.'),),
    ('dfp_ros/tools/recording/recorder.py', 'name'): (Entry(
        RECORDER, 'All topics of the robot description, decisions and marks', 'Recorded.',
        "the publisher's"),),
    ('dfp_ros/tools/teleop/joystick.py', "values['joystick']"): (Entry(
        TELEOP, 'joy', 'Joystick (teleop_joy).'),),
    ('dfp_ros/tools/teleop/person_topics.py', 'takeover.sources[name].topic'): tuple(Entry(
        node, 'Sources of `takeover` in the robot description', "The person's commands and "
        'dead-man.', "the description's") for node in (TELEOP, OPERATOR)),
    ('training/demo/session.py', "f'{POLICY_NODE}/decision'"): (Entry(
        'training.learn_demo', 'POLICY_NODE/decision', 'Ticks, and commands beyond limits.'),),
    ('training/robot/robot_link.py', "f'{beside}/decision'"): (Entry(
        LEARNER, 'POLICY_NODE/decision', 'Transitions to learn from.'),),
    ('training/robot/robot_link.py', 'marks'): (Entry(
        LEARNER, 'episode_marks', 'Begin and end of episodes; another name with `--marks`.'),),
    ('training/robot/robot_link.py', "f'{beside}/policy'"): (Entry(
        LEARNER, 'POLICY_NODE/policy', 'Which policy runs, and whether a swap succeeded.'),),
    ('training/robot/robot_link.py', "f'{beside}/{CLAIMS}'"): (Entry(
        LEARNER, 'POLICY_NODE/_learner', 'Claim of a policy node, so that a second learner '
        'ends.'),),
    ('training/robot/robot_link.py', "f'~/{SEEN}'"): (Entry(
        LEARNER, '~/seen', 'Steps that it has seen, for a simulated robot in lockstep.'),),
    ('training/robot/robot_link.py', "'~/status'"): (Entry(
        LEARNER, '~/status', 'Episodes, updates, releases and success rate as JSON, latched.'),),
    ('training/robot/robot_link.py', "f'{beside}/set_parameters'"): (Entry(
        LEARNER, 'POLICY_NODE/set_parameters', 'Sets `policy` or `shadow`.'),),
    ('training/robot/robot_link.py', "f'{beside}/promote'"): (Entry(
        LEARNER, 'POLICY_NODE/promote', 'At the end of an episode, once the new policy is the '
        'shadow.'),),
}


@dataclass(frozen=True)
class Call:
    """
    A call in the sources.

    :param file: File, relative to the checkout.
    :param verb: What the node does with it.
    :param type: Expression of the type.
    :param name: Expression of the name.
    """

    file: str
    verb: str
    type: str
    name: str


def calls(root: Path) -> Iterator[Call]:
    """Find all calls that create a topic or a service."""
    for folder in ('dfp_ros', 'training'):
        for path in sorted((root / folder).rglob('*.py')):
            file = path.relative_to(root).as_posix()
            if file in _PASSED_ON:
                continue
            text = path.read_text()
            # `subscribe = node.create_subscription` is a call by another name.
            tree = ast.parse(text)
            renamed = {
                target.id: node.value.attr for node in ast.walk(tree)
                if isinstance(node, ast.Assign) and isinstance(node.value, ast.Attribute)
                and node.value.attr in CALLS
                for target in node.targets if isinstance(target, ast.Name)}
            for node in ast.walk(tree):
                if not isinstance(node, ast.Call):
                    continue
                called = node.func.attr if isinstance(node.func, ast.Attribute) else (
                    renamed.get(node.func.id, '') if isinstance(node.func, ast.Name) else '')
                if called in CALLS and len(node.args) > 1:
                    kind, name = _FIRST[called]
                    yield Call(file, CALLS[called], ast.unparse(node.args[kind]),
                               ast.unparse(node.args[name]))


def private_names(root: Path) -> set[str]:
    """Find all names in the namespace of a node (``~/stop``) that the code has as they are."""
    return {
        node.value for folder in ('dfp_ros', 'training')
        for path in (root / folder).rglob('*.py') for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        and re.fullmatch(r'~/[a-z_]*[a-z]', node.value)}


def require_listed(root: Path) -> list[Call]:
    """
    Require that the list and the code agree.

    :return: The calls.
    :raises ValueError: If they do not; the message names all differences.
    """
    found = list(calls(root))
    keys = {(call.file, call.name) for call in found}
    missing = sorted(keys - NAMES.keys())
    gone = sorted(NAMES.keys() - keys)
    shown = {entry.name for entries in NAMES.values() for entry in entries}
    unnamed = sorted(private_names(root) - shown - _LIFECYCLE)
    if missing or gone or unnamed:
        raise ValueError('\n'.join([
            *(f'{name} is used in the code, and documentation/topics.py has no entry of this name'
              for name in unnamed),
            *(f'{file}: the topic or service {name} is not in documentation/topics.py; describe '
              'it there' for file, name in missing),
            *(f'documentation/topics.py: {file} has no topic or service {name} any more; remove '
              'it' for file, name in gone)]))
    return found


def page(root: Path) -> str:
    """
    Format the page.

    :param root: The checkout.
    """
    rows: dict[str, list[list[str]]] = {}
    for call in require_listed(root):
        for entry in NAMES[call.file, call.name]:
            row = [call.verb, code(entry.name) if not entry.name[0].isupper() else entry.name,
                   entry.type if ' ' in entry.type and '/' not in entry.type else (
                       code(entry.type or _full_type(call.type))), cell(entry.sentence)]
            if row not in rows.setdefault(entry.node, []):
                rows[entry.node].append(row)
    parts = [
        '# Topics and services',
        'All that nodes and tools create themselves, from the calls that create it. `~` is the '
        'name of the node, relative names are in its namespace, and all can be remapped. The '
        'topics of observations and commands are those of the '
        '[robot description](../robot-description.md). Besides, every node has the services for '
        'parameters, and the policy node those of the lifecycle (`~/change_state`, `~/get_state`, '
        '`~/transition_event`).']
    order = [POLICY, EPISODES, RECORDER, LEARNER]
    for node in sorted(rows, key=lambda each: (
            order.index(each) if each in order else len(order), each)):
        parts += [f'## {node}', table(('the node', 'name', 'type', 'contents'), sorted(
            rows[node], key=lambda row: ('publishes', 'subscribes to', 'serves', 'calls').index(
                row[0])))]
    return '\n\n'.join(parts) + '\n'


_PACKAGES = {
    'String': 'std_msgs/msg', 'Float64MultiArray': 'std_msgs/msg', 'Bool': 'std_msgs/msg',
    'DiagnosticArray': 'diagnostic_msgs/msg', 'DiagnosticStatus': 'diagnostic_msgs/msg',
    'Clock': 'rosgraph_msgs/msg', 'Image': 'sensor_msgs/msg', 'Joy': 'sensor_msgs/msg',
    'JointState': 'sensor_msgs/msg', 'PoseStamped': 'geometry_msgs/msg', 'Trigger': 'std_srvs/srv',
    'SetParameters': 'rcl_interfaces/srv', 'GetParameters': 'rcl_interfaces/srv',
    'ChangeState': 'lifecycle_msgs/srv', 'TransitionEvent': 'lifecycle_msgs/msg'}


def _full_type(expression: str) -> str:
    """Put the package before the type."""
    return f'{_PACKAGES[expression]}/{expression}'
