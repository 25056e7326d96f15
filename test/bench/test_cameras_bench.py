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
"""Camera benchmark: shape of its rows, from a short run with a small policy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip('rclpy')
pytest.importorskip('PIL')
pytest.importorskip('torch')

from bench import cameras
from testing.policies.picture_policy import camera_spec, write_picture_policy
from testing.policies.small_policy import write_policy


@pytest.fixture(name='policies', scope='module')
def small_policies(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Write small policies with no picture, one, and two."""
    folder = tmp_path_factory.mktemp('policies')
    plain = replace(camera_spec(), images=())
    return {0: write_policy(folder / '0.onnx', plain), **{
        count: write_picture_policy(
            folder / f'{count}.onnx', camera_spec(images=cameras.fields(count)))
        for count in (1, 2)}}


def test_decoding_and_inference_are_timed(policies: dict[int, Path], tmp_path: Path) -> None:
    """Every encoding is read, and every number of encoders asked."""
    rows = [*cameras.measure_decoding(tmp_path, 5), *cameras.measure_inference(policies, 5)]
    assert [row['encoding'] for row in rows[:6]] == list(cameras.ENCODINGS)
    assert all(row['decoding']['count'] == 5 for row in rows[:6])
    assert [(row['encoders'], row['rhythm']) for row in rows[6:]] == [
        (count, rhythm) for rhythm in ('paced', 'tight') for count in range(3)]
    assert all(row['inference']['count'] == 5 for row in rows[6:])
    for row in rows:
        assert '/' in cameras.line(row)


def test_a_node_is_measured_with_a_camera_and_without(
        policies: dict[int, Path], tmp_path: Path) -> None:
    """Real processes, for half a second each; the stamps are those of the pictures."""
    without, with_one = cameras.measure_node(tmp_path, policies, 'latency', 30.0, 1, 0.6)
    assert (without['cameras'], with_one['cameras']) == (0, 1)
    for row in (without, with_one):
        assert row['ticks'] + row['missed'] >= 10
        assert row['observation_to_reception']['count'] >= 5
        assert {'late_half_a_period', 'held', 'period_error', 'tick_period_error'} <= set(row)
        assert 'ticks' in cameras.line(row)
    # A new picture in most ticks, and none that is newer than its tick.
    assert 2 <= with_one['pictures_used'] <= with_one['ticks']
