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
Effect of weight precision on a policy: file size, actions, success rate.

    python -m training.precision_effect models/cube_single.onnx --episodes 100

Prints one row per precision, for the policy's card. Actions are compared with those of the float32
file, one candidate each: on observations drawn uniformly from the range of the training data, most
of which never occur, and on those in the episodes of the float32 file.
"""

from __future__ import annotations

import argparse
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
import sys
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from dfp_ros.core.files.user_path import user_path
from dfp_ros.core.hung_calls import ended_by_interrupts
from dfp_ros.core.policy.interface import PolicyError
from dfp_ros.core.policy.onnx_policy import OnnxPolicy
from dfp_ros.core.policy.policy_file import read_policy_file
from dfp_ros.core.text.printable import printable
from dfp_ros.core.text.say import say
from dfp_ros.spec import PRECISIONS
from training.common.disk import WriteError
from training.common.files import require_output, write_json
from training.config import COUNTS
from training.evaluation.environments import EnvironmentFailed, start
from training.evaluation.evaluation import acting, evaluate, Evaluation
from training.onnx_export.parity import ExportError
from training.onnx_export.precision import Difference, store, summarised


def measure(
        file: Path, episodes: int, seed: int, environments: int = 1) -> list[dict[str, Any]]:
    """
    Convert a policy to each precision, and evaluate each file.

    :param file: A policy file in float32.
    :param episodes: Number of episodes per file; the seeds are the same.
    :param seed: Seed of the first.
    :param environments: Number of parallel environments; does not affect the result.
    :return: A row a precision: ``precision``, ``bytes``, ``range`` and ``met`` (see
        :class:`training.onnx_export.precision.Difference`), ``success``, ``interval``,
            ``mean_steps``.
    :raises PolicyError: If the file cannot be run.
    :raises ValueError: If it is not in float32, or no such environment is registered.
    :raises ExportError: If actions in a precision differ by more than its tolerance.
    :raises EnvironmentFailed: If an environment's process dies, or does not respond.
    """
    rows: list[dict[str, Any]] = []
    with TemporaryDirectory() as folder:
        policies = {}
        for precision in PRECISIONS:
            out = Path(folder) / f'{precision}.onnx'
            found = store(file, out, precision, precision)
            with ended_by_interrupts():
                policies[precision] = OnnxPolicy(out)
            rows.append({
                'precision': precision, 'bytes': out.stat().st_size, 'range': asdict(found)})
        met = _Met(policies)
        for row in rows:
            name = row['precision']
            result = _run(
                policies[name], met if name == 'float32' else None, episodes, seed, environments)
            row |= {
                'met': asdict(met.found(name)), 'success': result.success,
                'interval': result.interval, 'mean_steps': result.mean_steps}
    return rows


class _Met:
    """
    Acts like the float32 file, and records the differences of the other files' actions.

    :param policies: Policies by precision.
    """

    def __init__(self, policies: dict[str, OnnxPolicy]) -> None:
        self._policies = policies
        self._differences: dict[str, list[np.ndarray]] = {name: [] for name in policies}

    def act(
            self, observation: np.ndarray, noise: np.ndarray,
            pictures: tuple[np.ndarray, ...] = ()) -> np.ndarray:
        """Compute an action chunk; see :meth:`OnnxPolicy.act`."""
        first = self._policies['float32'].act(observation, noise[:1], pictures=pictures).actions
        for name, policy in self._policies.items():
            other = policy.act(observation, noise[:1], pictures=pictures).actions
            self._differences[name].append(other - first)
        return self._policies['float32'].act(observation, noise, pictures=pictures).actions

    def found(self, precision: str) -> Difference:
        """Summarise the differences of a precision."""
        return summarised(self._differences[precision])


def _run(
        policy: OnnxPolicy, met: _Met | None, episodes: int, seed: int,
        environments: int) -> Evaluation:
    """Run the episodes of one file; ``met``, if given, acts instead of it."""
    spec = policy.spec
    started = start(spec.environment, min(environments, episodes), spec.provenance, spec.horizon)
    with closing(started):
        return evaluate(
            started, met.act if met else acting(policy), spec,
            episodes, seed, bar=spec.precision)


def table(rows: list[dict[str, Any]], episodes: int) -> str:
    """Format the rows as a Markdown table."""
    lines = [
        '| precision | file | actions over the range of the data: largest, rms difference | '
        f'on observations met | solved of {episodes} | 95 % interval | steps |',
        '| --- | --- | --- | --- | --- | --- | --- |']
    for row in rows:
        low, high = row['interval']
        differences = ' | '.join(
            f'{row[where]["largest"]:.4f}, {row[where]["rms"]:.5f}' for where in ('range', 'met'))
        lines.append(
            f'| {row["precision"]} | {row["bytes"] / 1e6:.2f} MB | {differences} | '
            f'{100 * row["success"]:.0f} % | {100 * low:.3g} to {100 * high:.3g} % | '
            f'{row["mean_steps"]:.1f} |')
    return '\n'.join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Print the table, and write it as JSON if requested."""
    made = argparse.ArgumentParser(
        prog='python -m training.precision_effect',
        description=(__doc__ or '').strip().splitlines()[0])
    made.add_argument('policy', type=user_path, help='policy file in float32')
    made.add_argument('--episodes', type=int, default=100,
                      help='number of episodes (default: %(default)s)')
    made.add_argument('--seed', type=int, default=100_000,
                      help='seed of the first episode (default: %(default)s)')
    made.add_argument('--environments', type=int, default=2, metavar='COUNT',
                      help='number of parallel environments (default: %(default)s)')
    made.add_argument('--json', type=user_path, help='JSON file for the result')
    asked = made.parse_args(arguments)
    for name in ('episodes', 'environments', 'seed'):
        least, most = COUNTS[name]
        if not least <= getattr(asked, name) <= most:
            made.error(
                f'--{name}: found {printable(getattr(asked, name))}, expected {least} to {most}')
    try:
        require_output(asked.json)
        # The file may be another one at the end.
        sha256 = read_policy_file(asked.policy).sha256
        rows = measure(asked.policy, asked.episodes, asked.seed, asked.environments)
        say(table(rows, asked.episodes))
        if asked.json:
            write_json(asked.json, {
                'policy': asked.policy.name, 'sha256': sha256,
                'episodes': asked.episodes, 'seed': asked.seed, 'rows': rows})
    except (PolicyError, ValueError, ExportError, EnvironmentFailed, WriteError) as error:
        made.exit(2, f'{error}\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
