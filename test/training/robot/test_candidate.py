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
"""Candidates: what a robot gets, and what it never gets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from testing.policies.small_policy import cube_spec  # noqa: E402
from training.config import TrainConfig  # noqa: E402
from training.learning.agents.agent import Agent  # noqa: E402
from training.learning.networks.modules import Normaliser  # noqa: E402
from training.robot.candidate import Candidate, CandidateError, make_candidate  # noqa: E402

SPEC = cube_spec(horizon=2, candidates=2)
SEEN = np.random.default_rng(0).standard_normal((40, 28)).astype(np.float32)


def agent() -> Agent:
    torch.manual_seed(0)
    config = TrainConfig(hidden=(8, 8), horizon=2, best_of=2, threads=1)
    return Agent(config, 28, 5, Normaliser(torch.zeros(28), torch.ones(28)))


def make(
        path: Path, subject: Agent, bound: float = 1.0, latency: float = 1.0) -> Candidate:
    limits = np.full(5, -bound, np.float32), np.full(5, bound, np.float32)
    return make_candidate(subject, SPEC, path, 3, 100, SEEN, limits, latency)


def test_a_sound_policy_is_a_file_with_its_version(tmp_path: Path) -> None:
    from dfp_ros.core.policy.onnx_policy import OnnxPolicy
    found = make(tmp_path / 'policy-000003-100.onnx', agent())
    policy = OnnxPolicy(found.path)
    assert found.sha256 == policy.sha256
    assert found.number == int(policy.sha256[:12], 16)
    assert policy.spec.provenance['steps'] == 100
    assert policy.spec.name == 'policy-000003-100'


@pytest.mark.parametrize(('fault', 'options', 'text'), [
    ('nan', {}, 'not finite|differ by nan'),
    ('', {'bound': 1e-4}, 'effector_linear_velocity: found an action of'),
    ('', {'latency': 1e-9}, 'inference: found .* ms, expected at most')])
def test_what_is_not_fit_leaves_no_file(
        tmp_path: Path, fault: str, options: dict[str, float], text: str) -> None:
    subject = agent()
    if fault:
        with torch.no_grad():
            next(iter(subject.actor.parameters()))[0] = float('nan')
    with pytest.raises(CandidateError, match=f'policy 3 after 100 updates: .*({text})'):
        make(tmp_path / 'policy.onnx', subject, **options)
    assert not list(tmp_path.iterdir())
