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
Turn a run's checkpoint into a policy file that a robot can run.

The file is compared with PyTorch before it is given its name: where actions, value or spread
differ by more than its precision allows, nothing is written. A policy file in the place of a run
is stored in another precision, and compared with itself.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
import sys

import numpy as np
import onnx
import torch

from dfp_ros.policy import OnnxPolicy
from dfp_ros.spec import PolicySpec, PRECISIONS
from training.agent import Agent
from training.checkpoint import CheckpointError, load_agent
from training.config import TrainConfig
from training.datasets.numbered import Data
from training.disk import WriteError
from training.onnx_graph import policy_model
from training.precision import Difference, difference, in_precision
from training.provenance import atomic_path, versions
from training.transitions import DataError

# Rounding alone stays far below these; a weight that is wrong does not.
TOLERANCES = {'float32': 1e-5, 'fp16': 1e-2, 'int8': 0.3}
CANDIDATES = (1, 2, 16)
OBSERVATIONS = 64


class ExportError(RuntimeError):
    """A policy file does not do what its networks do."""


@dataclass(frozen=True)
class Parity:
    """
    Largest differences between PyTorch and ONNX Runtime.

    :param action: Of an action, in action units.
    :param value: Of a value, relative to 1 plus its size.
    :param spread: Of a spread, in action units.
    :param compared: How many chunks were compared.
    """

    action: float
    value: float
    spread: float
    compared: int


def export(run: Path, out: Path, data: Path | None = None, **changes: object) -> Parity:
    """
    Export a run's checkpoint.

    :param run: The run's folder.
    :param out: The policy file to write.
    :param data: Data file for the self-check; the run's own where None.
    :param changes: Fields of the specification to replace: name, candidates, noise_scale,
        precision.
    :returns: What the self-check found.
    :raises CheckpointError: Where the run has no checkpoint that can be read.
    :raises ExportError: Where the self-check fails or has no data to work on.
    """
    agent, config, spec, progress = load_agent(run / 'checkpoint.pt')
    spec = replace(
        spec, noise_scale=config.noise_scale,
        provenance={
            **spec.provenance, 'steps': progress.step,
            'training_wall_seconds': round(progress.wall_seconds),
            'training_cpu_seconds': round(progress.cpu_seconds),
            'exported_with': versions()})
    spec = replace(spec, **changes)  # type: ignore[arg-type]
    observations = _sample(config if data is None else replace(config, data=str(data)), spec)
    model = policy_model(agent, spec)
    with atomic_path(out, model.ByteSize()) as partial:
        onnx.save_model(model, str(partial))
        found = compare(agent, OnnxPolicy(partial), observations)
    return found


def store(policy: Path, out: Path, precision: str, name: str) -> Difference:
    """
    Write a policy file once more, in another precision.

    :param policy: A file in float32.
    :param out: The policy file to write.
    :param precision: One of :data:`dfp_ros.spec.PRECISIONS`.
    :param name: The policy's name in the file.
    :returns: How far the actions are from the file's own, over the range of its data.
    :raises PolicyError: Where the file cannot be run.
    :raises ValueError: Where it is not in float32, or actions differ too much.
    """
    subject = OnnxPolicy(policy)
    model = in_precision(onnx.load(policy), precision, name)
    with atomic_path(out, model.ByteSize()) as partial:
        onnx.save_model(model, str(partial))
        found = difference(subject, OnnxPolicy(partial))
        if not found.largest <= TOLERANCES[precision]:
            raise ExportError(
                f'action: {policy} and the file in {precision} differ by {found.largest:.2e}, '
                f'expected at most {TOLERANCES[precision]:.0e}; the file was not written')
    return found


def compare(agent: Agent, policy: OnnxPolicy, observations: np.ndarray) -> Parity:
    """
    Run PyTorch and ONNX Runtime on the same observations and noise.

    :param agent: The networks.
    :param policy: The file made of them.
    :param observations: Shape (count, obs_dim), float32, raw units.
    :raises ExportError: Where a difference is above what :data:`TOLERANCES` has for the file's
        precision; the message says which.
    """
    generator, tolerance = np.random.default_rng(0), TOLERANCES[policy.spec.precision]
    worst = {'action': 0.0, 'value': 0.0, 'spread': 0.0}
    compared = 0
    for count in CANDIDATES:
        for observation in observations:
            noise = generator.standard_normal((count, policy.spec.noise_size), dtype=np.float32)
            chunk = policy.act(observation, noise)
            chunks, values = _torch_candidates(agent, observation, noise)
            # Candidates may have equal values but for rounding: any of the best will do.
            margin = tolerance * (1 + abs(values.max()))
            best = np.flatnonzero(values >= values.max() - margin)
            differences = np.abs(chunks[best] - chunk.actions.reshape(-1)).max(axis=1)
            worst['action'] = max(worst['action'], float(differences.min()))
            worst['spread'] = max(
                worst['spread'], abs(float(chunks.std(axis=0).mean()) - chunk.spread))
            if count > 1:
                difference = abs(float(values.max()) - chunk.value) / (1 + abs(values.max()))
                worst['value'] = max(worst['value'], float(difference))
            compared += 1
    for name, difference in worst.items():
        if not difference <= tolerance:
            raise ExportError(
                f'{name}: PyTorch and ONNX Runtime differ by {difference:.2e}, expected at most '
                f'{tolerance:.0e} in {policy.spec.precision}; the file was not written')
    return Parity(compared=compared, **worst)


@torch.no_grad()
def _torch_candidates(
        agent: Agent, observation: np.ndarray,
        noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All candidates, shape (candidates, chunk), and their values, shape (candidates,)."""
    state = agent.normaliser(torch.from_numpy(observation).unsqueeze(0))
    chunks = agent.actor(state, torch.from_numpy(noise).unsqueeze(0))
    values = agent.critic(state, chunks).mean(dim=0)
    return chunks[0].numpy(), values[0].numpy()


def _sample(config: TrainConfig, spec: PolicySpec) -> np.ndarray:
    """Observations of the data, and as many drawn evenly from its range."""
    path = Path(config.data)
    try:
        transitions = Data(config).load(0)
    except DataError as error:
        raise ExportError(
            f'{path}: found no data file for the self-check; name the one that the run learned '
            f'from with --data ({error})') from error
    if transitions.source['sha256'] != spec.provenance['data']['sha256']:
        raise ExportError(
            f'{path}: is not the file that the run learned from; name that with --data')
    rows = transitions.observations
    generator = np.random.default_rng(0)
    seen = rows[generator.integers(len(rows), size=OBSERVATIONS)]
    low, high = (
        np.concatenate([getattr(member, bound) for member in spec.observation])
        for bound in ('low', 'high'))
    drawn = generator.uniform(low, high, size=(OBSERVATIONS, len(low))).astype(np.float32)
    return np.concatenate([seen, drawn])


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    made = argparse.ArgumentParser(
        prog='python -m training.export', description=(__doc__ or '').strip().splitlines()[0])
    made.add_argument(
        'run', type=Path, help='folder of a run, or a policy file to store in another precision')
    made.add_argument('--out', type=Path, required=True, help='policy file to write')
    made.add_argument('--name', help="the policy's name (default: the file's)")
    made.add_argument(
        '--candidates', type=int, help="best-of-N' to recommend (default: the run's)")
    made.add_argument('--noise-scale', type=float, help="noise to recommend (default: the run's)")
    made.add_argument(
        '--precision', choices=PRECISIONS, default='float32',
        help='what the weights are stored in (default: %(default)s)')
    made.add_argument('--data', type=Path, help='data file for the self-check')
    return made


def main(arguments: list[str] | None = None) -> int:
    """Export as the command line says."""
    asked = parser().parse_args(arguments)
    name = asked.name or asked.out.stem
    try:
        is_file = asked.run.is_file()
    except OSError as error:
        print(error, file=sys.stderr)
        return 2
    if is_file:
        return _store(asked, name)
    changes: dict[str, object] = {'name': name, 'precision': asked.precision}
    for name in ('candidates', 'noise_scale'):
        if getattr(asked, name) is not None:
            changes[name] = getattr(asked, name)
    try:
        found = export(asked.run, asked.out, asked.data, **changes)
    except (CheckpointError, ExportError, ValueError, WriteError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f'{asked.out}: {asked.out.stat().st_size / 1e6:.2f} MB; against PyTorch on '
          f'{found.compared} chunks: action {found.action:.1e}, value {found.value:.1e}, '
          f'spread {found.spread:.1e}')
    return 0


def _store(asked: argparse.Namespace, name: str) -> int:
    """Store a policy file in another precision, as the command line says."""
    for other in ('candidates', 'noise_scale', 'data'):
        if getattr(asked, other) is not None:
            print(f'--{other.replace("_", "-")}: {asked.run} is a policy file, which says this '
                  'itself; give the folder of a run to export it anew', file=sys.stderr)
            return 2
    try:
        found = store(asked.run, asked.out, asked.precision, name)
    except (ExportError, ValueError, WriteError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f'{asked.out}: {asked.out.stat().st_size / 1e6:.2f} MB; against {asked.run} on '
          f'{found.compared} observations: action {found.largest:.1e} at most, '
          f'{found.rms:.1e} rms')
    return 0


if __name__ == '__main__':
    sys.exit(main())
