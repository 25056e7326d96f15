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
"""Property tests of file readers: any content is read or rejected, quickly and briefly."""

import json
from pathlib import Path
from random import Random
import re
import time

import pytest

from dfp_ros.core.description.robot import load_robot_description
from dfp_ros.core.description.yaml_section import DescriptionError, read_yaml
from dfp_ros.core.files.bounded_json import JsonError, read_json
from dfp_ros.core.files.bounded_yaml import LONGEST
from dfp_ros.core.units import read_unit
from testing import ROOT

SHIPPED = (ROOT / 'config' / 'ur5e_cube.yaml').read_text()
BOMB = 'a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n' + ''.join(
    f'{chr(98 + i)}: &{chr(98 + i)} [{", ".join(["*" + chr(97 + i)] * 10)}]\n' for i in range(8))


YAML = {
    'flow lists': ('[' * (LONGEST - 1), 'nesting deeper than 30'),
    'block lists': ('- ' * (LONGEST // 2), 'nesting deeper than 30'),
    'keys in keys': ('{a: ' * (LONGEST // 4), 'nesting deeper than 30'),
    'keys of keys': ('? ' * (LONGEST // 2), 'nesting deeper than 30'),
    'many values': ('[' + '1,' * (LONGEST // 2 - 2) + ']', 'more than 5000 values'),
    'many lines': ('- 1\n' * (LONGEST // 4), ':5000: found more than 5000 values'),
    'anchors': (''.join(f'- &a{i} x\n' for i in range(9000)), 'more than 5000 values'),
    'aliases': (BOMB, 'more than 5000 values'),
    'a list in itself': ('a: 1\nb: &b [*b]', ':2: found a value that contains itself'),
    'keys in themselves': ('&a {b: *a}', 'contains itself'),
    'long': ('a' * (LONGEST + 1), 'expected at most 131072'),
    'one text': ('a' * LONGEST, 'expected keys with values'),
    'one key': (f'? {"a" * (LONGEST - 10)}\n: 1', 'found an unknown key'),
    'a list for a key': ('? [1, 2]\n: 1', 'found a list or keys in the place of a key'),
    'empty lines': ('a:\n' + '\n' * (LONGEST - 10) + ' b', 'found an unknown key'),
    'two documents': ('a: 1\n---\na: 2', 'not YAML'), 'NUL': ('a: \x00', 'not YAML'),
    'objects': ('robot: !!python/object/apply:os.system [x]\nsources: 1\nobservation: 1\n'
                'commands: 1', 'expected'),
}


@pytest.mark.parametrize(('text', 'message'), YAML.values(), ids=YAML)
def test_yaml_that_means_no_good(tmp_path: Path, text: str, message: str) -> None:
    """No recursion, no expansion, no search, and no copy of the file in the message."""
    path = tmp_path / 'robot.yaml'
    path.write_text(text)
    begun = time.process_time()
    with pytest.raises(DescriptionError, match=r'robot\.yaml') as caught:
        load_robot_description(path)
    assert time.process_time() - begun < 2
    assert message in str(caught.value)
    assert len(str(caught.value)) < len(str(path)) + 400


@pytest.mark.parametrize(('old', 'new', 'message'), [
    ('    max_age:', '\tmax_age:', "found character '\\t' that cannot start any token; indent by "
     'spaces, not by tabs'),
    ('    max_age: ', '    max_age:', 'a key needs a space after its colon'),
    ('robot: ur5e_cube', 'robot: "ur5e_cube', 'found unexpected end of stream'),
    ('components: [x, y, z]', 'components: [x, y, z', "expected ',' or ']'"),
    ('robot: ur5e_cube', 'robot: \x07', 'unacceptable character #x0007'),
])
def test_slips_of_yaml(tmp_path: Path, old: str, new: str, message: str) -> None:
    """One line, with the number of the line and what is wrong there."""
    path = tmp_path / 'robot.yaml'
    assert old in SHIPPED
    path.write_text(SHIPPED.replace(old, new, 1))
    with pytest.raises(DescriptionError) as caught:
        load_robot_description(path)
    text = str(caught.value)
    assert '\n' not in text
    assert 'unicode string' not in text or new.endswith('\x07')
    assert message in text
    assert re.match(rf'{re.escape(str(path))}(:\d+)?: found text that is not YAML: ', text)
    if '\x07' not in new:
        assert text.startswith(f'{path}:')


def test_half_characters(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 have no description."""
    (tmp_path / 'robot.yaml').write_bytes(b'robot: \xff')
    with pytest.raises(DescriptionError, match='not YAML'):
        read_yaml(tmp_path / 'robot.yaml')


@pytest.mark.parametrize(('old', 'new', 'message'), [
    ('max_age: 0.2', f'max_age: {"9" * 400}', 'max_age: found the number 9999'),
    ('max_age: 0.2', f'max_age: {"9" * 5000}', 'max_age: found '),
    ('max_age: 0.2', f'max_age: 1{":1" * 60_000}', 'a number of 120001 characters, expected at'),
    ('max_age: 0.2', 'max_age: !!int ""', 'a value that its tag does not allow (IndexError)'),
    ('max_age: 0.2', 'max_age: 1.0e+10', 'max_age: found 1e+10, expected at most 4e+09'),
    ('max_age: 0.2', 'max_age: 1.0e+400', 'expected a finite number'),
    ('scale: 10.0', 'scale: 1.0e+200', 'scale: found 1e+200, expected at most 1e+12'),
    ('limit: 6.0', 'limit: 1.0e+10', 'limit: found 1e+10, expected less'),
    ('indices: [0]', 'indices: [1000000000]', 'found 1000000000, expected an index up to 100000'),
    ('max_age: 0.2', 'max_age: 0.2\n    qos: {depth: 2000000000}', 'depth: found 2000000000, exp'),
    ('    path: velocity', '    path: velocity\n    history: 1000000000', 'expected at most 1000'),
    ('robot: ur5e_cube', f'robot: {"a" * 10_000}', 'a text of 10000 characters, expected at most'),
    ('robot: ur5e_cube', r'robot: "a\n[INFO] all is well"', r"found 'a\n[INFO] all is well', exp"),
    ('robot: ur5e_cube', r'robot: "\e[2J"', 'expected printable characters'),
    ('joints: *arm_joints', f'joints: [{", ".join(f"j{i}" for i in range(4000))}]\n    history: 9',
     'observation: found 36'),
    ('joints: *arm_joints', f'joints: [{", ".join(f"j{i}" for i in range(15_000))}]',
     'more than 5000 values'),
], ids=lambda value: value[:40])
def test_numbers_without_bounds(tmp_path: Path, old: str, new: str, message: str) -> None:
    """Each is refused with file, line and key."""
    assert old in SHIPPED
    path = tmp_path / 'robot.yaml'
    path.write_text(SHIPPED.replace(old, new, 1))
    begun = time.process_time()
    with pytest.raises(DescriptionError, match=r'robot\.yaml:\d+: ') as caught:
        load_robot_description(path)
    assert time.process_time() - begun < 2
    assert message in str(caught.value)
    assert len(str(caught.value)) < len(str(path)) + 400


TAGS = ('bool', 'int', 'float', 'null', 'str', 'binary', 'timestamp', 'seq', 'set', 'map', 'omap',
        'pairs', 'merge', 'value', 'python/name:os.system', 'none/such')
ODD = ('zz', '""', '"-"', '"_"', '"0b"', '2001-99-99', '0001-01-01 00:00:00 +12:00', '.nan',
       '9' * 5000, '1:' + '59:' * 500 + '59.5', r'"\UFFFFFFFF"', r'"\ud800"', 'm/s 1/1e-320',
       '1/1e-400 m', '1/9e999 m')
TYPED = [f'!!{tag} {text}' for tag in TAGS for text in ('zz', '""', '"-"')]


def refusal(path: Path) -> str:
    """Return why a description is refused; empty if it is not."""
    try:
        load_robot_description(path)
    except DescriptionError as error:
        return str(error)
    return ''


@pytest.mark.parametrize('value', [*TYPED, *ODD], ids=lambda value: value[:40])
def test_values_that_do_not_fit_their_tag(tmp_path: Path, value: str) -> None:
    """For any error of PyYAML, the value is read or refused with file and line."""
    path = tmp_path / 'robot.yaml'
    for old in ('robot: ur5e_cube', 'max_age: 0.2', 'unit: rad', 'path: position'):
        assert old in SHIPPED
        path.write_text(SHIPPED.replace(old, f'{old.partition(":")[0]}: {value}', 1))
        fault = refusal(path)
        if fault:
            assert str(path) in fault
            assert re.search(r'robot\.yaml:\d+: |in "<unicode string>", line \d+', fault)
            assert len(fault) < len(str(path)) + 400


def test_random_tags(tmp_path: Path) -> None:
    """Tags at random places are no traceback either."""
    random = Random(4)
    path = tmp_path / 'robot.yaml'
    lines = SHIPPED.splitlines()
    places = [i for i, line in enumerate(lines) if re.search(r': [^{\[&*#]', line)]
    refused = 0
    for _ in range(150):
        i = random.choice(places)
        key, _, rest = lines[i].partition(': ')
        text = random.choice((rest, *ODD))
        new = f'{key}: !!{random.choice(TAGS)} {text}'
        path.write_text('\n'.join([*lines[:i], new, *lines[i + 1:]]))
        fault = refusal(path)
        refused += bool(fault)
        assert not fault or str(path) in fault
    assert refused > 75


def test_random_units() -> None:
    """Every text is some unit."""
    random = Random(5)
    parts = ('m', 'rad', 's', 'kN', '/', ' ', '1e-320', '1e308', '0', '^-9', '-9', '²', '⁻¹',
             'per', '(', ')', '·', '⋅', '%', 'ſ', '1e', '1e999', '−', 'min', 'um', 'km')
    for _ in range(3000):
        read_unit(''.join(random.choices(parts, k=random.randrange(12))))


JSON = {
    'lists': ('[' * 10**6, 'nesting deeper than 40'),
    'objects': ('{"a":' * 10**5, 'nesting deeper than 40'),
    'digits': ('9' * 400, 'a number of 400 digits, expected at most 40'),
    'exponent': ('1e999', 'the number 1e999, expected a finite one'),
    'no number': ('NaN', 'found NaN, expected a finite number'),
    'infinity': ('[-Infinity]', 'found -Infinity'), 'twice': ('{"a": 1, "a": 2}', "key 'a' twice"),
    'long': ('1' * (2 << 20), 'expected at most 1048576'),
    'text without an end': ('"' + '\\"[' * 300_000, 'not JSON'),
    'many texts': ('"a' * 500_000, 'not JSON'), 'nothing': ('', 'not JSON'),
    'no UTF-8': (b'"\xff"', 'not JSON'),
}


@pytest.mark.parametrize(('text', 'message'), JSON.values(), ids=JSON)
def test_json_that_means_no_good(text: str | bytes, message: str) -> None:
    """Likewise."""
    begun = time.process_time()
    with pytest.raises(JsonError) as caught:
        read_json(text)
    assert time.process_time() - begun < 2
    assert message in str(caught.value)
    assert len(str(caught.value)) < 300


def test_json_as_it_is_meant() -> None:
    """All valid JSON is read as by any other parser, including brackets in strings."""
    content = {'a': [1, -2.5, None, True, '[[[{{{\\"' * 100], 'b': {'c': [[[[]]]]}}
    assert read_json(json.dumps(content)) == content
    assert read_json(json.dumps(content).encode()) == content
    assert read_json('[Infinity]', infinite=True) == [float('inf')]
