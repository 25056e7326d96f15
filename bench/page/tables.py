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
"""Tables of the performance page, from the results of the benchmarks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bench.loop.condition import EARLY, REHEARSAL
from bench.page.cameras import cameras
from bench.page.goals import all_goals
from bench.page.latency import graph, latency, steps
from bench.page.rows import figures, find, markdown, number, POINTS, Results, Row, rows_of
from bench.soak.verdict import missed_outside

_LOOP = (
    ('period_error', "period's error"), ('wakeup', 'wake-up'), ('inference', 'inference'),
    ('deadline_to_command', 'deadline to command'),
    ('observation_to_command', 'observation to command'),
    ('observation_to_reception', 'observation to reception'))
_KINDS = {
    'node': 'the node', 'timer': 'bare timer', 'listener': 'timer that subscribes',
    'sleep': 'sleep loop'}


def machine(results: Results) -> str:
    """Describe the machine of each file."""
    seen: dict[str, list[str]] = {}
    for name, found in results.items():
        if found is not None:
            described = found['machine']
            place = ', '.join(
                f'{value} cores' if key == 'cores' else str(value)
                for key, value in described.items() if key != 'load')
            seen.setdefault(place, []).append(f'`{name}` (load {described["load"].split()[0]})')
    missing = [f'`{name}`' for name, found in results.items() if found is None]
    lines = [f'* {place}: {", ".join(names)}' for place, names in seen.items()]
    if missing:
        lines.append(f'* not measured: {", ".join(missing)}')
    return '\n'.join(lines)


def goals(results: Results) -> str:
    """Format the goals and their results."""
    rows = [
        [goal['goal'][:1].upper() + goal['goal'][1:], number(goal['found']),
         f'at {"least" if goal.get("at_least") else "most"} {number(goal["limit"])}',
         'met' if goal['met'] else '**missed**'] for goal in all_goals(results)]
    return markdown(['goal', 'measured', 'limit', ''], rows, 1) if rows else (
        'Not measured: no file has goals; `make bench` makes those that have.')


def _condition(row: Row) -> str:
    """Name the condition of a loop."""
    return (f'{row["rate"]:,g} Hz' + (f', {row["load"]}' if row['load'] != 'none' else '')
            + ', SCHED_FIFO' * row['fifo'] + ', early' * bool(row.get('early'))
            + ', warm-up' * bool(row.get('rehearsal'))
            + ', ticks on samples' * (row.get('trigger') == 'samples'))


def loop(results: Results) -> str:
    """Format the periods of each loop, and the latencies of the node."""
    return _loops(rows_of(results, 'loop'))


def learner(results: Results) -> str:
    """Format the same beside a learner, and without one, measured in one run."""
    return _loops([row for row in rows_of(results, 'loop_learner')
                   if not row['fifo'] and row['trigger'] == 'timer'])


def _loops(rows: Sequence[Row]) -> str:
    periods = markdown(
        ['condition', 'loop', 'ticks', 'missed', 'p50, us', 'p99, us', 'p99.9, us', 'maximum, us',
         'processor a tick, us'],
        ([_condition(row), _KINDS.get(row['kind'], row['kind']), f'{row["ticks"]:,}',
          f'{row["missed"]:,}', *figures(row.get('period_error')),
          number(row['cpu_us_per_tick'])] for row in rows), 2)
    within = markdown(
        ['condition', 'from, to', *(f'{head}, us' for head, _ in POINTS)],
        ([_condition(row), words, *figures(row[key])]
         for row in rows if row['kind'] == 'node' for key, words in _LOOP[1:] if key in row), 2)
    return f"{periods}\n\nThe parts of the node's ticks:\n\n{within}"


def busy(row: Row) -> str:
    """Name the load of a wake-up measurement."""
    cores = {0: 'no load', 1: 'one core busy', 2: 'both cores busy'}
    return cores.get(row['busy'], f'{row["busy"]} cores busy') + ', SCHED_FIFO' * row['fifo']


def wakeup(results: Results) -> str:
    """Format the latency of each way of waking up."""
    rows = rows_of(results, 'wakeup')
    return markdown(
        ['rate', 'load', 'method', 'slack, us', 'ticks', 'missed',
         *(f'{head}, us' for head, _ in POINTS), 'share of a core'],
        ([f'{row["rate"]:,} Hz', busy(row), row['way'], str(row['slack']), f'{row["ticks"]:,}',
          f'{row["missed"]:,}', *figures(row['late']), f'{100 * row["core"]:.1f} %']
         for row in rows), 3)


def distributions(rows: Sequence[Row]) -> list[str]:
    """List the keys of rows that hold distributions, in order."""
    return list(dict.fromkeys(
        key for row in rows for key, value in row.items()
        if isinstance(value, dict) and 'p50_us' in value))


def tick(results: Results) -> str:
    """Format the parts of a tick at the control rate: p50 and p99 of each robot."""
    rows = [row for row in rows_of(results, 'tick') if row.get('rhythm', 'paced') == 'paced']
    return markdown(
        ['part', *(f'{row["policy"]} p50, us' if point == 'p50_us' else 'p99, us'
                   for row in rows for point in ('p50_us', 'p99_us'))],
        ([part.replace('_', ' '), *(
            number(row[part][point]) if part in row else ''
            for row in rows for point in ('p50_us', 'p99_us'))] for part in distributions(rows)),
        1)


def swap(results: Results) -> str:
    """Format the cost of swaps: ticks of all rounds, and memory after each."""
    rows = rows_of(results, 'swap')
    lines = []
    for kind in dict.fromkeys(row['kind'] for row in rows):
        here = [row for row in rows if row['kind'] == kind]
        count = sum(row['swaps'] for row in here)
        lines.append([
            {'none': 'no swap', 'swaps': f'{count} swaps', 'refused': f'{count} refusals'}.get(
                kind, kind),
            f'{sum(row["ticks"] for row in here):,}', str(sum(row['missed'] for row in here)),
            f'{max(row["max_ms"] for row in here):.1f}',
            ', '.join(f'{row["resident_mb"]:.1f}' for row in here)])
    return markdown(
        ['', 'ticks', 'missed', 'longest period, ms', 'resident memory after each round, MB'],
        lines, 1)


def soak(results: Results) -> str:
    """Format the result of a soak."""
    row = rows_of(results, 'soak')[0]
    found = row['verdict']
    last = row['rests'][-1]
    well = sum(not fault['failed'] for fault in row['faults'])
    table = markdown(['', ''], [
        ['duration', f'{row["minutes"]:g} min at {row["rate"]:g} Hz'
         + ', SCHED_FIFO' * row['fifo']],
        ['faults', f'{len(row["faults"])}, {well} of them handled as specified'],
        ['resident memory', f'{found["resident_mb"]:.1f} MB, {found["memory"]}: slope '
         f'{found["slope_kb_per_hour"]:+.0f} KB an hour (95 %: {found["slope_low"]:+.0f} to '
         f'{found["slope_high"]:+.0f}), over {found["judged_minutes"]:.0f} min'],
        ['threads', f'{last["threads"]}, {found["threads_rise"]:+d}'],
        ['file descriptors', f'{last["descriptors"]}, {found["descriptors_rise"]:+d}'],
        ['ticks', f'{row["ticks"]:,}'],
        ['missed within a fault', f'{found["missed_within_faults"]:,}'],
        ['missed outside', missed_outside(found)],
        ['processor', f'{row["processor_percent"]:.0f} % of one core']], 2)
    return '\n\n'.join([table, *(f'* wrong: {each}' for each in found['wrong'])])


def headline(results: Results) -> str:
    """Format the README's table of the main results; docs/performance.md has all."""
    lines = []
    answer = find(rows_of(results, 'latency'), part='ode', candidates=1, policy='paper')
    if answer is not None:
        lines.append(['one inference, back to back', *figures(answer['inference'])])
    rows = rows_of(results, 'loop')
    wanted = {'rate': 200, 'load': 'none', 'fifo': False, 'trigger': 'timer'}
    node, timer = (find(rows, kind=kind, **wanted) for kind in ('node', 'timer'))
    best = find(rows, kind='node', rate=200, load='none', fifo=True, early=EARLY,
                rehearsal=REHEARSAL)
    if node is not None and 'inference' in node:
        lines.append(['one inference, in the loop at 200 Hz', *figures(node['inference'])])
    if node is not None and 'deadline_to_command' in node:
        lines.append(['from the deadline to the command at 200 Hz',
                      *figures(node['deadline_to_command'])])
    if best is not None:
        lines.append(['the same with real-time priority, early wake-up and cache warm-up; '
                      f'{best["missed"]:,} of {best["ticks"]:,} ticks missed',
                      *figures(best['deadline_to_command'])])
    lines += [
        [f'error of the period at 200 Hz, {words}; {row["missed"]:,} of {row["ticks"]:,} '
         'ticks missed', *figures(row['period_error'])]
        for words, row in (('the node', node), ('a bare rclpy timer', timer)) if row]
    if not lines:
        return 'Not measured yet: `make bench`.'
    return markdown(['us', *(head for head, _ in POINTS)], lines, 1)


#: Text of each section, and its benchmarks.
SECTIONS: dict[str, tuple[tuple[str, ...], Callable[[Results], str]]] = {
    'machine': ((), machine), 'goals': ((), goals), 'latency': (('latency',), latency),
    'steps': (('latency',), steps), 'graph': (('graph',), graph),
    'loop': (('loop',), loop), 'learner': (('loop_learner',), learner),
    'wakeup': (('wakeup',), wakeup),
    'tick': (('tick',), tick), 'cameras': (('cameras',), cameras), 'swap': (('swap',), swap),
    'soak': (('soak',), soak),
    'headline': ((), headline)}
