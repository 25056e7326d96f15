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
"""Planner: the action that is due, and when a new chunk is requested from the policy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dfp_ros.core.arrays import FloatArray, Vector
from dfp_ros.core.pictures.picture import Picture, pixels_of
from dfp_ros.core.planning.anchoring import Anchoring
from dfp_ros.core.planning.chunk_blending import ChunkBlender, PlayedChunk
from dfp_ros.core.planning.chunk_player import ChunkPlayer
from dfp_ros.core.policy.interface import ask, Chunk, Policy
from dfp_ros.core.policy.noise import NoiseStream
from dfp_ros.core.settings.planning import PlanningSettings


@dataclass(frozen=True)
class Planned:
    """
    Plan for one tick.

    :param action: Action of the newest chunk, shape (act_dim,), float32, in [-1, 1] as trained.
    :param joined: The blended action, shape (act_dim,), float32.
    :param ahead: Actions after it, shape (m, act_dim), a control period apart; m may be 0.
    :param chunk: The newest chunk.
    :param index: The action's index in it.
    :param draw: Number of draws of noise up to the request of that chunk.
    :param inference: Inference time in s, None if no chunk is new.
    """

    action: FloatArray
    joined: FloatArray
    ahead: FloatArray
    chunk: Chunk
    index: int
    draw: int
    inference: float | None


class Planner:
    """
    Plans the action of each tick.

    Very large actions of a policy may become infinite or NaN here, which the controller checks.

    :param policy: The policy.
    :param noise: Noise of its chunks.
    :param tick: Time between two ticks in ns.
    :param clock: Clock in ns, for measuring inference time only; no plan depends on it.
    :param settings: Execution and blending of chunks; open loop by default, as in the paper.
    :param positions: Mask of the numbers that are positions, shape (act_dim,), bool; none by
        default.
    :param anchoring: Converts relative actions between anchors; None if they are relative to the
        position at each tick.

    :ivar place: With anchoring, measured position at this tick, shape (act_dim,), SI units; it is
        set before each tick.
    :ivar anchor: With anchoring, position that the plan is relative to; None without a plan.
    """

    def __init__(
            self, policy: Policy, noise: NoiseStream, tick: int, clock: Callable[[], int],
            settings: PlanningSettings | None = None,
            positions: NDArray[np.bool_] | None = None,
            anchoring: Anchoring | None = None) -> None:
        """Start without a chunk."""
        self.anchoring = anchoring
        self.place: Vector | None = None
        self.anchor: Vector | None = None
        self._policy = policy
        self._noise = noise
        self._tick = tick
        self._clock = clock
        self._settings = PlanningSettings() if settings is None else settings
        self._period = round(policy.spec.period * 1e9)
        self._replan_after = (
            policy.spec.horizon if self._settings.mode == 'open_loop'
            else self._settings.replan_every)
        # If a chunk ends within a tick, a prepared one would be outdated before its first action.
        self._ahead = self._settings.ahead and tick * 1.001 < self._period * policy.spec.horizon
        has_moving = self._settings.interpolate and positions is not None and positions.any()
        self._joiner = ChunkBlender(
            self._settings.ensemble_decay, self._settings.join_jump, self._settings.join_over,
            positions if has_moving else None)
        self.drop()

    @property
    def last(self) -> FloatArray | None:
        """Return the blended action of the last tick, shape (act_dim,); None without a plan."""
        return self._joiner.last

    def restart(self, seed: int) -> None:
        """Restart without a plan, with the first noise of a seed."""
        self.drop()
        self._noise.reset(seed)

    def seek(self, seed: int, draws: int) -> None:
        """
        Discard the plan, and advance the noise to a number of draws.

        :param seed: Seed of the noise.
        :param draws: Number of draws since the restart.
        """
        self.restart(seed)
        while self._noise.draws < draws:
            self._noise.next()

    def drop(self) -> None:
        """
        Discard the plan, so that the next tick plans anew; the noise continues.

        A recurrent policy starts again from its first state, as it has not seen what happens until
        then.
        """
        self._playing: list[PlayedChunk] = []
        self._prepared: PlayedChunk | Exception | None = None
        self._observed: tuple[int, FloatArray, tuple[Picture, ...]] | None = None
        self.anchor = None
        self._joiner.drop()
        # Of a recurrent policy: what its last answer passes on to the next, in an unbroken series.
        self._state: FloatArray | None = None

    def keep_state_of(self, other: Planner) -> None:
        """
        Continue with the recurrent state of another planner of the same policy.

        :param other: The planner so far.
        """
        self._state = other._state

    def join(self, last: FloatArray, anchor: Vector | None = None) -> None:
        """
        Continue from the last action of another planner.

        :param last: Shape (act_dim,), in this policy's units.
        :param anchor: With anchoring, position that it is relative to, shape (act_dim,).
        """
        self._joiner.last = last
        self.anchor = anchor

    def next(
            self, now: int, observation: FloatArray,
            pictures: tuple[Picture, ...] = ()) -> Planned:
        """
        Plan one tick; call once in each tick.

        :param now: Time in ns.
        :param observation: Shape (obs_dim,), float32, finite.
        :param pictures: Its pictures, in the policy's order.
        :raises PolicyError: If inference failed; the plan is not changed.
        """
        self._observed = now, observation, pictures
        self._playing = [playing for playing in self._playing if playing.move(now)]
        new = self._renew(now, observation, pictures)
        newest = self._playing[-1]
        due, chunk = newest.due, newest.player.chunk
        assert due is not None, 'a chunk that is played has an action'
        rest = self._joiner.join(self._playing, new)
        return Planned(
            chunk.actions[due.index], rest[0], rest[1:], chunk, due.index, newest.draw,
            newest.inference if new else None)

    def asks_at(self, now: int) -> bool:
        """
        Return whether the next tick will request a chunk.

        :param now: Time of that tick in ns.
        """
        if self._prepared is not None:
            return False
        if not self._playing:
            return True
        newest = self._playing[-1]
        due = newest.player.peek(now)
        return due is None or due.index + due.fraction - newest.first >= self._replan_after

    def prepare(self) -> None:
        """
        Request the next chunk, if the next tick needs one and ``ahead`` is on.

        Call it after the command of a tick was sent. The chunk starts from the observation and at
        the time of that tick, so the actions that are due before the next tick are skipped. If
        inference fails, the next tick raises the error.
        """
        if not self._ahead or self._observed is None or not self._playing:
            return
        now, observation, pictures = self._observed
        if not self.asks_at(now + self._tick):
            return
        try:
            self._prepared = self._ask(now, observation, pictures)
            self._prepared.player.skip()
        except Exception as error:  # raised again at the tick that needs the chunk
            self._prepared = error

    def _renew(
            self, now: int, observation: FloatArray, pictures: tuple[Picture, ...]) -> bool:
        """Request a chunk if needed; return whether there is a new one."""
        prepared, self._prepared = self._prepared, None
        if isinstance(prepared, Exception):
            raise prepared
        if prepared is not None and prepared.move(now):
            self._add(prepared)
            return True
        if self._playing:
            newest = self._playing[-1]
            if newest.position - newest.first < self._replan_after:
                return False
        asked = self._ask(now, observation, pictures)
        asked.move(now)
        self._add(asked)
        return True

    def _ask(
            self, now: int, observation: FloatArray,
            pictures: tuple[Picture, ...]) -> PlayedChunk:
        """Request a chunk that starts now."""
        begin = self._clock()
        chunk = ask(
            self._policy, observation, self._noise.next(), self._state, pixels_of(pictures))
        self._state = chunk.state
        inference = (self._clock() - begin) * 1e-9
        player = ChunkPlayer(chunk, now, self._period, self._tick)
        return PlayedChunk(player, self._noise.draws, inference, anchor=self.place)

    def _add(self, playing: PlayedChunk) -> None:
        """Add a chunk, beside the others or in place of them."""
        if self._settings.mode != 'ensemble':
            self._playing.clear()
        if self.anchoring is not None:
            self._move_anchor(self.anchoring, playing.anchor)
        self._playing.append(playing)

    def _move_anchor(self, anchoring: Anchoring, anchor: Vector | None) -> None:
        """Have the plan so far relative to the anchor of a new chunk."""
        if self.anchor is not None and anchor is not None:
            shift = anchoring.shift(self.anchor, anchor)
            for playing in self._playing:
                chunk = playing.player.chunk
                playing.player.chunk = replace(chunk, actions=chunk.actions + shift)
            self._joiner.shift(shift)
        self.anchor = anchor
