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
How long a policy file takes to answer, call by call.

    python bench/latency.py models/cube_single.onnx --candidates 1 4 16

Two rhythms: ``tight`` calls as fast as it can, with caches and clocks warm; ``paced`` waits for
the next tick of a control rate in between, as the control loop does. The machine is described
with the figures; compare figures of one run only.
"""

from __future__ import annotations

import argparse
from pathlib import Path
import sys
import time

from machine import finish
import numpy as np

from dfp_ros.chunk import NoiseStream
from dfp_ros.policy import OnnxPolicy

PERCENTILES = (50, 99, 99.9, 100)


def measure(policy: OnnxPolicy, candidates: int, calls: int, rate: float | None) -> list[float]:
    """
    Time single answers.

    :param policy: The policy.
    :param candidates: Candidates a call.
    :param calls: How many are timed.
    :param rate: Calls a second, or None for as many as there can be.
    :returns: Microseconds at :data:`PERCENTILES`.
    """
    spec = policy.spec
    policy.warm_up(candidates)
    noise = NoiseStream(0, candidates, spec.noise_size, spec.noise_scale)
    generator = np.random.default_rng(0)
    low, high = (
        np.concatenate([getattr(member, bound) for member in spec.observation])
        for bound in ('low', 'high'))
    observations = generator.uniform(low, high, (256, len(low))).astype(np.float32)
    taken = np.empty(calls)
    due = time.perf_counter()
    for i in range(calls):
        drawn = noise.next()
        if rate is not None:
            due += 1 / rate
            time.sleep(max(0.0, due - time.perf_counter()))
        start = time.perf_counter()
        policy.act(observations[i % 256], drawn)
        taken[i] = time.perf_counter() - start
    return [float(value) for value in np.percentile(taken * 1e6, PERCENTILES)]


def main() -> int:
    """Print a table, and write the same as JSON where asked."""
    made = argparse.ArgumentParser(description=(__doc__ or '').strip().splitlines()[0])
    made.add_argument('policies', type=Path, nargs='+', help='policy files')
    made.add_argument('--candidates', type=int, nargs='+', default=[1, 4, 16])
    made.add_argument('--calls', type=int, default=20_000, help='calls in the tight rhythm')
    made.add_argument('--rate', type=float, default=200.0, help='Hz of the paced rhythm')
    made.add_argument('--paced-calls', type=int, default=2_000, help='calls in the paced rhythm')
    made.add_argument('--json', type=Path, help='write the figures there')
    asked = made.parse_args()
    rows = []
    print('policy, candidates, rhythm: ' + ', '.join(
        'maximum' if p == 100 else f'p{p}' for p in PERCENTILES) + ' in us')
    for path in asked.policies:
        policy = OnnxPolicy(path)
        for candidates in asked.candidates:
            for rhythm, calls, rate in (
                    ('tight', asked.calls, None), ('paced', asked.paced_calls, asked.rate)):
                figures = measure(policy, candidates, calls, rate)
                rows.append({
                    'policy': path.name, 'candidates': candidates, 'rhythm': rhythm,
                    'calls': calls, 'rate': rate, 'us': dict(zip(
                        (str(p) for p in PERCENTILES), figures, strict=True))})
                print(f'{path.name}, {candidates}, {rhythm}: '
                      + ', '.join(f'{figure:.0f}' for figure in figures), flush=True)
    finish(rows, asked.json)
    return 0


if __name__ == '__main__':
    sys.exit(main())
