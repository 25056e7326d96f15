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
"""Reports: grouping of runs, curves, and a self-contained page."""

from __future__ import annotations

import csv
from dataclasses import replace
from html.parser import HTMLParser
import math
from pathlib import Path
import re
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest

torch = pytest.importorskip('torch')

from testing.learning.runs import settings  # noqa: E402
from training.config import TrainConfig  # noqa: E402
from training.learning.trainer.log import read_rows  # noqa: E402
from training.learning.trainer.run import train  # noqa: E402
from training.pages.style import draw  # noqa: E402
from training.report import main, report  # noqa: E402
from training.reports.curves import evaluated, logged, POINTS  # noqa: E402
from training.reports.figures import figures  # noqa: E402
from training.reports.page import render, summary  # noqa: E402
from training.reports.runs import compare, find, Group, group, read, ReportError  # noqa: E402

CONFIG = TrainConfig(steps=20, log_every=5, evaluate_every=10)
VOID = {'br', 'meta', 'link', 'img', 'input', 'hr'}


def write(run: Path, config: TrainConfig, updates: Any = (), evaluations: Any = ()) -> Path:
    """Write the logs of a run, a dictionary per row."""
    run.mkdir(parents=True)
    (run / 'config.json').write_text(config.to_json())
    for name, rows in (('updates', updates), ('evaluations', evaluations)):
        columns = dict.fromkeys(key for row in rows for key in row)
        with (run / f'{name}.csv').open('w', newline='') as file:
            writer = csv.DictWriter(file, columns or ['step'])
            writer.writeheader()
            writer.writerows(rows)
    return run


def forces(*values: float) -> list[dict[str, float]]:
    return [{'step': 5 * i, 'cloning_force': value} for i, value in enumerate(values, 1)]


def solved(*shares: float) -> list[dict[str, float]]:
    return [{'step': 10 * i, 'environment_steps': 0, 'wall_seconds': 60 * i, 'cpu_seconds': 90 * i,
             'success': share, 'episodes': 50} for i, share in enumerate(shares, 1)]


def groups_of(*folders: Path) -> list[Group]:
    return group(read(find(folders)), 'whole')


def page_of(*groups: Group) -> str:
    return render('title', groups, figures(groups))


def test_runs_that_differ_in_their_seed_alone_share_a_curve(tmp_path: Path) -> None:
    flow = replace(CONFIG, policy='flow')
    for name, config in {
            'dfp-10': replace(CONFIG, seed=10), 'dfp-2': replace(CONFIG, seed=2), 'flow-0': flow,
            'steps': replace(CONFIG, steps=21), 'policy=flow,seed=1': replace(flow, seed=1),
            }.items():
        write(tmp_path / name, config, forces(1.0))
    found = {one.name: one.seeds for one in groups_of(tmp_path)}
    assert found == {'dfp': (2, 10), 'flow-0, policy=flow,seed=1': (0, 1), 'steps': (0,)}
    differing, shared = compare(groups_of(tmp_path))
    assert differing == {'policy': ['dfp', 'flow', 'dfp'], 'steps': [20, 20, 21]}
    assert shared['horizon'] == 1
    assert 'seed' not in shared


def test_a_repeated_seed_is_no_further_evidence(tmp_path: Path) -> None:
    for name, seed in (('a', 0), ('b', 0), ('c', 1)):
        write(tmp_path / name, replace(CONFIG, seed=seed), forces(1.0))
    assert {one.name: one.seeds for one in groups_of(tmp_path)} == {'a, c': (0, 1), 'b': (0,)}
    # Nor is a number at the end of a name always the seed.
    for name, seed in (('n/run10', 0), ('n/run11', 1), ('z/run_seed00', 0), ('z/run_seed01', 1)):
        write(tmp_path / name, replace(CONFIG, seed=seed), forces(1.0))
    assert [one.name for one in groups_of(tmp_path / 'n')] == ['run10, run11']
    assert [one.name for one in groups_of(tmp_path / 'z')] == ['run']
    # The same folder twice, once by way of another, is one run.
    assert len(groups_of(tmp_path / 'a', tmp_path / 'b' / '..' / 'a')) == 1


def test_groups_are_never_called_the_same(tmp_path: Path) -> None:
    for name, config in {
            's/seed=0': CONFIG, 's/seed=1': replace(CONFIG, seed=1),
            's-0': replace(CONFIG, steps=21), 's-1': replace(CONFIG, steps=21, seed=1)}.items():
        write(tmp_path / name, config, forces(1.0))
    names = [one.name for one in groups_of(tmp_path, tmp_path / 's')]
    assert sorted(names) == ['s-0, s-1', 's/seed=0, s/seed=1']
    # A sweep over seeds alone is called after its folder.
    assert [one.name for one in groups_of(tmp_path / 's')] == ['whole']


def test_success_over_seeds_by_hand(tmp_path: Path) -> None:
    for seed, shares in enumerate([(0.2, 0.3), (0.4, 0.5), (0.6,)]):
        write(tmp_path / str(seed), replace(CONFIG, seed=seed), (), solved(*shares))
    only, = groups_of(tmp_path)
    curve = evaluated(only, 'success')
    assert curve is not None
    assert curve.x.tolist() == [10, 20]
    assert curve.mean.tolist() == pytest.approx([0.4, 0.4])
    # Student: 0.4 +- 4.3027 * 0.2 / sqrt(3); the third seed ended before the second evaluation,
    # and leaves 0.4 +- 12.706 * 0.1.
    assert curve.low.tolist() == [0, 0]
    assert curve.high.tolist() == pytest.approx([0.8968, 1.0], abs=1e-4)
    assert curve.seeds[0].tolist() == [0.2, 0.3]
    assert math.isnan(curve.seeds[2][1])
    # The table takes each seed's last, 0.3, 0.5 and 0.6: 0.46667 +- 4.3027 * 0.15275 / sqrt(3).
    row = summary(only)
    assert row['success'] == pytest.approx(46.667, abs=1e-3)
    assert row['interval'] == pytest.approx([8.72, 84.61], abs=1e-2)
    assert row['each'] == [30, 50, 60]
    assert row['updates'] == [10, 20]
    # 2, 2 and 1 minutes; half as much again of a processor.
    assert (row['wall_minutes'], row['cpu_minutes']) == pytest.approx((5 / 3, 2.5))


def test_seeds_that_agree_have_the_interval_of_their_episodes(tmp_path: Path) -> None:
    for seed, high in enumerate([0.07135, 0.03699]):
        write(tmp_path / str(seed), replace(CONFIG, seed=seed), (), solved(0.0))
        curve = evaluated(groups_of(tmp_path)[0], 'success')
        assert curve is not None
        # Wilson, nothing solved of 50, and of 100: z^2 / (n + z^2), z = 1.96.
        assert (curve.low[0], curve.high[0]) == pytest.approx((0, high), abs=1e-5)


def test_time_is_counted_to_the_end_of_the_last_evaluation(tmp_path: Path) -> None:
    write(tmp_path / 'run', CONFIG, [{'step': 10, 'wall_seconds': 30.0}], solved(0.5))
    assert summary(groups_of(tmp_path)[0])['wall_minutes'] == 1


def test_logged_columns_by_hand(tmp_path: Path) -> None:
    write(tmp_path / '0', CONFIG, forces(1.0, math.nan, 5.0, math.nan))
    write(tmp_path / '1', replace(CONFIG, seed=1), forces(3.0, 4.0, math.inf, math.nan))
    curve = logged(groups_of(tmp_path)[0], 'cloning_force')
    assert curve is not None
    assert curve.x.tolist() == [5, 10, 15, 20]
    nan = math.nan
    np.testing.assert_array_equal(curve.mean, [2, 4, 5, nan])
    np.testing.assert_array_equal(curve.low, [1, 4, 5, nan])
    np.testing.assert_array_equal(curve.high, [3, 4, 5, nan])
    np.testing.assert_array_equal(curve.seeds, [[1, nan, 5, nan], [3, 4, nan, nan]])
    assert logged(groups_of(tmp_path)[0], 'ascent_force') is None


def test_rows_that_crowd_are_averaged_with_their_neighbours(tmp_path: Path) -> None:
    write(tmp_path / 'run', CONFIG, forces(*range(2 * POINTS)))
    curve = logged(groups_of(tmp_path)[0], 'cloning_force')
    assert curve is not None
    # Two rows a point: steps 5 and 10 with 0 and 1, steps 15 and 20 with 2 and 3, and so on.
    np.testing.assert_allclose(curve.x, 5 + 10 * np.arange(POINTS))
    np.testing.assert_allclose(curve.mean, 0.5 + 2 * np.arange(POINTS))


def test_the_online_phase_is_drawn_over_its_own_steps(tmp_path: Path) -> None:
    rows = [{'step': step, 'environment_steps': steps, 'success': 0.5, 'episodes': 4}
            for step, steps in ((10, 0), (20, 0), (25, 12), (30, 17))]
    online = replace(CONFIG, online_steps=17, online_start=7)
    write(tmp_path / 'online', online, (), rows)
    write(tmp_path / 'offline', CONFIG, (), rows[:2])
    offline, both = groups_of(tmp_path)
    curve = evaluated(both, 'success', 'environment_steps')
    assert curve is not None
    assert (curve.x.tolist(), curve.switch) == ([0, 12, 17], None)
    switches = [getattr(evaluated(one, 'success'), 'switch', 0) for one in (offline, both)]
    assert switches == [None, 20]
    assert evaluated(offline, 'success', 'environment_steps') is None
    write(tmp_path / 'x', replace(online, seed=9), (), rows[:1])
    assert evaluated(groups_of(tmp_path / 'x')[0], 'success', 'environment_steps') is None
    page = page_of(offline, both)
    assert '<th>environment steps</th>' in page
    assert page.count('Success in the online phase') == 1
    assert '<small>only online</small>' in page


def test_lines_are_the_curves(tmp_path: Path) -> None:
    write(tmp_path / 'a', CONFIG, forces(1, 2))
    write(tmp_path / 'b', replace(CONFIG, horizon=2), forces(4, 8))
    found = groups_of(tmp_path)
    force, = figures(found)
    canvas, axes = plt.subplots()
    draw(axes, force)
    assert [line.get_xydata().tolist() for line in axes.lines] == [
        [[5, 1], [10, 2]], [[5, 4], [10, 8]]]
    assert axes.get_yscale() == 'log'
    assert len({line.get_color() for line in axes.lines}) == 2
    plt.close(canvas)


def test_a_new_loss_has_its_panel_without_a_word_here(tmp_path: Path) -> None:
    rows = [{'step': 5, 'some_loss': 1.0, 'critic_loss': 2.0}]
    write(tmp_path / 'run', CONFIG, rows)
    assert [
        figure.panel.title for figure in figures(groups_of(tmp_path))] == [
            'Some loss', 'Critic loss']


class Page(HTMLParser):
    """Parser of a page's parts; unbalanced tags raise."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return ' '.join(' '.join(self.words).split())


def assert_stands_alone(page: str) -> Page:
    """Nothing is fetched or run, and no two parts have the same id."""
    found = Page(page)
    assert page.startswith('<!DOCTYPE html>')
    assert page.count('<!') == 1
    assert '<?' not in page
    assert not {'script', 'link', 'img', 'iframe', 'object', 'embed', 'base'} & set(found.tags)
    for name, value in found.attributes:
        assert not name.startswith('on')
        if name in ('href', 'xlink:href', 'src', 'srcset', 'data', 'action'):
            assert (value or '').startswith('#')
    assert '@import' not in page
    assert set(re.findall(r'url\((.)', page)) <= {'#'}
    identifiers = [value for name, value in found.attributes if name == 'id']
    assert len(identifiers) == len(set(identifiers))
    used = {(value or '')[1:] for name, value in found.attributes if name == 'xlink:href'}
    used |= set(re.findall(r'url\(#([^)]+)\)', page))
    assert used <= set(identifiers)
    return found


def test_names_are_text_and_nothing_else(tmp_path: Path) -> None:
    names = '<img src=x onerror=alert(1)>', '_$\\frac$ & "y"', '{{ 7 * 7 }}'
    for number, name in enumerate(names):
        write(tmp_path / name, replace(CONFIG, horizon=number + 1, data=name), forces(1, 2),
              solved(0.5))
    out = report([tmp_path], picture=tmp_path / 'all.png')
    found = assert_stands_alone(out.read_text(encoding='utf-8'))
    for name in names:
        # In the legend, the table, beside the settings twice, and in the origin.
        assert found.text.count(name) >= 5
    assert plt.imread(tmp_path / 'all.png').std() > 0


def test_page_of_real_runs(demonstrations: Path, tmp_path: Path) -> None:
    base = settings(demonstrations, steps=4, log_every=2, episodes=1, horizon=5)
    for seed in (0, 1):
        train(tmp_path / f'policy=dfp,seed={seed}', replace(base, seed=seed))
    train(tmp_path / 'fql', replace(base, policy='fql'))
    train(tmp_path / 'online', replace(base, policy='meanflow', online_steps=6, online_start=4))
    (tmp_path / 'fql' / 'checkpoint.pt').write_bytes(b'damaged')
    assert main([str(tmp_path)]) == 0
    page = (tmp_path / 'report.html').read_text(encoding='utf-8')
    found = assert_stands_alone(page)
    for words in (
            'policy=dfp dfp 0 1', 'policy=dfp,seed=1', 'fql fql 0', 'online meanflow 0',
            'Cloning force', 'Ascent force', 'Flow loss', 'Distillation loss', 'Meanflow loss',
            'Critic loss', 'Value of candidates and of data', 'Time per update', 'online steps'):
        assert words in found.text
    # Of the four runs, one has no checkpoint to say where it is from.
    spec = torch.load(tmp_path / 'online' / 'checkpoint.pt', weights_only=True)['spec']
    digest = re.search(r'"sha256": "(\w{12})', spec)
    assert digest is not None
    assert found.text.count(digest[1]) == 3
    assert found.text.count('no readable checkpoint') == 1


def test_a_row_that_a_killed_run_did_not_finish_is_left_out(tmp_path: Path) -> None:
    run = write(tmp_path / 'run', CONFIG, forces(1, 2, 3), solved(0.5))
    whole = (run / 'updates.csv').read_bytes()
    for cut in range(1, len('15,3\r\n')):
        (run / 'updates.csv').write_bytes(whole[:-cut])
        assert [row['step'] for row in read_rows(run / 'updates.csv')] == [5, 10]
    curve = logged(groups_of(run)[0], 'cloning_force')
    assert curve is not None
    assert curve.mean.tolist() == [1, 2]
    (run / 'updates.csv').write_bytes(whole)
    assert summary(groups_of(run)[0])['updates'] == [15]
    (run / 'updates.csv').write_bytes(b'step,clon')
    assert summary(groups_of(run)[0])['updates'] == [10]


@pytest.mark.parametrize(('break_it', 'said'), [
    (lambda run: (run / 'config.json').unlink(), 'found no run there, expected config.json'),
    (lambda run: (run / 'config.json').write_text('{'), 'config.json: cannot be read as'),
    (lambda run: (run / 'config.json').write_text('{"horizn": 5}'),
     "found the unknown key 'horizn'; did you mean 'horizon'?"),
    (lambda run: (run / 'updates.csv').write_text(''), 'found no complete row in its logs'),
    (lambda run: (run / 'updates.csv').write_text('step,scale\r\n'), 'found no complete row'),
    (lambda run: (run / 'updates.csv').write_text('step,scale\r\n1,much\r\n'),
     'updates.csv: cannot be read as a log: found rows that a run does not write (ValueError: '
     "could not convert string to float: 'much')"),
    (lambda run: (run / 'updates.csv').write_text('step,scale\r\n1,2,3\r\n'),
     'updates.csv: cannot be read as a log'),
    (lambda run: (run / 'updates.csv').write_bytes(b'\xff\xfe\x00\n' * 3),
     'updates.csv: cannot be read as a log'),
    (lambda run: (run / 'updates.csv').write_text('scale\r\n1\r\n'), 'found a row without a step'),
    (lambda run: (run / 'config.json').write_text('[' * 100_000), 'found nesting deeper than 40'),
    (lambda run: (run / 'updates.csv').write_text('step,scale\r\nnan,1\r\n'),
     'updates.csv: step: found nan, which no run writes'),
    (lambda run: (run / 'updates.csv').write_text('step,scale\r\ninf,1\r\n'),
     'updates.csv: step: found inf, which no run writes'),
    (lambda run: (run / 'updates.csv').write_text('step,scale\r\n1,1e308\r\n2,-1e308\r\n'),
     'updates.csv: scale: found 1e+308, which no run writes'),
])
def test_what_cannot_be_reported_is_said(
        tmp_path: Path, break_it: Any, said: str, capsys: pytest.CaptureFixture) -> None:
    run = write(tmp_path / 'run', CONFIG, forces(1.0))
    break_it(run)
    assert main([str(run), '--out', str(tmp_path / 'report.html')]) == 2
    captured = capsys.readouterr().err
    assert said in captured
    assert str(run) in captured
    assert not list(tmp_path.glob('*report*'))


def test_a_run_that_has_only_begun_is_listed_beside_others(tmp_path: Path) -> None:
    write(tmp_path / 'begun', CONFIG)
    write(tmp_path / 'done', replace(CONFIG, horizon=5), forces(1.0))
    assert '0 of 20' in Page(page_of(*groups_of(tmp_path))).text
    with pytest.raises(ReportError, match='begun: found no complete row in its logs; runs log'):
        groups_of(tmp_path / 'begun')


def test_a_report_that_cannot_be_written_is_said(
        tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    run = write(tmp_path / 'run', CONFIG, forces(1.0))
    (tmp_path / 'file').write_text('')
    assert main([str(run), '--out', str(tmp_path / 'file' / 'report.html')]) == 2
    assert 'cannot be written' in capsys.readouterr().err


def test_the_report_lies_where_its_runs_lie(tmp_path: Path) -> None:
    for name, seed in (('a/x', 0), ('b/y', 1)):
        write(tmp_path / name, replace(CONFIG, seed=seed), forces(1.0))
    assert report([tmp_path / 'a']) == tmp_path / 'a' / 'x' / 'report.html'
    assert report([tmp_path / 'a', tmp_path / 'b']) == tmp_path / 'report.html'


@pytest.mark.parametrize('values', [[3.0], [3.0, math.nan, 2.0], [math.nan, 3.0, math.nan, 2, 1]])
def test_a_point_without_a_neighbour_is_seen(values: list[float], tmp_path: Path) -> None:
    """A line needs two points: a run of one logged row, or one between unknown ones."""
    rows = [
        {'step': 5 * (i + 1), 'critic_loss': value} for i, value in enumerate(values)]
    write(tmp_path / 'run', CONFIG, rows)
    (figure,) = (one for one in figures(group(read([tmp_path / 'run']), 'run'))
                 if one.panel.columns == ('critic_loss',))
    _, axes = plt.subplots()
    draw(axes, figure)
    markers = [line.get_marker() for line in axes.lines if len(line.get_xdata())]
    plt.close()
    assert markers == ['o']
