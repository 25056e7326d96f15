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
"""Figures that pages quote are those of the files in bench/results."""

from __future__ import annotations

from functools import cache
import hashlib
import json
import re
from typing import Any

import pytest

from bench import performance
from bench.page.tables import SECTIONS
from testing import ROOT

RESULTS = ROOT / 'bench' / 'results'


@cache
def page(name: str) -> str:
    """Read a page."""
    return (ROOT / name).read_text()


def result(name: str) -> dict[str, Any]:
    """Read a file of results."""
    return dict(json.loads((RESULTS / f'{name}.json').read_text()))


@cache
def measured() -> dict[str, Any]:
    """Read the benchmarks that `bench.performance` makes tables of."""
    return performance.read(RESULTS)


@pytest.mark.parametrize('name', SECTIONS)
def test_tables_of_performance(name: str) -> None:
    """As `python -m bench.performance` writes them, with the README's."""
    where = 'README.md' if name == 'headline' else 'docs/performance.md'
    made = performance.write_section(
        page(where), name, performance.section(name, measured()), where)
    assert made == page(where), 'run `python -m bench.performance`, and commit what it writes'


def test_goals_beside_a_learner() -> None:
    """The number of those that were missed."""
    goals = result('loop_learner')['goals']
    missed = sum(not goal['met'] for goal in goals)
    assert f': {missed} of {len(goals)} were missed' in page('docs/performance.md')


def test_what_make_bench_leaves_out_has_its_command() -> None:
    """On the page, beside the results."""
    recipe = (ROOT / 'Makefile').read_text().split('\ndefine bench\n')[1].split('\nendef')[0]
    made = set(re.findall(r'\$\(1\)/(\w+)\.json', recipe))
    left = performance.MADE_BY.keys() - made
    assert left == {'loop_learner', 'soak'}
    for name in left:
        assert f'    {performance.command(name)}' in page('docs/performance.md'), name


@pytest.mark.parametrize('name', sorted(path.stem for path in (RESULTS / 'learn').glob('*.json')))
def test_sessions_of_learning(name: str) -> None:
    """The row of a session, of the episodes that it ended, and the README's sum."""
    made = result(f'learn/{name}')
    ended = [each for each in made['episodes'] if each['success'] >= 0]
    by_clone = [each['success'] for each in ended if each['policy'] == 'start']
    solved = [each['success'] for each in ended]
    until = next(i for i in range(20, len(ended) + 1) if sum(solved[i - 20:i]) >= 17)
    refused = made['learner']['refusals']
    row = ' | '.join((
        f'| {made["seed"]}', f'{sum(by_clone)} of {len(by_clone)}', f'{sum(solved[:20])}',
        f'{sum(solved[-20:])}', f'{ended[until - 1]["seconds"] / 60:.1f}', f'{len(ended)}',
        f'{made["learner"]["updates"]:,}',
        f'{made["learner"]["swaps"]}{f", {refused} refused" if refused else ""}',
        f'{made["missed_ticks"]} of {made["ticks"]:,}',
        f'{made["commands_beyond_limits"]} of {made["commands"]:,} |'))
    assert row in page('docs/learning-on-the-robot.md')


def test_commands_beyond_limits() -> None:
    """The README's sum over the sessions of the first table."""
    made = [result(f'learn/{path.stem}') for path in (RESULTS / 'learn').glob('quiet*.json')]
    assert len(made) == 3
    beyond, sent = (
        sum(each[key] for each in made) for key in ('commands_beyond_limits', 'commands'))
    assert f'| {beyond} of {sent:,} |' in page('README.md')


@pytest.mark.parametrize('name', ['corrections', 'corrections-s1', 'corrections-shipped'])
def test_corrections(name: str) -> None:
    """The row of a run: steps of the person, and success of the three policies."""
    made = result(name)
    rows = re.findall(rf'^\| {made["settings"]["seed"]}, .*\|$', page(
        'docs/learning-on-the-robot.md'), re.MULTILINE)
    steps = f'| {made["operator"]["person_steps"]} of {made["operator"]["steps"]:,} |'
    found = [row for row in rows if steps in row]
    assert len(found) == 1, steps
    said = [int(each) for each in re.findall(r'\| (\d+) % \(', found[0])]
    assert said == [round(100 * each['success']) for each in made['rows']]


def test_comparison() -> None:
    """Success on scene-task2, by method, with one candidate and with the best of 16."""
    table = page('docs/results.md').partition('## Comparison at 100,000 updates')[2]
    lines = [line for line in table.splitlines() if re.match(r'\|.*\| (one|best of 16) \|', line)]
    said = sorted(
        tuple(int(each) for each in re.findall(r'\| (\d+) %', line)) for line in lines)
    made = sorted(
        tuple(round(100 * mark['candidates'][number]['success'])
              for mark in result(f'comparison/{path.stem}')['marks'].values())
        for path in (RESULTS / 'comparison').glob('scene-task2.*.0.json')
        for number in ('1', '16'))
    assert len(made) == 14
    assert said == made


def test_slow_policies() -> None:
    """Answers, times of inference and gaps of each run."""
    table = page('docs/performance.md').partition('## Slow policies')[2]
    for row in result('slow')['rows']:
        line = (
            f'| {row["rate"]:.0f} Hz | {row["policy"]} | {row["answers"]} | '
            f'{row["inference_p50_ms"]:,.1f}, {row["inference_max_ms"]:,.1f} ms | '
            f'{row["holds"]}, {row["other_holds"]} of {row["ticks"]:,} | {row["missed"]} | '
            f'{row["join"]:.3f}, {row["step"]:.3f} | {row["spacing_p50_ms"]:.2f}, '
            f'{row["spacing_p99_ms"]:.2f}, {row["spacing_max_ms"]:.2f} ms |')
        assert line in table, line


@pytest.mark.parametrize('name', sorted(path.stem for path in (ROOT / 'models').glob('*.onnx')))
def test_hashes_of_shipped_policies(name: str) -> None:
    """A card has the SHA-256 of its file, and pages the beginning of it."""
    digest = hashlib.sha256((ROOT / 'models' / f'{name}.onnx').read_bytes()).hexdigest()
    assert digest in page(f'models/{name}.md')
    quoted = re.compile(rf'{name}\b[^\n]{{0,90}}?sha256 (\w+)')
    for where in ('first-flight', 'your-robot', 'preflight', 'explaining'):
        for said in quoted.findall(page(f'docs/{where}.md')):
            assert digest.startswith(said), where


def test_hash_of_the_robot_on_the_page() -> None:
    """The report of the preflight is that of the description which the page builds up."""
    blocks = re.findall(r'```yaml\n(.*?)```', page('docs/your-robot.md'), re.DOTALL)
    digest = hashlib.sha256('\n'.join(blocks).encode()).hexdigest()
    said = set(re.findall(r'on robot panda_joint \(sha256 (\w+)\)', page('docs/your-robot.md')))
    assert said == {digest[:12]}, 'run the preflight of the page again, and put in what it prints'
