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
"""Page docs/gpu.md, written from the results."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

INTRODUCTION = """# On a GPU

    make gpu

checks on CUDA what the tests check on the CPU, measures updates at the paper's size, trains
cube-single for some minutes and evaluates it, and measures the policy with ONNX Runtime's CUDA
provider; this page is written from its results (`bench/results/gpu.json`). The same code runs on a
CPU (`python -m bench.gpu --device cpu --quick`), which is what the tests do. It takes under 12
minutes on a GPU, in an environment with a CUDA build of PyTorch and `onnxruntime-gpu` in place of
`onnxruntime`.
"""
UNMEASURED = """
**Not measured.** This page was never written on a machine with a GPU: the code paths for CUDA
exist, and none of them has been verified.
"""


def page(results: dict[str, Any] | None) -> str:
    """
    Write the page.

    :param results: Results of ``python -m bench.gpu`` on CUDA; None if there are none.
    """
    if results is None:
        return INTRODUCTION + UNMEASURED
    described = ', '.join(f'{key} {value}' for key, value in results['machine'].items())
    parts = [
        INTRODUCTION,
        f'\nMeasured on: {results["device"]}; {described}; torch {results["torch"]}; '
        f'{results["seconds"] / 60:.1f} minutes in all.\n',
        '\n## Checks against the CPU\n',
        table(('check', 'difference', 'limit', ''), (
            (row['check'], f'{row["difference"]:.1e}', f'{row["limit"]:.0e}',
             'passed' if row['passed'] else '**failed**') for row in results['checks'])),
        "\n## Updates at paper size\n\nBatch 256, 4 x 512, H 5, N 16, N' 16, G 8, K 4. *bound* is "
        "the time of the products alone, at the device's rate on (2048, 512) by (512, 512).\n",
        table((
            'phase', 'precision', 'compiled', 'median, ms', 'p99, ms', 'bound, ms', 'TFLOP/s'), (
            (row['phase'], row['precision'], 'yes' if row['compiled'] else 'no',
             *((f'{row["p50_ms"]:.2f}', f'{row["p99_ms"]:.2f}', f'{row["bound_ms"]:.2f}',
                f'{row["rate_tflops"]:.1f}') if 'p50_ms' in row else (row['error'], '', '', '')))
            for row in results['updates'])),
        '\n## Training\n\n', training(results['training']),
        '\n## Policy\n',
        table(('provider', 'candidates', 'median, us', 'p99, us', 'p99.9, us'), (
            (row['provider'], str(row['candidates']), f'{row["p50_us"]:.0f}',
             f'{row["p99_us"]:.0f}', f'{row["p99.9_us"]:.0f}') for row in results['answers']))]
    return ''.join(parts)


def training(found: dict[str, Any]) -> str:
    """Sentence about the training run."""
    low, high = found['interval']
    return (
        f'{found["preset"]}, {found["updates"]} updates in {found["minutes"]:.1f} minutes '
        f'({found["update_ms"]:.2f} ms each), precision {found["precision"]}: '
        f'{found["success"]:.0%} of {found["episodes"]} episodes solved (95 % interval '
        f'{low:.0%} to {high:.0%}). `{found["command"]}`\n')


def table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Format a Markdown table."""
    lines = [header, tuple('---' for _ in header), *rows]
    return '\n' + ''.join('| ' + ' | '.join(cells) + ' |\n' for cells in lines)
