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
"""Planner of a slow policy: inference runs beside the loop, and its answers are joined in time."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
import math

import numpy as np
from numpy.typing import NDArray

from dfp_ros.core.arrays import FloatArray, Vector
from dfp_ros.core.pictures.picture import Picture, pixels_of
from dfp_ros.core.planning.anchoring import Anchoring
from dfp_ros.core.planning.chunk_blending import PlayedChunk
from dfp_ros.core.planning.chunk_player import ChunkPlayer
from dfp_ros.core.planning.plan_trace import Answered, Origin, PlanTrace
from dfp_ros.core.planning.planner import Planned, Planner
from dfp_ros.core.policy.background import Call, Inference
from dfp_ros.core.policy.interface import PolicyError
from dfp_ros.core.policy.noise import NoiseStream
from dfp_ros.core.safety.reasons import Reason
from dfp_ros.core.settings.planning import PlanningSettings

#: Multiple of the measured inference time before the end of a plan at which the next chunk is
#: requested by default: an answer that takes three times as long is still in time.
MARGIN = 3.0


class PendingError(PolicyError):
    """
    There is no plan, and an answer of the policy is awaited.

    :param reason: Reason for the hold.
    :param text: Description.
    """

    def __init__(self, reason: Reason, text: str) -> None:
        """Store the reason."""
        super().__init__(text)
        self.reason = reason


@dataclass
class _Request:
    """
    Chunk that was requested.

    :param call: The call of the policy.
    :param origin: Step that it was requested in.
    :param draw: Number of draws of noise up to it.
    :param is_from_rest: Whether the robot stands still until the answer, which then starts with
        its first action.
    :param anchor: Position that it was planned from, with anchoring.
    :param ticks: Ticks since.
    """

    call: Call
    origin: Origin
    draw: int
    is_from_rest: bool
    anchor: Vector | None
    ticks: int = 0


class BackgroundPlanner(Planner):
    """
    Plans the action of each tick with a policy whose inference takes several ticks.

    No tick waits for inference. The next chunk is requested while enough of the plan in hand is
    left, from the observation of that tick, after its command was sent. The answer is played from
    the first tick that finds it, without the actions that were due by then. A plan that ends
    before is a fault, :class:`PendingError`, and so is a plan that does not exist yet: after that,
    a chunk is requested once the robot stands still, and starts with its first action. All that
    is discarded by :meth:`drop` includes the answer to a request.

    :param inference: Runs the policy, one call at a time.
    :param noise: Noise of its chunks.
    :param tick: Time between two ticks in ns.
    :param settings: Execution and blending of chunks.
    :param positions: As for :class:`Planner`.
    :param anchoring: Likewise.

    :ivar steps: Steps since the reset, which the controller counts.
    :ivar trace: Inference of the last step that was planned.
    """

    def __init__(
            self, inference: Inference, noise: NoiseStream, tick: int,
            settings: PlanningSettings | None = None,
            positions: NDArray[np.bool_] | None = None,
            anchoring: Anchoring | None = None) -> None:
        """Start without a chunk, for a robot at rest."""
        self._inference = inference
        self._latency = math.nan
        self.steps = 0
        # Steps since the robot stands still, without a plan.
        self._waited = 0
        self.trace = PlanTrace()
        self._is_within_step = False
        super().__init__(
            inference.policy, noise, tick, lambda: 0, settings, positions, anchoring)
        self._may_ask = self._is_at_rest = True

    @property
    def lead(self) -> float:
        """
        Time before the end of a plan at which the next chunk is requested, in s.

        Without a measured inference time it is infinite: as soon as the last answer is there.
        """
        if self._settings.lead:
            return self._settings.lead
        if math.isnan(self._latency):
            return math.inf
        # A tick until the answer is found, and one by which the request may be late.
        return MARGIN * self._latency + 2 * self._tick * 1e-9

    def expect(self, seconds: float) -> None:
        """
        Note the inference time that was measured.

        :param seconds: Its p99 in s.
        """
        self._latency = seconds

    def restart(self, seed: int) -> None:
        """Restart as :meth:`Planner.restart`, with a robot at rest."""
        super().restart(seed)
        self.steps = 0
        self._may_ask = self._is_at_rest = True

    def seek(self, seed: int, draws: int) -> None:
        """
        Advance the noise to a number of draws; what was requested before is still to come.

        :param seed: Seed of the noise.
        :param draws: Number of draws since the restart.
        """
        self._noise.reset(seed)
        while self._noise.draws < draws:
            self._noise.next()

    def drop(self) -> None:
        """Discard the plan and what was requested for the next; the noise continues."""
        super().drop()
        self._request: _Request | None = None
        self._wanted: tuple[FloatArray, tuple[Picture, ...], _RequestStart] | None = None
        self._failure: PolicyError | None = None
        self._has_ended = self._is_foreign = False
        self.settle(is_at_rest=False)

    def settle(self, is_at_rest: bool) -> None:
        """
        Note after a step that held the robot whether it stands still.

        :param is_at_rest: Whether it does; before that, no chunk is requested.
        """
        self._may_ask = self._is_at_rest = is_at_rest
        self._waited = self._waited + 1 if is_at_rest else 0

    def begin(self) -> None:
        """Count a step, of whose inference nothing is known yet."""
        self.steps += 1
        self.trace = PlanTrace()
        self._is_within_step = True

    @property
    def unsent(self) -> PlanTrace:
        """Return the inference of a step that fails: what it found, and that it asks nothing."""
        return replace(self.trace, asked=None) if self._is_within_step else PlanTrace()

    def watch(self) -> None:
        """Note before a step that another policy, or a person, moves the robot."""
        self._may_ask, self._is_at_rest = True, False

    def play_on(
            self, other: BackgroundPlanner, rescale: Callable[[FloatArray], FloatArray]) -> None:
        """
        Play the plan of another planner to its end, until the policy has answered.

        :param other: The planner so far, of the same robot.
        :param rescale: Converts actions of its policy to those of this one, shape (m, act_dim).
        """
        if other._tick != self._tick or other.last is None or (
                (other.anchoring is None) != (self.anchoring is None)):
            return
        self.anchor = other.anchor
        kept = other._playing if self._settings.mode == 'ensemble' else other._playing[-1:]
        for before in kept:
            playing = copy(before)
            playing.player = copy(before.player)
            chunk = before.player.chunk
            playing.player.chunk = replace(chunk, actions=rescale(chunk.actions))
            self._playing.append(playing)
        self._joiner.continue_from(other._joiner, rescale)
        self._is_foreign = True

    def next(
            self, now: int, observation: FloatArray,
            pictures: tuple[Picture, ...] = ()) -> Planned:
        """
        Plan one tick; call once in each tick.

        :param now: Time in ns.
        :param observation: Shape (obs_dim,), float32, finite.
        :param pictures: Its pictures, in the policy's order.
        :raises PendingError: If there is no plan.
        """
        had_plan = bool(self._playing)
        self._playing = [playing for playing in self._playing if playing.move(now)]
        answered, is_new = self._take(now)
        if had_plan and not self._playing:
            # An answer to an observation from before the hold is not played after it.
            self._request = None
            self._has_ended = True
            self.settle(is_at_rest=False)
        rest = self._joiner.join(self._playing, is_new) if self._playing else None
        asked = self._want(now, observation, pictures)
        if rest is None:
            self.trace = PlanTrace(answered, asked)
            # The robot stands still: there is nothing to blend with.
            self._joiner.drop()
            raise self._explain()
        self._waited = 0
        newest = self._playing[-1]
        due, chunk = newest.due, newest.player.chunk
        assert due is not None, 'a chunk that is played has an action'
        self.trace = PlanTrace(answered, asked, newest.origin)
        return Planned(
            chunk.actions[due.index], rest[0], rest[1:], chunk, due.index, newest.draw,
            newest.inference if is_new else None)

    def asks_at(self, now: int) -> bool:
        """Return that no tick waits for inference."""
        return False

    def prepare(self) -> None:
        """Request the chunk that this tick wants, after its command was sent."""
        wanted, self._wanted = self._wanted, None
        self._is_within_step = False
        if wanted is not None:
            observation, pictures, start = wanted
            # Only now: a step that is not sent, or is held, draws nothing.
            call = self._inference.ask(observation, self._noise.next(), pixels_of(pictures))
            self._request = _Request(
                call, start.origin, self._noise.draws,
                start.is_from_rest, start.anchor)

    def _take(self, now: int) -> tuple[Answered, bool]:
        """Take the answer, if it is there; return it, and whether a chunk of it is played."""
        request = self._request
        if request is None:
            return Answered.NOTHING, False
        request.ticks += 1
        if not request.call.is_done:
            return Answered.NOTHING, False
        self._request = None
        try:
            chunk = request.call.result()
        except PolicyError as error:
            self._failure = error
            return Answered.FAILURE, False
        self._failure = None
        start = now if request.is_from_rest else request.origin.stamp
        player = ChunkPlayer(chunk, start, self._period, self._tick)
        if not request.is_from_rest:
            player.skip(request.ticks)
        playing = PlayedChunk(
            player, request.draw, request.call.seconds, request.origin, request.anchor)
        if not playing.move(now):
            return Answered.CHUNK, False
        self._has_ended = self._is_foreign = False
        self._add(playing)
        return Answered.CHUNK, True

    def _want(
            self, now: int, observation: FloatArray,
            pictures: tuple[Picture, ...]) -> int | None:
        """Decide whether to request a chunk; return the number of draws of noise up to it."""
        self._wanted = None
        if not self._inference.may_ask(self._request is None and self._is_due()):
            return None
        self._wanted = observation, pictures, _RequestStart(
            Origin(self.steps, now), not self._playing and self._is_at_rest,
            self.place)
        return self._noise.draws_of_next

    def _is_due(self) -> bool:
        """Return whether the next chunk has to be requested."""
        if not self._playing:
            return self._may_ask
        newest = self._playing[-1]
        left = (len(newest.player.chunk.actions) - newest.position) * self._period
        return self._is_foreign or newest.position - newest.first >= self._replan_after or (
            left <= self.lead * 1e9 + self._tick // 1000)

    def _explain(self) -> PendingError:
        """Explain why there is no plan."""
        if self._failure is not None:
            return PendingError(Reason.INFERENCE_FAILED, str(self._failure))
        if self._has_ended:
            took = '' if math.isnan(self._latency) else (
                f'; inference took {self._latency:.3g} s when it was measured')
            return PendingError(
                Reason.LATE_INFERENCE,
                f'the plan in hand has ended, and the policy has not answered yet{took}')
        waited = self._waited * self._tick
        lasts = self._period * self._inference.policy.spec.horizon
        if waited > lasts:
            # In this time, an answer that nobody wants any more and the wanted one are due.
            return PendingError(
                Reason.LATE_INFERENCE,
                f'there has been no plan for {waited * 1e-9:.2f} s, which is longer than a chunk '
                f'lasts ({lasts * 1e-9:g} s): the policy does not answer')
        return PendingError(
            Reason.PLANNING, 'there is no plan yet: inference runs beside the loop')


@dataclass(frozen=True)
class _RequestStart:
    """
    Circumstances of a request, as in :class:`_Request`.

    :param origin: Step that it is requested in.
    :param is_from_rest: Whether the robot stands still until the answer.
    :param anchor: Position that it is planned from, with anchoring.
    """

    origin: Origin
    is_from_rest: bool
    anchor: Vector | None
