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
"""IO binding: answers equal those of a session without it."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from dfp_ros.core.policy.io_binding import IoBinding
from testing import ROOT
from testing.policies.small_policy import cube_spec, write_policy

MODELS = ROOT / 'models'


def load(path: Path) -> tuple[onnxruntime.InferenceSession, IoBinding]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options)
    observation, = (each for each in session.get_inputs() if each.name == 'observation')
    chunk, = (each for each in session.get_outputs() if each.name == 'action_chunk')
    return session, IoBinding(session, observation.shape[1], tuple(chunk.shape))


def draw(session: onnxruntime.InferenceSession, candidates: int, seed: int) -> dict:
    random = np.random.default_rng(seed)
    shapes = {each.name: each.shape for each in session.get_inputs()}
    return {
        'observation': random.standard_normal(shapes['observation'][1], dtype=np.float32),
        'noise': random.standard_normal((candidates, shapes['noise'][1]), dtype=np.float32)}


def expect(session: onnxruntime.InferenceSession, inputs: dict) -> list:
    return session.run(
        ['action_chunk', 'value', 'spread'],
        inputs | {'observation': inputs['observation'][None]})


@pytest.mark.parametrize('name', ['cube_single', 'cube_play', 'lift', 'lift_joint'])
def test_same_bits_as_without(name: str) -> None:
    session, bound = load(MODELS / f'{name}.onnx')
    kept = []
    for seed, candidates in enumerate((1, 4, 1, 16, 4)):
        inputs = draw(session, candidates, seed)
        kept.append((bound.run(**inputs), *expect(session, inputs)))
    # All are looked at after the last call, which must not have written over any.
    for chunk, actions, value, spread in kept:
        np.testing.assert_array_equal(chunk.actions, actions)
        np.testing.assert_array_equal(np.float32([chunk.value, chunk.spread]), [*value, *spread])


def test_calls_that_overlap(tmp_path: Path) -> None:
    session, bound = load(write_policy(tmp_path / 'policy.onnx', cube_spec()))
    inputs = [draw(session, 2, seed) for seed in range(8)]
    expected = [expect(session, each) for each in inputs]

    def ask(which: int) -> None:
        for _ in range(300):
            chunk = bound.run(**inputs[which])
            np.testing.assert_array_equal(chunk.actions, expected[which][0])
            assert chunk.value == expected[which][1][0]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(ask, range(8)))
