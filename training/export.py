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
Export a run's checkpoint to an ONNX policy file.

The file is compared with PyTorch before it gets its final name: if actions, value or spread differ
by more than its precision allows, nothing is written. Given a policy file instead of a run, the
command converts it to another precision, and compares the two files.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
import sys

import numpy as np
import onnx

from dfp_ros.core.files.user_path import user_path
from dfp_ros.core.policy.interface import PolicyError
from dfp_ros.core.policy.onnx_policy import OnnxPolicy
from dfp_ros.core.text.say import say
from dfp_ros.spec import PolicySpec, PRECISIONS
from training.common.disk import WriteError
from training.common.error_line import error_line
from training.common.files import atomic_path, require_output
from training.common.provenance import versions
from training.config import TrainConfig
from training.data.datasets.numbered import Data
from training.data.transitions.transitions import DataError
from training.learning.trainer.checkpoint import load_agent
from training.learning.trainer.checkpoint_file import CheckpointError
from training.onnx_export.parity import compare, ExportError, Parity
from training.onnx_export.policy_graph import policy_model
from training.onnx_export.precision import store

OBSERVATIONS = 64


def export(run: Path, out: Path, data: Path | None = None, **changes: object) -> Parity:
    """
    Export a run's checkpoint.

    :param run: The run's folder.
    :param out: The policy file to write.
    :param data: Data file for the self-check; None for the run's own.
    :param changes: Fields of the specification to replace: name, candidates, noise_scale,
        precision.
    :return: Result of the self-check.
    :raises CheckpointError: If the run has no readable checkpoint.
    :raises ExportError: If the self-check fails or has no data.
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
    observations, pictures = _sample(
        config if data is None else replace(config, data=str(data)), spec)
    model = policy_model(agent, spec)
    with atomic_path(out, model.ByteSize()) as partial:
        onnx.save_model(model, str(partial))
        found = compare(agent, OnnxPolicy(partial), observations, pictures)
    return found


def _sample(
        config: TrainConfig, spec: PolicySpec) -> tuple[np.ndarray, list[np.ndarray]]:
    """
    Sample observations of the data, and as many drawn uniformly from its range.

    :return: The observations, and the pictures of each camera: those of the data twice.
    """
    path = Path(config.data)
    try:
        transitions = Data(config, rewarded=False, is_new=False).load(0)
    except DataError as error:
        raise ExportError(
            f'{path}: found no data file for the self-check; name the training data of the run '
            f'with --data ({error})') from error
    if transitions.source['sha256'] != spec.provenance['data']['sha256']:
        raise ExportError(
            f'{path}: is not the training data of the run; name that with --data')
    rows = transitions.observations
    generator = np.random.default_rng(0)
    chosen = generator.integers(len(rows), size=OBSERVATIONS)
    seen = rows[chosen]
    pictures = [] if transitions.frame is None else [
        frames.pixels[np.tile(transitions.frame[chosen], 2)] for frames in transitions.images]
    low, high = (
        np.concatenate([getattr(member, bound) for member in spec.observation])
        for bound in ('low', 'high'))
    drawn = generator.uniform(low, high, size=(OBSERVATIONS, len(low))).astype(np.float32)
    return np.concatenate([seen, drawn]), pictures


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    made = argparse.ArgumentParser(
        prog='python -m training.export', description=(__doc__ or '').strip().splitlines()[0])
    made.add_argument(
        'run', type=user_path,
        help='folder of a run, or a policy file to convert to another precision')
    made.add_argument('--out', type=user_path, required=True, help='policy file to write')
    made.add_argument('--name', help="name of the policy (default: the file's)")
    made.add_argument(
        '--candidates', type=int, help="recommended N' of best-of-N (default: the run's)")
    made.add_argument(
        '--noise-scale', type=float, help="recommended noise scale (default: the run's)")
    made.add_argument(
        '--precision', choices=PRECISIONS, default='float32',
        help='precision of the weights (default: %(default)s)')
    made.add_argument('--data', type=user_path, help='data file for the self-check')
    return made


def main(arguments: list[str] | None = None) -> int:
    """Run the command."""
    asked = parser().parse_args(arguments)
    name = asked.name or asked.out.stem
    try:
        require_output(asked.out)
        is_file = asked.run.is_file()
    except OSError as error:
        say(error_line(error), to_errors=True)
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
        say(error_line(error), to_errors=True)
        return 2
    say(f'{asked.out}: {asked.out.stat().st_size / 1e6:.2f} MB; against PyTorch on '
        f'{found.compared} chunks: action {found.action:.1e}, value {found.value:.1e}, '
        f'spread {found.spread:.1e}')
    return 0


def _store(asked: argparse.Namespace, name: str) -> int:
    """Convert a policy file to another precision."""
    for other in ('candidates', 'noise_scale', 'data'):
        if getattr(asked, other) is not None:
            say(f'--{other.replace("_", "-")}: {error_line(asked.run)} is a policy file, which '
                'fixes this already; give the folder of a run to export it again',
                to_errors=True)
            return 2
    try:
        found = store(asked.run, asked.out, asked.precision, name)
    except PolicyError as error:
        is_policy = asked.run.suffix == '.onnx'
        say(error_line(error if is_policy else _no_policy(asked.run)), to_errors=True)
        return 2
    except (ExportError, ValueError, WriteError) as error:
        say(error_line(error), to_errors=True)
        return 2
    say(f'{asked.out}: {asked.out.stat().st_size / 1e6:.2f} MB; against {asked.run} on '
        f'{found.compared} observations: action {found.largest:.1e} at most, '
        f'{found.rms:.1e} rms')
    return 0


def _no_policy(path: Path) -> str:
    """Say what the command expects instead of a file that is no policy."""
    run = f'; give {path.parent}' if path.name == 'checkpoint.pt' else ''
    return (
        f'{path}: found a file that is no policy, expected the folder of a run, or a policy file '
        f'(.onnx) to convert to another precision{run}')


if __name__ == '__main__':
    sys.exit(main())
