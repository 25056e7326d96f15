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
Lower bound of the inference time: its weights read once, its products computed once.

The bandwidth is that of reading a block as large as the weights repeatedly, from the cache level
that it fits in (a STREAM-like sum: a dot product with itself); the rate is that of the networks'
matrix product, (2048, 512) by (512, 512), on one thread. The bare products have the networks'
shapes, one row per candidate, in numpy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import hashlib
from pathlib import Path
import time

import numpy as np
from numpy.typing import NDArray
import onnx
from onnx import numpy_helper

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Product:
    """
    Matrix product of a network.

    :param weight: Shape (..., inputs, outputs), float32.
    :param rows: Number of rows of the other factor.
    """

    weight: FloatArray
    rows: int


@dataclass(frozen=True)
class Floor:
    """
    Performance of one thread on this machine.

    :param bandwidths: Block size in bytes, and the bandwidth of reading it repeatedly, bytes/s.
    :param rate: Floating-point operations per second.
    """

    bandwidths: tuple[tuple[int, float], ...]
    rate: float

    def figures(self, products: list[Product]) -> dict[str, float]:
        """Return a network's weights and work, and the lower bound of the time for each."""
        size, operations = weight_bytes(products), work(products)
        bandwidth = min(self.bandwidths, key=lambda pair: abs(np.log(pair[0] / size)))[1]
        return {
            'weights_megabytes': size / 1e6, 'work_megaflop': operations / 1e6,
            'bandwidth_gigabytes': bandwidth / 1e9, 'rate_gigaflops': self.rate / 1e9,
            'weights_us': 1e6 * size / bandwidth, 'work_us': 1e6 * operations / self.rate}


def find_products(path: Path, candidates: int) -> list[Product]:
    """
    List the products of a policy file, in order.

    :param path: The policy file.
    :param candidates: With one, the critics are not evaluated.
    """
    model = onnx.load(path)
    noise = next(each for each in model.graph.input if each.name == 'noise')
    noise.type.tensor_type.shape.dim[0].dim_value = candidates
    model = onnx.shape_inference.infer_shapes(model)
    graphs = [model.graph]
    if candidates > 1:
        graphs += [
            attribute.g for node in model.graph.node for attribute in node.attribute
            if attribute.name == 'then_branch']
    weights = {each.name: each for each in model.graph.initializer}
    shapes = {
        each.name: [size.dim_value for size in each.type.tensor_type.shape.dim]
        for graph in graphs for each in (*graph.input, *graph.value_info)}
    return [
        Product(numpy_helper.to_array(weights[node.input[1]]), shapes[node.input[0]][-2])
        for graph in graphs for node in graph.node
        if node.op_type in ('MatMul', 'Gemm') and node.input[1] in weights]


def weight_bytes(products: list[Product]) -> int:
    """Return the size of the weights in bytes; those of several steps count once."""
    return sum({
        hashlib.sha256(product.weight.tobytes()).digest(): product.weight.nbytes
        for product in products}.values())


def work(products: list[Product]) -> int:
    """Return the number of floating-point operations."""
    return sum(2 * product.weight.size * product.rows for product in products)


def bare_products(products: list[Product]) -> Callable[[int], None]:
    """Return a function that computes these products into preallocated arrays."""
    steps = []
    for product in products:
        *members, inputs, outputs = product.weight.shape
        steps.append((
            np.ones((*members, product.rows, inputs), np.float32), product.weight,
            np.empty((*members, product.rows, outputs), np.float32)))

    def take(_: int) -> None:
        for left, right, out in steps:
            np.matmul(left, right, out=out)
    return take


def measure_floor(megabytes: tuple[float, ...] = (0.4, 0.8, 3.3, 10, 64)) -> Floor:
    """Measure bandwidths and rate, the best of several trials, in a third of a second."""
    bandwidths = []
    for size in megabytes:
        block = np.ones(int(size * 1e6) // 4, np.float32)
        bandwidths.append((block.nbytes, block.nbytes / _least(lambda b=block: np.dot(b, b))))
    left, right = np.ones((2048, 512), np.float32), np.ones((512, 512), np.float32)
    out = np.empty((2048, 512), np.float32)
    return Floor(tuple(bandwidths), 2 * 2048 * 512 * 512 / _least(
        lambda: np.matmul(left, right, out=out)))


def _least(call: Callable[[], object], seconds: float = 0.05) -> float:
    """Time calls for a while, and return the shortest time, in s."""
    call()
    shortest, end = np.inf, time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        call()
        shortest = min(shortest, time.perf_counter() - start)
    return float(shortest)
