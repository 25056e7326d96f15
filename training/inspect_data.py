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
Inspect data files: contents, statistics, and the presets that can train on them.

    python -m training.inspect_data data/cube-single-play-v0.npz
    python -m training.inspect_data recorded.npz --html recorded.html
    python -m training.inspect_data data/so100_pick

All formats of ``training.train`` are supported, with the same error messages. The environment of
OGBench's files is derived from their name; ``--environment`` is for other names, and for another
task. For a folder of numbered files, each file is reported. The page is self-contained.
"""

from __future__ import annotations

import argparse
import sys

from dfp_ros.core.files.user_path import user_path
from dfp_ros.core.text.say import say
from training.common.disk import WriteError
from training.common.error_line import error_line
from training.common.files import atomic_path, require_output
from training.data.datasets import numbered
from training.data.inspection.figures import panels, png
from training.data.inspection.inspected import inspect, Inspected, page, terminal
from training.evaluation import environments
from training.presets import PRESETS


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns 2 if a file cannot be read."""
    made = argparse.ArgumentParser(
        prog='python -m training.inspect_data',
        description=(__doc__ or '').strip().splitlines()[0])
    made.add_argument('files', type=user_path, nargs='+', metavar='FILE')
    made.add_argument(
        '--environment', help="environment of the rewards (default: by the file's name)")
    made.add_argument(
        '--preset', action='append', choices=PRESETS, help='check only this preset; repeatable')
    made.add_argument(
        '--observation-keys', nargs='+', default=(), metavar='KEY',
        help='parts of the observation of a Robomimic file or a LeRobot dataset (default: the '
        'usual ones)')
    made.add_argument('--html', type=user_path, metavar='FILE',
                      help='HTML file for a page of plots')
    made.add_argument(
        '--png', type=user_path, metavar='FILE', help="PNG file for the first file's plots")
    asked = made.parse_args(arguments)
    try:
        require_output(asked.html)
        require_output(asked.png, '.png')
    except WriteError as error:
        say(error_line(error), to_errors=True)
        return 2
    environments.headless()
    found: list[Inspected] = []
    status = 0
    for path in asked.files:
        try:
            for file in numbered.files(path):
                one = inspect(
                    file, asked.environment, tuple(asked.preset or PRESETS),
                    tuple(asked.observation_keys))
                say(terminal(one) + '\n')
                # Numbered files do not fit into memory together.
                if asked.html or (asked.png and not found):
                    found.append(one)
        except (ValueError, OSError) as error:
            say(error_line(error), to_errors=True)
            status = 2
    try:
        if asked.html and found:
            with atomic_path(asked.html) as partial:
                partial.write_text(page(found), encoding='utf-8')
            say(asked.html)
        if asked.png and found:
            png(panels(found[0].data, found[0].facts, found[0].rewarded), asked.png)
            say(asked.png)
    except WriteError as error:
        say(error_line(error), to_errors=True)
        return 2
    return status


if __name__ == '__main__':
    sys.exit(main())
