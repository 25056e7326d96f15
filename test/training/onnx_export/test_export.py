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
"""Policy files compared with PyTorch, and reproducible evaluation."""

from dataclasses import replace
import json
from pathlib import Path

import numpy as np
import pytest

from testing.learning.runs import settings
from testing.policies.small_policy import cube_spec, write_policy

torch = pytest.importorskip('torch')

from dfp_ros.core.policy.onnx_policy import OnnxPolicy  # noqa: E402
from training.data.formats.ogbench import reader  # noqa: E402
from training.evaluate import evaluate_file  # noqa: E402
from training.evaluate import main as evaluate_main  # noqa: E402
from training.export import export, main  # noqa: E402
from training.learning.trainer.checkpoint import load_agent  # noqa: E402
from training.learning.trainer.run import train  # noqa: E402
from training.onnx_export.parity import compare, ExportError  # noqa: E402


@pytest.fixture(scope='module')
def run(demonstrations: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('runs') / 'chunks'
    train(folder, settings(
        demonstrations, horizon=5, best_of=4, steps=30, noise_scale=0.5, average_rate=0.1))
    return folder


@pytest.fixture(scope='module')
def policy_file(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('policies') / 'chunks.onnx'
    assert main([str(run), '--out', str(path)]) == 0
    return path


def test_file_says_what_it_is(policy_file: Path, demonstrations: Path) -> None:
    spec = OnnxPolicy(policy_file).spec
    assert spec.name == 'chunks'
    assert (spec.horizon, spec.candidates, spec.noise_scale, spec.period) == (5, 4, 0.5, 0.05)
    assert (spec.observation_size, spec.action_size) == (28, 5)
    assert spec.provenance['steps'] == 30
    assert spec.provenance['data']['file'] == demonstrations.name
    assert len(spec.provenance['data']['sha256']) == 64
    assert spec.provenance['config']['horizon'] == 5


@pytest.mark.parametrize('candidates', [1, 2, 16])
def test_file_equals_pytorch(run: Path, policy_file: Path, candidates: int) -> None:
    agent, _, spec, _ = load_agent(run / 'checkpoint.pt')
    policy = OnnxPolicy(policy_file)
    generator = np.random.default_rng(5)
    low, high = (
        np.concatenate([getattr(field, bound) for field in spec.observation])
        for bound in ('low', 'high'))
    for _ in range(20):
        observation = generator.uniform(low, high).astype(np.float32)
        noise = generator.standard_normal((candidates, spec.noise_size), dtype=np.float32)
        chunk = policy.act(observation, noise)
        expected = agent.act(torch.from_numpy(observation), torch.from_numpy(noise))
        np.testing.assert_allclose(chunk.actions, expected.numpy(), atol=1e-5)
        assert (chunk.spread == 0 and np.isnan(chunk.value)) == (candidates == 1)


def test_self_check_finds_a_changed_weight(
        run: Path, policy_file: Path, demonstrations: Path) -> None:
    agent, *_ = load_agent(run / 'checkpoint.pt')
    with np.load(demonstrations) as file:
        observations = file['observations'][:4]
    compare(agent, OnnxPolicy(policy_file), observations)
    with torch.no_grad():
        agent.acting.network.layers[-1].bias[3] += 1e-3
    with pytest.raises(ExportError, match='action: PyTorch and ONNX Runtime differ by'):
        compare(agent, OnnxPolicy(policy_file), observations)


def test_an_export_needs_neither_optimiser_nor_environment(run: Path, tmp_path: Path) -> None:
    """Each of them takes a second, in a process that does nothing else."""
    before = reader._make_judge.cache_info()
    export(run, tmp_path / 'policy.onnx')
    assert reader._make_judge.cache_info() == before
    agent, *_ = load_agent(run / 'checkpoint.pt')
    assert 'optimiser' not in vars(agent)


def test_export_that_fails_leaves_the_old_file(run: Path, tmp_path: Path) -> None:
    out = tmp_path / 'policy.onnx'
    out.write_bytes(b'before')
    with pytest.raises(ExportError, match='found no data file for the self-check'):
        export(run, out, data=tmp_path / 'none.npz')
    assert out.read_bytes() == b'before'
    assert [path.name for path in tmp_path.iterdir()] == ['policy.onnx']


def test_one_candidate_skips_the_critics(policy_file: Path) -> None:
    import onnx
    model = onnx.load(policy_file)
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count('If') == 1
    # Outside the branch stands the actor alone: one product a layer, and one for the noise.
    assert kinds.count('Gemm') + kinds.count('MatMul') == 4


def test_evaluation_repeats_whatever_the_environments(policy_file: Path) -> None:
    one, two = (evaluate_file(policy_file, 2, seed=7, environments=count) for count in (1, 2))
    for first, second in zip(one.episodes, two.episodes, strict=True):
        assert replace(first, actions=None) == replace(second, actions=None)
        np.testing.assert_array_equal(first.actions, second.actions)


def test_evaluate_command_writes_every_episode(policy_file: Path, tmp_path: Path) -> None:
    out = tmp_path / 'found.json'
    assert evaluate_main(
        [str(policy_file), '--episodes', '1', '--environments', '1', '--json', str(out)]) == 0
    found = json.loads(out.read_text())
    assert [episode['seed'] for episode in found['per_episode']] == [100_000]
    assert found['sha256'] == OnnxPolicy(policy_file).sha256


def test_evaluate_command_refuses_a_missing_file(
        tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as ended:
        evaluate_main([str(tmp_path / 'none.onnx')])
    assert ended.value.code == 2
    assert 'there is no such file' in capsys.readouterr().err


@pytest.mark.parametrize('arguments', [['--environment', 'cube-singel-v0'], ['--candidates', '0']])
def test_evaluate_command_refuses_what_it_cannot_run(
        policy_file: Path, arguments: list, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as ended:
        evaluate_main([str(policy_file), *arguments])
    assert ended.value.code == 2
    assert arguments[0].strip('-') in capsys.readouterr().err


def test_evaluating_a_policy_without_a_simulator(
        tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = write_policy(tmp_path / 'own.onnx', cube_spec(environment='none'))
    for more in ([], ['--video', str(tmp_path / 'a.gif')]):
        with pytest.raises(SystemExit) as ended:
            evaluate_main([str(path), *more])
        assert ended.value.code == 2
        said = capsys.readouterr().err
        assert 'own.onnx: found environment' in said
        assert 'evaluate_on_robot' in said
