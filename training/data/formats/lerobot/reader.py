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
Reader of LeRobot's datasets, version 3.

Frames are decoded in blocks, first where episodes begin and end, then what was observed and done,
so that memory holds little more than the transitions. The statistics of the dataset are not used:
they are computed again. Pictures are read if they are named, or if this package wrote them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dfp_ros.core.files.digest import sha256
from dfp_ros.core.text.printable import listed, printable, quoted
from training.data.formats.lerobot import description, layout, pictures
from training.data.formats.lerobot.layout import Info, read_info
from training.data.formats.lerobot.parquet import opened
from training.data.transitions.transitions import (
    action_fields,
    DataError,
    observation_fields,
    TOLERANCE,
    Transitions,
)

# Largest file of tasks.
_MOST_TASKS, _LONGEST_TASKS = 100_000, 16_000_000
# Tasks, and features that were left out, that are named in the provenance.
_NAMED = 50
# Floats below this are exact whole numbers.
_WHOLE = 2.0**53
NO_SUCCESSOR = 'last frame of an episode, without a successor'


@dataclass(frozen=True)
class Frames:
    """
    Where the frames of a dataset belong.

    :param kept: Shape (frames,), bool: those that make a transition.
    :param last: Shape (frames,), bool: those that end an episode.
    :param dropped: Number of frames that end an episode and have no successor.
    :param tasks: Texts of the tasks.
    :param numbers: Number of each episode, in the order of its frames.
    """

    kept: np.ndarray
    last: np.ndarray
    dropped: int
    tasks: list[str]
    numbers: np.ndarray


def load(
        folder: Path, filter_key: str = '', keys: Sequence[str] = ()) -> Transitions:
    """
    Load a dataset.

    A frame is a step; its successor is the next frame of the episode, or its own
    ``next.observation.state``. Without the latter, the last frame of an episode makes a step only
    if it solved the task, because nothing after it is used then.

    :param folder: Folder of the dataset.
    :param filter_key: Text of a task, whose episodes are read; empty for all.
    :param keys: Parts of the observation, in order, numbers and pictures; empty for
        ``observation.state``, and the pictures if this package wrote the dataset.
    :raises DataError: If the dataset is damaged, incomplete, of another version, or if its units
        and limits are not known.
    """
    try:
        return _load(folder, filter_key, tuple(keys))
    except MemoryError as error:
        raise DataError(
            f'{folder}: found more data than fits into memory ({printable(error, 200)}); read the '
            'episodes of one task with --filter-key, or split the dataset') from error


def _load(folder: Path, filter_key: str, keys: tuple[str, ...]) -> Transitions:
    info = read_info(folder)
    observed, seen = layout.split_keys(info, keys)
    described = description.read(folder, info, observed)
    paths = layout.files(folder, layout.DATA_FOLDER)
    seen = seen if keys else tuple(described.images)
    hashed = _hash(folder, paths, seen, info)
    # Only datasets of this package have a picture after the last step of an episode; LeRobot's
    # tools, which change the number of frames, do not keep it.
    has_last = not seen or (
        described.is_ranged and all(key in described.images for key in seen))
    has_successors = observed == (layout.STATE,) and has_last and _is_like(
        info, layout.SUCCESSOR, layout.STATE)
    frames, scalars = _frames(folder, info, paths, filter_key, has_successors)
    columns = _columns(folder, info, paths, observed, frames, has_successors, described)
    terminals = frames.kept & (frames.last | ~np.append(frames.kept[1:], False))
    columns['terminals'] = terminals[frames.kept].astype(np.float32)
    columns |= {name: values[frames.kept] for name, values in scalars.items()}
    if seen:
        place = _place(frames)
        columns['images'] = tuple(
            pictures.load(
                folder, info, key, described.images.get(key) or pictures.field_named(
                    folder, info, key), place, has_last) for key in seen)
        columns['frame'] = place.frame[frames.kept]
    found = Transitions(
        **columns, observation_fields=described.observation_fields,
        action_fields=described.action_fields, period=described.period,
        source=_source(
            folder, info, described, frames, columns, hashed, filter_key, keys,
            {*observed, *seen}))
    if not described.is_ranged or not _has_ranges_of(found):
        found = _ranged(found)
    return found.check(folder)


def _place(frames: Frames) -> pictures.Place:
    """Find where the pictures of the episodes go of which some step is kept."""
    ends = np.flatnonzero(frames.last) + 1
    starts = np.append(0, ends[:-1])
    return pictures.Place(
        ends - starts, frames.numbers, np.logical_or.reduceat(frames.kept, starts))


def command_range(folder: Path) -> tuple[list[float], list[float]]:
    """
    Smallest and largest number of each part of the action, in the dataset's units.

    :raises DataError: If the data are damaged.
    """
    info = read_info(folder)
    width = layout.require_row(folder, info, layout.ACTION, description.MOST_COMMANDED)
    low, high = np.full(width, np.inf), np.full(width, -np.inf)
    for _, block in _blocks(
            layout.files(folder, layout.DATA_FOLDER), {layout.ACTION: width}):
        low = np.minimum(low, block[layout.ACTION].min(axis=0))
        high = np.maximum(high, block[layout.ACTION].max(axis=0))
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise DataError(
            f'{folder}: {layout.ACTION}: found no frame, or a number that is not finite; leave '
            'its episode out')
    return low.tolist(), high.tolist()


def _is_like(info: Info, name: str, other: str) -> bool:
    """Tell whether a feature is there, with the shape of another one."""
    found = info.features.get(name)
    return found is not None and found.is_row and found.shape == info.features[other].shape


def _blocks(
        paths: Sequence[Path],
        wanted: Mapping[str, int]) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """Decode the frames of all files, each block with the index of its first frame."""
    first = 0
    for path in paths:
        with opened(path) as table:
            for start, block in table.blocks(wanted):
                yield first + start, block
            first += table.rows


def _count(paths: Sequence[Path]) -> int:
    found = 0
    for path in paths:
        with opened(path) as table:
            found += table.rows
    return found


def _frames(
        folder: Path, info: Info, paths: Sequence[Path], filter_key: str,
        has_successors: bool) -> tuple[Frames, dict[str, np.ndarray]]:
    """
    Find the episodes, and read what each frame has one number of.

    :return: The frames, and the columns of transitions that are read here, one row per frame.
    """
    total = _count(paths)
    if total != info.frames or not total:
        raise DataError(
            f'{folder / layout.DATA_FOLDER}: found {total} frames, expected '
            f'{info.frames or "at least one"} as in {layout.INFO}; copy the dataset again')
    kinds: dict[str, Any] = {layout.EPISODE: np.int64, layout.FRAME: np.int64}
    numbers = {
        layout.TASK: np.int64, layout.REWARD: np.float32, layout.SUCCESS: np.float32,
        layout.DONE: np.float32, layout.INTERVENTION: np.float32}
    kinds |= {
        name: kind for name, kind in numbers.items()
        if name in info.features and info.features[name].is_number}
    found = {name: np.empty(total, kind) for name, kind in kinds.items()}
    for start, block in _blocks(paths, dict.fromkeys(kinds, 1)):
        for name, values in block.items():
            column = values[:, 0]
            _require_finite(folder, name, column, start)
            if kinds[name] is np.int64:
                _require_whole(folder, name, column, start)
            with np.errstate(over='ignore'):  # float32 overflow gives inf, rejected by the check
                found[name][start:start + len(column)] = column
    episode = found.pop(layout.EPISODE)
    starts, last = _episodes(folder, info, episode, found.pop(layout.FRAME))
    for name in (layout.SUCCESS, layout.DONE, layout.INTERVENTION):
        _require_flags(folder, name, found.get(name))
    solved = found.get(layout.SUCCESS, found.get(layout.DONE, np.zeros(total, np.float32)))
    chosen, tasks = _chosen(folder, found.pop(layout.TASK, None), starts, filter_key)
    kept = chosen if has_successors else chosen & (~last | (solved == 1))
    dropped = int((chosen & ~kept).sum())
    if not kept.any():
        raise DataError(
            f'{folder}: found no frame with a successor among {int(chosen.sum())}, expected '
            'episodes of at least two; record longer ones')
    columns = {
        'rewards': found.get(layout.REWARD, np.zeros(total, np.float32)), 'masks': 1 - solved}
    if layout.INTERVENTION in found:
        columns['interventions'] = found[layout.INTERVENTION]
    return Frames(kept, last, dropped, tasks, episode[starts]), columns


def _episodes(
        folder: Path, info: Info, episode: np.ndarray,
        frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """
    Find the episodes, and compare them with the list of episodes.

    :return: First frame of each, and whether a frame is the last of one.
    """
    last = np.append(episode[1:] != episode[:-1], True)
    starts = np.flatnonzero(np.append(True, last[:-1]))
    lengths = np.diff(np.append(starts, len(episode)))
    numbers = episode[starts]
    order = np.argsort(numbers, kind='stable')
    again = np.flatnonzero(numbers[order][1:] == numbers[order][:-1])
    if len(again):
        first, second = starts[order[again[0]]], starts[order[again[0] + 1]]
        raise DataError(
            f'{folder}: {layout.EPISODE}: found episode {episode[first]} at frame {first} and '
            f'again at frame {second}, expected all its frames together; write the dataset again '
            'in the order of its episodes')
    odd = np.flatnonzero(frame != np.arange(len(frame)) - np.repeat(starts, lengths))
    if len(odd):
        row = int(odd[0])
        within = row - int(starts[np.searchsorted(starts, row, 'right') - 1])
        raise DataError(
            f'{folder}: {layout.FRAME}: found {frame[row]} at frame {row} of the dataset, '
            f'expected {within} within episode {episode[row]}: frames are missing or in another '
            'order; leave the episode out')
    _require_lengths(folder, info, numbers, lengths)
    return starts, last


def _require_lengths(
        folder: Path, info: Info, numbers: np.ndarray, lengths: np.ndarray) -> None:
    """Require that the list of episodes has the episodes of the data, with their lengths."""
    place = folder / layout.EPISODES_FOLDER
    said: list[np.ndarray] = []
    for path in layout.files(folder, layout.EPISODES_FOLDER):
        with opened(path) as table:
            for start, block in table.blocks({layout.EPISODE: 1, 'length': 1}):
                for name, values in block.items():
                    _require_whole(path, name, values, start)
                said.append(np.concatenate(
                    [block[layout.EPISODE], block['length']], axis=1).astype(np.int64))
    listing = np.concatenate(said) if said else np.empty((0, 2), np.int64)
    listing = listing[np.argsort(listing[:, 0], kind='stable')]
    order = np.argsort(numbers, kind='stable')
    there = np.stack([numbers[order], lengths[order]], axis=1)
    if len(listing) != len(there) or len(there) != info.episodes:
        raise DataError(
            f'{place}: found {len(listing)} episodes, and {len(there)} in the data, expected '
            f'{info.episodes} as in {layout.INFO}; copy the dataset again')
    odd = np.flatnonzero((listing != there).any(axis=1))
    if len(odd):
        (number, length), (other, found) = listing[odd[0]], there[odd[0]]
        raise DataError(
            f'{place}: found episode {number} of {length} frames, expected episode {other} of '
            f'{found}, as in the data; copy the dataset again')


def _chosen(
        folder: Path, task: np.ndarray | None, starts: np.ndarray,
        filter_key: str) -> tuple[np.ndarray, list[str]]:
    """Choose the frames of a task, or all."""
    path = folder / layout.TASKS
    texts: dict[int, str] = {}
    if path.is_file():
        with opened(path) as table:
            # Pandas names an index without a name so.
            name = 'task' if 'task' in list(table) else '__index_level_0__'
            names = table.texts(name, _MOST_TASKS, _LONGEST_TASKS)
            indices: list[int] = []
            for start, block in table.blocks({layout.TASK: 1}):
                _require_whole(path, layout.TASK, block[layout.TASK], start)
                indices += block[layout.TASK][:, 0].astype(np.int64).tolist()
        texts = dict(zip(indices, names, strict=True))
    total = int(starts[-1]) + 1 if task is None else len(task)
    if task is None:
        if filter_key:
            raise DataError(
                f'{folder}: filter_key: found {quoted(filter_key)}, but the frames have no '
                f'{layout.TASK}; leave filter_key out')
        return np.ones(total, bool), list(texts.values())
    if not filter_key:
        return np.ones(total, bool), [
            texts[index] for index in np.unique(task).tolist() if index in texts]
    wanted = [index for index, text in texts.items() if text == filter_key]
    is_wanted = np.isin(task, wanted)
    whole = np.logical_and.reduceat(is_wanted, starts)
    if not whole.any():
        raise DataError(
            f'{folder}: filter_key: found {quoted(filter_key)}, expected the task of some '
            f'episode, one of {listed(texts.values()) or "none"}')
    return np.repeat(whole, np.diff(np.append(starts, total))), [filter_key]


def _columns(
        folder: Path, info: Info, paths: Sequence[Path], keys: Sequence[str], frames: Frames,
        has_successors: bool, described: description.Description) -> dict[str, Any]:
    """Read what was observed and done, into the columns of transitions."""
    kept = frames.kept
    place = np.cumsum(kept) - 1
    size = int(place[-1]) + 1
    widths = {key: info.features[key].shape[0] for key in (*keys, layout.ACTION)}
    if has_successors:
        widths[layout.SUCCESSOR] = widths[layout.STATE]
    observed = sum(widths[key] for key in keys)
    observations, following = (np.empty((size, observed), np.float32) for _ in range(2))
    actions = np.empty((size, widths[layout.ACTION]), np.float32)
    scale = _Scale(described)
    # Frames whose predecessor is a step of the same episode.
    after = np.append(False, kept[:-1] & ~frames.last[:-1])
    # Steps without a successor, of which nothing uses it.
    alone = kept & frames.last
    for start, block in _blocks(paths, widths):
        rows = slice(start, start + len(block[layout.ACTION]))
        for name, values in block.items():
            _require_finite(folder, name, values, start)
        here = place[rows]
        state = _float32(folder, keys, np.concatenate([block[key] for key in keys], axis=1), start)
        observations[here[kept[rows]]] = state[kept[rows]]
        actions[here[kept[rows]]] = scale.normalise(block[layout.ACTION][kept[rows]])
        if has_successors:
            values = _float32(folder, (layout.SUCCESSOR,), block[layout.SUCCESSOR], start)
            following[here[kept[rows]]] = values[kept[rows]]
        else:
            # The place of the predecessor: that of this frame may be the same, if it makes no
            # step.
            following[here[after[rows]] - kept[rows][after[rows]]] = state[after[rows]]
            following[here[alone[rows]]] = state[alone[rows]]
    scale.require_within(folder)
    return {
        'observations': observations, 'actions': actions, 'next_observations': following}


class _Scale:
    """Scale of commands to actions in [-1, 1], with the range of what was scaled."""

    def __init__(self, described: description.Description) -> None:
        self._fields = described.action_fields
        self._is_physical = described.actions == description.PHYSICAL
        self._low, self._high = (
            np.array(
                [value for field in self._fields for value in getattr(field, bound)], np.float64)
            for bound in ('low', 'high'))
        self._least, self._most = np.full_like(self._low, np.inf), np.full_like(
            self._low, -np.inf)

    def normalise(self, commands: np.ndarray) -> np.ndarray:
        """Scale commands, in float64."""
        if not self._is_physical:
            return commands.astype(np.float32)
        if len(commands):
            self._least = np.minimum(self._least, commands.min(axis=0))
            self._most = np.maximum(self._most, commands.max(axis=0))
        half = (self._high - self._low) / 2
        found = (commands.astype(np.float64) - (self._low + half)) / half
        # What is outside is refused at the end, by name.
        return np.clip(found, -2, 2).astype(np.float32)

    def require_within(self, folder: Path) -> None:
        """Require that all commands were within the limits."""
        if not self._is_physical:
            return
        room = (self._high - self._low) / 2 * TOLERANCE
        outside = np.flatnonzero(
            (self._least < self._low - room) | (self._most > self._high + room))
        if len(outside):
            names = [
                f'{field.name}[{i}]' if field.size > 1 else field.name
                for field in self._fields for i in range(field.size)]
            i = outside[0]
            raise DataError(
                f'{folder}: {layout.ACTION}: {printable(names[i])}: found {self._least[i]:g} to '
                f'{self._most[i]:g}, expected commands within its limits {self._low[i]:g} to '
                f'{self._high[i]:g}; widen them in {description.FILE} if the robot may go there, '
                'or leave the episodes out'
                + (f' (also: {listed(names[j] for j in outside[1:])})' if len(outside) > 1
                   else ''))


def _float32(
        folder: Path, keys: Sequence[str], values: np.ndarray, start: int) -> np.ndarray:
    with np.errstate(over='ignore'):
        found = values.astype(np.float32)
    _require_finite(folder, ' and '.join(keys), found, start)
    return found


def _require_finite(folder: Path, name: str, values: np.ndarray, start: int) -> None:
    if values.dtype.kind == 'f' and not np.isfinite(values).all():
        row = start + int(np.argwhere(~np.isfinite(values))[0][0])
        raise DataError(
            f'{folder}: {printable(name)}: found a number that is not finite, or too large for '
            f'float32, at frame {row}; leave its episode out')


def _require_whole(path: Path, name: str, values: np.ndarray, start: int) -> None:
    if values.dtype.kind == 'f':
        odd = ~(np.abs(values) < _WHOLE) | (values != np.floor(values))
        if odd.any():
            row = int(np.argwhere(odd)[0][0])
            raise DataError(
                f'{path}: {name}: found {values.reshape(-1)[row]:g} in row {start + row}, '
                'expected a whole number; copy the dataset again')


def _require_flags(folder: Path, name: str, values: np.ndarray | None) -> None:
    if values is None:
        return
    odd = np.flatnonzero((values != 0) & (values != 1))
    if len(odd):
        raise DataError(
            f'{folder}: {name}: found {values[odd[0]]:g} at frame {odd[0]}, expected false or '
            'true; leave its episode out')


def _hash(folder: Path, paths: Sequence[Path], seen: Sequence[str], info: Info) -> str:
    """Hash all files that are read, once it is known that they can be."""
    tables = [folder / layout.TASKS, *layout.files(folder, layout.EPISODES_FOLDER), *paths]
    tables = [path for path in tables if path.is_file()]
    # Hashing a sparse file of a terabyte takes an hour.
    _count(tables)
    texts = [path for path in (folder / layout.INFO, folder / description.FILE) if path.is_file()]
    filmed = [
        path for key in seen for path in (
            sorted({path for path, _ in pictures.videos(folder, key).values()})
            if info.features[key].kind == layout.VIDEO
            else [folder / pictures.LAST.format(name=key)]) if path.is_file()]
    return sha256(*texts, *tables, *filmed)


def _has_ranges_of(data: Transitions) -> bool:
    """Tell whether the data are within the ranges of the fields, as they are unless changed."""
    for fields, low, high, values in (
            (data.observation_fields, 'low', 'high', data.observations),
            (data.action_fields, 'data_low', 'data_high', data.actions)):
        least, most = (
            np.array([number for field in fields for number in getattr(field, name)])
            for name in (low, high))
        if (values.min(axis=0) < least).any() or (values.max(axis=0) > most).any():
            return False
    return True


def _ranged(data: Transitions) -> Transitions:
    """Give the fields the ranges of the data."""
    return replace(
        data, observation_fields=observation_fields(
            [(field.name, field.size, field.unit) for field in data.observation_fields],
            data.observations),
        action_fields=action_fields(
            [(field.name, field.size, field.unit, (field.low, field.high))
             for field in data.action_fields], data.actions))


def _source(
        folder: Path, info: Info, described: description.Description, frames: Frames,
        columns: Mapping[str, Any], hashed: str, filter_key: str, keys: Sequence[str],
        observed: set[str]) -> dict[str, Any]:
    """Describe where the data came from, and what was left out."""
    used = {
        *observed, layout.ACTION, layout.REWARD, layout.SUCCESS, layout.DONE, layout.INTERVENTION,
        layout.SUCCESSOR, *layout.PLACES}
    left_out = [
        f'{printable(name)} ({feature})' for name, feature in info.features.items()
        if name not in used]
    found = {
        **described.source, 'file': folder.name, 'sha256': hashed,
        'steps': len(columns['actions']), 'episodes': int(columns['terminals'].sum()),
        'solved_steps': int((columns['masks'] == 0).sum()),
        'tasks': [printable(text) for text in frames.tasks[:_NAMED]]}
    if info.robot and 'robot' not in found:
        found['robot'] = info.robot
    if filter_key:
        found['filter_key'] = filter_key
    if keys and tuple(keys) != (layout.STATE,):
        found['observation_keys'] = list(keys)
    if left_out:
        found['features_left_out'] = left_out[:_NAMED]
    if layout.REWARD not in info.features:
        found['unrewarded'] = True
    if frames.dropped:
        counts = found.get('dropped', {})
        found['dropped'] = {
            **counts, NO_SUCCESSOR: counts.get(NO_SUCCESSOR, 0) + frames.dropped}
    return found
