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
Checks and measurements on a GPU; writes docs/gpu.md.

    python -m bench.gpu

With ``--device cpu --quick`` the same code runs on a CPU in a minute, and writes no page unless
``--out`` names one.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
import json
import os
from pathlib import Path
import sys
import tempfile
import time
from typing import Any

os.environ.setdefault('MUJOCO_GL', 'disable')  # nothing is drawn

import torch

from bench import ROOT
from bench.common.arguments import amount, count, output
from bench.common.machine import machine
from bench.gpu.checks import drift_gradients, one_update
from bench.gpu.page import page
from bench.gpu.times import answers, updates
from training.collect import main as collect
from training.common.files import atomic_path, write_json
from training.config import TrainConfig
from training.evaluate import evaluate_file
from training.export import export
from training.learning.networks.layers import use_tensor_cores
from training.learning.trainer.run import train
from training.presets import PRESETS

PRESET = 'cube-single'
DATA = Path('data/cube-single-play-v0.npz')


def trained(config: TrainConfig, folder: Path, episodes: int, workers: int) -> dict[str, Any]:
    """
    Train, export and evaluate.

    :param config: Settings of the run.
    :param folder: Folder of the run; the policy is ``policy.onnx`` in it.
    :param episodes: Episodes of the evaluation.
    :param workers: Environments in parallel.
    """
    progress = train(folder, config)
    policy = folder / 'policy.onnx'
    parity = export(folder, policy)
    found = evaluate_file(policy, episodes, 100_000, workers)
    return {
        'preset': PRESET, 'precision': config.precision, 'updates': progress.step,
        'minutes': progress.wall_seconds / 60,
        'update_ms': 1e3 * progress.wall_seconds / progress.step,
        'parity': parity.action, 'success': found.success, 'interval': found.interval,
        'episodes': episodes,
        'command': f'python -m training.train {PRESET} --device {config.device} --precision '
                   f'{config.precision} --compile --steps {config.steps}'}


def measure(asked: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """
    Run all checks and measurements.

    :param asked: Command line.
    :param folder: Folder for the run.
    """
    began, device = time.monotonic(), asked.device
    use_tensor_cores(device)
    checks = [drift_gradients(device)]
    small = replace(PRESETS['cpu'][1], hidden=(64, 64)) if asked.quick else None
    checks += [one_update(device, precision, small) for precision in ('float32', 'bf16')]
    for row in checks:
        print(f'{row["check"]}: {row["difference"]:.1e}, limit {row["limit"]:.0e}', flush=True)
    timed = [] if asked.quick else updates(device, 30, True)
    workers = os.cpu_count() or 1
    data = asked.data
    if not data.exists():
        collect([
            '--kind', 'play', '--episodes', str(250), '--val-episodes', '1', '--out',
            str(data.parent), '--workers', str(workers)])
    config = replace(
        PRESETS[PRESET][1], data=str(data), device=device, precision='bf16',
        compile=not asked.quick, evaluate_every=10_000_000, episodes=1)
    if asked.quick:
        config = replace(config, hidden=(32, 32), batch_size=16, steps=asked.steps or 10)
    else:
        # What the time allows, at the rate of updates of the same sizes.
        rate = min(row['p50_ms'] for row in timed if row['phase'] == 'offline' and 'p50_ms' in row)
        config = replace(config, steps=asked.steps or int(60e3 * asked.minutes / rate))
    learned = trained(config, folder, 2 if asked.quick else 50, workers)
    return {
        'device': torch.cuda.get_device_name() if device == 'cuda' else 'cpu',
        'machine': machine(), 'torch': torch.__version__, 'checks': checks, 'updates': timed,
        'training': learned,
        'answers': answers(folder / 'policy.onnx', device, 50 if asked.quick else 2000),
        'seconds': time.monotonic() - began}


def main(arguments: list[str] | None = None) -> int:
    """Measure, write JSON and page; the exit status is 1 if a check failed."""
    made = argparse.ArgumentParser(
        prog='python -m bench.gpu', description=(__doc__ or '').strip().splitlines()[0])
    made.add_argument('--device', choices=('cuda', 'cpu'), default='cuda')
    made.add_argument('--quick', action='store_true', help='tiny sizes, no times of updates')
    made.add_argument('--minutes', type=amount, default=9.0, help='duration of the training')
    made.add_argument('--steps', type=count, help='updates of the training instead')
    made.add_argument('--data', type=Path, default=DATA, help='play data; collected if missing')
    made.add_argument('--json', type=output, help='JSON file for the results')
    made.add_argument('--out', type=output, help='page to write')
    made.add_argument('--page-only', action='store_true', help='write the page from the results')
    asked = made.parse_args(arguments)
    file = asked.json or ROOT / 'bench' / 'results' / 'gpu.json'
    out = asked.out or (ROOT / 'docs' / 'gpu.md' if asked.device == 'cuda' else None)
    if asked.page_only:
        results = json.loads(file.read_text()) if file.exists() else None
    elif asked.device == 'cuda' and not torch.cuda.is_available():
        made.exit(2, 'bench.gpu: torch sees no GPU; use a machine with one and a CUDA build of '
                     'PyTorch, or --device cpu --quick\n')
    else:
        with tempfile.TemporaryDirectory() as folder:
            results = measure(asked, Path(folder) / 'gpu')
        if asked.json or asked.device == 'cuda':
            file.parent.mkdir(parents=True, exist_ok=True)
            write_json(file, results)
    if out:
        with atomic_path(out) as partial:
            partial.write_text(page(results), encoding='utf-8')
        print(out)
    return 0 if results is None or all(row['passed'] for row in results['checks']) else 1


if __name__ == '__main__':
    sys.exit(main())
