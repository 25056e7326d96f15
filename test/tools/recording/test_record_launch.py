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
"""Launch file of the recorder, run as `ros2 launch` runs it."""

from __future__ import annotations

from pathlib import Path
import signal

import pytest

pytest.importorskip('launch_ros')

from std_srvs.srv import Trigger

from dfp_ros.node.ros.domain import free_domain
from testing.processes.launch_process import launch, output_of
from testing.processes.ros_processes import Peer
from training.data.formats.rosbag.bag import Bag

FILE = 'record.launch.py'


def test_records_until_ctrl_c(tmp_path: Path) -> None:
    """Its arguments reach the node, topics are in its namespace, and Ctrl-C leaves a whole bag."""
    domain, out = free_domain(), tmp_path / 'bag'
    process = launch(
        FILE, domain, 'robot:=ur5e_cube', f'out:={out}', 'storage:=sqlite3', 'namespace:=left')
    try:
        with Peer(domain) as peer:
            peer.call(Trigger, '/left/dfp_recorder/start_episode')
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert 'process has finished cleanly' in output
    assert 'Traceback' not in output
    assert (out / 'bag.db3').is_file()
    with Bag(out) as bag:
        assert bag.count('/left/episode_marks') == 1


@pytest.mark.parametrize(('arguments', 'message'), [
    (['robot:=ur5e_cube', 'out:={}/bag', 'episodes:=many'],
     "argument episodes: found 'many', expected int"),
    (['robot:=ur5e_cube', 'out:={}/bag', 'episodes:=-2'],
     'cannot start: parameter episodes: found -2, expected 0 to 1000000\n'),
    (['robot:=ur5e_cube', 'out:={}'], 'already exists'),
    (['robot:=ur5e_cube'], "argument 'out'")])
def test_says_what_is_wrong(tmp_path: Path, arguments: list[str], message: str) -> None:
    """A launch that cannot work ends by itself, with the reason."""
    output, _ = output_of(FILE, free_domain(), *(each.format(tmp_path) for each in arguments))
    assert message in output, output
