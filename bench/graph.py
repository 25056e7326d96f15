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
Profile of a policy's graph by node type, and the cost of alternative graphs.

    python -m bench.graph --json bench/results/graph.json

The paper's size (``paper_policy.py``) and a shipped policy, with one thread. Each variant of
``graph_variants.py`` must give the same answer as the exported graph; they are timed in
interleaved blocks. All but one are prepared for their number of candidates, as in the node. The
profile comes from ONNX Runtime's profiler, which slows everything down.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
import json
from pathlib import Path
import sys
import tempfile
from typing import Any

import numpy as np
import onnx
import onnxruntime

from bench.common.arguments import output
from bench.common.distribution import distribution
from bench.common.machine import finish
from bench.common.turns import in_turns, tight
from bench.inference.graph_variants import VARIANTS
from bench.inference.paper_policy import MODELS, write_policy

CANDIDATES = (1, 16)
Row = dict[str, Any]
# Largest difference of an action from that of the exported graph.
TOLERANCES = {'fp16': 1e-2, 'int8': 0.3}
TOLERANCE = 1e-5
# Exported graph for any number of candidates.
ANY = 'as exported, any number of candidates'
# Timed calls of each variant, and profiled calls; normal and quick.
CALLS, QUICK_CALLS, TURNS = 2000, 200, 20


def session(
        model: onnx.ModelProto, candidates: int | None = None, profile: Path | None = None) -> Any:
    """Load a model with the options of the policy node."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = options.enable_mem_pattern = False
    options.log_severity_level = 4
    if candidates is not None:
        options.add_free_dimension_override_by_name('candidates', candidates)
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=['CPUExecutionProvider'])


def inputs(subject: Any, candidates: int) -> dict[str, np.ndarray]:
    """Draw an observation and noise for a session."""
    generator = np.random.default_rng(0)
    sizes = {node.name: node.shape[1] for node in subject.get_inputs()}
    return {
        'observation': generator.uniform(-1, 1, (1, sizes['observation'])).astype(np.float32),
        'noise': generator.standard_normal((candidates, sizes['noise']), np.float32)}


def compare(name: str, model: onnx.ModelProto, candidates: int, calls: int) -> list[Row]:
    """
    Time the variants of a policy in interleaved blocks.

    :param name: Policy name in the rows.
    :param model: The exported policy.
    :param candidates: Candidates per call.
    :param calls: Number of timed calls of each.
    :raises SystemExit: If a variant gives another answer.
    """
    sessions = {
        variant: session(made(model), candidates) for variant, made in VARIANTS.items()
        if candidates == 1 or variant != 'actor alone'}
    sessions[ANY] = session(model)
    given = inputs(sessions['as exported'], candidates)
    wanted = sessions['as exported'].run(['action_chunk'], given)[0]
    for variant, subject in sessions.items():
        # Among several candidates, a coarser critic may choose another.
        if candidates == 1 or variant not in TOLERANCES:
            found = subject.run(['action_chunk'], given)[0]
            difference = float(np.abs(found - wanted).max())
            if not difference <= TOLERANCES.get(variant, TOLERANCE):
                sys.exit(f'{variant}: actions differ by {difference:.1e} from the exported graph')

    def timed(subject: Any) -> Any:
        return lambda count: tight(lambda i: subject.run(None, given), count)
    taken = in_turns({
        variant: (timed(subject), calls) for variant, subject in sessions.items()}, TURNS)
    return [
        {'policy': name, 'graph': variant, 'candidates': candidates, 'rhythm': 'tight',
         'inference': distribution(seconds)} for variant, seconds in taken.items()]


def profile(name: str, model: onnx.ModelProto, candidates: int, calls: int) -> list[Row]:
    """
    Profile the time of each node type in an answer with ONNX Runtime.

    :param name: Policy name in the rows.
    :param model: The exported policy.
    :param candidates: Candidates per call.
    :param calls: Number of profiled calls, of which the median is returned.
    """
    with tempfile.TemporaryDirectory() as folder:
        subject = session(model, candidates, Path(folder) / 'profile')
        given = inputs(subject, candidates)
        for _ in range(calls):
            subject.run(None, given)
        events = json.loads(Path(subject.end_profiling()).read_text())
    answers: list[dict[str, list[float]]] = [defaultdict(list)]
    for event in events:
        if event['name'] == 'model_run':
            answers.append(defaultdict(list))
        elif event.get('cat') == 'Node' and event['name'].endswith('_kernel_time'):
            answers[-1][event['args']['op_name']].append(event['dur'])
    # The time of If is that of its branch, whose nodes are listed themselves; nothing follows
    # the last answer.
    rows = [
        {'policy': name, 'candidates': candidates, 'node': kind, 'nodes': len(nodes),
         'profiled_us': float(np.median([sum(answer[kind]) for answer in answers[:-1]]))}
        for kind, nodes in answers[-2].items() if kind != 'If']
    return sorted(rows, key=lambda row: -row['profiled_us'])


def main() -> int:
    """Print a table, and write the results to JSON if requested."""
    made = argparse.ArgumentParser(description=(__doc__ or '').strip().splitlines()[0])
    made.add_argument('--quick', action='store_true', help='quick run with a tenth of the calls')
    made.add_argument('--json', type=output, help='write the results to this JSON file')
    asked = made.parse_args()
    calls = QUICK_CALLS if asked.quick else CALLS
    with tempfile.TemporaryDirectory() as folder:
        models = {
            'paper': onnx.load(write_policy(Path(folder)).path),
            'lift': onnx.load(MODELS / 'lift.onnx')}
    rows = []
    for name, model in models.items():
        for candidates in CANDIDATES:
            print(f'{name}, {candidates} candidates, by variant: p50, p99 in us')
            for row in compare(name, model, candidates, calls):
                rows.append(row)
                print(f'  {row["graph"]}: ' + ', '.join(
                    f'{row["inference"][point]:.0f}' for point in ('p50_us', 'p99_us')))
            print(f'{name}, {candidates} candidates, by node type: us')
            for row in profile(name, model, candidates, calls):
                rows.append(row)
                print(f'  {row["nodes"]} {row["node"]}: {row["profiled_us"]:.0f}', flush=True)
    finish(rows, asked.json)
    return 0


if __name__ == '__main__':
    sys.exit(main())
