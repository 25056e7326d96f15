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
"""Commands and their options, from setup.py, the Makefile, and the parsers of the programs."""

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, MISSING
import importlib
import inspect
from pathlib import Path
import re
from typing import Any, get_args, get_origin, get_type_hints, Literal

from dfp_ros import commands
from documentation.markdown import cell, code, table
from testing import ROOT
from training.config import TrainConfig
from training.learn_demo import Command as LearnDemo
from training.presets import PRESETS
from training.robot.settings import LearnerSettings

#: Commands of ``python -m`` with a parser of argparse.
TRAINING = (
    'collect', 'datasets.official', 'convert', 'inspect_data', 'write', 'export', 'evaluate',
    'precision_effect', 'report', 'sign', 'sweep')
#: Commands whose options are the fields of a dataclass.
SETTINGS = ('train', 'learn_on_robot', 'learn_demo')


class _Found(Exception):
    """The parser that a program has made."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        super().__init__()
        self.parser = parser


@contextmanager
def _caught() -> Iterator[None]:
    """Raise every parser of argparse at the moment when it would parse."""
    def catch(parser: argparse.ArgumentParser, *_: Any, **__: Any) -> None:
        raise _Found(parser)

    kept = argparse.ArgumentParser.parse_args, argparse.ArgumentParser.parse_known_args
    argparse.ArgumentParser.parse_args = catch  # type: ignore[method-assign,assignment]
    argparse.ArgumentParser.parse_known_args = catch  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        argparse.ArgumentParser.parse_args = kept[0]  # type: ignore[method-assign]
        argparse.ArgumentParser.parse_known_args = kept[1]  # type: ignore[method-assign]


def find_parser(module: str) -> argparse.ArgumentParser | None:
    """
    Find the parser that a program parses its command line with.

    :param module: The program, with a function ``main``.
    :return: The parser; None if it ends before it parses, or parses nothing.
    """
    main = importlib.import_module(module).main
    with _caught():
        try:
            main(['--help'])
        except _Found as found:
            return found.parser
    return None


def entry_points(root: Path) -> dict[str, str]:
    """Read names and functions of the console commands from setup.py."""
    for node in ast.walk(ast.parse((root / 'setup.py').read_text())):
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and key.value == 'console_scripts':
                    lines = ast.literal_eval(value)
                    return dict(line.split(' = dfp_ros.commands:') for line in lines)
    raise AssertionError('setup.py has no console_scripts')


def module_of(function: str) -> str:
    """Find the module that a console command runs."""
    found = re.search(r"_run\('([\w.]+)'\)", inspect.getsource(getattr(commands, function)))
    assert found is not None, function
    return found[1]


def require_all(root: Path) -> None:
    """
    Require that every program of training is listed.

    :param root: The checkout.
    :raises ValueError: If one is missing, or listed and gone.
    """
    found = {
        path.stem for path in (root / 'training').glob('*.py')
        if "__name__ == '__main__'" in path.read_text()}
    listed = {name for name in (*TRAINING, *SETTINGS) if '.' not in name}
    if found != listed:
        raise ValueError(
            f'documentation/commands.py: found the programs {sorted(found - listed)} in training '
            f'beside those listed, and not {sorted(listed - found)}; list them in TRAINING')


def page(root: Path) -> str:
    """
    Format the page.

    :param root: The checkout.
    """
    parts = [
        '# Commands',
        'Programs of the package, programs of `training`, and targets of `make`, each with all of '
        'its options. `--help` prints the same.',
        '## Targets of make', table(('target', 'effect'), (
            [code(f'make {name}'), cell(about)] for name, about in re.findall(
                r'^([a-z-]+):.*?## (.*)$', (root / 'Makefile').read_text(), re.MULTILINE))),
        '## Console commands',
        'Each is `ros2 run dfp_ros NAME`. Nodes take [parameters](parameters.md) after '
        '`--ros-args`.']
    for name, function in sorted(entry_points(root).items()):
        parts += [f'### {name}', *_describe(module_of(function), getattr(commands, function))]
    require_all(root)
    parts += ['## Programs of training', 'Each is `python -m training.NAME`, in the checkout.']
    for name in TRAINING:
        parts += [f'### training.{name}', *_describe(f'training.{name}')]
    parts += [
        '### training.train',
        '`python -m training.train PRESET`, then any of the [settings](training-settings.md) '
        'with `--` before its name; `--resume` continues a run, `--init-from RUN` starts from its '
        'networks.',
        '### training.learn_on_robot',
        '`python -m training.learn_on_robot RUN`, then any of the '
        '[settings of the learner](training-settings.md#settings-of-the-learner).',
        '### training.learn_demo', 'What `make learn` runs, with the clone before it.',
        _settings(LearnDemo)]
    return '\n\n'.join(parts) + '\n'


def _describe(module: str, function: Any = None) -> list[str]:
    """Format the description and the options of a program."""
    parser = find_parser(module)
    if parser is None:
        return [cell(str(inspect.getdoc(function)))]
    about = [cell(str(parser.description or inspect.getdoc(function)).strip())]
    rows = list(_options(parser))
    return about + ([table(('option', 'default', 'meaning'), rows)] if rows else [])


def _options(parser: argparse.ArgumentParser, before: str = '') -> Iterator[list[str]]:
    """
    Format the options of a parser, and of the commands below it.

    :param parser: The parser.
    :param before: The command that it is for, with a space; empty for the program itself.
    """
    for action in parser._actions:
        if isinstance(action, argparse._HelpAction) or action.help == argparse.SUPPRESS:
            continue
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                yield from _options(below, f'{before}{name} ')
            continue
        words = ', '.join(code(f'{before}{word}') for word in action.option_strings) or code(
            before + (action.metavar if isinstance(action.metavar, str) else action.dest))
        choices = '' if action.choices is None else ', '.join(map(code, action.choices))
        yield [words, _default(action), '; '.join(
            filter(None, (_sentence(action, parser), choices)))]


def _sentence(action: argparse.Action, parser: argparse.ArgumentParser) -> str:
    """Fill in what argparse fills in, but no paths of this machine."""
    values = {**vars(action), 'prog': parser.prog, 'default': _plain(action.default)}
    if action.choices is not None:
        values['choices'] = ', '.join(map(str, action.choices))
    return cell((action.help or '') % values)


def _plain(value: Any) -> str:
    """Format a default; a path in the checkout or the working folder as a relative one."""
    if isinstance(value, Path):
        return str(value.relative_to(ROOT)) if value.is_relative_to(ROOT) else str(value)
    return str(value)


def _default(action: argparse.Action) -> str:
    """Format the default of an option."""
    if action.required and action.option_strings:
        return 'required'
    if action.default is None or action.default is False or (
            action.default in (argparse.SUPPRESS, '', [], ())):
        return ''
    if isinstance(action.default, list | tuple):
        return code(' '.join(map(_plain, action.default)))
    return code(_plain(action.default))


def settings_page() -> str:
    """Format the page of the settings of training and of the learner."""
    parts = [
        '# Settings of training',
        'Every setting of `python -m training.train PRESET --SETTING VALUE`, which `config.json` '
        'in the folder of a run keeps, and of `python -m training.learn_on_robot`. Underscores '
        'of a name may be hyphens.',
        '## Presets', table(('preset', 'description'), (
            [code(name), cell(about)] for name, (about, _) in PRESETS.items())),
        '## Settings of a run', _settings(TrainConfig),
        '## Settings of the learner', _settings(LearnerSettings)]
    return '\n\n'.join(parts) + '\n'


def _settings(group: type) -> str:
    """Format the fields of a dataclass, with the strings below them as their descriptions."""
    sentences, kinds = _sentences(group), get_type_hints(group)
    rows = []
    for member in fields(group):
        default = member.default if member.default is not MISSING else (
            member.default_factory() if member.default_factory is not MISSING else 'required')
        if isinstance(default, tuple):
            default = ' '.join(map(str, default))
        rows.append([
            code(member.name), _kind(kinds[member.name]), code(_plain(default)),
            cell(sentences[member.name])])
    return table(('setting', 'type', 'default', 'meaning'), rows)


def _sentences(group: type) -> dict[str, str]:
    """Read the description of each field, in the string after it."""
    body = ast.parse(inspect.getsource(group)).body[0]
    assert isinstance(body, ast.ClassDef)
    found: dict[str, str] = {}
    for field, text in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and (
                isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)):
            found[field.target.id] = str(text.value.value)
    return found


def _kind(kind: Any) -> str:
    """Format the type of a setting, or its choices."""
    if get_origin(kind) is Literal:
        return ', '.join(map(code, get_args(kind)))
    return code(kind if get_args(kind) else getattr(kind, '__name__', kind))
