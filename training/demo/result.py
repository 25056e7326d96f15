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
"""Result of a session of learning on a robot: table, JSON and picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt

from dfp_ros.core.intervals import wilson_interval
from training.common.files import atomic_path
from training.common.machine import machine
from training.common.provenance import commit, versions
from training.demo.session import Witness
from training.robot.learner import RESULT
from training.robot.records import EpisodeRecord, RecordTable, TABLE
from training.robot.releases import POLICIES

#: Episodes at the start and at the end that are compared.
COMPARED = 20
_BLUE, _ORANGE, _GREY = '#0072B2', '#D55E00', '#555555'


@dataclass(frozen=True)
class Result:
    """
    Result of a session.

    :param seed: Seed of clone and robot.
    :param records: The episodes, as the learner counted them.
    :param learner: What the learner reports.
    :param witness: What was seen of robot and node.
    :param problems: Faults.
    """

    seed: int
    records: Sequence[EpisodeRecord]
    learner: dict[str, Any]
    witness: Witness
    problems: Sequence[str]

    @property
    def solved_first(self) -> tuple[int, int]:
        """Count successes and episodes of the policy that the session began with."""
        marked = [record.success for record in self.records
                  if record.success >= 0 and record.policy == 'start']
        return sum(marked), len(marked)

    def solved(self, last: bool) -> tuple[int, int]:
        """Count successes and episodes among the first or the last ones with an end mark."""
        marked = [record.success for record in self.records if record.success >= 0]
        chosen = marked[-COMPARED:] if last else marked[:COMPARED]
        return sum(chosen), len(chosen)

    @property
    def missed(self) -> tuple[int, int]:
        """Return missed ticks and ticks of the policy node."""
        missed, ticks = (
            int(float(self.witness.policy.get(f'run_{name}', '-1')))
            for name in ('missed_ticks', 'ticks'))
        return missed, ticks

    def policy(self, out: Path, first: Path) -> Path:
        """Find the file of the policy that ran last; the first one if none took over."""
        version = str(self.learner.get('policy', ''))
        found = (out / 'robot' / POLICIES).glob(f'policy-{version.zfill(6)}-*.onnx')
        return max(found, default=first)

    def table(self) -> str:
        """Format the result as a table."""
        learner, missed = self.learner, self.missed
        solved, count = self.solved_first
        rows = [('solved by the first policy', f'{solved} of {count}')]
        rows += [(f'solved of the {name} {count}', f'{solved} ({solved / max(1, count):.0%})')
                 for name, (solved, count) in (
                     ('first', self.solved(False)), ('last', self.solved(True)))]
        paces = [episode.real_time_factor for episode in self.witness.episodes] or [0.0]
        rows += [
            ('episodes', str(len(self.records))),
            ('steps of a person', str(sum(record.person_steps for record in self.records))),
            ('updates', f'{learner.get("updates", 0):,}, {learner.get("transitions", 0):,} '
                        'transitions'),
            ('policies', f'{learner.get("swaps", 0)} swaps, {learner.get("rollbacks", 0)} '
                         f'roll-backs, {learner.get("refusals", 0)} refused'),
            ('missed ticks', f'{missed[0]} of {missed[1]:,}'),
            ('commands beyond limits', f'{self.witness.beyond} of {self.witness.commands:,}'),
            ('minutes', f'{learner.get("minutes", 0):.1f}, real-time factor '
                        f'{sum(paces) / len(paces):.3f}')]
        width = max(len(name) for name, _ in rows)
        return '\n'.join(f'  {name:{width}}   {value}' for name, value in rows)

    def write(self, path: Path) -> None:
        """Write it as JSON, atomically."""
        content = {
            'seed': self.seed, 'machine': machine(), 'commit': commit(), 'versions': versions(),
            **{name: {'solved': solved, 'episodes': count,
                      'interval': wilson_interval(solved, count) if count else None}
               for name, (solved, count) in (
                   ('first_policy', self.solved_first), ('first', self.solved(False)),
                   ('last', self.solved(True)))},
            'missed_ticks': self.missed[0], 'ticks': self.missed[1],
            'commands': self.witness.commands, 'commands_beyond_limits': self.witness.beyond,
            'problems': list(self.problems), 'learner': self.learner,
            'node': self.witness.policy, 'episodes': [asdict(each) for each in self.records]}
        with atomic_path(path) as partial:
            partial.write_text(json.dumps(content, indent=1) + '\n', encoding='utf-8')

    def draw(self, path: Path) -> None:
        """Write the picture: success over time, with the policies that took over."""
        records = [record for record in self.records if record.success >= 0]
        minutes = [record.seconds / 60 for record in records]
        solved = [record.success for record in records]
        figure, axes = plt.subplots(figsize=(8.5, 3.6), layout='constrained')
        changes = [minute for minute, before, after in zip(
            minutes[1:], records, records[1:], strict=False) if before.policy != after.policy]
        for minute in changes:
            axes.axvline(minute, color='0.85', linewidth=0.8, zorder=0)
        for success, marker, colour in ((1, 'o', _BLUE), (0, 'x', _ORANGE)):
            axes.plot(
                [minute for minute, found in zip(minutes, solved, strict=True)
                 if found == success], [success] * solved.count(success), marker, color=colour,
                markersize=4, clip_on=False)
        shares = [
            sum(solved[max(0, i + 1 - COMPARED):i + 1]) / min(i + 1, COMPARED)
            for i in range(len(solved))]
        axes.plot(minutes, shares, color=_BLUE, linewidth=1.8)
        axes.set(ylim=(-0.02, 1.02), xlim=(0, None), xlabel='minutes',
                 ylabel=f'success, last {COMPARED} episodes')
        axes.yaxis.set_major_formatter(matplotlib.ticker.PercentFormatter(1.0))
        axes.grid(axis='y', linewidth=0.4, alpha=0.6)
        axes.spines[['top', 'right']].set_visible(False)
        axes.set_title(
            f'{len(records)} episodes: dots solved, crosses not; a grey line is a new policy',
            fontsize=10.5, loc='left', color=_GREY)
        with atomic_path(path) as partial:
            figure.savefig(partial, format='png', dpi=130)
        plt.close(figure)


def read_result(out: Path, seed: int, witness: Witness, problems: Sequence[str]) -> Result:
    """
    Read what the learner left.

    :param out: Folder of the session.
    """
    file = out / 'robot' / RESULT
    learner = json.loads(file.read_text(encoding='utf-8')) if file.is_file() else {}
    return Result(
        seed, RecordTable(out / 'robot' / TABLE).records, learner, witness, problems)
