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
Encoders of pictures: a small convolutional network for each camera, and its ONNX nodes.

The trunk is that of IMPALA (Espeholt et al., arXiv 1802.01561) with one residual block in each
stage, as in OGBench's reference agents. Its last map is flattened, or reduced to the expected
positions of its features in the picture (spatial softmax; Finn et al., arXiv 1509.06113), as in
Robomimic. A bounded output with layer normalisation follows, as in DrQ (arXiv 2004.13649).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional

from dfp_ros.spec_images import ImageField

if TYPE_CHECKING:
    from training.learning.networks.onnx_builder import Graph

# Features whose positions a spatial softmax finds, as in Robomimic.
_KEYPOINTS = 32
_EPSILON = 1e-5


class Stage(nn.Module):
    """
    Stage of the trunk: a convolution, a pooling that halves height and width, a residual block.

    :param before: Channels of the input.
    :param after: Channels of the result.
    """

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, after, 3, padding=1)
        self.second = nn.Conv2d(after, after, 3, padding=1)
        self.third = nn.Conv2d(after, after, 3, padding=1)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Apply it, shape (B, channels, height, width)."""
        pooled = functional.max_pool2d(self.first(hidden), 3, stride=2, padding=1)
        inner: torch.Tensor = self.second(functional.relu(pooled))
        return pooled + self.third(functional.relu(inner))


class CameraEncoder(nn.Module):
    """
    Encoder of the pictures of one camera.

    :param field: Their size and channels.
    :param widths: Channels of each stage; each halves height and width.
    :param head: How the last map is reduced.
    :param features: Length of the result.
    """

    product_type: torch.dtype | None = None
    """Type of the convolutions of several pictures, if it is not that of the parameters."""

    def __init__(
            self, field: ImageField, widths: Sequence[int],
            head: Literal['impala', 'spatial_softmax'], features: int) -> None:
        super().__init__()
        height, width, channels = field.shape
        stages = []
        for before, after in zip([channels, *widths], widths, strict=False):
            stages.append(Stage(before, after))
            height, width = (height + 1) // 2, (width + 1) // 2
        self.stages = nn.ModuleList(stages)
        self.keypoints = nn.Conv2d(widths[-1], _KEYPOINTS, 1) if (
            head == 'spatial_softmax') else None
        size = height * width * widths[-1] if self.keypoints is None else 2 * _KEYPOINTS
        self.output = nn.Linear(size, features)
        self.norm = nn.LayerNorm(features, eps=_EPSILON)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                assert layer.bias is not None
                nn.init.zeros_(layer.bias)
        grid = torch.meshgrid(_places(height), _places(width), indexing='ij')
        # Not saved: it follows from the size of the pictures.
        self.register_buffer(
            'grid', torch.stack([axis.flatten() for axis in grid], dim=1), persistent=False)
        self.grid: torch.Tensor

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """
        Encode pictures.

        :param pictures: Shape (B, height, width, n), uint8.
        :return: Shape (B, features), float32, in [-1, 1].
        """
        hidden = (pictures.to(torch.float32) * (1 / 255) - 0.5).permute(0, 3, 1, 2)
        # A single picture is acted on, and gives what the policy file gives.
        kind = self.product_type if len(pictures) > 1 else None
        with torch.autocast(
                pictures.device.type, kind or torch.bfloat16, enabled=kind is not None):
            for stage in self.stages:
                hidden = stage(hidden)
            hidden = functional.relu(hidden)
            if self.keypoints is not None:
                hidden = self.keypoints(hidden)
        hidden = hidden.to(torch.float32)
        if self.keypoints is not None:
            hidden = hidden.flatten(2).softmax(dim=2) @ self.grid
        return torch.tanh(self.norm(self.output(hidden.flatten(1))))

    def write(self, graph: Graph, name: str, picture: str, output: str) -> None:
        """
        Write the ONNX nodes of :meth:`forward` for one picture.

        :param name: Prefix of the names of its weights and values.
        :param picture: Name of the picture, shape (1, height, width, n), uint8.
        :param output: Name of the result, shape (1, features).
        """
        def convolve(layer: nn.Conv2d, label: str, source: str, target: str) -> None:
            assert layer.bias is not None
            graph.weight(f'{name}_{label}_weight', layer.weight)
            graph.weight(f'{name}_{label}_bias', layer.bias)
            size = layer.kernel_size[0]
            graph.line(
                f'{target} = Conv <kernel_shape = [{size}, {size}], pads = '
                f'{[size // 2] * 4}> ({source}, {name}_{label}_weight, {name}_{label}_bias)')

        graph.weight('per_number', torch.tensor(1 / 255))
        graph.weight('half', torch.tensor(0.5))
        graph.line(f'{name}_numbers = Cast <to = 1> ({picture})')
        graph.line(f'{name}_light = Mul ({name}_numbers, per_number)')
        graph.line(f'{name}_centred = Sub ({name}_light, half)')
        last = f'{name}_planes'
        graph.line(f'{last} = Transpose <perm = [0, 3, 1, 2]> ({name}_centred)')
        for i, stage in enumerate(self.stages):
            assert isinstance(stage, Stage)
            here = f'{name}_{i}'
            convolve(stage.first, f'{i}_first', last, f'{here}_large')
            graph.line(
                f'{here}_pooled = MaxPool <kernel_shape = [3, 3], strides = [2, 2], pads = '
                f'[1, 1, 1, 1]> ({here}_large)')
            graph.line(f'{here}_active = Relu ({here}_pooled)')
            convolve(stage.second, f'{i}_second', f'{here}_active', f'{here}_inner')
            graph.line(f'{here}_inner_active = Relu ({here}_inner)')
            convolve(stage.third, f'{i}_third', f'{here}_inner_active', f'{here}_residual')
            last = f'{here}_sum'
            graph.line(f'{last} = Add ({here}_pooled, {here}_residual)')
        graph.line(f'{name}_map = Relu ({last})')
        seen = f'{name}_map'
        if self.keypoints is not None:
            convolve(self.keypoints, 'keypoints', seen, f'{name}_keys')
            graph.weight(f'{name}_grid', self.grid)
            shape = graph.integers(f'{name}_rows', [_KEYPOINTS, -1])
            graph.line(f'{name}_scores = Reshape ({name}_keys, {shape})')
            graph.line(f'{name}_share = Softmax <axis = 1> ({name}_scores)')
            seen = f'{name}_places'
            graph.line(f'{seen} = MatMul ({name}_share, {name}_grid)')
        row = graph.integers(f'{name}_row', [1, -1])
        graph.line(f'{name}_flat = Reshape ({seen}, {row})')
        graph.weight(f'{name}_output_weight', self.output.weight.T)
        graph.weight(f'{name}_output_bias', self.output.bias)
        graph.weight(f'{name}_scale', self.norm.weight)
        graph.weight(f'{name}_shift', self.norm.bias)
        graph.line(
            f'{name}_output = Gemm ({name}_flat, {name}_output_weight, {name}_output_bias)')
        graph.line(
            f'{name}_normal = LayerNormalization <axis = -1, epsilon = {_EPSILON:.9f}> '
            f'({name}_output, {name}_scale, {name}_shift)')
        graph.line(f'{output} = Tanh ({name}_normal)')


class Encoder(nn.Module):
    """
    Encoder of an observation's pictures, one network for each camera.

    :param images: The pictures, in order.
    :param widths: Channels of each stage.
    :param head: How the last map is reduced.
    :param features: Length of the result for each camera.

    :ivar size: Length of the result for all cameras.
    :ivar shapes: Height, width and numbers of a pixel, of each camera.
    """

    def __init__(
            self, images: Sequence[ImageField], widths: Sequence[int],
            head: Literal['impala', 'spatial_softmax'], features: int) -> None:
        super().__init__()
        self.cameras = nn.ModuleList(
            CameraEncoder(field, widths, head, features) for field in images)
        self.size = features * len(images)
        self.shapes = tuple(field.shape for field in images)

    def forward(self, pictures: Sequence[torch.Tensor]) -> torch.Tensor:
        """
        Encode the pictures of observations.

        :param pictures: Each of shape (B, height, width, n), uint8.
        :return: Shape (B, size), float32.
        """
        return torch.cat([
            camera(each) for camera, each in zip(self.cameras, pictures, strict=True)], dim=1)

    def use_products(self, kind: torch.dtype) -> None:
        """Compute the convolutions in another type; parameters and results keep theirs."""
        for camera in self.cameras:
            assert isinstance(camera, CameraEncoder)
            camera.product_type = kind

    def write(
            self, graph: Graph, pictures: Sequence[str], outputs: Sequence[str],
            prefix: str = '') -> None:
        """Write the ONNX nodes of each camera; see :meth:`CameraEncoder.write`."""
        for i, (camera, picture, output) in enumerate(
                zip(self.cameras, pictures, outputs, strict=True)):
            assert isinstance(camera, CameraEncoder)
            camera.write(graph, f'{prefix}camera_{i}', picture, output)


def shifted(pictures: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
    """
    Shift each picture, and repeat its edge where that leaves a gap (random shift; DrQ).

    :param pictures: Shape (B, height, width, n), uint8.
    :param offsets: Shape (B, 2), int64: rows and columns.
    :return: Shape (B, height, width, n), uint8.
    """
    count, height, width, _ = pictures.shape
    device = pictures.device
    rows = (torch.arange(height, device=device) + offsets[:, :1]).clamp(0, height - 1)
    columns = (torch.arange(width, device=device) + offsets[:, 1:]).clamp(0, width - 1)
    which = torch.arange(count, device=device)
    return pictures[which[:, None, None], rows[:, :, None], columns[:, None, :]]


def _places(count: int) -> torch.Tensor:
    """Places of pixels along an axis, in [-1, 1]."""
    return torch.linspace(-1, 1, count) if count > 1 else torch.zeros(1)
