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
"""Replay buffer of transitions, from which action chunks are sampled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from training.data.transitions.frames import Frames
from training.data.transitions.transitions import COLUMNS, Transitions
from training.learning import distributed
from training.learning.agents.batch import Batch
from training.learning.trainer.added_frames import AddedFrames


@dataclass(frozen=True)
class HeldFrames:
    """
    Frames that are there already, of transitions that are added.

    :param images: Pictures of each camera.
    """

    images: tuple[Frames, ...]

    def read(self, camera: int, rows: np.ndarray) -> np.ndarray:
        """Read pictures of a camera, as :meth:`AddedFrames.read` does."""
        found: np.ndarray = self.images[camera].pixels[rows]
        return found


class ReplayBuffer:
    """
    A ring buffer of transitions: those of a data file, and those that an online phase adds.

    Chunks are sampled with uniformly drawn first steps. If the buffer is full, a new transition
    replaces the oldest one. Frames stay where the data have them, in memory or in a file, and
    those of an online phase are in files of their own, see :meth:`take_frames`; only those of a
    batch are copied to the device.

    :param transitions: Transitions of the data file; they stay until newer ones replace them.
    :param horizon: Number of actions in a chunk.
    :param discount: Discount factor per step.
    :param device: Device of the transitions and of the batches.
    :param capacity: Maximum number of transitions; 0 for the number in the data.
    :param balanced: Whether half of the chunks are from the data and half are added ones, once
        there are added ones for a chunk.
    :param picture_delay: Largest age of a picture in a sample, in steps; see
        :class:`training.config.TrainConfig`.
    :raises ValueError: If the data is shorter than a chunk, or exceeds the capacity.
    """

    def __init__(
            self, transitions: Transitions, horizon: int, discount: float,
            device: torch.device | str = 'cpu', capacity: int = 0,
            balanced: bool = False, picture_delay: int = 0) -> None:
        size = len(transitions)
        if size <= horizon:
            raise ValueError(
                f'data: found {size} steps, expected more than the horizon, {horizon}')
        if capacity and capacity < size:
            raise ValueError(
                f'replay: found {capacity}, expected 0, or at least {size}, the size of the data')
        self.horizon = horizon
        self.capacity = capacity or size
        self._frames = [frames.pixels for frames in transitions.images]
        # Frame of each observation, and the first one of its episode. Those of the data come
        # first, and the added ones follow.
        self._frame = self._first_frame = None
        if transitions.frame is not None:
            self._frame, self._first_frame = (np.zeros(self.capacity, np.int64) for _ in range(2))
            self._frame[:size] = transitions.frame
            self._first_frame[:size] = _first_frames(transitions)
        self._added_frames: AddedFrames | HeldFrames | None = None
        self._picture_delay = picture_delay if transitions.images else 0
        self.added = 0
        self._balanced = balanced
        self._size = self._data_size = size
        # Write index of the ring buffer: of the oldest transition, once the buffer is full.
        self._end = size % self.capacity
        self._columns = {
            name: _column(getattr(transitions, name), self.capacity, device) for name in COLUMNS}
        self._offsets = torch.arange(horizon, device=device)
        self._discounts = discount ** self._offsets.to(torch.float32)

    def __len__(self) -> int:
        """Count the transitions."""
        return self._size

    def clear(self) -> None:
        """Free the transitions, so that others fit into memory; the buffer is then unusable."""
        self._columns.clear()
        self._frames.clear()

    def take_frames(self, frames: AddedFrames | HeldFrames) -> None:
        """
        Prepare for transitions with pictures.

        :param frames: Takes their pictures, or has them already.
        """
        self._added_frames = frames

    def add(
            self, pictures: Sequence[np.ndarray] = (), next_pictures: Sequence[np.ndarray] = (),
            frame: int = 0, **row: Any) -> None:
        """
        Add the next transition of an online phase.

        :param pictures: Those of the observation, if there are cameras; within an episode, they
            are the ``next_pictures`` of the step before.
        :param next_pictures: Those of the next observation.
        :param frame: Frame of the observation, if :meth:`take_frames` got the pictures before.
        :param row: One value for each of :data:`COLUMNS`.
        """
        if self._added_frames is not None:
            self._add_frames(self._added_frames, pictures, next_pictures, frame)
        for name, column in self._columns.items():
            column[self._end] = torch.as_tensor(row[name])
        self._end = (self._end + 1) % self.capacity
        self._size = min(self._size + 1, self.capacity)
        self.added += 1

    def _add_frames(
            self, frames: AddedFrames | HeldFrames, pictures: Sequence[np.ndarray],
            next_pictures: Sequence[np.ndarray], frame: int) -> None:
        """Note the frame of the next transition, and add what there is not yet."""
        assert self._frame is not None
        assert self._first_frame is not None
        before = (self._end - 1) % self.capacity
        begins = not self.added or bool(self._columns['terminals'][before])
        if isinstance(frames, HeldFrames):
            self._frame[self._end] = self._data_frames + frame
        else:
            self._frame[self._end] = (
                self._data_frames + frames.append(pictures) if begins
                else self._frame[before] + 1)
            frames.append(next_pictures)
        self._first_frame[self._end] = (
            self._frame[self._end] if begins else self._first_frame[before])

    @property
    def _data_frames(self) -> int:
        return len(self._frames[0]) if self._frames else 0

    def end_episode(self) -> None:
        """Have no chunk reach beyond the last added transition, because the next is not next."""
        if self.added:
            self._columns['terminals'][(self._end - 1) % self.capacity] = 1.0

    def sample(self, count: int, generator: np.random.Generator) -> Batch:
        """
        Sample a batch of ``count`` chunks.

        :param count: Batch size over all ranks; this rank gets its share.
        :param generator: Random generator; its state determines the batch.
        """
        drawn = distributed.rows(torch.from_numpy(self._draw(count, generator)))
        ages = None
        if self._picture_delay:
            ages = distributed.rows(torch.from_numpy(
                generator.integers(self._picture_delay + 1, size=count))).numpy()
        device = self._offsets.device
        if device.type == 'cuda':
            # From pinned memory the copy does not wait for the GPU.
            drawn = drawn.pin_memory()
        return self.gather(drawn.to(device, non_blocking=True), ages)

    def _draw(self, count: int, generator: np.random.Generator) -> np.ndarray:
        """Draw the first steps of chunks, counted from the oldest step."""
        # The first step of a chunk is at most this many steps after the oldest.
        most = self._size - self.horizon + 1
        added = min(self.added, self.capacity)
        data = self._size - added
        if not self._balanced or added < self.horizon or data < self.horizon:
            return generator.integers(most, size=count)
        half = count // 2
        return np.concatenate([
            generator.integers(data - self.horizon + 1, size=count - half),
            generator.integers(data, most, size=half)])

    def gather(self, starts: torch.Tensor, ages: np.ndarray | None = None) -> Batch:
        """
        Gather the chunks that begin at ``starts``.

        :param starts: Shape (B,), int64, in [0, size - horizon], counted from the oldest step.
        :param ages: Shape (B,), ages of the pictures in steps; None for 0. A picture is never
            older than the first of its episode.
        """
        if self._size == self.capacity and self._end:
            starts = starts + self._end
        steps = starts[:, None] + self._offsets
        if self._size == self.capacity:
            steps = steps % self.capacity
        terminals = self._columns['terminals'][steps]
        # 1 for all steps after the end of an episode: the running maximum, delayed by one step.
        ended = torch.zeros_like(terminals)
        ended[:, 1:] = terminals[:, :-1].cummax(dim=1).values if self.horizon > 1 else 0.0
        pictures, next_pictures = self._gather_frames(steps, ages)
        return Batch(
            pictures=pictures, next_pictures=next_pictures,
            observation=self._columns['observations'][steps[:, 0]],
            chunk=self._columns['actions'][steps].flatten(1),
            next_observation=self._columns['next_observations'][steps[:, -1]],
            reward=(self._columns['rewards'][steps] * self._discounts).sum(dim=1),
            mask=self._columns['masks'][steps].amin(dim=1),
            valid=1.0 - ended[:, -1])

    def _gather_frames(
            self, steps: torch.Tensor,
            ages: np.ndarray | None) -> tuple[tuple[torch.Tensor, ...], ...]:
        """
        Gather the pictures of chunks: those of the first observation, and those after the chunk.

        :param steps: Shape (B, horizon), int64.
        """
        if self._frame is None:
            return (), ()
        ends = steps[:, [0, -1]].cpu().numpy()
        rows = self._frame[ends] + np.array((0, 1))
        if ages is not None:
            assert self._first_frame is not None
            rows = np.maximum(rows - ages[:, None], self._first_frame[ends])
        found: list[list[torch.Tensor]] = []
        for column in rows.T:
            found.append([])
            for camera in range(len(self._frames)):
                taken = torch.from_numpy(self._read_frames(camera, column))
                if self._offsets.device.type == 'cuda':
                    taken = taken.pin_memory()
                found[-1].append(taken.to(self._offsets.device, non_blocking=True))
        return tuple(found[0]), tuple(found[1])

    def _read_frames(self, camera: int, rows: np.ndarray) -> np.ndarray:
        """Read the frames of a camera, of the data and added ones; shape (B, ...)."""
        pixels, is_added = self._frames[camera], rows >= self._data_frames
        if self._added_frames is None or not is_added.any():
            return pixels[rows]
        found = np.empty((len(rows), *pixels.shape[1:]), np.uint8)
        found[~is_added] = pixels[rows[~is_added]]
        found[is_added] = self._added_frames.read(camera, rows[is_added] - self._data_frames)
        return found

    def additions(self) -> dict[str, torch.Tensor]:
        """Copy the added transitions still in the buffer, oldest first, for a checkpoint."""
        kept = torch.arange(min(self.added, self.capacity))
        places = (self._end - len(kept) + kept) % self.capacity
        return {
            'added': torch.tensor(self.added),
            **{name: column[places].cpu() for name, column in self._columns.items()},
            **self._added_places(places)}

    def _added_places(self, places: torch.Tensor) -> dict[str, torch.Tensor]:
        """Copy which frames the added transitions have, counted from the first added one."""
        if not isinstance(self._added_frames, AddedFrames):
            return {}
        assert self._frame is not None
        assert self._first_frame is not None
        return {
            'frame': torch.from_numpy(self._frame[places.numpy()] - self._data_frames),
            'first_frame': torch.from_numpy(
                self._first_frame[places.numpy()] - self._data_frames),
            **self._added_frames.state()}

    def of_data(self, name: str) -> torch.Tensor:
        """Return a column of the data's transitions; those of an online phase may replace them."""
        return self._columns[name][:self._data_size]

    def range_of_added(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """
        Find the lowest and highest numbers of a column in the added transitions.

        :return: Each of the shape of a row; infinite and swapped if nothing was added.
        """
        rows = self._columns[name]
        kept = torch.arange(min(self.added, self.capacity))
        if not len(kept):
            nothing = np.full(rows.shape[1:], np.inf)
            return nothing, -nothing
        found = rows[(self._end - len(kept) + kept) % self.capacity]
        return found.amin(dim=0).cpu().numpy(), found.amax(dim=0).cpu().numpy()

    def restore(self, additions: dict[str, torch.Tensor]) -> None:
        """Add the transitions from :meth:`additions` to a new buffer on the same data."""
        added, kept = int(additions['added']), len(additions['actions'])
        places = (self._data_size + added - kept + torch.arange(kept)) % self.capacity
        for name, column in self._columns.items():
            column[places] = additions[name].to(column.device)
        if self._frame is not None and self._first_frame is not None and 'frame' in additions:
            self._frame[places.numpy()] = additions['frame'].numpy() + self._data_frames
            self._first_frame[places.numpy()] = (
                additions['first_frame'].numpy() + self._data_frames)
        self.added = added
        self._end = (self._data_size + added) % self.capacity
        self._size = min(self._data_size + added, self.capacity)


def _first_frames(transitions: Transitions) -> np.ndarray:
    """Find the first picture of the episode of each step; shape (steps,)."""
    assert transitions.frame is not None
    begins = np.concatenate([[True], transitions.terminals[:-1] > 0])
    found: np.ndarray = transitions.frame[begins][np.cumsum(begins) - 1]
    return found


def _column(values: np.ndarray, capacity: int, device: torch.device | str) -> torch.Tensor:
    """Copy values into a tensor of the given capacity; without a copy if they fill it already."""
    given = torch.as_tensor(values, dtype=torch.float32, device=device)
    if capacity == len(given):
        return given
    column = torch.zeros(capacity, *given.shape[1:], device=device)
    column[:len(given)] = given
    return column
