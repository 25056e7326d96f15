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
Arguments of the launch files: those given become parameters, and unknown ones are refused.

A process that ends with an error makes the launch fail, too; ``launch`` itself ignores both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
import json
import os
from pathlib import Path
import signal
from typing import Any

from launch import LaunchContext  # type: ignore[attr-defined]
from launch.actions import (
    EmitEvent,
    ExecuteLocal,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
    Shutdown,
)
from launch.event_handlers import OnProcessStart, OnShutdown
from launch.events import matches_action
from launch.events.process import SignalProcess
from launch.substitutions import LaunchConfiguration
from launch.utilities import normalize_to_list_of_substitutions, perform_substitutions

from dfp_ros.core.files.missing import near_file
from dfp_ros.core.files.user_path import PathError, user_path
from dfp_ros.core.text.errors import nearest


class LaunchError(ValueError):
    """A launch has to be aborted; the message says why."""


def given(context: LaunchContext, arguments: Sequence[tuple[str, type]]) -> dict[str, object]:
    """
    Collect the given arguments; omitted ones keep the node's values.

    An empty one counts as omitted: launch files that include another one pass on their own
    arguments, given or not. So none clears a value of the parameter file.

    :param arguments: Name and type of each.
    :raises ValueError: If a value is not of its type.
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


def require_types(arguments: Sequence[tuple[str, type]]) -> OpaqueFunction:
    """
    Make the action that refuses arguments of another type, with their name.

    :param arguments: Name and type of each.
    :return: The action, to be before those that use the arguments.
    """
    def refuse(context: LaunchContext) -> None:
        given(context, arguments)

    return OpaqueFunction(function=refuse)


def require_choices(choices: Mapping[str, Sequence[str]]) -> OpaqueFunction:
    """
    Make the action that refuses other values than some, with the argument's name.

    A text that comes into an expression of ``launch``, which is Python, could do anything there.

    :param choices: Values of each argument.
    :return: The action, to be before those that use the arguments.
    """
    def refuse(context: LaunchContext) -> None:
        for name, values in choices.items():
            text = LaunchConfiguration(name).perform(context)
            if text not in values:
                raise LaunchError(f'argument {name}: found {text!r}; {nearest(text, values)}')

    return OpaqueFunction(function=refuse)


def require_known(file: str, names: Iterable[str], groups: Iterable[str] = ()) -> OpaqueFunction:
    """
    Make the action that refuses unknown arguments of a launch file.

    :param file: The launch file's ``__file__``.
    :param names: Its arguments.
    :param groups: Prefixes of names that only it uses, for example ``safety.``.
    :return: The action, to be the first one of the file. It also refuses arguments that were given
        to another inclusion of the file, and apply to this one because both are in one scope.
    """
    known, prefixes = tuple(names), tuple(groups)

    def refuse(context: LaunchContext) -> None:
        inherited = [
            name for name in context.launch_configurations if name.startswith(prefixes)
        ] if prefixes else []
        inclusions = _given_names(context, file)
        for name in (*(each for given_there in inclusions for each in given_there), *inherited):
            if name not in known:
                raise LaunchError(
                    f'argument {name!r}: {Path(file).name} has none of that name; '
                    f'{nearest_argument(name, known)} (--show-args lists them)')
        _refuse_leaked(context, file, known, inclusions)

    return OpaqueFunction(function=refuse)


def _refuse_leaked(
        context: LaunchContext, file: str, known: Sequence[str],
        inclusions: Sequence[Sequence[str]]) -> None:
    """
    Refuse the arguments of an earlier inclusion that this one was not given.

    ``launch`` keeps the arguments of an inclusion for everything after it in the same scope.

    :param inclusions: Names of the arguments that each inclusion of the file is given.
    :raises LaunchError: If there are some.
    """
    # Kept in the scope, and gone with it.
    mark = f'{__name__} {os.path.realpath(file)}'
    settings = context.launch_configurations
    # The defaults of this inclusion are not declared yet.
    values = {name: settings[name] for name in known if name in settings}
    before = json.loads(settings.get(mark, '{}'))
    for name, value in values.items():
        count = sum(name in given_there for given_there in inclusions)
        if value and before.get(name) == value and 0 < count < len(inclusions):
            raise LaunchError(
                f'argument {name!r}: {Path(file).name} is included {len(inclusions)} times, and '
                f'{value!r}, given to an earlier inclusion, would apply to this one, too; put '
                f'each inclusion into a group of its own (GroupAction, <group>), or give {name!r} '
                'to each')
    settings[mark] = json.dumps(values)


def nearest_argument(name: str, known: Sequence[str]) -> str:
    """Suggest the nearest argument for an unknown name, also one of another group."""
    leaf = name.rpartition('.')[2]
    same = [each for each in known if each.rpartition('.')[2] == leaf]
    return f'did you mean {same[0]!r}?' if same else nearest(name, known)


def _given_names(context: LaunchContext, file: str) -> list[list[str]]:
    """
    List the arguments of each inclusion of a file, by `ros2 launch` or by another launch file.

    Other names in the context may be arguments of the including file.
    """
    root = getattr(getattr(context.locals, 'event', None), 'launch_description', None)
    found: list[list[str]] = []
    waiting: list[Any] = [root] if root is not None else []
    seen: set[int] = set()
    while waiting:
        entity = waiting.pop()
        if id(entity) in seen:
            continue
        seen.add(id(entity))
        if isinstance(entity, IncludeLaunchDescription) and _is_same(entity, file):
            found.append([
                perform_substitutions(context, normalize_to_list_of_substitutions(name))
                for name, _ in entity.launch_arguments])
            continue
        waiting += getattr(entity, 'entities', None) or entity.describe_sub_entities()
    return found


def _is_same(action: IncludeLaunchDescription, file: str) -> bool:
    """Return whether an action includes a file."""
    location = action.launch_description_source.location
    return os.path.exists(location) and os.path.realpath(location) == os.path.realpath(file)


def find_parameter_file(
        context: LaunchContext, argument: str, read: Callable[[str], object]) -> str:
    """
    Read an argument that is a parameter file.

    :param read: Reads the file, and raises ValueError if it is no parameter file.
    :raises LaunchError: If it is not a file; ``launch`` would only warn.
    """
    text = LaunchConfiguration(argument).perform(context)
    remedy = "give the path of a parameter file, or leave it out for the package's own"
    try:
        path = user_path(text)
    except PathError as error:
        raise LaunchError(f'argument {argument}: {error}; {remedy}') from error
    if not path.is_file():
        found = 'a folder' if path.is_dir() else 'no such file'
        near = near_file(path, ('.yaml', '.yml'))
        hint = f'did you mean {os.fspath(near)!r}? Or ' if near is not None else ''
        raise LaunchError(
            f'argument {argument}: found {text!r}, which is {found} (looked in {Path.cwd()}); '
            f'{hint}{remedy}')
    try:
        read(str(path))
    except ValueError as error:
        raise LaunchError(f'argument {argument}: {error}; {remedy}') from error
    return str(path)


def end_with(what: str) -> Callable[[Any, LaunchContext], Any]:
    """
    Make the handler that ends a launch with one of its processes, and passes on its error.

    :param what: Name of the process, for messages.
    :return: For ``on_exit``.
    """
    def end(event: Any, context: LaunchContext) -> Any:
        if event.returncode == 0 or context.is_shutdown:
            return [Shutdown(reason=f'{what} ended')]

        def fail(_: LaunchContext) -> None:
            raise LaunchError(
                f'{what} ended with exit status {event.returncode}; its last output is above')

        # Only an exception makes `ros2 launch` end with a status other than 0.
        return [OpaqueFunction(function=fail)]

    return end


def pass_on_interrupt(process: ExecuteLocal) -> RegisterEventHandler:
    """
    Make the action that passes SIGINT on to a process at once; put it before the process.

    ``launch`` assumes that a terminal has sent it to every process, and waits 5 s. A container or
    another program sends it to ``launch`` alone. To our nodes, a second one makes no difference.
    """
    def interrupt(event: Any, context: LaunchContext) -> Any:
        if not event.due_to_sigint or context.noninteractive:
            # Then `launch` itself sends it.
            return None
        send = EmitEvent(event=SignalProcess(
            signal_number=signal.SIGINT, process_matcher=matches_action(process)))
        if process.process_details is not None:
            return [send]
        # It is being started.
        return [RegisterEventHandler(OnProcessStart(target_action=process, on_start=[send]))]

    return RegisterEventHandler(OnShutdown(on_shutdown=interrupt))
