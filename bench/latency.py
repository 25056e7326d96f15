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
Inference latency of policies: runtimes, candidates, ODE policies, and the lower bound.

    python -m bench.latency --json bench/results/latency.json

Policies are those of the paper's size (``paper_policy.py``: untrained, by the trainer's exporter)
and the shipped ones. Each part times its conditions in interleaved blocks:

``candidates``
    Every policy as in the node, with one candidate and the best of 4, 16, 64; and the bare
    matrix products of the paper's size in numpy (*products*).
``runtimes``
    The paper's size in ONNX Runtime as in the node, with two threads, spinning or not, and with
    int8 weights; and the same networks in PyTorch eager, TorchScript and torch.compile. One thread
    unless stated otherwise. All but int8 must give the same actions within 1e-4.
``ode``
    One evaluation of the drifting field policy against flow policies of the same network size with
    1, 5, 10 and 50 Euler steps, and 100 evaluations, as in a denoising policy. All are policy
    files with the steps unrolled in the graph and the state's part of the first layer computed at
    most once per step, so that the loop costs no Python; a denoising policy would also draw noise
    at each step.
``paced``
    Some of these at a control rate, at which caches go cold between calls.
``cold``
    Remedies for the cold caches, with one candidate of the paper's size (``cold.py``).

numpy packs the weights for each product with several rows, ONNX Runtime once, so it may take less
than the bare products with several candidates. *tight* is one call after the other. There are
20,000 calls of at most a millisecond, fewer of longer ones, as printed. The floor is the weights
at the bandwidth, or the work at the rate, whichever takes longer, as measured in the same run
(``floor.py``). Compare results of the same run only.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
import math
import os
from pathlib import Path
import sys
import tempfile
import time
from typing import Any

if __name__ == '__main__':
    # numpy must use one thread; the variable is read when numpy is loaded.
    os.environ['OPENBLAS_NUM_THREADS'] = '1'

import numpy as np
from numpy.typing import NDArray
import torch

from bench.common.arguments import amount, output
from bench.common.distribution import distribution
from bench.common.machine import finish
from bench.common.turns import in_turns, paced, tight, wait_until
from bench.inference.cold import remedies
from bench.inference.floor import bare_products, find_products, Floor, measure_floor
from bench.inference.paper_policy import HIDDEN, MODELS, PaperPolicy, write_policy
from bench.inference.runtimes import (
    Answer,
    execution,
    Inputs,
    onnx_answer,
    quantise,
    torch_answers,
)
from dfp_ros.core.policy.onnx_policy import OnnxPolicy

PARTS = ('candidates', 'runtimes', 'ode', 'paced', 'cold')
SHIPPED = ('cube_single', 'lift', 'lift_joint')
EVALUATIONS = (1, 5, 10, 50, 100)
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Effort:
    """
    Extent of the measurement.

    :param calls: Calls in the tight rhythm, if one takes less than a millisecond.
    :param seconds: Time limit of a condition with longer calls.
    :param paced_calls: Calls in the paced rhythm.
    :param turns: Blocks of each condition.
    :param candidates: Candidates per call.
    :param evaluations: Evaluations of the flow policies.
    :param compiled: Numbers of candidates for which torch.compile is measured.
    """

    calls: int = 20_000
    seconds: float = 4.0
    paced_calls: int = 1_200
    turns: int = 10
    candidates: tuple[int, ...] = (1, 4, 16, 64)
    evaluations: tuple[int, ...] = EVALUATIONS
    compiled: tuple[int, ...] = (1, 4, 16, 64)


QUICK = Effort(400, 0.1, 40, 4, (1, 16), (1, 10), (1,))


@dataclass(frozen=True)
class Condition:
    """
    Measured condition.

    :param labels: Keys of its row.
    :param call: Function of a count.
    :param rate: Rate of the paced rhythm in Hz; None for the tight one.
    :param wait: Waits for the next deadline in the paced rhythm.
    """

    labels: dict[str, Any]
    call: Callable[[int], object]
    rate: float | None = None
    wait: Callable[[float], None] = wait_until


@dataclass
class Bench:
    """
    Policies and results.

    :param paper: The drifting field policy of the paper's size.
    :param flows: Flow policies of the same size by their evaluations.
    :param effort: Extent of the measurement.
    :param rate: Rate of the paced rhythm in Hz.
    :ivar rows: Results.
    """

    paper: PaperPolicy
    flows: dict[int, PaperPolicy]
    effort: Effort
    rate: float
    rows: list[dict[str, Any]] = field(default_factory=list)

    def candidates(self) -> Iterator[Condition]:
        """Yield every policy as in the node, and the bare products of the paper's size."""
        policies = {'paper': self.paper.path} | {
            name: MODELS / f'{name}.onnx' for name in SHIPPED}
        for count in self.effort.candidates:
            for name, path in policies.items():
                policy = OnnxPolicy(path, candidates=count)
                yield self._condition('candidates', name, count, 'onnxruntime', onnx_answer(
                    policy, Inputs(policy, count)))
            yield self._products('candidates', count)

    def runtimes(self) -> Iterator[Condition]:
        """Yield the paper's size in every runtime."""
        path = self.paper.path
        small = quantise(path)
        for count in self.effort.candidates:
            policies = {
                'onnxruntime': OnnxPolicy(path, candidates=count),
                'onnxruntime, 2 threads': OnnxPolicy(path, execution(2), candidates=count),
                'onnxruntime, 2 threads, spinning': OnnxPolicy(
                    path, execution(2, True), candidates=count),
                'onnxruntime, int8': OnnxPolicy(small, candidates=count)}
            inputs = Inputs(policies['onnxruntime'], count)
            answers = {
                name: onnx_answer(policy, inputs) for name, policy in policies.items()
            } | torch_answers(self.paper.agent, inputs, count in self.effort.compiled)
            reference = answers['onnxruntime']
            for name, answer in answers.items():
                difference = worst_difference(answer, reference)
                if not (difference <= TOLERANCE or 'int8' in name):
                    raise ValueError(
                        f'{name} with {count} candidates: found actions that differ by '
                        f'{difference:.1e} from ONNX Runtime, expected at most {TOLERANCE:.0e}')
                made = self._condition('runtimes', 'paper', count, name, answer)
                made.labels['difference'] = difference
                yield made
            yield self._products('runtimes', count)

    def ode(self) -> Iterator[Condition]:
        """Yield one evaluation and many, with one candidate and with the best of 16."""
        policies = {'paper': (self.paper, 1)} | {
            f'flow-{count}': (policy, count) for count, policy in self.flows.items()}
        for count in (1, 16):
            for name, (made, evaluations) in policies.items():
                policy = OnnxPolicy(made.path, candidates=count)
                condition = self._condition('ode', name, count, 'onnxruntime', onnx_answer(
                    policy, Inputs(policy, count)))
                condition.labels['evaluations'] = evaluations
                yield condition

    def paced(self) -> Iterator[Condition]:
        """Yield the conditions of a control loop."""
        eager = torch_answers(
            self.paper.agent, Inputs(OnnxPolicy(self.paper.path), 1), False)['torch eager']
        paths = {'paper': self.paper.path, 'cube_single': MODELS / 'cube_single.onnx'} | {
            f'flow-{count}': policy.path for count, policy in self.flows.items()}
        cases = [
            ('paper', 1, 'onnxruntime'), ('paper', 16, 'onnxruntime'),
            ('paper', 1, 'onnxruntime, int8'), ('cube_single', 1, 'onnxruntime'),
            *((name, 1, 'onnxruntime') for name in paths if name.startswith('flow-'))]
        for name, count, runtime in cases:
            policy = OnnxPolicy(
                quantise(self.paper.path) if 'int8' in runtime else paths[name],
                candidates=count)
            yield self._condition('paced', name, count, runtime, onnx_answer(
                policy, Inputs(policy, count)), self.rate)
        yield self._condition('paced', 'paper', 1, 'torch eager', eager, self.rate)
        for count in (1, 16):
            yield self._products('paced', count, self.rate)

    def cold(self) -> Iterator[Condition]:
        """Yield the remedies for cold caches."""
        for rate in (None, self.rate):
            for each in remedies(self.paper):
                made = self._condition(
                    'cold', 'paper', 1, each.runtime, each.answer, rate)
                if rate is not None or each.wait is wait_until:
                    made.labels['remedy'] = each.name
                    yield replace(made, wait=each.wait)

    def measure(self, part: str) -> None:
        """Measure the conditions of a part in interleaved blocks, and print them."""
        conditions = list(getattr(self, part)())
        before = measure_floor()
        found = in_turns(
            {str(i): self._timed(each) for i, each in enumerate(conditions)}, self.effort.turns)
        after = measure_floor()
        floor = Floor(
            tuple(max(pair) for pair in zip(before.bandwidths, after.bandwidths, strict=True)),
            max(before.rate, after.rate))
        products = {}
        rows = []
        for condition, seconds in zip(conditions, found.values(), strict=True):
            row = condition.labels | {'inference': distribution(seconds)}
            if 'processor' in row:
                row['processor_us'] = float(np.median(row.pop('processor')))
            key = row['policy'], row['candidates']
            if key not in products:
                products[key] = floor.figures(find_products(self._path(key[0]), key[1]))
            row |= products[key]
            row['floor_us'] = max(row['weights_us'], row['work_us'])
            rows.append(row)
        bare = {row['candidates']: row['inference']['p50_us']
                for row in rows if row['runtime'] == 'products'}
        print(f'\n{part}: us, and p50 over the floor and over the bare products, '
              'processor time of a paced call\n' + HEAD)
        for row in rows:
            row['over_floor'] = row['inference']['p50_us'] / row['floor_us']
            if row['policy'] == 'paper' and row['candidates'] in bare:
                row['over_products'] = row['inference']['p50_us'] / bare[row['candidates']]
            print(line(row), flush=True)
        self.rows += rows

    def _path(self, name: str) -> Path:
        """Return a policy's file."""
        if name == 'paper':
            return self.paper.path
        if name.startswith('flow-'):
            return self.flows[int(name[5:])].path
        return MODELS / f'{name}.onnx'

    def _condition(
            self, part: str, policy: str, candidates: int, runtime: str, call: Answer,
            rate: float | None = None) -> Condition:
        """Make a condition of a policy."""
        return Condition({
            'part': part, 'policy': policy, 'candidates': candidates, 'runtime': runtime,
            'rhythm': 'tight' if rate is None else 'paced', 'rate': rate}, call, rate)

    def _products(self, part: str, candidates: int, rate: float | None = None) -> Condition:
        """Make the condition of the bare products of the paper's size."""
        take = bare_products(find_products(self.paper.path, candidates))
        return self._condition(part, 'paper', candidates, 'products', take, rate)  # type: ignore

    def _paced(self, condition: Condition, calls: int) -> NDArray[np.float64]:
        """Time calls at the rate, and record the processor time per call."""
        assert condition.rate is not None, 'the paced rhythm has one'
        began = time.thread_time()
        found = paced(condition.call, calls, condition.rate, condition.wait)
        condition.labels.setdefault('processor', []).append(
            1e6 * (time.thread_time() - began) / calls)
        return found

    def _timed(self, condition: Condition) -> tuple[Callable[[int], Any], int]:
        """Warm a condition up, and return how to time it, and how often."""
        effort, call, rate = self.effort, condition.call, condition.rate
        if rate is not None:
            return lambda calls: self._paced(condition, calls), effort.paced_calls
        once = float(np.median(tight(call, 20)))
        calls = effort.calls
        if once * calls > effort.seconds and once > 0.8e-3:
            calls = max(effort.turns * 5, int(effort.seconds / once))
        return lambda block: tight(call, block), calls


HEAD = (f'{"policy":12} {"runtime":32} {"cand.":>5} {"calls":>6} {"p50":>8} {"p99":>8} '
        f'{"p99.9":>8} {"max":>8} {"floor":>6} {"products":>8} {"processor":>9}')


def line(row: dict[str, Any]) -> str:
    """Format a row."""
    found = row['inference']
    products = f'{row["over_products"]:8.2f}' if 'over_products' in row else f'{"":8}'
    figures = ' '.join(
        f'{found[key]:8.1f}' for key in ('p50_us', 'p99_us', 'p99.9_us', 'max_us'))
    name = row['policy'] if 'remedy' not in row else row['rhythm']
    runtime = row.get('remedy', row['runtime'])
    return (f'{name:12} {runtime:32} {row["candidates"]:5} {found["count"]:6} '
            f'{figures} {row["over_floor"]:6.2f} {products}'
            + (f' {row["processor_us"]:9.0f}' if 'processor_us' in row else ''))


def worst_difference(answer: Answer, reference: Answer) -> float:
    """Return the largest difference of actions over some answers."""
    return max(float(np.abs(answer(i) - reference(i)).max()) for i in range(8))


def goals(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the goals for the paper's size on one thread, with the results."""
    def median(part: str, policy: str, candidates: int, runtime: str = 'onnxruntime') -> float:
        return next((
            row['inference']['p50_us'] for row in rows if part == row['part']
            and (policy, candidates, runtime) == (
                row['policy'], row['candidates'], row['runtime'])
            and row['rhythm'] == 'tight'), math.nan)

    wanted = (
        ('one candidate, p50 over the bare matrix products',
         median('candidates', 'paper', 1) / median('candidates', 'paper', 1, 'products'),
         1.3, False),
        ('best of 16, p50 in us', median('candidates', 'paper', 16), 1000.0, False),
        ('10-step flow, p50 over one step of the drifting field',
         median('ode', 'flow-10', 1) / median('ode', 'paper', 1), 8.0, True))
    return [
        {'goal': goal, 'found': found, 'limit': limit, 'at_least': at_least,
         'met': found >= limit if at_least else found <= limit}
        for goal, found, limit, at_least in wanted if not math.isnan(found)]


def parser() -> argparse.ArgumentParser:
    """Return the command-line parser."""
    made = argparse.ArgumentParser(description=(__doc__ or '').strip().splitlines()[0])
    made.add_argument('--parts', nargs='+', choices=PARTS, default=PARTS, help='parts to measure')
    made.add_argument('--rate', type=amount, default=200.0, help='rate of the paced rhythm in Hz')
    made.add_argument('--quick', action='store_true', help='quick run of half a minute')
    made.add_argument('--json', type=output, help='write the results to this JSON file')
    return made


def run(effort: Effort, parts: Sequence[str], rate: float, hidden: tuple[int, ...] = HIDDEN
        ) -> list[dict[str, Any]]:
    """
    Measure parts, and print their tables.

    :param hidden: Widths of the hidden layers, by default the paper's.
    :return: A row per condition.
    """
    with tempfile.TemporaryDirectory() as folder:
        flows = {
            count: write_policy(Path(folder), count, hidden) for count in effort.evaluations}
        bench = Bench(write_policy(Path(folder), hidden=hidden), flows, effort, rate)
        for part in parts:
            bench.measure(part)
    return bench.rows


def main(arguments: list[str] | None = None) -> int:
    """Print tables, and write the results to JSON if requested."""
    asked = parser().parse_args(arguments)
    torch.set_num_threads(1)
    effort = QUICK if asked.quick else Effort()
    began = time.perf_counter()
    rows = run(effort, asked.parts, asked.rate)
    print(f'\n{time.perf_counter() - began:.0f} s')
    reached = goals(rows)
    for goal in reached:
        print(f'{goal["goal"]}: {goal["found"]:.4g}, at {"least" if goal["at_least"] else "most"} '
              f'{goal["limit"]:g}: {"met" if goal["met"] else "missed"}')
    finish(rows, asked.json, goals=reached)
    return 0


if __name__ == '__main__':
    sys.exit(main())
