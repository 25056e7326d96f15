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
"""Parameters from command line and files, and errors of unused ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfp_ros.node.parameters.files import (
    Given,
    name_from,
    own_words,
    parameter_files,
    ParameterFileError,
    read_file,
    read_given,
    require_files,
    require_meant,
    ros_words,
)

NODE = '/left/dfp_policy'


def write(folder: Path, text: str) -> str:
    """Write a parameter file."""
    path = folder / 'given.yaml'
    path.write_text(text, encoding='utf-8')
    return str(path)


def test_words_for_ros() -> None:
    """Those between --ros-args and --."""
    words = ['node', '-p', 'x:=1', '--ros-args', '-p', 'a:=1', '--', '-p', 'y:=2',
             '--ros-args', '--params-file', 'f.yaml', '-r', '__ns:=/left']
    assert ros_words(words) == ['-p', 'a:=1', '--params-file', 'f.yaml', '-r', '__ns:=/left']
    assert own_words(words) == ['node', '-p', 'x:=1', '-p', 'y:=2']
    assert parameter_files(words) == ['f.yaml']
    assert name_from(words, 'dfp_policy') == NODE
    assert name_from(['--ros-args', '-r', '__node:=pilot'], 'dfp_policy') == '/pilot'
    mixed = [
        '--ros-args', '-r', 'dfp_policy:__node:=pilot', '-r', 'dfp_preflight:__ns:=/other']
    assert name_from(mixed, 'dfp_policy') == '/pilot'
    assert name_from(mixed, 'dfp_preflight') == '/other/dfp_preflight'
    # As in rcl, the first rule counts.
    twice = [
        '--ros-args', '-r', 'dfp_policy:__ns:=/a', '-r', '__ns:=/b', '-r', '__node:=c', '-r',
        'dfp_policy:__node:=d']
    assert name_from(twice, 'dfp_policy') == '/a/c'
    assert name_from(twice, 'dfp_preflight') == '/b/c'


@pytest.mark.parametrize(('pattern', 'is_for'), [
    ('/**', True), ('**', True), ('/left/dfp_policy', True), ('left/dfp_policy', True),
    ('/*/dfp_policy', True), ('/**/dfp_policy', True), ('/left/**', True), ('/left/*', True),
    ('dfp_policy', False), ('/*', False), ('/right/dfp_policy', False), ('policy_node', False)])
def test_whose_they_are(pattern: str, is_for: bool) -> None:
    """As rcl reads names and patterns."""
    assert Given('f.yaml', pattern).is_for(NODE) == is_for


def test_reads_sections_and_groups(tmp_path: Path) -> None:
    """Namespaces and groups may be nested."""
    found = read_file(write(tmp_path, """
/**: {ros__parameters: {use_sim_time: true}}
left:
  dfp_policy:
    ros__parameters:
      safety: {envelope: hold, slow_speed: 0.5}
      limits.ramp_in: 2.0
"""))
    assert [(each.pattern, dict(each.values)) for each in found] == [
        ('/**', {'use_sim_time': True}),
        ('/left/dfp_policy', {
            'safety.envelope': 'hold', 'safety.slow_speed': 0.5, 'limits.ramp_in': 2.0})]


@pytest.mark.parametrize(('text', 'message'), [
    ('', 'found nothing in it'),
    ('# only a comment\n', 'found nothing in it'),
    ('/**: {ros__parameters: {}}', 'found no parameters in it'),
    ('policy_node: {ros__parameters: {rate: 5.0}}', "found '/policy_node'; name it dfp_policy"),
    ('/right/dfp_policy: {ros__parameters: {rate: 5.0}}', "found '/right/dfp_policy'"),
    ('dfp_policy: {ros__parameters: {rate: 5.0}}', f'nothing in it is for this node, {NODE}'),
    ('{/**: {ros__parameters: {rate: 5.0}}, /left/dfp_polcy: {ros__parameters: {a: 5.0}}}',
     "'/left/dfp_polcy' is not the name of this node"),
    ('{/**: {ros__parameters: {rate: 5.0}}, policy_node: {ros__parameters: {a: 5.0}}}',
     "'/policy_node' is not the name of this node"),
    ('a: [b', 'cannot be read')])
def test_refuses_parameters_that_would_be_ignored(tmp_path: Path, text: str, message: str) -> None:
    """The error has finding and remedy."""
    arguments = ['--ros-args', '--params-file', write(tmp_path, text)]
    with pytest.raises(ParameterFileError) as caught:
        require_meant(read_given(arguments), NODE)
    assert message in str(caught.value)


@pytest.mark.parametrize(('text', 'message'), [
    ('dfp_policy:\n  ros__parameters:\n    rate: 5.0\n    policy: a\n    rate: 50.0\n',
     "line 5: the parameter 'rate' of '/dfp_policy' is given twice, first in line 3"),
    ('dfp_policy:\n  ros__parameters:\n    safety: {jump: hold}\n    safety.jump: ignore\n',
     "line 4: the parameter 'safety.jump' of '/dfp_policy' is given twice, first in line 3"),
    ('dfp_policy:\n  ros__parameters:\n    safety: {jump: hold}\n    safety: {stuck: hold}\n',
     "line 4: the parameter 'safety' of '/dfp_policy' is given twice, first in line 3"),
    ('/**:\n  ros__parameters: {rate: 5.0}\n/**:\n  ros__parameters: {policy: a}\n',
     "line 3: the key '/**' is given twice, first in line 1"),
    ('a:\n  b: {ros__parameters: {rate: 5.0}}\n/a/b: {ros__parameters: {rate: 6.0}}\n',
     "line 3: the parameter 'rate' of '/a/b' is given twice, first in line 2"),
    ('a:\n  ros__parameters: {rate: 5.0}\n  ros__parameters: {rate: 6.0}\n',
     "line 3: the key 'ros__parameters' is given twice, first in line 2")])
def test_refuses_what_is_given_twice(tmp_path: Path, text: str, message: str) -> None:
    """With both lines: rcl would use the last, and other readers the first."""
    name = write(tmp_path, text)
    with pytest.raises(ParameterFileError) as caught:
        read_file(name)
    assert f'parameter file {name}, {message}; remove one' in str(caught.value)


def test_takes_files_for_a_whole_system(tmp_path: Path) -> None:
    """Sections for other nodes are ignored; one for another namespace is reported."""
    name = write(tmp_path, """
/controller_manager: {ros__parameters: {update_rate: 500}}
/left/dfp_policy: {ros__parameters: {rate: 20.0}}
/right/dfp_policy: {ros__parameters: {rate: 50.0}}
""")
    given = read_given(['--ros-args', '--params-file', name])
    assert require_meant(given, NODE) == []
    name = write(tmp_path, """
/**: {ros__parameters: {use_sim_time: true}}
/right/dfp_policy: {ros__parameters: {rate: 50.0}}
""")
    given = read_given(['--ros-args', '--params-file', name])
    assert "'/right/dfp_policy' is not this node" in require_meant(given, NODE)[0]


def test_arguments_for_one_node() -> None:
    """``-p node:name:=value`` of another node is refused too."""
    require_meant(read_given(['--ros-args', '-p', 'rate:=5.0']), NODE)
    require_meant(read_given(['--ros-args', '-p', 'dfp_policy:rate:=5.0']), '/dfp_policy')
    with pytest.raises(ParameterFileError, match='argument -p dfp_polcy:rate:=5.0: nothing'):
        require_meant(read_given(['--ros-args', '-p', 'dfp_polcy:rate:=5.0']), '/dfp_policy')


def test_files_that_are_not_there(tmp_path: Path) -> None:
    """The error comes before that of rcl."""
    with pytest.raises(ParameterFileError, match='found a folder, expected a file'):
        require_files(['--ros-args', '--params-file', str(tmp_path)])
    with pytest.raises(ParameterFileError, match='there is no such file .*; ~ is not expanded'):
        require_files(['--ros-args', '--params-file', '~nobody/x.yaml'])
    with pytest.raises(ParameterFileError, match='no file can have that path'):
        require_files(['--ros-args', '--params-file', 'a' * 5000])


def test_aliases_that_grow_without_end_are_refused(tmp_path: Path) -> None:
    """Exponential aliases are rejected quickly, because the node has not started yet."""
    lines = ['a0: &a0 {x: 1, y: 2}', *(
        f'a{i}: &a{i} {{x: *a{i - 1}, y: *a{i - 1}}}' for i in range(1, 30))]
    path = tmp_path / 'bomb.yaml'
    path.write_text('\n'.join([*lines, 'dfp_policy: {ros__parameters: {policy: *a29}}']))
    with pytest.raises(ParameterFileError, match='bomb.yaml: cannot be read: found more than'):
        read_file(str(path))


@pytest.mark.parametrize('value', [
    '!!python/name:os.system x', '2001-99-99', '9' * 5000, '{a: *a}', '!!int ""',
    '[!!bool zz]', '1' + ':1' * 60_000], ids=lambda value: value[:20])
def test_a_value_that_yaml_cannot_make_is_refused_with_its_file(
        tmp_path: Path, value: str) -> None:
    """The error names the file, for any error of the parser."""
    path = tmp_path / 'odd.yaml'
    path.write_text(f'dfp_policy: &a\n  ros__parameters:\n    policy: {value}\n')
    with pytest.raises(ParameterFileError, match='odd.yaml: cannot be read'):
        read_file(str(path))
