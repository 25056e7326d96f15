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
Effect of cold caches on inference at a control rate, and possible remedies.

Between two ticks, other code on the same processor, or on another one that shares a cache, evicts
the policy's data: weights, ONNX Runtime's and Python's code are read from memory again. A remedy
here is another way of waiting for the next tick, or another session:

*none*
    The node as it is: sleeping until the deadline.
*memory traffic between calls*
    The same, but this thread reads 16 MB right after each answer, as a busy machine would.
*busy-waiting for 0.3 ms*, *busy-waiting throughout*
    Busy waiting at the end, or all the time, to isolate clock frequency and wake-up.
*pinned to one processor*
    No migration between processors.
*memory arena*
    ONNX Runtime's own memory pool.
*contiguous weights*
    All weights in one block of memory with huge pages, used in place (no prepacking).
*contiguous weights, prefetched*
    The same, with the actor's weights read 0.3 ms before the deadline.
*int8*
    A quarter of the weights' bytes.
*warm-up of the code alone*
    A policy of 4 x 8 answers 0.6 ms before: this warms the code, not the weights.
*warm-up*
    The policy itself answers once more, that long before the deadline.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
import mmap
import os
from pathlib import Path
import time
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
import onnxruntime

from bench.common.turns import wait_until
from bench.inference.paper_policy import PaperPolicy, write_policy
from bench.inference.runtimes import Answer, INPUTS, Inputs, onnx_answer, quantise
from dfp_ros.core.policy.onnx_policy import OnnxPolicy

Wait = Callable[[float], None]


@dataclass(frozen=True)
class Remedy:
    """
    Remedy against cold caches.

    :param name: Name of the remedy.
    :param runtime: Runtime of the policy.
    :param answer: Runs inference.
    :param wait: Waits for the next deadline.
    """

    name: str
    runtime: str
    answer: Answer
    wait: Wait = wait_until


def remedies(paper: PaperPolicy) -> Iterator[Remedy]:
    """List the remedies, for one candidate of the paper's size."""
    policy = OnnxPolicy(paper.path, candidates=1)
    inputs = Inputs(policy, 1)
    answer = onnx_answer(policy, inputs)
    node = 'onnxruntime'
    yield Remedy('none', node, answer)
    yield Remedy('memory traffic between calls', node, answer, _after(_Traffic().read))
    yield Remedy('busy-waiting for 0.3 ms', node, answer, _early(0.3e-3, _nothing, _spin_until))
    yield Remedy('busy-waiting throughout', node, answer, _spin_until)
    yield Remedy('pinned to one processor', node, _on_all(answer), _after(_on_one))
    plain = _options()
    plain.enable_cpu_mem_arena = plain.enable_mem_pattern = True
    yield Remedy('memory arena', node, _session_answer(
        onnxruntime.InferenceSession(str(paper.path), plain), inputs))
    block = _Block(paper.path)
    yield Remedy('contiguous weights', node, _session_answer(block.session, inputs))
    yield Remedy(
        'contiguous weights, prefetched', node, _session_answer(block.session, inputs), _early(
            0.3e-3, block.touch, _spin_until))
    small = onnx_answer(OnnxPolicy(quantise(paper.path), candidates=1), inputs)
    yield Remedy('int8', 'onnxruntime, int8', small)
    (paper.path.parent / 'tiny').mkdir(exist_ok=True)
    tiny = OnnxPolicy(
        write_policy(paper.path.parent / 'tiny', hidden=(8, 8, 8, 8)).path, candidates=1)
    yield Remedy('warm-up of the code alone', node, answer, _early(
        0.6e-3, _rehearse(onnx_answer(tiny, inputs)), wait_until))
    for lead in (0.8e-3, 1.5e-3, 3e-3):
        yield Remedy(f'warm-up {lead * 1e3:g} ms before', node, answer, _early(
            lead, _rehearse(answer), wait_until))
    yield Remedy('int8, warm-up 0.8 ms before', 'onnxruntime, int8', small, _early(
        0.8e-3, _rehearse(small), wait_until))


def _spin_until(due: float) -> None:
    """Wait busily."""
    while time.perf_counter() < due:
        pass


def _nothing() -> None:
    """Do nothing."""


def _early(lead: float, act: Callable[[], object], wait: Wait) -> Wait:
    """Sleep until a while before the deadline, act, and wait for the rest."""
    def waits(due: float) -> None:
        wait_until(due - lead)
        act()
        wait(due)
    return waits


def _after(act: Callable[[], object]) -> Wait:
    """Act right after the last answer, then sleep."""
    def waits(due: float) -> None:
        act()
        wait_until(due)
    return waits


def _rehearse(answer: Answer) -> Callable[[], object]:
    return lambda: answer(0)


class _Traffic:
    """Memory traffic of other processes."""

    def __init__(self) -> None:
        self._memory = np.ones(4_000_000, np.float32)

    def read(self) -> None:
        self._memory.sum()


def _on_one() -> None:
    """Pin the thread to the last processor."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def _on_all(answer: Answer) -> Answer:
    """Unpin the thread after an answer, for the next measurement."""
    there = os.sched_getaffinity(0)

    def answers(i: int) -> Any:
        found = answer(i)
        os.sched_setaffinity(0, there)
        return found
    return answers


def _options() -> onnxruntime.SessionOptions:
    """Return the session options of the node with one candidate."""
    made = onnxruntime.SessionOptions()
    made.intra_op_num_threads = made.inter_op_num_threads = 1
    made.enable_cpu_mem_arena = made.enable_mem_pattern = False
    made.log_severity_level = 4
    made.add_free_dimension_override_by_name('candidates', 1)
    return made


def _session_answer(session: onnxruntime.InferenceSession, inputs: Inputs) -> Answer:
    observations, noise = list(inputs.observations[:, None]), list(inputs.noise)
    return lambda i: session.run(('action_chunk',), {
        'observation': observations[i % INPUTS], 'noise': noise[i % INPUTS]})[0]


class _Block:
    """
    Session whose weights are in one block with huge pages.

    :param path: The policy file.
    """

    def __init__(self, path: Path) -> None:
        options = _options()
        options.add_session_config_entry('session.disable_prepacking', '1')
        model = onnx.load(path)
        huge = 2 << 20
        self._memory = mmap.mmap(-1, path.stat().st_size // huge * huge + 2 * huge)
        self._memory.madvise(mmap.MADV_HUGEPAGE)
        whole = np.frombuffer(self._memory, np.float32)
        first = at = -whole.ctypes.data % huge // 4
        self._kept, last = [], at
        for weight in model.graph.initializer:
            values = numpy_helper.to_array(weight)
            if values.dtype != np.float32 or values.size < 16:
                continue
            place = whole[at:at + values.size].reshape(values.shape)
            place[...] = values
            at += -(-values.size // 16) * 16
            if not weight.name.startswith('critic'):
                last = at
            self._kept.append(onnxruntime.OrtValue.ortvalue_from_numpy(place))
            options.add_initializer(weight.name, self._kept[-1])
        self._actor = whole[first:last]
        self.session = onnxruntime.InferenceSession(model.SerializeToString(), options)

    def touch(self) -> None:
        """Read the actor's weights."""
        self._actor.sum()
