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
"""Monitors: training envelope, candidate disagreement, late inference."""

from __future__ import annotations

from dataclasses import replace
import math

import numpy as np
import pytest

from dfp_ros.core.description.robot import load_robot_description
from dfp_ros.core.policy.policy_file import read_spec
from dfp_ros.core.safety.monitors import Envelope, Monitor, Monitors, training_ranges
from dfp_ros.core.safety.reasons import Reason, Response
from dfp_ros.core.settings.safety import SafetySettings
from dfp_ros.spec import ActionField, ObservationField, PolicySpec
from testing import ROOT

FIELDS = (
    ObservationField('place', 2, 'm', (0.0, -1.0), (2.0, 1.0)),
    ObservationField('constant', 1, '1', (5.0,), (5.0,)))
SPEC = PolicySpec(
    'test', 'test', FIELDS, (ActionField('x', 1, 'm', (-1.0,), (1.0,), (-1.0,), (1.0,)),), 0.05, 2)
TICK = 50_000_000


def test_a_doubt_begins_at_once_and_ends_after_several_low_values() -> None:
    """A figure that goes up and down around its limit does not flicker."""
    doubt = Monitor(1.0, release_count=3)
    assert [doubt.judge(figure) for figure in (
        1.0, 1.1, 0.9, 0.9, 0.9, 0.9, 0.7, 0.7, 1.1, 0.8, 0.8, 0.8, 1.0)] == [
            False, *[True] * 10, False, False]


def test_nan_raises_a_warning() -> None:
    """It is above any limit, and no calm."""
    doubt = Monitor(1.0, release_count=2)
    assert [doubt.judge(figure) for figure in (math.nan, 0, math.nan, 0, 0)] == [
        True, True, True, True, False]


def test_the_worst_number_is_named_and_all_are_counted() -> None:
    """Beyond the margin, as a fraction of each number's own range."""
    envelope = Envelope(FIELDS, 0.125, release_count=2)
    assert not envelope.judge(np.array([2.25, -1.25, 5], np.float32)), 'on the margin is within it'
    assert envelope.judge(np.array([2.3, 1.5, 5], np.float32)) == (
        'place[1] is 1.5, the training data have -1 to 1; 1 more outside')
    assert envelope.judge(np.array([-0.3, 0, 5], np.float32)) == (
        'place[0] is -0.3, the training data have 0 to 2')
    assert envelope.outside == {'place[0]': 2, 'place[1]': 1}
    inside = np.array([1, 0, 5], np.float32)
    assert envelope.judge(inside) == (
        'the observation was outside the range of the training data a moment ago')
    assert not envelope.judge(inside)
    envelope.reset()
    assert envelope.outside == {}


def test_constant_data_tolerate_rounding() -> None:
    """A number that was constant in the data has no range; a thousandth stands for it."""
    envelope = Envelope(FIELDS, 0.1, release_count=1)
    assert not envelope.judge(np.array([1, 0, 5.0004], np.float32))
    assert 'constant[0] is 5.01' in envelope.judge(np.array([1, 0, 5.01], np.float32))


@pytest.mark.parametrize(('answer', 'response'), [
    ('ignore', Response.PASS), ('warn', Response.WARN), ('slow', Response.SLOW),
    ('hold', Response.HOLD)])
def test_the_response_is_a_setting(answer: str, response: Response) -> None:
    """The same doubt is nothing to one robot and a stop to another."""
    doubts = Monitors(
        SafetySettings(envelope=answer, spread=answer, spread_limit=0.4), SPEC, TICK)
    found = doubts.about_observation(np.array([9, 0, 5], np.float32))
    found += doubts.about_answer(0.5, 0.001)
    assert [(each.reason, each.response) for each in found] == [
        (Reason.OUTSIDE_ENVELOPE, response), (Reason.DISAGREEMENT, response)]
    assert found[1].text == 'the candidates disagree by 0.5, the limit is 0.4'


def test_the_verdict_on_a_chunk_stands_while_it_is_played() -> None:
    """Candidates disagree once a chunk; three chunks that agree end the doubt."""
    doubts = Monitors(SafetySettings(spread='warn', spread_limit=0.4), SPEC, TICK)

    def disagree(spread: float, inference: float | None) -> bool:
        return bool(doubts.about_answer(spread, inference))

    assert [disagree(0.5, 0.001), disagree(0.5, None), disagree(0.5, None)] == [True] * 3
    assert [disagree(0.1, 0.001), disagree(0.1, None), disagree(0.1, None)] == [True] * 3
    assert [disagree(0.1, 0.001), disagree(0.1, 0.001)] == [True, False]


@pytest.mark.parametrize(('answer', 'response'), [
    ('warn', Response.WARN), ('hold', Response.HOLD)])
def test_late_inference(answer: str, response: Response) -> None:
    """A share of the tick is the deadline; by default there is none."""
    doubts = Monitors(
        SafetySettings(late_inference=answer, inference_deadline=0.5), SPEC, TICK)
    assert not doubts.about_answer(0.0, 0.025)
    found = doubts.about_answer(0.0, 0.026)
    assert [(each.reason, each.response) for each in found] == [(Reason.LATE_INFERENCE, response)]
    assert found[0].text == 'inference took 26.00 ms, the deadline is 25.00 ms'
    assert not Monitors(SafetySettings(), SPEC, TICK).about_answer(0.0, 10.0)


def asked(doubts: Monitors, place: float, times: int = 1) -> list[Response]:
    """Return the response to an observation on consecutive ticks."""
    found = [
        doubts.about_observation(np.array([place, 0, 5], np.float32)) for _ in range(times)]
    return [findings[0].response if findings else Response.PASS for findings in found]


def test_far_outside_holds_the_robot_by_default() -> None:
    """A little outside is a warning; far outside is none of the policy's business."""
    doubts = Monitors(SafetySettings(envelope_far=0.5, envelope_long=100.0), SPEC, TICK)
    assert asked(doubts, 2.0) == [Response.PASS]
    assert asked(doubts, 2.5) == [Response.WARN]
    [far] = doubts.about_observation(np.array([3.1, 0, 5], np.float32))
    assert far.response is Response.HOLD
    assert far.text == (
        'place[0] is 3.1, the training data have 0 to 2; further outside than 0.5 of its range '
        '(safety.envelope_far)')
    # It goes on after half a second well within what is too far.
    assert asked(doubts, 2.5, 10) == [Response.HOLD] * 9 + [Response.WARN]


def test_staying_outside_holds_the_robot_by_default() -> None:
    """A controller that pushes into a corner does not push for ever."""
    doubts = Monitors(SafetySettings(envelope_far=10.0, envelope_long=1.0), SPEC, TICK)
    assert asked(doubts, 2.5, 20) == [Response.WARN] * 20
    [stays] = doubts.about_observation(np.array([2.5, 0, 5], np.float32))
    assert stays.response is Response.HOLD
    assert stays.text.endswith('; outside for longer than 1 s (safety.envelope_long)')
    # A return that is too short to end the doubt does not begin the second anew.
    assert asked(doubts, 1.0, 9) == [Response.HOLD] * 9
    assert asked(doubts, 2.5) == [Response.HOLD]
    assert asked(doubts, 1.0, 10) == [Response.HOLD] * 9 + [Response.PASS]
    assert asked(doubts, 2.5) == [Response.WARN]
    doubts.reset()
    assert asked(doubts, 2.5, 20) == [Response.WARN] * 20


def test_a_swap_does_not_begin_the_time_outside_anew() -> None:
    """A learner may give a new policy each second; a parameter may be set as often."""
    settings = SafetySettings(envelope_far=10.0, envelope_long=1.0)
    doubts = Monitors(settings, SPEC, TICK)
    assert asked(doubts, 2.5, 15) == [Response.WARN] * 15
    # At half the rate, it was outside for 8 of its ticks.
    slower = Monitors(settings, SPEC, 2 * TICK)
    slower.transfer_from(doubts)
    assert asked(slower, 2.5, 3) == [Response.WARN, Response.WARN, Response.HOLD]
    # The observation is inside the range of this one.
    wide = replace(SPEC, observation=(
        ObservationField('place', 2, 'm', (0.0, -1.0), (4.0, 1.0)), FIELDS[1]))
    inside = Monitors(settings, wide, TICK)
    inside.transfer_from(slower)
    assert asked(inside, 2.5) == [Response.PASS]
    assert asked(inside, 5.0, 20) == [Response.WARN] * 20


@pytest.mark.parametrize('far', [0.2, 10.0])
def test_a_parameter_that_is_set_ends_no_warning(far: float) -> None:
    """Nor does a policy with the same range: that takes half a second inside."""
    settings = SafetySettings(envelope_far=far, envelope_long=1.0)
    calm, changed = Monitors(settings, SPEC, TICK), Monitors(settings, SPEC, TICK)
    for i in range(100):
        place = 2.5 if i % 8 < 4 else 1.0
        if i % 20 == 17:
            before, changed = changed, Monitors(settings, SPEC, TICK)
            changed.transfer_from(before)
        assert asked(changed, place) == asked(calm, place), i
    assert asked(changed, 1.0) == [Response.HOLD]


@pytest.mark.parametrize(('answer', 'response'), [
    ('ignore', Response.PASS), ('warn', Response.WARN), ('slow', Response.SLOW),
    ('hold', Response.HOLD)])
def test_other_answers_keep_their_meaning(answer: str, response: Response) -> None:
    """Far and long are for guard alone."""
    doubts = Monitors(
        SafetySettings(envelope=answer, envelope_far=0.2, envelope_long=0.1), SPEC, TICK)
    assert asked(doubts, 9.0, 30) == [response] * 30


def test_a_policy_that_pushes_into_the_bounds_is_held() -> None:
    """A shipped policy's robot, every joint on its way to its bound: held within two seconds."""
    root = ROOT
    spec = read_spec(root / 'models' / 'lift_joint.onnx')
    robot = load_robot_description(root / 'config' / 'panda_joint.yaml')
    limits = robot.commands[0].entries[0].limits
    assert isinstance(limits.position, tuple)
    assert isinstance(limits.velocity, tuple)
    assert spec.observation[0].name == 'robot0_joint_pos'
    ranges = training_ranges(spec.observation)
    observation = np.array(ranges.middle)
    tick = round(spec.period * 1e9)
    doubts = Monitors(SafetySettings(), spec, tick)
    responses = []
    for _ in range(40):
        responses += [found.response for found in doubts.about_observation(
            observation.astype(np.float32))]
        observation[:7] = np.minimum(
            observation[:7] + np.array(limits.velocity) * spec.period, limits.position[1])
    assert responses[0] is Response.WARN
    assert responses[-1] is Response.HOLD
