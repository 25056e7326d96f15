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
Node ``episode_manager``: episodes on a robot, from the start to the reset.

``ros2 run dfp_ros episode_manager --ros-args -p time_limit:=20.0``
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
from dfp_ros.tools.episodes.node import EpisodeManagerNode
from dfp_ros.tools.episodes.settings import list_parameters


def main(args: list[str] | None = None) -> int:
    """
    Manage episodes until asked to end; then stop the robot first.

    :return: Exit status: 1 if it could not start, or if another manager was there first, else 0.
    """
    read_words(
        'episode_manager', 'Manage the episodes of a robot: start, end, reset, statistics.',
        [*list_parameters(), LIFETIME], args)
    made: list[EpisodeManagerNode] = []

    def make() -> EpisodeManagerNode:
        made.append(EpisodeManagerNode())
        return made[0]

    return run_node('episode_manager', make, args) or int(any(node.failed for node in made))


if __name__ == '__main__':
    sys.exit(main())
