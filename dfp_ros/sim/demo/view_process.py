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
"""View of the demo in Rerun, as a process of its own that only listens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
import signal
import subprocess
import sys

# Timeout of its end in s; it may still have to write.
_STOP_TIMEOUT = 15.0


class ViewProcess:
    """
    Process of ``ros2 run dfp_ros view``.

    :param options: Its options.
    :param folder: Folder for its log.
    """

    def __init__(self, options: Sequence[str], folder: Path) -> None:
        """Start it."""
        self._log = folder / 'view.log'
        with self._log.open('wb') as log:
            self._process = subprocess.Popen(
                [sys.executable, '-m', 'dfp_ros.tools.view.main', *options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def stop(self) -> list[str]:
        """
        End it.

        :return: Its output.
        """
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        try:
            status = self._process.wait(_STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        lines = self._log.read_text(encoding='utf-8', errors='replace').splitlines()
        return [*lines[-5:], *([f'the view ended with status {status}'] if status else [])]
