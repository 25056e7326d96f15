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
"""Launch in a session of its own, which leaves no process behind."""

from __future__ import annotations

import json
import os
from pathlib import Path
import signal
import subprocess
import sys
from typing import Any

STOP_TIMEOUT = 20.0


class Launched:
    """
    Launch process in its own session, so that no process of it can be left behind.

    It ends with this process, too, which holds its input open, however this one ends.

    :param file: Name of a launch file of this package.
    :param settings: Launch arguments.
    :param folder: Folder for the log and the exit statuses.
    :param verbose: Print its output instead of logging it to the file.
    """

    def __init__(
            self, file: str, settings: dict[str, Any], folder: Path, verbose: bool) -> None:
        """Start the launch."""
        self._exits = folder / 'exits.json'
        self._log = folder / 'launch.log'
        with self._log.open('wb') as log:
            output = None if verbose else log
            self._process = subprocess.Popen(
                [sys.executable, '-m', 'dfp_ros.sim.demo.launch_process', str(self._exits),
                 file, *(f'{name}:={value}' for name, value in settings.items())],
                stdin=subprocess.PIPE, stdout=output, stderr=output, start_new_session=True)

    def running(self) -> bool:
        """Whether it is still running."""
        return self._process.poll() is None

    def stop(self) -> None:
        """Stop it as Ctrl-C would; kill processes that do not stop."""
        if self.running():
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()

    def exits(self) -> list[dict[str, Any]]:
        """Exit statuses of the processes; empty if the launch could not write them."""
        if not self._exits.exists():
            return []
        found: list[dict[str, Any]] = json.loads(self._exits.read_text(encoding='utf-8'))
        return found

    def last_words(self, process: str) -> list[str]:
        """Return the last log lines of a process."""
        lines = self._log.read_text(encoding='utf-8', errors='replace').splitlines()
        return [line for line in lines if f'[{process}]' in line][-12:]
