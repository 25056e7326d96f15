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
Parameters on a command line, by ``--params-file`` and ``-p``, and the nodes that they are for.

rcl silently ignores parameters of other nodes. That is right for a file of a whole system; but a
file whose only section has a misspelt name would leave a robot without its safety settings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
import re
from typing import Any

import yaml

from dfp_ros.core.files.bounded_yaml import compose_yaml, convert_node
from dfp_ros.core.files.missing import explain_missing
from dfp_ros.core.text.errors import explain, near_names
from dfp_ros.core.text.printable import printable

# Names that are written by mistake in place of the node's.
_EXECUTABLES = ('policy_node', 'recorder', 'sim_node', 'preflight', 'dfp_ros')
_KEY = 'ros__parameters'
_LARGEST = 1 << 20
_RULE = re.compile(r'(?:([^:=\s]+):)?([^:=\s]+):=')


class ParameterFileError(ValueError):
    """A parameter file is missing, or has nothing for the node; the message has the remedy."""


@dataclass(frozen=True)
class Given:
    """
    Parameters for the nodes of a name or pattern.

    :param origin: The file, or the argument.
    :param pattern: A node's name, or a pattern of such names.
    :param values: Values by name.
    """

    origin: str
    pattern: str
    values: Mapping[str, Any] = field(default_factory=dict)

    def is_for(self, node: str) -> bool:
        """Whether they are for a node of this full name, by the rules of rcl."""
        pattern = '/' + self.pattern.lstrip('/')
        parts = [
            '(/[^/]+)*' if part == '**' else '/[^/]+' if part == '*' else '/' + re.escape(part)
            for part in pattern.split('/')[1:]]
        return re.fullmatch(''.join(parts), node) is not None


def own_words(arguments: Sequence[str]) -> list[str]:
    """
    List the words of a command line that are not for ROS.

    rclpy's own function takes NAME:=VALUE for a remapping of ROS 1, and would hide the mistake.
    """
    found, inside = [], False
    for word in arguments:
        if word == '--ros-args':
            inside = True
        elif word == '--' and inside:
            inside = False
        elif not inside:
            found.append(word)
    return found


def ros_words(arguments: Sequence[str]) -> list[str]:
    """List the words of a command line that are for ROS."""
    found, inside = [], False
    for word in arguments:
        if word == '--ros-args':
            inside = True
        elif word == '--':
            inside = False
        elif inside:
            found.append(word)
    return found


def parameter_files(arguments: Sequence[str]) -> list[str]:
    """List the parameter files of a command line."""
    return _values_of(arguments, ('--params-file',))


def _values_of(arguments: Sequence[str], flags: Iterable[str]) -> list[str]:
    """List the values of some flags."""
    words = ros_words(arguments)
    return [
        value for flag, value in zip(words, words[1:], strict=False) if flag in set(flags)]


def name_from(arguments: Sequence[str], name: str) -> str:
    """
    Determine the full name that a node will have.

    :param arguments: The command line.
    :param name: The node's own name.
    """
    # The first rule counts.
    found: dict[str, str] = {}
    for rule in _values_of(arguments, ('-r', '--remap')):
        target, _, value = rule.partition(':=')
        # A rule may begin with the name of the node that it is for.
        owner, _, target = target.rpartition(':')
        if owner.lstrip('/') in ('', name):
            found.setdefault('__node' if target == '__name' else target, value)
    space, name = found.get('__ns', '/').strip('/'), found.get('__node', name)
    return f'/{space}/{name}' if space else f'/{name}'


def require_files(arguments: Sequence[str]) -> None:
    """
    Require that the parameter files of a command line exist, before rcl reads them.

    :raises ParameterFileError: At the first that does not.
    """
    for name in parameter_files(arguments):
        path = Path(name)
        try:
            is_folder, is_there = path.is_dir(), path.exists()
        except (OSError, ValueError) as error:
            raise ParameterFileError(
                f'parameter file {printable(name)}: no file can have that path: '
                f'{explain(error)}') from error
        if is_folder:
            raise ParameterFileError(f'parameter file {name}: found a folder, expected a file')
        if not is_there:
            hint = '; ~ is not expanded here' if name.startswith('~') else ''
            missing = explain_missing(path, ('.yaml', '.yml'))
            raise ParameterFileError(f'parameter file {name}: {missing}{hint}')


def read_given(arguments: Sequence[str]) -> list[Given]:
    """
    List the parameters of a command line and their nodes, in the order of rcl.

    :param arguments: The command line.
    :raises ParameterFileError: If a file is empty.
    """
    found = []
    for name in parameter_files(arguments):
        # A file that is not regular, as of a shell's <(...), can be read only once.
        if Path(name).is_file():
            found += read_file(name)
    for rule in _values_of(arguments, ('-p', '--param')):
        if parsed := _RULE.match(rule):
            value = rule[parsed.end():]
            found.append(Given(rule, parsed[1] or '/**', {parsed[2]: value}))
    return found


def read_file(name: str) -> list[Given]:
    """
    Read a parameter file.

    :param name: The file.
    :raises ParameterFileError: If it is empty, no parameter file, or has a key or a parameter
        twice, of which rcl would silently use one.
    """
    path = Path(name)
    try:
        if path.stat().st_size > _LARGEST:
            raise ParameterFileError(
                f'parameter file {name}: found {path.stat().st_size} bytes, expected at most '
                f'{_LARGEST}')
        top = compose_yaml(path.read_text(encoding='utf-8'))
        sections: list[Given] = []
        if top is not None:
            _find_sections(top, '', name, sections, {})
    except ParameterFileError:
        raise
    except (OSError, RecursionError, ValueError) as error:
        raise ParameterFileError(f'parameter file {name}: cannot be read: {error}') from error
    if not any(section.values for section in sections):
        raise ParameterFileError(
            f'parameter file {name}: found {"no parameters" if top is not None else "nothing"} '
            f'in it, expected a node name or /**, in it {_KEY}, and in that the parameters')
    return sections


# Line of each parameter that a file gives, by pattern of its nodes and name.
_Lines = dict[tuple[str, str], int]


def _find_sections(
        node: yaml.Node, prefix: str, origin: str, found: list[Given], lines: _Lines) -> None:
    """Find each ``ros__parameters``; the keys above it are the name of its nodes."""
    if not isinstance(node, yaml.MappingNode):
        return
    keys: _Lines = {}
    for key, value in node.value:
        name = str(key.value)
        _require_new(origin, keys, prefix, name, key, f'the key {printable(name)!r}')
        if name == _KEY:
            values: dict[str, Any] = {}
            _flatten(value, '', Given(origin, prefix or '/**', values), values, lines)
            found.append(Given(origin, prefix or '/**', values))
        else:
            _find_sections(value, f'{prefix}/{name.strip("/")}', origin, found, lines)


def _flatten(
        node: yaml.Node, prefix: str, given: Given, values: dict[str, Any], lines: _Lines) -> None:
    """Name parameters as ROS does: groups and names separated by dots."""
    if not isinstance(node, yaml.MappingNode):
        return
    keys: _Lines = {}
    for key, value in node.value:
        name = f'{prefix}{key.value}'
        what = f'the parameter {printable(name)!r} of {printable(given.pattern)!r}'
        _require_new(given.origin, keys, given.pattern, name, key, what)
        if isinstance(value, yaml.MappingNode):
            _flatten(value, f'{name}.', given, values, lines)
        else:
            _require_new(given.origin, lines, given.pattern, name, key, what)
            values[name] = convert_node(value)


def _require_new(
        origin: str, lines: _Lines, pattern: str, name: str, key: yaml.Node, what: str) -> None:
    """
    Require that a file gives something once: rcl would silently use the last.

    :param origin: The file.
    :param lines: What it gave before; this is added.
    :param pattern: Pattern of the nodes.
    :param name: The name.
    :param key: Its node.
    :param what: Its description.
    :raises ParameterFileError: If it was given before.
    """
    line = key.start_mark.line + 1
    if (pattern, name) in lines:
        raise ParameterFileError(
            f'parameter file {origin}, line {line}: {what} is given twice, first in line '
            f'{lines[pattern, name]}; remove one of the two')
    lines[pattern, name] = line


def require_meant(given: Sequence[Given], node: str, others: Iterable[str] = ()) -> list[str]:
    """
    Require that given parameters are for this node.

    :param given: Parameters of the command line.
    :param node: The node's full name.
    :param others: Full names of other nodes that the same parameters may be for.
    :return: Warnings.
    :raises ParameterFileError: If a file has nothing for any node, or a misspelt name.
    """
    names = (node, *others)
    own = [name.rpartition('/')[2] for name in names]
    warnings = []
    for origin in dict.fromkeys(each.origin for each in given):
        sections = [each for each in given if each.origin == origin]
        used = [each for each in sections if any(each.is_for(name) for name in names)]
        what = (
            f'parameter file {origin}' if sections[0].pattern and ':=' not in origin
            else f'argument -p {origin}')
        remedy = f'name it {own[0]} for this node, or /** for any'
        if not used:
            patterns = ', '.join(repr(each.pattern) for each in sections[:8])
            raise ParameterFileError(
                f'{what}: nothing in it is for this node, {node}: found {patterns}; {remedy}')
        for each in (section for section in sections if section not in used):
            base = each.pattern.rpartition('/')[2]
            if base in own:
                if all('*' in one.pattern for one in used):
                    warnings.append(
                        f'{what}: {each.pattern!r} is not this node, {node}; what is set there '
                        'is not used')
            elif base in _EXECUTABLES or near_names(base, own, likeness=0.75):
                raise ParameterFileError(
                    f'{what}: {each.pattern!r} is not the name of this node, {node}, and what is '
                    f'set there would not be used; {remedy}')
    return warnings
