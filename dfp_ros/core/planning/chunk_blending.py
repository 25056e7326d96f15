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
"""What chunks that overlap or follow each other become: averaged, interpolated, without a jump."""

from __future__ import annotations

from collections.abc import Sequence
import math

import numpy as np
from numpy.typing import NDArray

from dfp_ros.core.arrays import FloatArray
from dfp_ros.core.planning.chunk_player import ChunkPlayer, Due


class PlayedChunk:
    """
    A chunk that is played, and how it was made.

    :param player: Plays it.
    :param draw: How often noise was drawn until it was asked for.
    :param inference: Seconds that the policy took.

    :ivar due: Where in it the tick is, None where it is used up.
    :ivar first: The place that it began at.
    """

    def __init__(self, player: ChunkPlayer, draw: int, inference: float) -> None:
        """Wait for the first tick."""
        self.player = player
        self.draw = draw
        self.inference = inference
        self.due: Due | None = None
        self.first = 0.0

    def move(self, now: int) -> bool:
        """Go to a tick; tell whether the chunk still has an action for it."""
        self.due = self.player.next(now)
        return self.due is not None

    @property
    def place(self) -> float:
        """How many actions of it are over, whole and part."""
        assert self.due is not None, 'a chunk that is played has an action'
        return self.due.index + self.due.fraction


class ChunkBlender:
    """
    Makes one plan of the chunks that are played.

    What a policy answers may be huge: what becomes of that here may be infinite, or no number.

    :param ensemble_decay: How much less a chunk weighs than the one before it.
    :param most: Largest jump between two chunks, in action units; 0 is any.
    :param over: Actions over which a jump is spread.
    :param moving: Which numbers of an action move from one to the next in a straight line, shape
        (act_dim,); None for none.

    :ivar last: The action of the last tick, joined, shape (act_dim,); None where there is no plan.
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
        """Forget what was planned."""
        self._jump: FloatArray | None = None
        self.last: FloatArray | None = None

    def join(self, playing: Sequence[PlayedChunk], is_new: bool) -> FloatArray:
        """
        Plan one tick and what comes after it.

        :param playing: The chunks, the newest last.
        :param is_new: Whether the newest begins at this tick.
        :return: Shape (m, act_dim), float32, a control period apart.
        """
        newest, rest = playing[-1], self._rest(playing)
        if is_new:
            newest.first = newest.place
            self._jump = self._find_jump(rest[0])
        if self._jump is not None:
            rest = self._spread(rest, self._jump, newest.place - newest.first)
        self.last = rest[0]
        return rest

    def _rest(self, playing: Sequence[PlayedChunk]) -> FloatArray:
        """Put together what is planned from this tick on, a control period apart."""
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
        """Take what a chunk has for this tick and after it."""
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
        """Find by how much a new chunk jumps more than it may; None where it does not."""
        most = self._most
        if not most or self.last is None:
            return None
        with np.errstate(over='ignore', invalid='ignore'):
            jump = action - self.last
            excess: FloatArray = jump - np.clip(jump, -most, most)
        return excess if excess.any() and np.isfinite(excess).all() else None

    def _spread(self, rest: FloatArray, jump: FloatArray, place: float) -> FloatArray:
        """Take off what is left of a jump, less with each action."""
        left = 1 - (place + np.arange(len(rest))) / self._over
        if left[0] <= 0:
            self._jump = None
            return rest
        with np.errstate(over='ignore', invalid='ignore'):
            joined: FloatArray = rest - np.maximum(left, 0).astype(np.float32)[:, None] * jump
        return joined
