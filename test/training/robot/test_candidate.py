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

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip('torch')

from dfp_ros.core.policy.policy_file import read_policy_file  # noqa: E402
from dfp_ros.resources import make_trust  # noqa: E402
from testing.policies.small_policy import cube_spec  # noqa: E402
from training.config import TrainConfig  # noqa: E402
from training.learning.agents.agent import Agent  # noqa: E402
from training.learning.networks.modules import Normaliser  # noqa: E402
from training.robot.candidate import (  # noqa: E402
    Candidate,
    CandidateError,
    expected_actions,
    make_candidate,
)
from training.robot.releases import Releases  # noqa: E402
from training.robot.settings import LearnerSettings  # noqa: E402

SPEC = cube_spec(horizon=2, candidates=2)
SEEN = np.random.default_rng(0).standard_normal((40, 28)).astype(np.float32)


def agent() -> Agent:
    torch.manual_seed(0)
    config = TrainConfig(hidden=(8, 8), horizon=2, best_of=2, threads=1)
    return Agent(config, 28, 5, Normaliser(torch.zeros(28), torch.ones(28)))


def make(
        path: Path, subject: Agent, bound: float = 1.0, latency: float = 1.0,
        outside: float = 0.2) -> Candidate:
    limits = np.full(5, -bound, np.float32), np.full(5, bound, np.float32)
    return make_candidate(subject, SPEC, path, 3, 100, SEEN, limits, outside, latency)


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
    ('', {'bound': 1e-4}, r'\w+: found (9\d|100)% of the actions outside of -0.0001 to 0.0001'),
    ('', {'bound': 0.1, 'outside': 0.0}, r'\w+: found \d+% of the actions outside of -0.1 to'),
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


def test_a_few_actions_beyond_the_range_of_the_data_are_no_fault(tmp_path: Path) -> None:
    """Networks that still learn overshoot it here and there; the node's limits are in force."""
    subject = agent()
    with pytest.raises(CandidateError, match='outside of -0.1 to 0.1') as found:
        make(tmp_path / 'policy.onnx', subject, bound=0.1, outside=0.0)
    share = int(str(found.value).partition(': found ')[2].partition('%')[0]) / 100
    assert 0 < share < 0.9
    assert make(tmp_path / 'policy.onnx', subject, bound=0.1, outside=share + 0.01).path.is_file()


def test_an_action_that_never_changes_has_a_margin_too() -> None:
    """A clone answers it within some thousandths, and no policy of it was fit for the robot."""
    still = tuple(replace(
        field, data_low=(0.5,) * field.size, data_high=(0.5,) * field.size)
        for field in SPEC.action)
    spec = replace(SPEC, action=still)
    nothing = np.full(5, np.inf)
    low, high = expected_actions(spec, nothing, -nothing, 0.1)
    np.testing.assert_allclose([low, high], [[0.48] * 5, [0.52] * 5], atol=1e-5)
    low, high = expected_actions(spec, np.full(5, -0.5), np.full(5, 0.5), 0.1)
    np.testing.assert_allclose([low, high], [[-0.6] * 5, [0.6] * 5], atol=1e-5)
    low, high = expected_actions(spec, nothing, -nothing, 0.0)
    np.testing.assert_allclose([low, high], [[0.5] * 5, [0.5] * 5], atol=1e-5)


def test_a_node_that_wants_signatures_gets_them(tmp_path: Path) -> None:
    """New policies are signed, the copy of the first one keeps its signature, and both go."""
    pytest.importorskip('cryptography')
    from training.common.signatures import make_keys, read_private_key, sign, SignatureError
    key, out = tmp_path / 'key', tmp_path / 'robot'
    trust = make_trust(str(tmp_path), make_keys(key))
    first = make(tmp_path / 'first.onnx', agent())
    sign(first.path, read_private_key(key))
    changes: Any = SimpleNamespace(
        status={'path': str(first.path)}, running=first.sha256, starts=0, is_busy=False)
    state: Any = SimpleNamespace(
        config=SimpleNamespace(steps=0), progress=SimpleNamespace(step=100), agent=agent(),
        spec=SPEC, buffer=SimpleNamespace(range_of_added=lambda name: (
            np.full(5, -1, np.float32), np.full(5, 1, np.float32))))
    (out / 'policies').mkdir(parents=True)

    def releases(**settings: Any) -> Releases:
        return Releases(
            out, state, LearnerSettings(latency_share=10.0, **settings), changes, print)

    signing = releases(sign_key=str(key))
    signing.begin()
    assert read_policy_file(out / 'policies' / 'start.onnx', trust).sha256 == first.sha256
    made = signing.make(SEEN)
    assert made is not None
    assert read_policy_file(made.path, trust).sha256 == made.sha256
    # Without a key there is no signature, and a key that is not there ends it at the start.
    state.progress.step = 200
    other = releases().make(SEEN)
    assert other is not None
    assert not other.path.with_name(f'{other.path.name}.sig').exists()
    with pytest.raises(SignatureError, match='private key .*none: cannot be read'):
        releases(sign_key=str(tmp_path / 'none'))
