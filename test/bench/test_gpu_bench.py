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
"""The code of ``make gpu``, on the CPU, and its page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

torch = pytest.importorskip('torch')

from bench import ROOT  # noqa: E402
from bench.gpu import checks  # noqa: E402
from bench.gpu.__main__ import main  # noqa: E402
from bench.gpu.page import page  # noqa: E402
from bench.gpu.times import product_rate  # noqa: E402
from training.learning.agents import drift  # noqa: E402


def test_all_of_it_runs_on_the_cpu(demonstrations: Path, tmp_path: Path) -> None:
    file, out = tmp_path / 'gpu.json', tmp_path / 'gpu.md'
    assert main([
        '--device', 'cpu', '--quick', '--data', str(demonstrations), '--json', str(file),
        '--out', str(out)]) == 0
    found = json.loads(file.read_text())
    assert [row['passed'] for row in found['checks']] == [True] * 3
    # bfloat16 was used, and is further from float32 than float32 is.
    assert found['checks'][2]['difference'] > 10 * found['checks'][1]['difference']
    assert found['training']['updates'] == 10
    assert {row['candidates'] for row in found['answers']} == {1, 16}
    text = out.read_text()
    assert 'CPUExecutionProvider' in text
    assert 'Not measured' not in text


def test_a_wrong_gradient_fails(
        monkeypatch: pytest.MonkeyPatch) -> None:
    def double(
            logits: torch.Tensor, targets: torch.Tensor, repelling: int) -> torch.Tensor:
        found = force(logits, targets, repelling)
        return found if logits.dtype == torch.float64 else found.flip(2)

    force = drift._force
    monkeypatch.setattr(drift, '_force', double)
    assert not checks.drift_gradients('cpu')['passed']


def test_the_page_of_this_repository_is_what_the_results_say() -> None:
    results = ROOT / 'bench' / 'results' / 'gpu.json'
    found = json.loads(results.read_text()) if results.exists() else None
    assert (ROOT / 'docs' / 'gpu.md').read_text() == page(found)
    assert 'Not measured' in page(None)


def test_without_a_gpu_the_command_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    if torch.cuda.is_available():
        pytest.skip('there is a GPU')
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 2
    assert '--device cpu --quick' in capsys.readouterr().err


def test_rate_of_products() -> None:
    assert product_rate('cpu', 'float32', 64, 2) > 0
