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
"""Commands of the documentation: programs, options, arguments and files exist."""

from __future__ import annotations

from functools import cache
from importlib import metadata
from pathlib import Path
import re

import pytest

from testing import ROOT
from training.presets import PRESETS

PAGES = sorted([
    *ROOT.glob('*.md'), *ROOT.glob('docs/*.md'), *ROOT.glob('models/*.md')])
#: Written from the code, with placeholders in their commands.
GENERATED = sorted(ROOT.glob('docs/reference/*.md'))
STARTS = r'(?:\$ )?((?:ros2|python|torchrun|make)\b'
BLOCK = re.compile(rf'^    {STARTS}.*(?:\\\n.*)*)$', re.MULTILINE)
INLINE = re.compile(rf'`{STARTS} [^`]*)`')
# What tyro makes of a setting is not written in the source as an option.
SETTINGS = ('train', 'sweep')


def commands() -> list[tuple[str, str]]:
    """List all commands with the names of their pages."""
    found = []
    for page in PAGES:
        text = page.read_text()
        for command in (*BLOCK.findall(text), *INLINE.findall(text)):
            line = re.sub(r'\\?\s*\n\s*', ' ', command).split(' #')[0]
            found.append((page.name, line.strip()))
    return sorted(set(found))


COMMANDS = commands()


@cache
def read(path: Path) -> str:
    """Read a file once."""
    return path.read_text()


@cache
def sources(folder: str) -> str:
    """Read all sources of a folder."""
    return '\n'.join(path.read_text() for path in sorted((ROOT / folder).rglob('*.py')))


@cache
def launch_arguments(name: str) -> str:
    """Parse a launch file, and the files that define its arguments."""
    return (ROOT / 'launch' / name).read_text() + sources('dfp_ros')


#: Of bags that another recorder has written, on a machine that has it.
ELSEWHERE = {'bag'}


def test_commands_of_ros() -> None:
    """What pages, messages and comments tell to run is there, with the ROS 2 of `make`, too."""
    entry_points = metadata.entry_points(group='ros2cli.command')
    there = {each.name for each in entry_points} | ELSEWHERE
    texts = [*PAGES, *GENERATED, *ROOT.glob('config/*.yaml'), *(
        path for folder in ('dfp_ros', 'training', 'launch', 'examples')
        for path in (ROOT / folder).rglob('*.py'))]
    missing = {
        f'{path.relative_to(ROOT)}: ros2 {verb}' for path in texts
        for verb in re.findall(r'(?:^ {4}|`|: )ros2 ([a-z]+) ', read(path), re.MULTILINE)
        if verb not in there}
    assert missing == set()


def options(words: list[str]) -> list[str]:
    """List the options of a command, without those of ROS."""
    own = words[:words.index('--ros-args')] if '--ros-args' in words else words
    return [word.split('=')[0] for word in own if re.match(r'--\w', word)]


def source_of(module: str) -> Path:
    """Find the file that ``python -m`` runs."""
    path = ROOT / module.replace('.', '/')
    found = [file for file in (path.with_suffix('.py'), path / '__main__.py') if file.is_file()]
    assert found, f'no module {module}'
    return found[0]


def check_module(words: list[str]) -> None:
    """Require that a module exists and has the options."""
    module = source_of(words[0])
    name = module.stem
    text = read(module)
    if name == 'official':
        # A published name; the code is in the room of data sets.
        text = read(ROOT / 'training' / 'data' / 'datasets' / 'official.py')
    if name in SETTINGS:
        text += read(ROOT / 'training' / 'config.py')
    if name == 'learn_on_robot':
        text += read(ROOT / 'training' / 'robot' / 'settings.py')
    # Options may come from a module beside it.
    text += '\n'.join(
        read(path) for path in module.parent.glob('*.py') if path.stem in text)
    for option in options(words):
        is_field = re.search(rf'^    {option[2:].replace("-", "_")}\b', text, re.MULTILINE)
        negated = 'BooleanOptionalAction' in text and (
            f"'{option.replace('--no-', '--', 1)}'" in text)
        assert f"'{option}'" in text or negated or is_field or option == '--help', option
    if name == 'train' and len(words) > 1 and not words[1].startswith('-'):
        assert words[1] in PRESETS, f'no preset {words[1]}'


def check_ros(words: list[str]) -> None:
    """Check that an executable or a launch file exists, with its arguments."""
    kind, package, name, *rest = words
    if package != 'dfp_ros' or name == '...':
        return
    if kind == 'run':
        assert f"'{name} = dfp_ros" in (ROOT / 'setup.py').read_text(), f'no executable {name}'
        called = re.search(
            rf'def {name}\(.*?_run\(.(dfp_ros[\w.]+).\)', read(ROOT / 'dfp_ros' / 'commands.py'),
            re.DOTALL)
        assert called, name
        text = read(source_of(called[1]))
        for option in options(rest):
            assert f"'{option}'" in text or option in ('--ros-args', '--help'), option
        given = [word for word in rest if ':=' in word and not re.search(r'/|__', word)]
        for word in given:
            parameter = word.split(':=')[0]
            assert f"'{parameter}'" in sources('dfp_ros') or (
                parameter.rpartition('.')[2] in sources('dfp_ros')), parameter
    else:
        assert (ROOT / 'launch' / name).is_file(), f'no launch file {name}'
        for word in rest:
            if ':=' in word:
                argument = word.split(':=')[0]
                assert f"'{argument}'" in launch_arguments(name) or (
                    argument.rpartition('.')[2] in launch_arguments(name)), argument


def check_names(line: str) -> None:
    """Check that a bare name is one of the shipped files."""
    for key, folder, suffix in (('policy', 'models', '.onnx'), ('robot', 'config', '.yaml')):
        for name in re.findall(rf'\b{key}:=(\w+)(?= |$)', line):
            assert (ROOT / folder / f'{name}{suffix}').is_file(), name
    shipped = r'(?:config|models|bench|examples|env)/[\w/]+\.(?:py|yaml|xml|txt)'
    for name in re.findall(shipped, line):
        assert (ROOT / name).is_file(), name


def test_there_are_commands() -> None:
    """Of every kind, so that none is silently left out."""
    for start in ('ros2 run', 'ros2 launch', 'ros2 topic', 'python -m', 'python -m bench', 'make'):
        assert any(line.startswith(start) for _, line in COMMANDS), start
    assert len(COMMANDS) > 100


@pytest.mark.parametrize(('page', 'line'), COMMANDS)
def test_documented_names_exist(page: str, line: str) -> None:
    """Every name in a documented command exists."""
    words = line.split()
    if words[0] == 'python' and words[1] == '-m' and words[2] not in ('pip', 'pytest'):
        check_module(words[2:])
    elif words[0] == 'torchrun':
        check_module(words[words.index('--') + 1:])
    elif words[:2] in (['ros2', 'run'], ['ros2', 'launch']) and len(words) > 3:
        check_ros(words[1:])
    elif words[0] == 'make':
        targets = re.findall(r'^([a-z-]+):', (ROOT / 'Makefile').read_text(), re.MULTILINE)
        assert all(word in targets for word in words[1:] if re.fullmatch('[a-z-]+', word)), line
    check_names(line)


@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.name)
def test_blocks_of_commands_have_no_output(page: Path) -> None:
    """A block is copied with one button, so that output has a block of its own."""
    for block in re.findall(r'(?:^(?:    .*)?\n)+', page.read_text() + '\n', re.MULTILINE):
        lines = re.sub(r' \\\n', ' ', block.strip()).splitlines()
        if not lines or not re.match(r'(?:ros2|python|torchrun|make|[.]) ', lines[0]):
            continue
        for line in filter(None, map(str.strip, lines)):
            assert re.match(r'(?:\$ )?(?:\. |# |[a-z][\w.-]*(?: |$))', line), line


def test_targets_of_make_that_files_name_are_there() -> None:
    """Comments, messages and lists of packages name a command of make in backquotes."""
    targets = set(re.findall(r'^([a-z-]+):', read(ROOT / 'Makefile'), re.MULTILINE))
    texts = [ROOT / name for name in ('Makefile', 'Dockerfile', 'pyproject.toml', 'pixi.toml')]
    for folder in ('env', 'dfp_ros', 'training', 'bench', 'testing', 'launch', 'documentation'):
        texts += [
            path for path in (ROOT / folder).rglob('*')
            if path.suffix in ('.py', '.txt', '.toml', '.sh', '.bash', '.xml')]
    named = {
        (word, str(path.relative_to(ROOT))) for path in texts
        for word in re.findall(r'`make ([a-z-]+)', read(path))}
    assert len(named) > 15, 'else this test could not fail'
    assert {each for each in named if each[0] not in targets} == set()


def test_latched_topics_are_echoed_reliably() -> None:
    """A latched message is only resent to a subscriber with transient_local durability."""
    for _, line in COMMANDS:
        if 'ros2 topic echo' in line and 'transient_local' in line:
            assert '--qos-reliability reliable' in line, line


def anchors(page: Path) -> set[str]:
    """List the anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r'^#+ (.*)$', page.read_text(), re.MULTILINE)
    return {re.sub(r'[^\w -]', '', title.lower()).replace(' ', '-') for title in titles}


@pytest.mark.parametrize('page', [*PAGES, *GENERATED], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Files are there, and headings within them."""
    for target in re.findall(r'\]\(([^)\s]+)\)', page.read_text()):
        if '://' in target:
            continue
        name, _, anchor = target.partition('#')
        path = (page.parent / name).resolve() if name else page
        assert path.exists(), target
        if anchor:
            assert anchor in anchors(path), target
