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
Node ``scripted_operator``: a person of a script, who corrects a policy on the simulated arm.

``ros2 run dfp_ros scripted_operator``, beside ``sim_node`` and the policy node

It sees topics of the simulated robot, and commands it only by the person's topics of the robot
description, as ``teleop_keyboard`` does: for measurements without people.
"""

from __future__ import annotations

if __name__ == '__main__':
    # First, because the following imports take half a second.
    from dfp_ros.node.process.start import begin
    begin()

import sys

from dfp_ros.node.parameters.parameters import LIFETIME
from dfp_ros.node.ros.node_main import run_node
from dfp_ros.node.ros.start import read_words
from dfp_ros.sim.operator.node import PARAMETERS, ScriptedOperatorNode


def main(args: list[str] | None = None) -> int:
    """
    Watch and correct until asked to end.

    :return: Exit status: 1 if it could not start, else 0.
    """
    read_words(
        'scripted_operator', 'Take the simulated arm over by a script, if its policy gets stuck.',
        [*((name, default, sentence) for name, default, sentence, _ in PARAMETERS), LIFETIME],
        args)
    return run_node('scripted_operator', ScriptedOperatorNode, args)


if __name__ == '__main__':
    sys.exit(main())
