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
"""Tables of the cost of cameras."""

from __future__ import annotations

from collections.abc import Sequence

from bench.page.rows import figures, markdown, number, POINTS, Results, Row, rows_of


def cameras(results: Results) -> str:
    """Format the four parts of the measurement."""
    rows = rows_of(results, 'cameras')
    parts = ((_latency, 'latency'), (_loop, 'loop'), (_decoding, 'decoding'),
             (_inference, 'inference'))
    return '\n\n'.join(
        write(found) for write, part in parts
        if (found := [row for row in rows if row['part'] == part]))


def _heads() -> list[str]:
    """Name the points of a distribution, in ms."""
    return [f'{name}, ms' for name, _ in POINTS]


def _milliseconds(found: Row | None) -> list[str]:
    """Format the points of a distribution in ms."""
    return ['' if found is None else number(found[key] / 1e3) for _, key in POINTS]


def _with(row: Row) -> str:
    """Name the cameras of a row."""
    return {0: 'none', 1: 'one camera', 2: 'two cameras'}.get(
        row['cameras'], f'{row["cameras"]} cameras')


def _latency(rows: Sequence[Row]) -> str:
    table = markdown(
        ['cameras', 'from, to', 'ticks', *_heads()],
        ([_with(row), 'stamp of the ' + ('picture' if row['cameras'] else 'joint state')
          + ' to arrival of the command', f'{row["ticks"]:,}',
          *_milliseconds(row.get('observation_to_reception'))] for row in rows), 2)
    return (
        f'From the picture to the command, node and camera at {rows[0]["rate"]:g} Hz, and the '
        f'same without:\n\n{table}')


def _loop(rows: Sequence[Row]) -> str:
    table = markdown(
        ['cameras', 'ticks', 'missed', 'late', 'held', 'error of', *_heads()],
        ([_with(row), f'{row["ticks"]:,}', f'{row["missed"]:,}',
          f'{row["late_half_a_period"]:,}', f'{row["held"]:,}', words,
          *_milliseconds(row.get(key))]
         for row in rows for key, words in (
             ('tick_period_error', "the ticks' period"),
             ('period_error', "the commands' period"))), 1)
    return (
        f'Ticks at {rows[0]["rate"]:g} Hz, with and without cameras at '
        f'{rows[0]["camera_rate"]:g} Hz:\n\n{table}')


def _decoding(rows: Sequence[Row]) -> str:
    table = markdown(
        ['encoding', 'message, kB', *(f'{name}, us' for name, _ in POINTS)],
        ([row['encoding'], number(row['bytes'] / 1e3), *figures(row['decoding'])]
         for row in rows), 1)
    row = rows[0]
    return (
        f'Decoding and scaling of {row["width"]} x {row["height"]} to {row["side"]} x '
        f'{row["side"]}, a picture:\n\n{table}')


def _inference(rows: Sequence[Row]) -> str:
    table = markdown(
        ['encoders', 'rhythm', *(f'{name}, us' for name, _ in POINTS)],
        ([str(row['encoders']), row['rhythm'], *figures(row['inference'])] for row in rows), 2)
    return f'Inference, a call, *paced* at {rows[0]["rate"]:g} Hz:\n\n{table}'
