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
Launch as a process, which records the exit status of its nodes.

``python -m dfp_ros.sim.demo.launch_process exits.json demo.launch.py episodes:=10``
"""

from __future__ import annotations

import json
import os
from pathlib import Path
import signal
import sys
from threading import Thread
from typing import Any

from ament_index_python import get_package_share_directory, PackageNotFoundError
from launch import LaunchDescription, LaunchService  # type: ignore[attr-defined]
from launch.actions import IncludeLaunchDescription, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.launch_description_sources import PythonLaunchDescriptionSource

from dfp_ros.core.files.atomic import atomic_path


def find_launch_file(name: str) -> Path:
    """Find a launch file of this package: installed by colcon or pip, or in a checkout."""
    beside = Path(__file__).resolve().parents[3] / 'launch' / name
    try:
        share = Path(get_package_share_directory('dfp_ros'))
    except PackageNotFoundError:
        return beside
    installed = share / 'launch' / name
    return installed if installed.is_file() else beside


def end_with_the_input() -> None:
    """End the launch as Ctrl-C would, once the process that started it is gone."""
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGINT)


def main(arguments: list[str] | None = None) -> int:
    """
    Run the launch until it ends, its input does, or it receives SIGINT.

    :param arguments: File for the exit statuses, name of the launch file, and launch arguments,
        ``name:=value``.
    """
    exits_file, file, *settings = sys.argv[1:] if arguments is None else arguments
    exits: list[dict[str, Any]] = []

    def remember(event: Any, context: Any) -> None:
        exits.append({'process': event.process_name, 'status': event.returncode})

    # Not interactive: SIGINT reaches only this process, which forwards it.
    service = LaunchService(noninteractive=True)
    service.include_launch_description(LaunchDescription([
        IncludeLaunchDescription(
            PythonLaunchDescriptionSource(str(find_launch_file(file))),
            launch_arguments=[setting.split(':=', 1) for setting in settings]),
        # Handlers are called from the last to the first, and the launch file's own handler raises
        # an error if a process failed, after which no other handler is called.
        RegisterEventHandler(OnProcessExit(on_exit=remember)),
    ]))
    Thread(target=end_with_the_input, daemon=True).start()
    status = int(service.run())
    with atomic_path(Path(exits_file)) as partial:
        partial.write_text(json.dumps(exits), encoding='utf-8')
    return status


if __name__ == '__main__':
    sys.exit(main())
