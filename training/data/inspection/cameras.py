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
Statistics of the pictures in a data file, and a contact sheet of some.

All pictures are read once, a few at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dfp_ros.spec_images import CHANNELS
from training.data.transitions.frames import as_rgb, Frames
from training.data.transitions.transitions import Transitions

# A picture without a value above this, of 255, counts as black.
BLACK = 8
# Rows and columns of a contact sheet, and share of a picture's width between two.
SHEET, GAP = (3, 4), 1 / 16
_BLOCK = 64


@dataclass(frozen=True)
class CameraFacts:
    """
    Pictures of a camera.

    :param name: Name, size and channels.
    :param kind: Type of the numbers.
    :param frames: Number of pictures.
    :param mean: Mean of each channel, from 0 to 255, red first; of the pictures of steps.
    :param deviation: Standard deviation of each.
    :param black: Number of steps whose picture is black.
    :param frozen: Number of steps after which the picture is exactly the same.
    :param longest: Most of them in a row.
    """

    name: str
    kind: str
    frames: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    black: int
    frozen: int
    longest: int

    @property
    def words(self) -> str:
        """Describe it in a line."""
        means, deviations = (
            ', '.join(f'{value:.1f}' for value in values)
            for values in (self.mean, self.deviation))
        black = f'{self.black:,} black' if self.black else 'none black'
        frozen = (
            f'{self.frozen:,} followed by the same picture, at most {self.longest:,} in a row'
        ) if self.frozen else 'none followed by the same picture'
        return (
            f'{self.frames:,} pictures, {self.kind}; mean {means}, deviation {deviations}; of the '
            f'steps, {black}, {frozen}')


def measure_camera(frames: Frames, data: Transitions) -> CameraFacts:
    """
    Compute the statistics of a camera.

    :param frames: Its pictures.
    :param data: Transitions of the file.
    """
    assert data.frame is not None
    counts = np.zeros((CHANNELS[frames.field.channels], 256), np.int64)
    is_frozen = np.zeros(len(data), bool)
    black = 0
    for start in range(0, len(data), _BLOCK):
        rows = data.frame[start:start + _BLOCK]
        here, after = frames.pixels[rows], frames.pixels[rows + 1]
        is_frozen[start:start + _BLOCK] = (here == after).reshape(len(rows), -1).all(axis=1)
        black += int((here.reshape(len(rows), -1).max(axis=1) <= BLACK).sum())
        for channel, found in enumerate(counts):
            values = as_rgb(frames.field, here)[..., channel]
            found += np.bincount(values.reshape(-1), minlength=256)
    values = np.arange(256)
    size = counts.sum(axis=1)
    mean = counts @ values / size
    deviation = np.sqrt((counts * (values - mean[:, None]) ** 2).sum(axis=1) / size)
    return CameraFacts(
        str(frames.field), str(frames.pixels.dtype), len(frames), tuple(map(float, mean)),
        tuple(map(float, deviation)), black, int(is_frozen.sum()),
        _longest(is_frozen, data.terminals))


def _longest(is_frozen: np.ndarray, terminals: np.ndarray) -> int:
    """Count the most steps in a row, within an episode."""
    found = run = 0
    for frozen, last in zip(is_frozen.tolist(), terminals.tolist(), strict=True):
        run = run + 1 if frozen else 0
        found = max(found, run)
        if last:
            run = 0
    return found


def contact_sheet(frames: Frames, data: Transitions) -> np.ndarray:
    """
    Put some pictures of a file together, evenly spaced from its first step to its last.

    :return: Shape (height, width, 3) or (height, width), uint8; white between the pictures.
    """
    assert data.frame is not None
    rows, columns = SHEET
    chosen = np.unique(np.linspace(0, len(data) - 1, rows * columns).astype(int))
    height, width, channels = frames.field.shape
    gap = max(1, round(GAP * width))
    rows = -(-len(chosen) // columns)
    columns = min(columns, len(chosen))
    sheet = np.full(
        (rows * (height + gap) - gap, columns * (width + gap) - gap, channels), 255, np.uint8)
    for i, step in enumerate(chosen.tolist()):
        top, left = (i // columns) * (height + gap), (i % columns) * (width + gap)
        sheet[top:top + height, left:left + width] = as_rgb(
            frames.field, frames.pixels[data.frame[step]])
    return sheet if channels == 3 else sheet[..., 0]


def draw_sheet(frames: Frames, data: Transitions) -> Callable[[Any], None]:
    """Return a function that draws a contact sheet into axes."""
    def draw(axes: Any) -> None:
        # In a page with all its pixels.
        axes.imshow(
            contact_sheet(frames, data), cmap='gray', vmin=0, vmax=255, interpolation='none')
        axes.set_axis_off()
    return draw
