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
"""Dataset statistics: exact, in little memory, also for constant observations."""

from __future__ import annotations

import tracemalloc

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

from testing import ROOT

torch = pytest.importorskip('torch')

from dfp_ros.core.policy.onnx_policy import OnnxPolicy  # noqa: E402
from training.data.transitions.statistics import BLOCK, measure  # noqa: E402
from training.learning.trainer.run import fit_normaliser  # noqa: E402

MODEL = ROOT / 'models' / 'cube_single.onnx'


@settings(max_examples=20)
@given(st.integers(1, 3 * BLOCK), st.integers(0, 2**32 - 1))
def test_blocks_add_up_to_the_whole(size: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    values = generator.normal([0, 1e3, -5], [1, 0.01, 100], size=(size, 3)).astype(np.float32)
    found, exact = measure(values), values.astype(np.float64)
    np.testing.assert_allclose(found.mean, exact.mean(axis=0), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.deviation, exact.std(axis=0), rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal([found.low, found.high], [exact.min(axis=0), exact.max(axis=0)])


def test_no_copy_of_the_data_is_made() -> None:
    values = np.random.default_rng(0).random((40 * BLOCK, 8), dtype=np.float32)
    tracemalloc.start()
    try:
        measure(values)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < values.nbytes / 4


def test_a_constant_dimension_is_shifted_and_keeps_its_scale() -> None:
    values = np.random.default_rng(0).normal(3, 2, size=(1000, 2)).astype(np.float32)
    values[:, 1] = 7.3
    found = measure(values)
    assert found.constant.tolist() == [False, True]
    assert found.to_json()['constant'] == [1]
    normal = fit_normaliser(found, True)(torch.from_numpy(values))
    assert normal[:, 0].std().item() == pytest.approx(1, rel=1e-3)
    assert (normal[:, 1].abs() < 1e-5).all()


@pytest.mark.parametrize('size', [1.0, 1e3, 4e5])
def test_rounding_is_not_blown_up_to_unit_deviation(size: float) -> None:
    # A value that wavers between neighbours in float32, as a fixed pose far from the origin does.
    values = np.full((1000, 1), size, np.float32)
    values[::2] = np.nextafter(values[0, 0], np.float32(np.inf))
    found = measure(values)
    assert found.constant.all()
    assert fit_normaliser(found, True)(torch.from_numpy(values)).abs().max() < 0.1


def test_a_small_motion_far_from_the_origin_is_no_constant() -> None:
    values = (1000 + 0.05 * np.random.default_rng(0).standard_normal((1000, 1))).astype(np.float32)
    found = measure(values)
    assert not found.constant.any()
    assert found.deviation[0] == pytest.approx(0.05, rel=0.1)


def test_where_it_is_not_wanted_observations_stay_as_they_are() -> None:
    values = np.random.default_rng(0).normal(3, 2, size=(10, 2)).astype(np.float32)
    same = fit_normaliser(measure(values), False)(torch.from_numpy(values))
    np.testing.assert_array_equal(same, values)


def test_a_policy_file_without_statistics_is_still_read() -> None:
    assert 'normalisation' not in OnnxPolicy(MODEL).spec.provenance
