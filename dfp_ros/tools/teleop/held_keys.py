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
"""Held keys: what a person asks for by keys, of which a terminal tells only that they repeat."""

from __future__ import annotations

from collections.abc import Sequence

from dfp_ros.tools.teleop.controls import Control

#: Keys of each control: for more, and for less.
PAIRS = ('ws', 'ad', 'rf', 'jl', 'ik', 'uo', 'tg', 'yh', 'cv', 'bn', 'zx', '12', '34', '56')
HOLD, QUIT = ' ', 'q'
#: Time in s for which a key moves the robot: a terminal repeats it every 30 to 50 ms.
MOVES = 0.15


class HeldKeys:
    """
    Turns keys into deflections.

    A terminal tells neither when a key is let go nor that two are held. A key moves for a moment,
    and for as long as the terminal repeats it; any key of these holds the dead-man for a while.

    :param controls: What the person commands.
    :param release_after: Seconds without a key after which the person has let go.
    """

    def __init__(self, controls: Sequence[Control], release_after: float) -> None:
        """Start without a key."""
        self._controls = tuple(controls)
        self._release_after = release_after
        self._keys = {
            key: (i, sign) for i, pair in enumerate(PAIRS[:len(controls)])
            for key, sign in zip(pair, (1.0, -1.0), strict=True)}
        self._deflections = [control.rest for control in controls]
        self._until = [0.0] * len(controls)
        self._held_until = 0.0

    def press(self, key: str, now: float) -> bool:
        """
        Press a key.

        :param key: The key.
        :param now: Monotonic time in s.
        :return: Whether it is one of them.
        """
        key = key.lower()
        if (key == HOLD or key in self._keys) and not self.is_held(now):
            # A takeover begins: what was asked for in the last, the policy may have changed.
            self._deflections = [control.rest for control in self._controls]
        if key == HOLD:
            self._until = [0.0] * len(self._until)
        elif key in self._keys:
            control, sign = self._keys[key]
            self._deflections[control] = sign
            self._until[control] = now + MOVES
        else:
            return False
        self._held_until = now + self._release_after
        return True

    def release(self) -> None:
        """Let go of all keys."""
        self._held_until = 0.0

    def is_held(self, now: float) -> bool:
        """Tell whether the person commands."""
        return now < self._held_until

    def deflections(self, now: float) -> list[float]:
        """Return what is asked of each control, in [-1, 1]."""
        return [
            deflection if control.stays or now < until else 0.0
            for control, deflection, until in zip(
                self._controls, self._deflections, self._until, strict=True)]

    def help(self) -> str:
        """Describe the keys."""
        lines = [
            f'  {pair[0]} / {pair[1]}   {control.name}: {control.full:+.3g} / '
            f'{-control.full:+.3g} {control.unit}'
            for pair, control in zip(PAIRS, self._controls, strict=False)]
        return '\n'.join([
            *lines, '  space   hold the robot still',
            f'  no key  for {self._release_after:g} s: the policy has the robot again',
            f'  {QUIT}       quit'])
