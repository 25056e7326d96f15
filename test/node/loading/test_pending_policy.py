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
"""Pending policy: faults found by validation, and those found only by a trial run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
import time
from typing import Any

import onnx
import pytest

from testing import ROOT
from testing.policies.small_policy import cube_spec, policy_model, write_policy

pytest.importorskip('rclpy')

from dfp_ros.core.description.robot import load_robot_description
from dfp_ros.core.policy.interface import Chunk, PolicyError
from dfp_ros.core.policy.onnx_policy import OnnxPolicy
from dfp_ros.core.policy.policy_file import read_policy_file
from dfp_ros.core.settings.diagnostics import DiagnosticsSettings
from dfp_ros.core.settings.execution import ExecutionSettings
from dfp_ros.core.settings.fallback import FallbackSettings
from dfp_ros.core.settings.node import describe, make_settings, Settings
from dfp_ros.node.loading.control_loop import ControlLoop
from dfp_ros.node.loading.pending_policy import (
    doubtful_settings,
    load_control_loop,
    load_posture,
    PendingPolicy,
    require_latency,
    validate,
)
from dfp_ros.node.swap.change_plan import ChangePlan, plan_change
from dfp_ros.resources import load_robot
from dfp_ros.spec import SpecMismatch
from testing.faults.robots import CUBE, POSITION_ARM
from testing.policies.slow_policy import rounds_in, write_slow_policy

ROBOT = load_robot(str(ROOT / 'config' / 'ur5e_cube.yaml'))


def settings(policy: Path, **changes: Any) -> Settings:
    """Make settings for a policy file."""
    return make_settings({
        **{name: default for name, default, _ in describe()}, 'policy': str(policy),
        'robot': 'ur5e_cube', **changes})


@pytest.fixture(name='loop', scope='module')
def loaded_loop(tmp_path_factory: pytest.TempPathFactory) -> ControlLoop:
    """Load a small policy."""
    path = write_policy(tmp_path_factory.mktemp('policy') / 'small.onnx')
    return load_control_loop(PendingPolicy(settings(path)), ROBOT)


def test_validation_refuses_policies_that_do_not_fit(tmp_path: Path) -> None:
    """Another observation is seen before anything is loaded."""
    spec = cube_spec()
    good = write_policy(tmp_path / 'good.onnx')
    validate(settings(good), ROBOT, read_policy_file(good))
    path = write_policy(tmp_path / 'other.onnx', replace(spec, observation=spec.observation[:-1]))
    with pytest.raises(SpecMismatch, match='observation field 8'):
        validate(settings(path), ROBOT, read_policy_file(path))


def test_an_action_in_another_order(loop: ControlLoop, tmp_path: Path) -> None:
    """It fits the robot, but can neither follow nor shadow the running policy."""
    spec = cube_spec()
    path = str(write_policy(tmp_path / 'other.onnx', replace(spec, action=spec.action[::-1])))
    file = read_policy_file(path)
    validate(replace(loop.settings, policy=path), ROBOT, file)
    running = PendingPolicy(loop.settings, loop.policy)
    for name in ('policy', 'shadow'):
        changes = {name: path}
        with pytest.raises(SpecMismatch, match='action field 0'):
            plan_change(
                replace(loop.settings, **changes), changes, loop, running, {name: file})


def test_faults_that_only_a_trial_run_finds(tmp_path: Path) -> None:
    """A valid file that cannot run is rejected by the trial run."""
    model = policy_model(cube_spec())
    model.graph.node[0].op_type = 'NoSuchOperator'
    onnx.save(model, tmp_path / 'unknown.onnx')
    wanted = settings(tmp_path / 'unknown.onnx')
    validate(wanted, ROBOT, read_policy_file(wanted.policy))
    with pytest.raises(PolicyError, match='cannot load it'):
        load_control_loop(PendingPolicy(wanted), ROBOT)


def test_a_history_at_another_rate_is_reported(loop: ControlLoop) -> None:
    """Its ticks are nearer than in training, so that everything seems to move more slowly."""
    first, *others = ROBOT.observation
    robot = replace(ROBOT, observation=(replace(first, history=3), *others))
    assert not doubtful_settings(replace(loop, robot=robot))
    assert not doubtful_settings(replace(loop, tick=loop.tick // 2))
    # 60 Hz, of a policy that has rounded its period.
    assert not doubtful_settings(replace(loop, robot=robot, tick=loop.tick + 1000))
    [text] = doubtful_settings(replace(loop, robot=robot, tick=loop.tick // 2))
    assert text == (
        'parameter rate: the ticks of the history of joint_positions are 0.025 s apart, and were '
        '0.05 s apart in training: the policy sees another motion than the one that there is; set '
        'it to 0')


def test_latency_has_to_fit_the_tick(loop: ControlLoop) -> None:
    """The measured latency is compared with the permitted share of the tick."""
    assert loop.latency > 0
    tick = loop.tick * 1e-9
    require_latency(replace(loop, latency=0.79 * tick))
    with pytest.raises(PolicyError, match=r'takes 40\.5 ms \(p99\), expected at most 40 ms'):
        require_latency(replace(loop, latency=0.81 * tick))


def test_a_policy_that_is_far_too_slow_is_not_measured_for_long(tmp_path: Path) -> None:
    """A few calls show that; more would burden the loop that runs beside."""
    place, seconds = CUBE.place, 0.06
    trial = write_slow_policy(tmp_path / 'trial.onnx', CUBE.spec, place)
    path = write_slow_policy(
        tmp_path / 'slow.onnx', CUBE.spec, place, rounds_in(trial, place, seconds))
    wanted = settings(path, **{'execution.unbounded_operators': 'Loop'})
    begin = time.process_time()
    loop = load_control_loop(PendingPolicy(wanted), ROBOT)
    assert time.process_time() - begin < 40 * seconds
    with pytest.raises(PolicyError, match=r'its inference takes .* expected at most 16 ms'):
        require_latency(loop)


class Disturbed(OnnxPolicy):
    """A policy whose calls take 0.1 s at first, as those of any do under other load."""

    left = 0

    def act(self, *arguments: Any, **named: Any) -> Chunk:
        """Answer."""
        self.left -= 1
        if self.left >= 0:
            time.sleep(0.1)
        return super().act(*arguments, **named)


def test_load_that_is_gone_soon_refuses_no_policy(loop: ControlLoop) -> None:
    """The machine may be busy with the start of other nodes for the first second."""
    policy = Disturbed(
        loop.policy.file, loop.policy.execution, candidates=loop.policy.candidates)
    policy.left = 9
    found = load_control_loop(PendingPolicy(loop.settings, policy), ROBOT)
    assert policy.left < 0
    require_latency(found)


def test_change_plan_of_each_parameter(loop: ControlLoop, tmp_path: Path) -> None:
    """Some at once, some by loading, some by trying out, and some not at all."""
    running = PendingPolicy(loop.settings, loop.policy)

    def prepare(last: PendingPolicy = running, **changes: Any) -> Any:
        values = {name: value for name, value in changes.items() if '.' not in name}
        files = {
            name: read_policy_file(changes[name]) for name in ('policy', 'shadow')
            if changes.get(name)}
        return plan_change(replace(loop.settings, **values), changes, loop, last, files)

    rate = prepare(rate=100.0)
    assert rate.loop.tick == 10_000_000
    assert rate.loop.policy is loop.policy
    assert rate.loop.latency == loop.latency
    assert rate.policy is None
    # What runs already is not loaded again, and what is being loaded is given up for it.
    again = prepare(policy=loop.settings.policy)
    assert again.policy is None
    assert again.loop is not None
    assert again.loop.controller is loop.controller
    assert again.gives_up
    copied = tmp_path / 'copy.onnx'
    copied.write_bytes(loop.policy.file.content)
    same = prepare(policy=str(copied)).loop
    assert (same.settings.policy, same.policy.path) == (str(copied), copied)
    assert same.controller is loop.controller
    more = prepare(candidates=4)
    assert more.policy.policy is loop.policy
    # While another policy is on its way, it is that one which gets them; rates count at once.
    other = str(write_policy(tmp_path / 'other.onnx', seed=5))
    coming = PendingPolicy(
        replace(loop.settings, policy=other), file=read_policy_file(other))
    assert prepare(coming, policy=other) == ChangePlan()
    # The content at the time of the request, even if the file has changed since.
    Path(other).write_bytes(write_policy(tmp_path / 'third.onnx', seed=7).read_bytes())
    threads = replace(coming.settings, execution=ExecutionSettings(threads=2))
    for last in (coming, running):
        wanted = replace(threads, policy=last.settings.policy)
        found = plan_change(wanted, {'execution.threads': 2}, loop, last, {}).policy
        assert found is not None
        assert found.content is last.content
    both = prepare(coming, policy=other, candidates=4)
    assert both.policy.policy is None
    faster = plan_change(
        replace(coming.settings, rate=100.0), {'rate': 100.0}, loop, coming, {})
    assert faster.policy is None
    assert faster.loop.settings == replace(loop.settings, rate=100.0)
    shadow = prepare(shadow=other)
    assert shadow.shadow.settings.policy == other
    assert shadow.loop is shadow.policy is None
    assert prepare(shadow='').shadow is None


def test_a_plan_goes_on_where_no_command_depends_on_what_changed(loop: ControlLoop) -> None:
    """Changed thresholds of diagnostics must not affect the commands."""
    running = PendingPolicy(loop.settings, loop.policy)
    quiet = DiagnosticsSettings(age_warn=0.5)
    for wanted, is_kept in (
            (replace(loop.settings, diagnostics=quiet, latency_share=0.9), True),
            (replace(loop.settings, diagnostics=quiet, noise_seed=4), False)):
        found = plan_change(wanted, {}, loop, running, {}).loop
        assert found is not None
        assert found.settings == wanted
        assert (found.controller is loop.controller) == is_kept


def test_a_rate_that_the_policy_cannot_keep(loop: ControlLoop) -> None:
    """It is refused at once, as the policy's latency is known; a slower rate is taken."""
    slow = replace(loop, latency=0.045)
    running = PendingPolicy(slow.settings, slow.policy)
    for rate, accepted in ((10.0, True), (100.0, False)):
        wanted = replace(slow.settings, rate=rate)
        if accepted:
            plan_change(wanted, {'rate': rate}, slow, running, {})
        else:
            with pytest.raises(PolicyError, match='lower rate or candidates'):
                plan_change(wanted, {'rate': rate}, slow, running, {})


@pytest.mark.parametrize(('posture', 'message'), [
    ('hom', "parameter fallback.posture: found 'hom'; did you mean 'home'"),
    ('far', r'postures.far: found 1.6 for joint_positions, the limits allow -1.5 to 1.5')])
def test_a_posture_that_cannot_be(tmp_path: Path, posture: str, message: str) -> None:
    """It is refused when the node is configured, not when it is needed."""
    text = POSITION_ARM.description.read_text() + """
postures:
  home: {joint_positions: [0.1, 0.2, 0.3]}
  far: {joint_positions: [1.6, 0.0, 0.0]}
"""
    robot = load_robot_description('robot.yaml', text.encode())
    path = write_policy(tmp_path / 'usual.onnx', POSITION_ARM.spec)
    loop = load_control_loop(
        PendingPolicy(settings(path, **{'fallback.posture': posture})), robot)
    with pytest.raises(PolicyError, match=message):
        load_posture(loop)
    without = replace(loop, robot=replace(robot, postures={}))
    with pytest.raises(PolicyError, match='the robot description has none; add a section'):
        load_posture(without)
    named = replace(loop.settings, fallback=FallbackSettings(posture='home'))
    assert load_posture(replace(loop, settings=named)).policy.spec.name == 'posture home'
