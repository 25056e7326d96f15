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
Generated pages of the documentation: ``python -m documentation`` writes them.

``make docs`` calls it; ``--check`` only compares, and fails if a page differs.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
import sys

from documentation import (
    commands,
    description_keys,
    launch_files,
    metadata,
    parameters,
    pictures,
    topics,
)
from testing import ROOT

FOLDER = ROOT / 'docs'
NOTE = '<!-- Written by `python -m documentation`; change the code, not this page. -->\n\n'

#: Pages and pictures by name, in docs.
PAGES: dict[str, Callable[[], str]] = {
    'reference/parameters.md': lambda: parameters.page(ROOT),
    'reference/topics.md': lambda: topics.page(ROOT),
    'reference/launch-arguments.md': lambda: launch_files.page(ROOT),
    'reference/description-keys.md': lambda: description_keys.page(ROOT),
    'reference/metadata.md': metadata.page,
    'reference/commands.md': lambda: commands.page(ROOT),
    'reference/training-settings.md': commands.settings_page,
    'floors.svg': lambda: pictures.floors(ROOT),
    'episode-states.svg': pictures.states,
}


def made(name: str) -> str:
    """Make a page or a picture."""
    return (NOTE if name.endswith('.md') else '') + PAGES[name]()


def stale() -> list[str]:
    """List the pages that differ from what the code gives."""
    return [
        name for name in PAGES
        if not (FOLDER / name).is_file() or (FOLDER / name).read_text() != made(name)]


def main(arguments: list[str] | None = None) -> int:
    """
    Write or compare the pages.

    :return: Exit status.
    """
    parser = argparse.ArgumentParser(
        prog='python -m documentation', description='Write the generated pages of docs.')
    parser.add_argument('--check', action='store_true', help='only compare')
    if parser.parse_args(arguments).check:
        found = stale()
        for name in found:
            print(f'docs/{name} differs from the code; run `python -m documentation`',
                  file=sys.stderr)
        return 1 if found else 0
    (FOLDER / 'reference').mkdir(exist_ok=True)
    for name in PAGES:
        (FOLDER / name).write_text(made(name))
    return 0


if __name__ == '__main__':
    sys.exit(main())
