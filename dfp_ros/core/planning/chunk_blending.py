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
"""Chunk blending: temporal ensembling, interpolation, and smoothing of jumps between chunks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import math

import numpy as np
from numpy.typing import NDArray

from dfp_ros.core.arrays import FloatArray, Vector
from dfp_ros.core.planning.chunk_player import ChunkPlayer, Due
from dfp_ros.core.planning.plan_trace import Origin


class PlayedChunk:
    """
    A chunk that is being executed, and its origin.

    :param player: Its player.
    :param draw: Number of draws of noise up to its request.
    :param inference: Inference time in s.
    :param origin: Step that it was planned from, if inference runs beside the loop.
    :param anchor: Position that its relative actions are relative to, shape (act_dim,), SI units;
        None for the position at each tick.

    :ivar due: Action that is due at the tick, None if it is used up.
    :ivar first: Position at which it began.
    """

    def __init__(
            self, player: ChunkPlayer, draw: int, inference: float,
            origin: Origin | None = None, anchor: Vector | None = None) -> None:
        """Wait for the first tick."""
        self.anchor = anchor
        self.player = player
        self.draw = draw
        self.inference = inference
        self.origin = origin
        self.due: Due | None = None
        self.first = 0.0

    def move(self, now: int) -> bool:
        """Advance to a tick; return whether the chunk still has an action for it."""
        self.due = self.player.next(now)
        return self.due is not None

    @property
    def position(self) -> float:
        """Position in the chunk, as a fractional index of its actions."""
        assert self.due is not None, 'a chunk that is played has an action'
        return self.due.index + self.due.fraction


class ChunkBlender:
    """
    Combines the chunks that are being executed into one plan.

    Very large actions of a policy may become infinite or NaN here.

    :param ensemble_decay: Decay of the weights of the ensemble.
    :param most: Largest jump between two chunks, in action units; 0 for any.
    :param over: Actions over which a jump is spread.
    :param moving: Mask of the numbers that are interpolated between actions, shape (act_dim,);
        None for none.

    :ivar last: The blended action of the last tick, shape (act_dim,); None without a plan.
    """

    def __init__(
            self, ensemble_decay: float, most: float, over: int,
            moving: NDArray[np.bool_] | None) -> None:
        """Start without a plan."""
        self._ensemble_decay = ensemble_decay
        self._most = most
        self._over = over
        self._moving = moving
        self.drop()

    def drop(self) -> None:
        """Discard the plan."""
        self._jump: FloatArray | None = None
        self.last: FloatArray | None = None

    def continue_from(
            self, other: ChunkBlender, rescale: Callable[[FloatArray], FloatArray]) -> None:
        """
        Continue with what another has blended so far.

        :param other: The other, with a plan.
        :param rescale: Converts its actions, affine, shape (m, act_dim).
        """
        assert other.last is not None, 'a plan that is played has a last action'
        self.last = rescale(other.last)
        if other._jump is not None:
            with np.errstate(over='ignore', invalid='ignore'):
                self._jump = self.last - rescale(other.last - other._jump)

    def shift(self, by: FloatArray) -> None:
        """
        Add to the last action, which is relative to another anchor from now on.

        :param by: Shape (act_dim,).
        """
        if self.last is not None:
            self.last = self.last + by

    def join(self, playing: Sequence[PlayedChunk], is_new: bool) -> FloatArray:
        """
        Plan the action of a tick and those after it.

        :param playing: The chunks, the newest last.
        :param is_new: Whether the newest begins at this tick.
        :return: Shape (m, act_dim), float32, a control period apart.
        """
        newest, rest = playing[-1], self._rest(playing)
        if is_new:
            newest.first = newest.position
            self._jump = self._find_jump(rest[0])
        if self._jump is not None:
            rest = self._spread(rest, self._jump, newest.position - newest.first)
        self.last = rest[0]
        return rest

    def _rest(self, playing: Sequence[PlayedChunk]) -> FloatArray:
        """Combine the actions from this tick on, a control period apart."""
        if len(playing) == 1:
            return self._remaining(playing[0])
        # Temporal ensembling: https://arxiv.org/abs/2304.13705, algorithm 2.
        newest = self._remaining(playing[-1])
        total, weights = np.zeros_like(newest), np.zeros((len(newest), 1), np.float32)
        for i, chunk in enumerate(playing):
            weight = np.float32(math.exp(-self._ensemble_decay * i))
            actions = self._remaining(chunk)[:len(newest)]
            with np.errstate(over='ignore', invalid='ignore'):
                total[:len(actions)] += weight * actions
            weights[:len(actions)] += weight
        return total / weights

    def _remaining(self, playing: PlayedChunk) -> FloatArray:
        """Return the actions of a chunk for this tick and after it."""
        assert playing.due is not None, 'a chunk that is played has an action'
        index, fraction = playing.due.index, playing.due.fraction
        actions = playing.player.chunk.actions[index:]
        if self._moving is None or not fraction or len(actions) < 2:
            return actions
        between = actions.copy()
        with np.errstate(over='ignore', invalid='ignore'):
            between[:-1] += np.float32(fraction) * (actions[1:] - actions[:-1]) * self._moving
        return between

    def _find_jump(self, action: FloatArray) -> FloatArray | None:
        """Compute the excess of the jump to a new chunk; None without one."""
        most = self._most
        if not most or self.last is None:
            return None
        with np.errstate(over='ignore', invalid='ignore'):
            jump = action - self.last
            excess: FloatArray = jump - np.clip(jump, -most, most)
        return excess if excess.any() and np.isfinite(excess).all() else None

    def _spread(self, rest: FloatArray, jump: FloatArray, position: float) -> FloatArray:
        """Subtract the remainder of a jump, which decreases with each action."""
        left = 1 - (position + np.arange(len(rest))) / self._over
        if left[0] <= 0:
            self._jump = None
            return rest
        with np.errstate(over='ignore', invalid='ignore'):
            joined: FloatArray = rest - np.maximum(left, 0).astype(np.float32)[:, None] * jump
        return joined
