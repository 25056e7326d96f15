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
"""Control steps of a recording, with observations computed as by the policy node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from dfp_ros.core.arrays import Pictures
from dfp_ros.core.control.decision import State
from dfp_ros.core.control.decision_row import RecordedDecision
from dfp_ros.core.description.robot import RobotDescription
from dfp_ros.core.observation.builder import ObservationBuilder
from dfp_ros.core.observation.sample import NotFiniteError, NotReadyError, ObservationError, Sample
from dfp_ros.core.pictures.picture import find_pictures, pixels_of


@dataclass(frozen=True)
class Event:
    """
    A message of the recording.

    :param kind: Kind of message.
    :param name: Name of the source, or of the command topic; empty for the others.
    :param time: Reception time in ns.
    :param content: A sample, parts of a command by name or the reason why there is none, a
        decision, a mark, or the number of an anchored policy.
    """

    kind: Literal['sample', 'command', 'decision', 'mark', 'anchored']
    name: str
    time: int
    content: Any


@dataclass(frozen=True)
class Tick:
    """
    One control step.

    :param time: In ns.
    :param follows: Whether it is one control period after the previous step.
    :param problem: Reason why it cannot be used; empty if it can.
    :param observation: Shape (obs_dim,), float32, or None if there is a problem.
    :param action: Shape (act_dim,), in [-1, 1] if the command was within its bounds, or None.
    :param logged: The observation that the node logged, or None.
    :param detail: Details of the problem.
    :param policy: Number of the policy, :func:`dfp_ros.core.control.input_log.policy_number`; 0 if
        unknown.
    :param by_person: Whether a person commanded the robot.
    :param changes: Whether the policy, its settings, or who commands is new: an action chunk must
        not reach across.
    :param pictures: Pictures of the observation, in the robot description's order.
    :param is_stop: Whether ``~/stop`` holds the robot, and nothing else came between; see
        :func:`is_stop`.
    """

    time: int
    follows: bool
    problem: str
    observation: np.ndarray | None = None
    action: np.ndarray | None = None
    logged: np.ndarray | None = None
    detail: str = ''
    policy: int = 0
    by_person: bool = False
    changes: bool = False
    pictures: Pictures = ()
    is_stop: bool = False


Step: TypeAlias = 'Tick | str'
"""A control step, or a mark between two control steps."""


def is_stop(last: RecordedDecision | None, decision: RecordedDecision, period: int) -> bool:
    """
    Tell whether ``~/stop`` holds the robot, and nothing else came between it and the step before.

    Whoever ends an episode may stop the robot first, as the episode manager does: an end mark that
    comes then judges the steps before the stop.

    :param last: The decision before; None if there is none.
    :param decision: The decision.
    :param period: Control period in ns.
    """
    if decision.state is not State.STOPPED or last is None or decision.number != last.number + 1:
        return False
    passed = decision.stamp - last.stamp
    return passed > 0 and (decision.lockstep or passed <= 1.5 * period)


class Observer:
    """
    Computes observations as the node does, and rejects sources whose time goes back.

    :param robot: The robot's description.

    :ivar pictures: Pictures of the last observation.
    """

    def __init__(self, robot: RobotDescription) -> None:
        """Start before the first observation."""
        self.pictures: Pictures = ()
        self._images = robot.images
        self._builder = ObservationBuilder(robot.observation)
        self._times: dict[str, int] = {}

    def reset(self) -> None:
        """Discard the history, because steps were left out or an episode begins."""
        self._builder.reset()

    def observe(
            self, now: int, samples: Mapping[str, Sample],
            ) -> tuple[np.ndarray | None, str, str]:
        """
        Compute an observation.

        :param now: Time of the step in ns.
        :param samples: One of every source.
        :return: The observation or None, the problem or an empty string, and its details.
        """
        # Latched messages may be replaced by ones with any stamp.
        times = {name: sample.time for name, sample in samples.items() if not sample.lasts}
        back = [name for name, time in times.items() if time < self._times.get(name, time)]
        before, self._times = self._times, times
        if back:
            self.reset()
            return None, 'stamps out of order', (
                f'source {back[0]!r}: a message stamped {times[back[0]]} ns came after one '
                f'stamped {before[back[0]]} ns')
        self.pictures = ()
        try:
            observation = self._builder.build(samples, now)
            if self._images:
                self.pictures = pixels_of(find_pictures(self._images, samples))
            return observation, '', ''
        except NotReadyError as error:
            return None, 'earlier steps missing', str(error)
        except NotFiniteError as error:
            return None, 'number not finite', str(error)
        except ObservationError as error:
            return None, 'message unreadable', str(error)
