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
What the launch files share: arguments that become parameters only where they are given.

Arguments that a launch file does not have are refused, and so is an end with an error; ``launch``
itself passes over both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
import os
from pathlib import Path
from typing import Any

from launch import LaunchContext  # type: ignore[attr-defined]
from launch.actions import IncludeLaunchDescription, OpaqueFunction, Shutdown
from launch.substitutions import LaunchConfiguration
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions

from dfp_ros.core.text.errors import nearest


class LaunchError(ValueError):
    """A launch cannot go on; the message says why."""


def given(context: LaunchContext, arguments: Sequence[tuple[str, type]]) -> dict[str, object]:
    """
    Take the arguments that were given; what is left out keeps the node's default.

    :param arguments: Name and type of each.
    :raises ValueError: Where a value is not of its type.
    """
    texts = {name: LaunchConfiguration(name).perform(context) for name, _ in arguments}
    return {name: _typed(name, kind, texts[name]) for name, kind in arguments if texts[name]}


def _typed(name: str, kind: type, text: str) -> object:
    if kind is bool:
        if text.lower() not in ('true', 'false'):
            raise ValueError(f'argument {name}: found {text!r}, expected true or false')
        return text.lower() == 'true'
    try:
        return kind(text)
    except ValueError as error:
        raise ValueError(f'argument {name}: found {text!r}, expected {kind.__name__}') from error


def require_known(file: str, names: Iterable[str], groups: Iterable[str] = ()) -> OpaqueFunction:
    """
    Make the action that refuses arguments that a launch file does not have.

    :param file: The launch file's ``__file__``.
    :param names: Arguments that it has.
    :param groups: Beginnings of names that are nobody else's, for example ``safety.``.
    :return: To be the first action of the file.
    """
    known, prefixes = tuple(names), tuple(groups)

    def refuse(context: LaunchContext) -> None:
        inherited = [
            name for name in context.launch_configurations if name.startswith(prefixes)
        ] if prefixes else []
        for name in (*_given_names(context, file), *inherited):
            if name not in known:
                raise LaunchError(
                    f'argument {name!r}: {Path(file).name} has none of that name; '
                    f'{nearest_argument(name, known)} (--show-args lists them)')

    return OpaqueFunction(function=refuse)


def nearest_argument(name: str, known: Sequence[str]) -> str:
    """Help with a name that is unknown; it may be that of another group."""
    leaf = name.rpartition('.')[2]
    same = [each for each in known if each.rpartition('.')[2] == leaf]
    return f'did you mean {same[0]!r}?' if same else nearest(name, known)


def _given_names(context: LaunchContext, file: str) -> list[str]:
    """
    List the arguments with which a file was included, by `ros2 launch` or by another launch file.

    What else is set in the context may be the arguments of whoever includes it.
    """
    root = getattr(getattr(context.locals, 'event', None), 'launch_description', None)
    found: list[str] = []
    waiting: list[Any] = [root] if root is not None else []
    seen: set[int] = set()
    while waiting:
        entity = waiting.pop()
        if id(entity) in seen:
            continue
        seen.add(id(entity))
        if isinstance(entity, IncludeLaunchDescription) and _is_same(entity, file):
            found += [
                perform_substitutions(context, normalize_to_list_of_substitutions(name))
                for name, _ in entity.launch_arguments]
            continue
        waiting += getattr(entity, 'entities', None) or entity.describe_sub_entities()
    return found


def _is_same(action: IncludeLaunchDescription, file: str) -> bool:
    """Whether an action includes a file."""
    location = action.launch_description_source.location
    return os.path.exists(location) and os.path.realpath(location) == os.path.realpath(file)


def find_parameter_file(context: LaunchContext, argument: str) -> str:
    """
    Take an argument that is a parameter file.

    :raises LaunchError: Where it is no file; ``launch`` would warn, and go on without it.
    """
    text = LaunchConfiguration(argument).perform(context)
    path = Path(text).expanduser()
    if not path.is_file():
        what = 'a folder' if path.is_dir() else 'no such file'
        raise LaunchError(
            f'argument {argument}: found {text!r}, which is {what} (looked in {Path.cwd()}); '
            "give the path of a parameter file, or leave it out for the package's own")
    return str(path)


def end_with(what: str) -> Callable[[Any, LaunchContext], Any]:
    """
    Make what ends a launch when one of its processes ends, with an error where that had one.

    :param what: Name of the process, for people.
    :return: For ``on_exit``.
    """
    def end(event: Any, context: LaunchContext) -> Any:
        if event.returncode == 0 or context.is_shutdown:
            return [Shutdown(reason=f'{what} ended')]

        def fail(_: LaunchContext) -> None:
            raise LaunchError(
                f'{what} ended with exit status {event.returncode}; what it said last is above')

        # All that makes `ros2 launch` end with another status than 0.
        return [OpaqueFunction(function=fail)]

    return end
