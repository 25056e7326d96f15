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
Keys of robot descriptions and of adopted policies' meanings, from the code that reads them.

The files of the project are read, and every question for known keys is noted: where in the file,
which keys are required there and which may be left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
import re
import tempfile

from dfp_ros.core.description.robot import load_robot_description
from dfp_ros.core.description.yaml_section import Section
from dfp_ros.tools.adopt.adoption import read_adoption
from documentation.markdown import code, table
from testing.fixtures.descriptions import GRIP

_Noted = dict[str, list[tuple[set[str], set[str]]]]
#: Place in a description, and the page and section that explain its keys.
PLACES = {
    '': '../robot-description.md',
    'sources.NAME': '../robot-description.md#sources',
    'sources.NAME.qos': '../robot-description.md#sources',
    'sources.NAME.picture': '../robot-description.md#cameras',
    'images[]': '../robot-description.md#cameras',
    'observation[]': '../robot-description.md#observation',
    'observation[].minus': '../robot-description.md#observation',
    'observation[].relative_to': '../robot-description.md#observation',
    'commands.NAME': '../robot-commands.md#a-topic',
    'commands.NAME.fields[]': '../robot-commands.md#a-topic',
    'commands.NAME.fields[].measured': '../robot-commands.md#a-topic',
    'commands.NAME.fields[].limits': '../robot-commands.md#limits',
    'commands.NAME.fields[].limits.position': '../robot-commands.md#limits',
    'takeover': '../takeover.md#keys',
    'takeover.sources.NAME': '../takeover.md#keys',
    'takeover.dead_man': '../takeover.md#keys',
    'takeover.fields[]': '../takeover.md#keys',
    'takeover.fields[].minus': '../takeover.md#keys',
}
MEANING_PLACES = {
    '': '../adopting.md#the-file',
    'inputs.NAME': '../adopting.md#the-file',
    'inputs.NAME.terms[]': '../adopting.md#the-file',
    'outputs.NAME': '../adopting.md#the-file',
    'outputs.NAME.fields[]': '../adopting.md#the-file',
    'constants[]': '../adopting.md#the-file',
}


# The rest of what a term or a field can be.
_MEANING = """
name: page
environment: none
period: 0.02
inputs:
  obs:
    order: term
    first: oldest
    shape: [1, 6]
    terms:
      - {name: place, unit: m, size: 2, low: -1, high: 1}
      - {again: place, scale: 2}
      - {constant: [1, 0]}
      - {last_action: actions, history: 2}
outputs:
  actions:
    fields:
      - {unused: 1}
      - {name: target, unit: m, size: 1, low: -1, high: 1}
"""


@contextmanager
def _noting() -> Iterator[_Noted]:
    """Note which keys are asked for."""
    noted: _Noted = {}
    original = Section.mapping

    def mapping(
            self: Section, required: Sequence[str],
            optional: Sequence[str] = ()) -> dict[str, Section]:
        place = re.sub(r'\[\d+\]', '[]', self.where.rpartition(' ')[2])
        place = '' if re.fullmatch(r'.*:\d+', place) else place
        place = re.sub(
            r'^(takeover\.)?(sources|commands|inputs|outputs)\.[^.[]+', r'\1\2.NAME', place)
        noted.setdefault(place, []).append((set(required), {*required, *optional}))
        return original(self, required, optional)

    Section.mapping = mapping  # type: ignore[method-assign]
    try:
        yield noted
    finally:
        Section.mapping = original  # type: ignore[method-assign]


def note_descriptions(root: Path) -> _Noted:
    """Read all robot descriptions of the project, and the examples of the pages about them."""
    with _noting() as noted:
        for path in sorted((
                *(root / 'config').glob('*.yaml'), *(root / 'testing' / 'data').glob('*.yaml'))):
            text = path.read_text()
            if re.search(r'^robot:', text, re.MULTILINE):
                load_robot_description(path)
        _read_examples((root / 'docs' / 'robot-description.md').read_text())
    return noted


def _read_examples(page: str) -> None:
    """Put the examples of the page into one description, and read it."""
    parts: dict[str, str] = {}
    for block in re.findall(r'^```yaml\n(.*?)^```$', page, re.DOTALL | re.MULTILINE):
        key, _, body = block.partition(':\n')
        parts[key] = parts.get(key, f'{key}:\n') + body
    _read_text('robot: page\n' + GRIP + ''.join(parts.values()), load_robot_description)


def _read_text(text: str, read: Callable[[Path], object]) -> None:
    """Read a text as a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / 'example.yaml'
        path.write_text(text)
        read(path)


def note_meanings(root: Path) -> _Noted:
    """Read all meanings of adopted policies in the project."""
    with _noting() as noted:
        for path in sorted((root / 'testing' / 'data').rglob('*.adopt.yaml')):
            read_adoption(path)
        _read_text(_MEANING, read_adoption)
    return noted


def page(root: Path) -> str:
    """
    Format the page.

    :param root: The checkout.
    """
    parts = [
        '# Keys of YAML files',
        'Every key that a robot description and the meaning of an adopted policy may have, from '
        'the code that reads them. Other keys are refused, with the nearest valid one. `NAME` is '
        'a name of your choice, `[]` an item of a list. *Needed* are keys that an item of any '
        'kind must have; the pages say which ones exclude each other.',
        '## Robot description', _keys(note_descriptions(root), PLACES),
        '## Meaning of an adopted policy', _keys(note_meanings(root), MEANING_PLACES)]
    return '\n\n'.join(parts) + '\n'


def _keys(noted: _Noted, places: dict[str, str]) -> str:
    """
    Format the keys of a file.

    :raises ValueError: If a place is not listed, or a listed one was not read.
    """
    if noted.keys() != places.keys():
        raise ValueError(
            f'documentation/description_keys.py: found the places {sorted(noted)}, expected '
            f'{sorted(places)}')
    rows = []
    for place, link in places.items():
        needed = set.intersection(*(required for required, _ in noted[place]))
        known = set.union(*(each for _, each in noted[place]))
        rows.append([
            code(place) if place else 'at the top', ', '.join(map(code, sorted(needed))),
            ', '.join(map(code, sorted(known - needed))),
            f'[{link.partition("/")[2].partition(".")[0]}]({link})'])
    return table(('place', 'needed', 'others', 'explained in'), rows)
