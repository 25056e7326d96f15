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
"""The tables of the performance page, from the rows of the benchmarks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from performance_goals import all_goals, find, Results, Row

_POINTS = (('p50', 'p50_us'), ('p99', 'p99_us'), ('p99.9', 'p99.9_us'), ('maximum', 'max_us'))
_LOOP = (
    ('period_error', "period's error"), ('wakeup', 'wake-up'), ('inference', 'inference'),
    ('deadline_to_command', 'deadline to command'),
    ('observation_to_command', 'observation to command'),
    ('observation_to_reception', 'observation to reception'))
_KINDS = {
    'node': 'the node', 'timer': 'bare timer', 'listener': 'timer that listens',
    'sleep': 'sleep loop'}


def markdown(heads: Sequence[str], rows: Iterable[Sequence[str]], numbers: int) -> str:
    """
    Write a table.

    :param heads: Of the columns.
    :param rows: Cells.
    :param numbers: The first column whose cells are numbers, which stand to the right.
    """
    rule = ['---' if i < numbers else '---:' for i in range(len(heads))]
    return '\n'.join('| ' + ' | '.join(cells) + ' |' for cells in (heads, rule, *rows))


def number(value: float) -> str:
    """Write a number as it can be read: three digits, thousands with commas."""
    return f'{value:,.0f}' if value >= 100 else f'{value:.3g}'


def distributions(rows: Sequence[Row]) -> list[str]:
    """List the keys under which rows have distributions, in order."""
    return list(dict.fromkeys(
        key for row in rows for key, value in row.items()
        if isinstance(value, dict) and 'p50_us' in value))


def figures(found: Row | None) -> list[str]:
    """Write the four points of a distribution."""
    return ['' if found is None else number(found[key]) for _, key in _POINTS]


def _rows(results: Results, name: str) -> list[Row]:
    found = results[name]
    return [] if found is None else found['rows']


def machine(results: Results) -> str:
    """Describe where each file was measured."""
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
    """Write what was to be reached, and whether it was."""
    rows = [
        [goal['goal'][:1].upper() + goal['goal'][1:], number(goal['found']),
         f'at {"least" if goal.get("at_least") else "most"} {number(goal["limit"])}',
         'met' if goal['met'] else '**missed**'] for goal in all_goals(results)]
    return markdown(['goal', 'measured', 'limit', ''], rows, 1) if rows else (
        'Not measured: no file has goals; `make bench` makes those that have.')


#: The parts of bench/latency.py, and what they are.
_PARTS = {
    'candidates': 'Policies as the node runs them, *tight*; *products* are the bare matrix '
    "products of the paper's size in numpy, on one thread:",
    'runtimes': "The paper's size by runtime, *tight*:",
    'ode': 'One evaluation against many, *tight*:',
    'paced': 'At the control rate, *paced*:'}


def _latency_table(rows: Sequence[Row]) -> str:
    """Write a table of answers, beside the floor and the bare products."""
    return markdown(
        ['policy', 'runtime', 'candidates', 'calls', *(f'{head}, us' for head, _ in _POINTS),
         'p50 over the floor', 'over the products'],
        ([row['policy'], row['runtime'], str(row['candidates']),
          f'{row["inference"]["count"]:,}', *figures(row['inference']),
          *(number(row[key]) if row.get(key) is not None else ''
            for key in ('over_floor', 'over_products'))] for row in rows), 2)


def latency(results: Results) -> str:
    """Write how long policies take to answer, part by part."""
    rows = _rows(results, 'latency')
    return '\n\n'.join(
        f'{_PARTS.get(part, part)}\n\n' + _latency_table(
            [row for row in rows if row['part'] == part])
        for part in dict.fromkeys(row['part'] for row in rows) if part != 'ode')


def evaluations(rows: Sequence[Row]) -> list[Row]:
    """Find the rows of one evaluation against many, with one candidate."""
    return sorted(
        (row for row in rows if row['part'] == 'ode' and row['candidates'] == 1),
        key=lambda row: (row['evaluations'], row['policy'] != 'paper'))


def policy_name(row: Row) -> str:
    """Name a policy with its evaluations."""
    count = row['evaluations']
    kind = 'drifting field' if row['policy'] == 'paper' else 'flow'
    return f'{kind}, {count} evaluation' + 's' * (count != 1)


def steps(results: Results) -> str:
    """Write what one answer takes by the number of evaluations, beside the drifting field's."""
    rows = _rows(results, 'latency')
    lines = []
    for count in (1, 16):
        here = [row for row in rows if row['part'] == 'ode' and row['candidates'] == count]
        first = find(here, policy='paper')
        for row in sorted(here, key=lambda row: float(row['inference']['p50_us'])):
            ratio = '' if first is None else number(
                row['inference']['p50_us'] / first['inference']['p50_us'])
            lines.append([policy_name(row), str(count), *figures(row['inference']), ratio])
    return markdown(
        ['policy', 'candidates', *(f'{head}, us' for head, _ in _POINTS),
         "p50 over the drifting field's"], lines, 1)


def _condition(row: Row) -> str:
    """Name the condition that the loop ran under."""
    return (f'{row["rate"]:,g} Hz' + (f', {row["load"]}' if row['load'] != 'none' else '')
            + ', SCHED_FIFO' * row['fifo']
            + ', ticks on samples' * (row.get('trigger') == 'samples'))


def loop(results: Results) -> str:
    """Write how well each loop keeps its period, and what the node takes within it."""
    rows = _rows(results, 'loop')
    periods = markdown(
        ['condition', 'loop', 'ticks', 'missed', 'p50, us', 'p99, us', 'p99.9, us', 'maximum, us',
         'processor a tick, us'],
        ([_condition(row), _KINDS.get(row['kind'], row['kind']), f'{row["ticks"]:,}',
          f'{row["missed"]:,}', *figures(row.get('period_error')),
          number(row['cpu_us_per_tick'])] for row in rows), 2)
    within = markdown(
        ['condition', 'from, to', *(f'{head}, us' for head, _ in _POINTS)],
        ([_condition(row), words, *figures(row[key])]
         for row in rows if row['kind'] == 'node' for key, words in _LOOP[1:] if key in row), 2)
    return f"{periods}\n\nThe parts of the node's ticks:\n\n{within}"


def busy(row: Row) -> str:
    """Name what a way of waking up was measured beside."""
    cores = {0: 'no load', 1: 'one core busy', 2: 'both cores busy'}
    return cores.get(row['busy'], f'{row["busy"]} cores busy') + ', SCHED_FIFO' * row['fifo']


def wakeup(results: Results) -> str:
    """Write how late each way of waking up is."""
    rows = _rows(results, 'wakeup')
    return markdown(
        ['rate', 'beside', 'way', 'slack, us', 'ticks', 'missed',
         *(f'{head}, us' for head, _ in _POINTS), 'of a core'],
        ([f'{row["rate"]:,} Hz', busy(row), row['way'], str(row['slack']), f'{row["ticks"]:,}',
          f'{row["missed"]:,}', *figures(row['late']), f'{100 * row["core"]:.1f} %']
         for row in rows), 3)


def tick(results: Results) -> str:
    """Write what the parts of a tick take at the control rate: p50 and p99 of each robot."""
    rows = [row for row in _rows(results, 'tick') if row.get('rhythm', 'paced') == 'paced']
    return markdown(
        ['part', *(f'{row["policy"]} p50, us' if point == 'p50_us' else 'p99, us'
                   for row in rows for point in ('p50_us', 'p99_us'))],
        ([part.replace('_', ' '), *(
            number(row[part][point]) if part in row else ''
            for row in rows for point in ('p50_us', 'p99_us'))] for part in distributions(rows)),
        1)


def swap(results: Results) -> str:
    """Write what swaps cost: ticks of all rounds, and memory after each."""
    rows = _rows(results, 'swap')
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
    """Write what came of a soak."""
    row = _rows(results, 'soak')[0]
    found = row['verdict']
    last = row['rests'][-1]
    well = sum(not fault['failed'] for fault in row['faults'])
    table = markdown(['', ''], [
        ['duration', f'{row["minutes"]:g} min at {row["rate"]:g} Hz'
         + ', SCHED_FIFO' * row['fifo']],
        ['faults', f'{len(row["faults"])}, {well} of them met as they should be'],
        ['resident memory', f'{found["resident_mb"]:.1f} MB, {found["memory"]}: slope '
         f'{found["slope_kb_per_hour"]:+.0f} KB an hour (95 %: {found["slope_low"]:+.0f} to '
         f'{found["slope_high"]:+.0f}), over {found["judged_minutes"]:.0f} min'],
        ['threads', f'{last["threads"]}, {found["threads_rise"]:+d}'],
        ['file descriptors', f'{last["descriptors"]}, {found["descriptors_rise"]:+d}'],
        ['ticks', f'{row["ticks"]:,}'],
        ['missed within a fault', f'{found["missed_within_faults"]:,}'],
        ['missed outside', f'{found["missed_outside_faults"]:,}'],
        ['processor', f'{row["processor_percent"]:.0f} % of one core']], 2)
    return '\n\n'.join([table, *(f'* wrong: {each}' for each in found['wrong'])])


def headline(results: Results) -> str:
    """Write the README's table: what a reader asks first."""
    lines = []
    rows = _rows(results, 'loop')
    for rate in (200, 1000):
        wanted = {'rate': rate, 'load': 'none', 'fifo': False, 'trigger': 'timer'}
        node = find(rows, kind='node', **wanted)
        if node is None:
            continue
        name = f'{rate:,} Hz'
        if rate == 200 and 'inference' in node:
            lines.append([f'inference, in the loop at {name}', *figures(node['inference'])])
        lines.append([f"error of the period at {name}, {node['missed']} of {node['ticks']:,} "
                      'ticks missed', *figures(node['period_error'])])
        timer = find(rows, kind='timer', **wanted)
        if timer is not None:
            lines.append([
                f"the same of a bare rclpy timer, {timer['missed']} of {timer['ticks']:,} missed",
                *figures(timer['period_error'])])
        if rate == 200 and 'deadline_to_command' in node:
            lines.append([f'from the deadline to the command at {name}',
                          *figures(node['deadline_to_command'])])
    if not lines:
        return 'Not measured yet: `make bench`.'
    return markdown(['us', *(head for head, _ in _POINTS)], lines, 1)


#: What each section needs, and what writes it.
SECTIONS: dict[str, tuple[tuple[str, ...], Callable[[Results], str]]] = {
    'machine': ((), machine), 'goals': ((), goals), 'latency': (('latency',), latency),
    'steps': (('latency',), steps),
    'loop': (('loop',), loop), 'wakeup': (('wakeup',), wakeup),
    'tick': (('tick',), tick), 'swap': (('swap',), swap), 'soak': (('soak',), soak),
    'headline': (('loop',), headline)}
