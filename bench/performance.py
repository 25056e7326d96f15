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
Performance page: tables and figures of docs/performance.md and README.md, from the results.

    python -m bench.performance

Reads the JSON files of bench/results, writes tables between the markers of docs/performance.md
and README.md, and figures beside the page. For a missing file the page names the command that
makes it; `make bench` makes most of them. With ``--out build/bench-quick`` the page is written
there instead, and the tables are printed.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
import json
from pathlib import Path
import re
import sys
from typing import Any

from bench import ROOT
from bench.page.figures import FIGURES
from bench.page.tables import SECTIONS
from training.common.files import atomic_path

#: Command that makes each file; `loop_learner` and the soak are not part of `make bench`.
MADE_BY = {
    'latency': 'python -m bench.latency', 'loop': 'python -m bench.loop',
    'loop_learner': 'python -m bench.loop --only "200 Hz, none" "a learner" --seconds 30',
    'graph': 'python -m bench.graph', 'wakeup': 'python -m bench.wakeup',
    'tick': 'python -m bench.tick', 'cameras': 'python -m bench.cameras',
    'swap': 'python -m bench.swap models/cube_single.onnx --fifo',
    'soak': 'make soak'}


class ResultError(ValueError):
    """A file is not the output of a benchmark."""


def read(folder: Path) -> dict[str, dict[str, Any] | None]:
    """
    Read the results of benchmarks.

    :param folder: Folder with the JSON files.
    :return: Results by benchmark; None if there is no file.
    :raises ResultError: If a file has no rows.
    """
    found: dict[str, dict[str, Any] | None] = {}
    for name in MADE_BY:
        file = folder / f'{name}.json'
        found[name] = None
        if not file.exists():
            continue
        try:
            made = json.loads(file.read_text())
            assert made['rows']
            assert made['machine']
        except (ValueError, KeyError, TypeError, AssertionError) as error:
            raise ResultError(
                f'{file}: found no JSON with rows and a machine ({error!r}), expected what '
                f'`{command(name, folder)}` writes; run that again') from error
        found[name] = made
    return found


def command(name: str, folder: Path = Path('bench/results')) -> str:
    """Return the command that makes a file."""
    made_by = MADE_BY[name]
    return made_by if made_by.startswith('make') else f'{made_by} --json {folder}/{name}.json'


def write_section(page: str, name: str, text: str, where: str) -> str:
    """
    Replace the text between two markers.

    :param page: The page.
    :param name: Name of the markers.
    :param text: The new text.
    :param where: The page's file, for error messages.
    :return: The new page.
    :raises ResultError: If the page has no such markers.
    """
    begin, end = f'<!-- {name} begins -->', f'<!-- {name} ends -->'
    before, found, rest = page.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found or not found_end:
        raise ResultError(
            f'{where}: found no text between `{begin}` and `{end}`, which `bench/performance.py` '
            'writes to; put the two lines back')
    return f'{before}{begin}\n\n{text}\n\n{end}{after}'


def section(name: str, results: Mapping[str, dict[str, Any] | None]) -> str:
    """Format a section, or name the commands whose output it lacks."""
    need, write = SECTIONS[name]
    missing = [each for each in need if results[each] is None]
    if missing:
        return '\n'.join(
            f'Not measured: there is no `{each}.json`; `{command(each)}` makes it.'
            for each in missing)
    pictures = [f'![{figure.words}]({figure.file})\n\n' for figure in FIGURES
                if figure.section == name and results[figure.source] is not None]
    return ''.join(pictures) + write(results)


def main(arguments: list[str] | None = None) -> int:
    """Write the page, its pictures and the table of the README."""
    made = argparse.ArgumentParser(description=(__doc__ or '').strip().splitlines()[0])
    made.add_argument('--results', type=Path, default=ROOT / 'bench' / 'results',
                      help='folder with the JSON files')
    made.add_argument('--page', type=Path, default=ROOT / 'docs' / 'performance.md',
                      help='page with the text and the markers')
    made.add_argument('--readme', type=Path, default=ROOT / 'README.md', help='likewise')
    made.add_argument('--out', type=Path,
                      help='write page and figures to this folder, and print the tables')
    asked = made.parse_args(arguments)
    try:
        results = read(asked.results)
        page, readme = asked.page.read_text(), asked.readme.read_text()
        for name in SECTIONS:
            if name == 'headline':
                readme = write_section(readme, name, section(name, results), str(asked.readme))
            else:
                page = write_section(page, name, section(name, results), str(asked.page))
    except ResultError as error:
        print(error, file=sys.stderr)
        return 1
    folder = asked.out or asked.page.parent
    for figure in FIGURES:
        found = results[figure.source]
        if found is not None:
            figure.draw(found['rows'], folder / figure.file)
    if asked.out:
        print(re.sub(r'<!--.*?-->\n*', '', page, flags=re.DOTALL))
        _write(asked.out / 'performance.md', page)
    else:
        _write(asked.page, page)
        _write(asked.readme, readme)
    return 0


def _write(path: Path, text: str) -> None:
    """Write a file atomically."""
    with atomic_path(path) as partial:
        partial.write_text(text)


if __name__ == '__main__':
    sys.exit(main())
