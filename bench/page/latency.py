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
"""Tables of bench/latency.py and bench/graph.py on the performance page."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bench.page.rows import figures, find, markdown, number, POINTS, Results, Row, rows_of

# Parts of bench/latency.py, and their captions.
_PARTS = {
    'candidates': 'Policies as the node runs them, *tight*; *products* are the bare matrix '
    "products of the paper's size in numpy, on one thread:",
    'runtimes': "The paper's size by runtime, *tight*:",
    'ode': 'One evaluation compared with many, *tight*:',
    'paced': 'At the control rate, *paced*:',
    'cold': "One candidate of the paper's size, *paced*, with possible remedies for cold caches; "
    'the processor time is that of a whole period, with busy-waiting and warm-up:'}


def _table(rows: Sequence[Row]) -> str:
    """Format a table of latencies, with their ratios to the floor and the bare products."""
    return markdown(
        ['policy', 'runtime', 'candidates', 'calls', *(f'{head}, us' for head, _ in POINTS),
         'p50 over the floor', 'over the products'],
        ([row['policy'], row['runtime'], str(row['candidates']),
          f'{row["inference"]["count"]:,}', *figures(row['inference']),
          *(number(row[key]) if row.get(key) is not None else ''
            for key in ('over_floor', 'over_products'))] for row in rows), 2)


def _remedies(rows: Sequence[Row]) -> str:
    """Format the table of remedies for cold caches."""
    return markdown(
        ['remedy', 'rhythm', 'calls', *(f'{head}, us' for head, _ in POINTS), 'processor, us'],
        ([row['remedy'], row['rhythm'], f'{row["inference"]["count"]:,}',
          *figures(row['inference']),
          number(row['processor_us']) if 'processor_us' in row else ''] for row in rows), 2)


def latency(results: Results) -> str:
    """Format the latency of policies, part by part."""
    rows = rows_of(results, 'latency')
    return '\n\n'.join(
        f'{_PARTS.get(part, part)}\n\n' + (_remedies if part == 'cold' else _table)(
            [row for row in rows if row['part'] == part])
        for part in dict.fromkeys(row['part'] for row in rows) if part != 'ode')


def evaluations(rows: Sequence[Row]) -> list[Row]:
    """Return the rows of one evaluation and of many, with one candidate."""
    return sorted(
        (row for row in rows if row['part'] == 'ode' and row['candidates'] == 1),
        key=lambda row: (row['evaluations'], row['policy'] != 'paper'))


def policy_name(row: Row) -> str:
    """Name a policy with its number of evaluations."""
    count = row['evaluations']
    kind = 'drifting field' if row['policy'] == 'paper' else 'flow'
    return f'{kind}, {count} evaluation' + 's' * (count != 1)


def steps(results: Results) -> str:
    """Format the latency by number of evaluations, relative to the drifting field's."""
    rows = rows_of(results, 'latency')
    lines = []
    for count in (1, 16):
        here = [row for row in rows if row['part'] == 'ode' and row['candidates'] == count]
        first = find(here, policy='paper')
        for row in sorted(here, key=lambda row: float(row['inference']['p50_us'])):
            ratio = '' if first is None else number(
                row['inference']['p50_us'] / first['inference']['p50_us'])
            lines.append([policy_name(row), str(count), *figures(row['inference']), ratio])
    return markdown(
        ['policy', 'candidates', *(f'{head}, us' for head, _ in POINTS),
         "p50 over the drifting field's"], lines, 1)


def graph(results: Results) -> str:
    """Format the graph variants and the profile by node type."""
    rows = rows_of(results, 'graph')
    columns = list(dict.fromkeys((row['policy'], row['candidates']) for row in rows))

    def table(head: str, key: str, cell: Callable[[Row], str]) -> str:
        """Format a table with a condition in rows, policies and candidates in columns."""
        return markdown(
            [head, *(f'{policy}, {count}, us' for policy, count in columns)],
            ([name, *(
                cell(row) if (row := find(
                    rows, policy=policy, candidates=count, **{key: name})) else ''
                for policy, count in columns)]
             for name in dict.fromkeys(row[key] for row in rows if key in row)), 1)
    variants = table('graph, p50', 'graph', lambda row: number(row['inference']['p50_us']))
    nodes = table('operator', 'node', lambda row: (
        f'{number(row["profiled_us"])} ({row["nodes"]} node' + 's' * (row['nodes'] != 1) + ')'))
    return f'{variants}\n\nInference time of the exported graph by operator, profiled:\n\n{nodes}'
