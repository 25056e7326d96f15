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
"""Cells of the comparison: train to each mark, export, evaluate, keep the figures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
import fcntl
import json
from pathlib import Path
from typing import Any

from bench.common.machine import machine
from bench.learning.methods import settings
from training.common.files import write_json
from training.common.provenance import commit, versions
from training.evaluate import evaluate_file
from training.export import export
from training.learning.trainer.checkpoint import load_agent
from training.learning.trainer.run import train

MARKS = (10_000, 25_000, 50_000, 100_000)
# Seed of the first of the evaluation's episodes.
FIRST = 100_000


@contextmanager
def claimed(folder: Path) -> Iterator[bool]:
    """Claim a cell for this process, so that several may share the work; tell if it is theirs."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / 'lock').open('w') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def measure(
        cell: tuple[str, str, int], folder: Path, file: Path, episodes: int,
        until: int = MARKS[-1]) -> dict[str, Any]:
    """
    Train a cell's run to each mark, or continue it, and evaluate the policy there.

    :param cell: Task, method and training seed.
    :param folder: Folder of the run.
    :param file: JSON file for the figures; written after each mark.
    :param episodes: Episodes of the last evaluations; those before have half as many.
    :param until: Last mark to measure.
    :return: The figures.
    """
    task, method, seed = cell
    config = settings(task, method, seed)
    found = json.loads(file.read_text()) if file.exists() else {
        'task': task, 'method': method, 'seed': seed, 'settings': json.loads(config.to_json()),
        'commit': commit(), 'versions': versions(), 'machine': machine(), 'marks': {}}
    for mark in (mark for mark in MARKS if mark <= min(until, config.steps)):
        if str(mark) in found['marks']:
            continue
        resume = (folder / 'checkpoint.pt').exists()
        progress = train(folder, config, resume=resume, until=mark)
        if progress.step < mark:
            raise KeyboardInterrupt
        policy = folder / f'policy-{mark}.onnx'
        export(folder, policy)
        found['data'] = load_agent(folder / 'checkpoint.pt')[2].provenance['data'].get('sha256')
        results = {}
        for candidates in (1, config.best_of):
            evaluation = evaluate_file(
                policy, episodes if mark == config.steps else episodes // 2, FIRST,
                candidates=candidates)
            results[str(candidates)] = {
                'success': evaluation.success, 'episodes': len(evaluation.episodes),
                'steps': evaluation.mean_steps,
                'return': evaluation.discounted_return}
        found['marks'][str(mark)] = {'progress': asdict(progress), 'candidates': results}
        write_json(file, found)
    return found
