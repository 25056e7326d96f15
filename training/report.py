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
Compare runs in an HTML report: success, forces, losses, values, time, settings.

    python -m training.report runs/compare
    python -m training.report runs/clone runs/offline --out clone_or_improve.html

A run is a folder written by ``training.train``; the folder of a sweep includes all of its runs.
Runs that differ only in their seed share a curve. The page is self-contained.
"""

from __future__ import annotations

import argparse
from pathlib import Path
import sys

from dfp_ros.core.files.user_path import user_path
from dfp_ros.core.text.say import say
from training.common.disk import WriteError
from training.common.error_line import error_line
from training.common.files import atomic_path, require_output
from training.common.permission import permitted
from training.pages.style import png
from training.reports.figures import figures
from training.reports.page import render
from training.reports.runs import common_folder, find, group, read, ReportError


def report(folders: list[Path], out: Path | None = None, picture: Path | None = None) -> Path:
    """
    Write a report.

    :param folders: Folders of runs and of sweeps.
    :param out: HTML file to write; None for ``report.html`` in the common folder of the runs.
    :param picture: PNG file to write the figures to.
    :return: The HTML file.
    :raises ReportError: If there is no run, or it cannot be read.
    :raises OSError: If a file cannot be written.
    """
    require_output(picture, '.png')
    with permitted(folders[0], ReportError):
        found = find(folders)
    shared = common_folder(found)
    out = out or shared / 'report.html'
    require_output(out)
    groups = group(read(found), shared.name)
    shown = figures(groups)
    page = render(shared.name, groups, shown)
    with atomic_path(out) as partial:
        partial.write_text(page, encoding='utf-8')
    if picture:
        png(shown, [one.name for one in groups], picture)
    return out


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    made = argparse.ArgumentParser(
        prog='python -m training.report', description=(__doc__ or '').strip().splitlines()[0])
    made.add_argument(
        'runs', type=user_path, nargs='+', metavar='RUN', help='folder of a run, or of a sweep')
    made.add_argument('--out', type=user_path, metavar='FILE', help='HTML file to write (default: '
                      'report.html in the common folder of the runs)')
    made.add_argument('--png', type=user_path, metavar='FILE', help='PNG file for the figures')
    asked = made.parse_args(arguments)
    try:
        say(report(asked.runs, asked.out, asked.png))
    except ReportError as error:
        say(error_line(error), to_errors=True)
        return 2
    except OSError as error:
        say(error_line(error if isinstance(error, WriteError) else (
            f'{error.filename}: cannot be written ({error.strerror}); name another --out')),
            to_errors=True)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
