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
"""Groups of faults that can share a node, and the code that runs them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
import json
from pathlib import Path
import threading
import time

from lifecycle_msgs.msg import Transition
import numpy as np
import onnx
from onnx import numpy_helper
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.time import Time

from dfp_ros.core.control.decision import State
from dfp_ros.core.safety.reasons import Reason
from dfp_ros.node.ros.qos import SENSOR_QOS
from dfp_ros.spec import METADATA_KEY
from testing.faults.bounds import check_commands
from testing.faults.catalogue import reordered, SIMULATED, slow, STEADY
from testing.faults.cell import FaultCell, PATIENT
from testing.faults.robots import FaultRobot
from testing.faults.trial import (
    AGE,
    explained,
    Fault,
    longest_gap,
    Outcome,
    same_commands,
    SILENCE,
    try_fault,
)
from testing.policies.slow_policy import LOOP, rounds_in, write_slow_policy
from testing.policies.small_policy import write_policy
from testing.processes.ros_processes import NodeProcess

# Of a fault that must not stop the robot, on a machine that stops it.
_ATTEMPTS = 5
# Gains that distinguish the robots' commands.
_GAIN = 0.7
_RELIABLE = QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE)


def _policy(robot: FaultRobot, folder: Path) -> Path:
    return write_policy(folder / f'{robot.name}.onnx', robot.spec, gain=_GAIN)


def steady(robot: FaultRobot, folder: Path) -> Iterator[Outcome]:
    """Inject every fault that one node can experience in real time."""
    with FaultCell(robot, _policy(robot, folder)) as cell:
        yield _joints_in_another_order(cell)
        for fault in STEADY:
            yield try_fault(cell, fault)


def simulated(robot: FaultRobot, folder: Path) -> Iterator[Outcome]:
    """Inject the faults that need simulated time."""
    with FaultCell(robot, _policy(robot, folder), simulated=True) as cell:
        for fault in SIMULATED:
            yield try_fault(cell, fault)


def slow_inference(robot: FaultRobot, folder: Path) -> Iterator[Outcome]:
    """Run a policy that sometimes takes 2.5 ticks, with a deadline of one."""
    policy = write_slow_policy(
        folder / f'{robot.name}_slow.onnx', robot.spec, robot.place, gain=_GAIN)
    # A processor is quicker without a neighbour that shares its arithmetic.
    number = rounds_in(policy, robot.place, 2.5 * robot.tick)
    # The element that slows it down is far outside the training data, which is not tested here.
    with FaultCell(robot, policy, safety__late_inference='hold', safety__envelope='ignore',
                   safety__inference_deadline=1.0, **LOOP) as cell:
        yield try_fault(cell, slow(number))


def qos_mismatch(robot: FaultRobot, folder: Path) -> Iterator[Outcome]:
    """Run a source that offers best effort if the description requires reliable."""
    text = robot.description.read_text()
    age = f'    max_age: {robot.max_age:g}\n'
    description = folder / f'{robot.name}_reliable.yaml'
    description.write_text(text.replace(age, age + '    qos: {reliability: reliable}\n', 1))

    def mend(cell: FaultCell) -> int:
        return cell.replace_publisher('joint_states', _RELIABLE)

    fault = Fault(
        'QoS mismatch', lambda cell: cell.replace_publisher('joint_states', SENSOR_QOS),
        Reason.STALE, "source 'arm' (topic joint_states)", AGE, mend)
    with FaultCell(robot, _policy(robot, folder), description=description) as cell:
        outcome = try_fault(cell, fault)
        said = 'topic /joint_states: '
        assert said in cell.process.output
        line = cell.process.output.split(said, 1)[1].splitlines()[0]
        yield replace(outcome, said=f'{said}{line}')


def killed(robot: FaultRobot, folder: Path) -> Iterator[Outcome]:
    """Kill the robot's node, then the policy node, and start each again."""
    with FaultCell(robot, _policy(robot, folder), silent=True) as cell:
        def start() -> NodeProcess:
            return NodeProcess('testing.faults.scripted_robot', cell.domain, robot.name)

        processes = [start()]

        def kill(cell: FaultCell) -> int:
            processes[-1].process.kill()
            return cell.now()

        def start_again(cell: FaultCell) -> None:
            processes.append(start())

        try:
            yield try_fault(cell, Fault(
                'robot node killed', kill, Reason.STALE, SILENCE, AGE, start_again))
            yield _policy_node_killed(cell)
        finally:
            for process in processes:
                process.__exit__()


def unmoved(robot: FaultRobot, folder: Path) -> Iterator[Outcome]:
    """Inject faults that must not stop it: bad policies, parameters, missing subscribers."""
    with FaultCell(robot, _policy(robot, folder), **LOOP) as cell:
        for name, policy, says in bad_policies(robot, folder):
            yield goes_on(cell, name, lambda policy=policy, says=says: refusal(  # type: ignore
                cell, policy, says))
        yield goes_on(cell, 'parameter storm', lambda: storm(cell))
        yield goes_on(cell, 'two publishers of one source', lambda: two_publishers(cell))
        yield goes_on(cell, 'second publisher of commands', lambda: second_publisher(cell))
        topic = list(robot.commands)[-1]
        cell.unsubscribe(topic)
        yield goes_on(cell, 'no subscriber', lambda: report_on(cell, topic))


def swaps(robot: FaultRobot, folder: Path) -> Iterator[Outcome]:
    """Request another policy during each transition, just before it and just after."""
    policies = [
        write_policy(folder / f'{robot.name}_{seed}.onnx', robot.spec, seed, _GAIN)
        for seed in range(2)]
    with FaultCell(robot, policies[0], autostart='false', **PATIENT) as cell:
        for before in (True, False):
            for name, transition in (
                    ('configure', Transition.TRANSITION_CONFIGURE),
                    ('activate', Transition.TRANSITION_ACTIVATE),
                    ('deactivate', Transition.TRANSITION_DEACTIVATE),
                    ('cleanup', Transition.TRANSITION_CLEANUP)):
                policies.reverse()
                yield _swap_in_transition(cell, name, transition, str(policies[0]), before)


GROUPS: dict[str, Callable[[FaultRobot, Path], Iterator[Outcome]]] = {
    'steady': steady, 'simulated': simulated, 'slow inference': slow_inference,
    'qos mismatch': qos_mismatch, 'killed': killed, 'unmoved': unmoved,
    'swaps': swaps}


def goes_on(cell: FaultCell, name: str, meet: Callable[[], str]) -> Outcome:
    """
    Check that a fault does not stop a running robot.

    Where the node's threads had to wait for a processor, the watchdog may rightly have stopped it.
    """
    for _ in range(_ATTEMPTS):
        cell.wait_for_motion()
        first, first_command = len(cell.decisions), len(cell.commands)
        begun, starved = time.monotonic(), cell.starved()
        said = meet()
        known = time.monotonic()
        cell.wait_for_motion()
        seen = cell.decisions[first - 1:]
        stopped = [each.row for each in seen if each.row.state is not State.RUNNING
                   and not explained(each.row, cell.robot.max_age)]
        if not stopped:
            break
        waited = cell.starved() - starved
        for row in stopped:
            assert Reason.OVERDUE in row.reason, row
            assert waited > longest_gap(seen, 1.0) / 2, (waited, row)
    check_commands(cell, cell.commands[first_command:], seen)
    return Outcome(
        name, cell.robot.name, False, 'none', said, detected=(known - begun) * 1e3,
        longest_gap=longest_gap(seen, cell.robot.tick))


def _joints_in_another_order(cell: FaultCell) -> Outcome:
    """Check that joints are identified by name."""
    cell.wait_for_motion(30)
    before = cell.decisions[-30:]

    def turn_around() -> str:
        cell.disturb({'joint_states': reordered})
        begin = cell.wait_for(lambda: next((
            i for i, seen in enumerate(cell.decisions)
            if cell.faulty & set(seen.row.samples.values())), None), 'the other order')
        cell.wait_for(lambda: len(cell.decisions) > begin + 20, 'decisions')
        after = cell.decisions[begin:]
        cell.disturb({})
        assert same_commands(before, after), 'other commands for another order'
        return 'the commands are the same'

    return goes_on(cell, 'joints reordered', turn_around)


def bad_policies(robot: FaultRobot, folder: Path) -> Iterator[tuple[str, Path, str]]:
    """Yield policies that cannot take over, with the expected message of each."""
    good = _policy(robot, folder)
    cut = folder / 'cut_short.onnx'
    cut.write_bytes(good.read_bytes()[:-100])
    yield 'corrupt policy, truncated', cut, 'cut short'
    text = folder / 'text.onnx'
    text.write_text('no policy at all')
    yield 'corrupt policy, not ONNX', text, 'ONNX'
    model = onnx.load(good)
    weights = model.graph.initializer[0]
    weights.CopyFrom(numpy_helper.from_array(
        np.full_like(numpy_helper.to_array(weights), np.nan), weights.name))
    broken = folder / 'not_finite.onnx'
    onnx.save(model, broken)
    yield 'corrupt policy, NaN weights', broken, 'not finite'
    model = onnx.load(good)
    text_of = {each.key: each.value for each in model.metadata_props}
    said = json.loads(text_of[METADATA_KEY])
    onnx.helper.set_model_props(model, {METADATA_KEY: json.dumps({**said, 'period': 1e9})})
    absurd = folder / 'absurd.onnx'
    onnx.save(model, absurd)
    yield 'corrupt policy, period of 1e9 s', absurd, 'period: found 1e+09 s'
    slower = write_slow_policy(folder / 'slower.onnx', robot.spec, robot.place)
    yield 'policy slower than the tick', write_slow_policy(
        slower, robot.spec, robot.place, rounds_in(slower, robot.place, 3 * robot.tick)
    ), 'its inference takes'


def refusal(cell: FaultCell, policy: Path, says: str) -> str:
    """Request a policy, and wait for its refusal, at once or after loading."""
    result = cell.set(policy=str(policy))
    if not result.successful:
        assert says in result.reason, result.reason
        return str(result.reason)
    cell.wait_for(lambda: cell.standing['last_refusal'] and (
        cell.standing['last_refusal']['policy'] == str(policy)), f'refusal of {policy}')
    reason = cell.standing['last_refusal']['reason']
    assert says in reason, reason
    assert cell.standing['path'] != str(policy)
    return str(reason)


def storm(cell: FaultCell) -> str:
    """Set hundreds of parameters, some to invalid values, without waiting for answers."""
    generator = np.random.default_rng(0)
    first, begun, starved = cell.decisions[-1].row.number, time.monotonic(), cell.starved()
    asked = []
    for _ in range(60):
        asked += [(cell.ask_to_set(**values), accepted) for values, accepted in (
            ({'noise_scale': float(generator.uniform(0, 2))}, True),
            ({'noise_seed': int(generator.integers(100))}, True),
            ({'planning__mode': str(generator.choice(['open_loop', 'receding']))}, True),
            ({'safety__spread_limit': float(generator.uniform(0, 2))}, True),
            ({'rate': 0.5}, False), ({'trigger': 'samples'}, False),
            ({'policy': '/no/such/policy.onnx'}, False),
            ({'planning__mode': 'open_loop'}, True))]
    for future, accepted in asked:
        results = cell.answer(future).results
        assert all(result.successful is accepted for result in results), results
    # The node kept deciding, and not a few decisions for all of them, unless it had no processor.
    took, starved = time.monotonic() - begun, cell.starved() - starved
    decided, due = cell.decisions[-1].row.number - first, took / cell.robot.tick
    assert decided > due / 5 or starved > took / 2, f'{decided} decisions, {due:.0f} were due'
    refused = sum(not accepted for _, accepted in asked)
    return f'{len(asked)} answers, {refused} of them refusals'


def report_of(cell: FaultCell, reason: Reason, says: str) -> str:
    """Wait for diagnostics with a reason; return their text from ``says`` on."""
    begun = time.monotonic()
    report = cell.wait_for(lambda: next((
        report for report in cell.reports if report.arrived > begun
        and reason.words in report.values['reason'] and says in report.message), None),
        f'diagnostics about {says}')
    message = str(report.message)
    return message[message.index(says):]


def two_publishers(cell: FaultCell) -> str:
    """Start a second driver that publishes the same values."""
    messages = cell.robot.messages
    kind = type(messages(Time().to_msg())['joint_states'])
    publisher = cell.node.create_publisher(kind, 'joint_states', 5)
    ended = threading.Event()

    def publish() -> None:
        while not ended.wait(0.01):
            publisher.publish(messages(Time(nanoseconds=cell.now()).to_msg())['joint_states'])

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        return report_of(cell, Reason.SEVERAL_PUBLISHERS, "source 'arm'")
    finally:
        ended.set()
        thread.join()
        cell.node.destroy_publisher(publisher)


def second_publisher(cell: FaultCell) -> str:
    """Add another publisher on a command topic, which sends nothing."""
    topic, described = next(iter(cell.robot.commands.items()))
    publisher = cell.node.create_publisher(described.kind, topic, 1)
    try:
        return report_of(cell, Reason.OTHER_PUBLISHER, '/robot publishes')
    finally:
        cell.node.destroy_publisher(publisher)


def report_on(cell: FaultCell, topic: str) -> str:
    """Wait for diagnostics about a command topic without a subscriber."""
    begun = time.monotonic()
    report = cell.wait_for(lambda: next((
        report for report in cell.reports if report.arrived > begun
        and f'no subscriber on /{topic}' in report.message), None), f'diagnostics about {topic}')
    message = str(report.message)
    return message[message.index('no subscriber'):]


def _policy_node_killed(cell: FaultCell) -> Outcome:
    """Check that a new node starts from the robot's position."""
    cell.wait_for_motion()
    cell.process.process.kill()
    cell.process.wait()
    # Commands in flight when the node was killed are not from the new one.
    cell.discard_in_flight()
    begun, began = time.monotonic(), cell.now()
    cell.start_node()
    cell.wait_for_motion()
    seen = [each for each in cell.decisions if each.row.stamp >= began]
    fresh = [command for command in cell.commands if (command.stamp or began) >= began]
    check_commands(cell, fresh, seen)
    robot = cell.robot
    if robot.measured is not None:
        # The very first one may have been sent before there was a subscriber.
        numbers = {each.row.stamp: each.row.number for each in seen}
        first = next(command for command in fresh if command.stamp in numbers)
        step = np.abs(first.numbers - robot.measured)
        assert (step <= numbers[first.stamp] * robot.velocity * robot.tick).all(), (
            f'the first command is not at the measured position: {first}')
    return Outcome(
        'policy node killed', robot.name, False, '-',
        "nothing more is sent: the robot's own watchdog has to stop it; a new node starts from "
        "the robot's position", detected=(seen[0].arrived - begun) * 1e3)


def _swap_in_transition(
        cell: FaultCell, name: str, transition: int, policy: str, before: bool) -> Outcome:
    """Check that a swap and a simultaneous transition both finish, one after the other."""
    first, first_command = len(cell.decisions), len(cell.commands)
    begun = time.monotonic()
    if before:
        swap, change = cell.ask_to_set(policy=policy), cell.ask_to_change(transition)
    else:
        change, swap = cell.ask_to_change(transition), cell.ask_to_set(policy=policy)
    assert cell.answer(change).success, f'{name} failed: {cell.process.output[-1000:]}'
    result = cell.answer(swap).results[0]
    known = time.monotonic()
    wanted = policy if result.successful else None
    if name == 'activate':
        cell.wait_for_motion()
    if wanted and name != 'cleanup':
        cell.wait_for(lambda: cell.standing.get('parameter') == wanted, f'{wanted} running')
        cell.wait_for(lambda: not cell.standing['loading'], 'the end of loading')
    if name == 'deactivate':
        stopped = cell.wait_for(
            lambda: _all_stopped(cell, max(0, first_command - 1)), 'the last stop')
        assert stopped
    check_commands(cell, cell.commands[first_command:], cell.decisions[max(0, first - 1):])
    said = 'accepted' if result.successful else result.reason
    order = 'just before' if before else 'just after'
    return Outcome(
        f'swap {order} {name}', cell.robot.name, name == 'deactivate', 'none', said,
        detected=(known - begun) * 1e3)


def _all_stopped(cell: FaultCell, first: int) -> bool:
    """Tell whether the last command on every topic is a stop, with no later decision."""
    for topic in cell.robot.commands:
        here = [command for command in cell.commands[first:] if command.topic == topic]
        if not here:
            return False
        last = here[-1]
        if cell.robot.measured is None and last.numbers.any():
            return False
        if cell.robot.measured is not None and not (
                len(here) > 1 and np.array_equal(last.numbers, here[-2].numbers)):
            return False
    return True
