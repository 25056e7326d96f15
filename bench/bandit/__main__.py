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
Bandit benchmark: every policy family on a two-dimensional action with five modes and known value.

    python -m bench.bandit --out docs/bandit.png

The policies are the trainer's own, in one state, with the known value in place of the critics.
Every update sends the same number of rows through the network: 1024, which the drifting field
policy divides into 128 states with 8 chunks each. docs/bandit.md discusses the results.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
import json
import sys
import time

import torch

from bench.bandit.problem import (
    actor_loss,
    ARROWS,
    Course,
    draw_data,
    drift_at,
    figures,
    learn,
    make,
    many_positives_loss,
    MOMENTS,
    POINTS,
    sample,
)
from bench.common.arguments import count, output, whole
from training.learning.agents.actor import Actor


@dataclass(frozen=True)
class Case:
    """
    Policy in the comparison.

    :param name: Name in table and figure.
    :param policy: Value of the setting ``policy``.
    :param changes: Further settings that differ from the others'.
    :param updates: Updates, as a fraction of those requested.
    :param improves: Name of the case whose learned policy it continues from, with top-K.
    :param loss: Loss of the actor.
    :param drawn: Whether the figure shows it.
    """

    name: str
    policy: str
    changes: dict[str, object]
    updates: float = 1.0
    improves: str = ''
    loss: Callable[[Actor], torch.Tensor] = actor_loss
    drawn: bool = True


CASES = (
    Case('DFP, cloning', 'dfp', {}),
    Case('DFP, cloning + top-K', 'dfp', {'value_weight': 0.5}, 0.5, improves='DFP, cloning'),
    Case('Flow', 'flow', {}),
    Case('MeanFlow', 'meanflow', {}),
    Case('FQL', 'fql', {}, 0.5),
    Case('DFP, cloning, bandwidth 0.05, rate 3e-4', 'dfp',
         {'bandwidths': (0.05,), 'learning_rate': 3e-4}, drawn=False),
    Case('DFP, cloning, bandwidths 0.1 and 0.5', 'dfp', {'bandwidths': (0.1, 0.5)}, drawn=False),
    Case('DFP, cloning, 16 positives, 16 generated', 'dfp', {'generated': 16},
         loss=many_positives_loss, drawn=False))


def run(case: Case, updates: int, seed: int, learnt: dict[str, Actor]) -> Course:
    """
    Train a policy, and record its course.

    :param learnt: Learned policies by the name of their case; this one is added.
    """
    actor = make(case.policy, seed, **case.changes)
    if case.improves:
        actor.load_state_dict(learnt[case.improves].state_dict())
        actor.improve()
        actor.renew_anchor(actor)
    updates = round(case.updates * updates)
    course = Course(case.name, updates, {}, {}, {})
    frames = {round(moment * updates) for moment in MOMENTS}

    def watch(update: int) -> None:
        if update in frames or update % max(1, updates // POINTS) == 0:
            actions = sample(actor)
            course.curve[update] = figures(actions)
            if update in frames:
                course.places[update] = actions
                if case.policy == 'dfp':
                    starts = actions[:ARROWS]
                    with torch.random.fork_rng():
                        course.drift[update] = starts, drift_at(actor, starts)

    start = time.process_time()
    learn(actor, updates, watch, case.loss)
    course.seconds = time.process_time() - start
    learnt[case.name] = actor
    return course


def main(arguments: list[str] | None = None) -> int:
    """Print a table, draw the figure, and print the results as JSON on the last line."""
    made = argparse.ArgumentParser(description=(__doc__ or '').strip().splitlines()[0])
    made.add_argument('--out', type=output, help='figure file to write')
    made.add_argument('--updates', type=count, default=1500)
    made.add_argument('--seed', type=whole, default=0)
    asked = made.parse_args(arguments)
    torch.set_num_threads(1)
    torch.manual_seed(asked.seed)
    rows = {'data': figures(draw_data(100_000))}
    learnt: dict[str, Actor] = {}
    courses = []
    print('policy: total variation, share outside, share at the best two modes, value, '
          'deviation; processor time')
    for case in CASES:
        course = run(case, asked.updates, asked.seed, learnt)
        rows[case.name] = course.curve[course.updates] | {'seconds': course.seconds}
        if case.drawn:
            courses.append(course)
    for name, row in rows.items():
        print(f'{name}: {row["total_variation"]:.3f}, {row["outside"]:.3f}, {row["at_best"]:.3f}, '
              f'{row["value"]:.3f}, {row["spread"]:.2f}; {row.get("seconds", 0):.0f} s')
    if asked.out:
        from bench.bandit.figure import draw
        draw(courses, rows['data']['value'], asked.out)
    print(json.dumps(rows))
    return 0


if __name__ == '__main__':
    sys.exit(main())
