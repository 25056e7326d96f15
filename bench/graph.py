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
What a policy's answer is made of, and what other ways to write its graph would cost.

    python bench/graph.py
    python bench/graph.py --profile 16

A Drifting Field Policy that nobody trained, in the paper's size and in the shipped policies',
written by the exporter; each variant of ``bench/graph_variants.py`` must answer as it does. They
take turns in the same minute, on one thread; ``--profile`` has ONNX Runtime say how long each
kind of node takes, which makes the whole slower.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
import json
from pathlib import Path
import sys
import tempfile
import time
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from distribution import distribution
from graph_variants import VARIANTS
from machine import finish
import numpy as np
import onnx
import onnxruntime
import torch

from dfp_ros.spec import ActionField, ObservationField, PolicySpec
from training.agent import Agent
from training.config import TrainConfig
from training.networks import Normaliser
from training.onnx_graph import policy_model

OBSERVATION, ACTION = 28, 5
# Hidden layers and horizon.
SIZES = {'paper size, 4 x 512, horizon 5': ((512,) * 4, 5),
         'as shipped, 3 x 256, horizon 1': ((256,) * 3, 1)}
# Largest difference of an action from that of the exported graph.
TOLERANCE = {'fp16': 1e-2, 'int8': 0.3}
TURN = 50


def untrained(hidden: tuple[int, ...], horizon: int) -> onnx.ModelProto:
    """
    Export a policy that has learned nothing.

    :param hidden: Widths of the hidden layers of actor and critics.
    :param horizon: Actions in a chunk.
    """
    torch.manual_seed(0)
    config = TrainConfig(hidden=hidden, horizon=horizon)
    agent = Agent(
        config, OBSERVATION, ACTION,
        Normaliser(torch.randn(OBSERVATION), torch.rand(OBSERVATION) + 0.5))
    ones, numbers = (1.0,) * ACTION, (1.0,) * OBSERVATION
    low, least = (-1.0,) * ACTION, (-1.0,) * OBSERVATION
    return policy_model(agent, PolicySpec(
        'untrained', 'none', (ObservationField('all', OBSERVATION, '1', least, numbers),),
        (ActionField('all', ACTION, '1', low, ones, low, ones),), 0.05, horizon))


def session(model: onnx.ModelProto, profile: Path | None = None) -> Any:
    """Load a model with the options of the policy node."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = options.enable_mem_pattern = False
    options.log_severity_level = 4
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=['CPUExecutionProvider'])


def inputs(horizon: int, candidates: int) -> dict[str, np.ndarray]:
    """Draw an observation and noise."""
    generator = np.random.default_rng(0)
    return {
        'observation': generator.standard_normal((1, OBSERVATION), np.float32),
        'noise': generator.standard_normal((candidates, horizon * ACTION), np.float32)}


def compare(size: str, candidates: list[int], calls: int) -> list[dict[str, Any]]:
    """
    Time the variants of a size, in turns.

    :param size: One of :data:`SIZES`.
    :param candidates: Candidates a call.
    :param calls: How many are timed of each.
    :raises SystemExit: Where a variant answers something else.
    """
    hidden, horizon = SIZES[size]
    model = untrained(hidden, horizon)
    sessions = {name: session(made(model)) for name, made in VARIANTS.items()}
    rows = []
    for count in candidates:
        given = inputs(horizon, count)
        chosen = [name for name in VARIANTS if count == 1 or name != 'actor alone']
        wanted = sessions['as exported'].run(['action_chunk'], given)[0]
        for name in chosen:
            found = sessions[name].run(['action_chunk'], given)[0]
            # Of several candidates, a coarser critic may choose another.
            if count == 1 or name not in TOLERANCE:
                difference = float(np.abs(found - wanted).max())
                if not difference <= TOLERANCE.get(name, 1e-5):
                    sys.exit(f'{name}: answers differ by {difference:.1e}')
        taken: dict[str, list[float]] = {name: [] for name in chosen}
        while len(taken[chosen[0]]) < calls:
            for name in chosen:
                run = sessions[name].run
                for i in range(TURN + 5):
                    start = time.perf_counter()
                    run(None, given)
                    # The first calls of a turn find another's weights in the caches.
                    if i >= 5:
                        taken[name].append(time.perf_counter() - start)
        for name in chosen:
            rows.append({
                'policy': size, 'graph': name, 'candidates': count, 'rhythm': 'tight',
                'inference': distribution(taken[name])})
            print(f'{size}, {count}, {name}: ' + ', '.join(
                f'{rows[-1]["inference"][figure]:.0f}' for figure in ('p50_us', 'p99_us')),
                flush=True)
    return rows


def profile(size: str, candidates: int, calls: int) -> list[dict[str, Any]]:
    """
    Ask ONNX Runtime how long each kind of node takes in an answer.

    :param size: One of :data:`SIZES`.
    :param candidates: Candidates a call.
    :param calls: How many are profiled; medians are given.
    """
    hidden, horizon = SIZES[size]
    given = inputs(horizon, candidates)
    with tempfile.TemporaryDirectory() as folder:
        subject = session(untrained(hidden, horizon), Path(folder) / 'profile')
        for _ in range(calls):
            subject.run(None, given)
        events = json.loads(Path(subject.end_profiling()).read_text())
    answers: list[dict[str, list[float]]] = [defaultdict(list)]
    for event in events:
        if event['name'] == 'model_run':
            answers.append(defaultdict(list))
        elif event.get('cat') == 'Node' and event['name'].endswith('_kernel_time'):
            answers[-1][event['args']['op_name']].append(event['dur'])
    # The time of If is that of its branch, whose nodes are there themselves; nothing follows the
    # last answer.
    rows: list[dict[str, Any]] = [
        {'policy': size, 'candidates': candidates, 'node': kind, 'nodes': len(nodes),
         'profiled_us': float(np.median([sum(answer[kind]) for answer in answers[:-1]]))}
        for kind, nodes in answers[-2].items() if kind != 'If']
    rows.sort(key=lambda row: -row['profiled_us'])
    for row in rows:
        print(f'{size}, {candidates}, {row["nodes"]} {row["node"]}: {row["profiled_us"]:.0f}')
    return rows


def main() -> int:
    """Print a table, and write the same as JSON where asked."""
    made = argparse.ArgumentParser(description=(__doc__ or '').strip().splitlines()[0])
    made.add_argument('--candidates', type=int, nargs='+', default=[1, 16])
    made.add_argument('--calls', type=int, default=5000, help='calls of each variant')
    made.add_argument('--profile', type=int, metavar='CANDIDATES',
                      help='say instead what an answer with so many candidates is made of')
    made.add_argument('--quick', action='store_true', help='500 calls of each')
    made.add_argument('--json', type=Path, help='write the figures there')
    asked = made.parse_args()
    calls = 500 if asked.quick else asked.calls
    rows = []
    print('policy, candidates, nodes: us of an answer' if asked.profile
          else 'policy, candidates, graph: p50, p99 in us')
    for size in SIZES:
        rows += (profile(size, asked.profile, calls) if asked.profile
                 else compare(size, asked.candidates, calls))
    finish(rows, asked.json)
    return 0


if __name__ == '__main__':
    sys.exit(main())
