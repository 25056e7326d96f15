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
Parallel, resumable collection of episodes.

Every finished episode is saved in a folder beside the output file. An episode is determined by the
recipe and its number alone, so neither the number of processes nor an interruption changes the
file.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
import multiprocessing
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
import os
from pathlib import Path
import shutil
import signal
import threading
import time
from typing import Any, Protocol
from zipfile import ZIP_STORED

import numpy as np
from tqdm import tqdm

from dfp_ros.core.files.digest import sha256
from dfp_ros.core.text.say import say
from training.common.files import atomic_path, write_json
from training.common.json_file import JsonFileError, read_object
from training.common.provenance import commit, versions
from training.data.transitions import npz
from training.evaluation.environments import headless

Episode = Mapping[str, np.ndarray]
CARD, RECIPE = '.json', 'recipe.json'
# Versions that affect an episode, besides the recipe and its number.
DECIDING = ('machine', 'numpy', 'mujoco', 'gymnasium', 'ogbench')


class CollectionError(RuntimeError):
    """A collection cannot begin or cannot continue."""


class Recipe(Protocol):
    """Recipe of a collection; it must support pickling."""

    @property
    def name(self) -> str:
        """Path of the file in the data folder, without its suffix."""

    @property
    def suffix(self) -> str:
        """Suffix of the file, with the dot."""

    @property
    def parted(self) -> bool:
        """Whether the file has a validation split, so that no second file is needed."""

    def settings(self) -> dict[str, Any]:
        """All settings that determine an episode besides its number; plain JSON."""

    def make_env(self) -> Any:
        """Create the environment, once per process."""

    def collect(self, env: Any, number: int) -> Episode | None:
        """Collect one episode: arrays of numbers or text by key, or None if it failed."""

    def write(self, path: Path, episodes: list[Episode]) -> int:
        """Write episodes to a file; returns the total number of rows."""


@dataclass(frozen=True)
class Budget:
    """
    Stopping criterion of a collection.

    :param episodes: Number of episodes; failed ones do not count.
    :param hours: Alternatively, hours after which no further episode begins, from this start.
    """

    episodes: int | None = None
    hours: float | None = None


def collect(recipe: Recipe, path: Path, budget: Budget, first: int, workers: int) -> int:
    """
    Collect a file, with a ``.json`` of its recipe beside it; do nothing if it exists.

    :param recipe: Recipe of the collection.
    :param path: Output file.
    :param budget: Stopping criterion.
    :param first: Number of the first episode.
    :param workers: Number of processes; does not affect the result.
    :return: Number of episodes in the file.
    :raises CollectionError: If another file exists, saved episodes are of another recipe, or a
        process died.
    """
    found = versions()
    made = recipe.settings() | {
        'first_episode': first, 'versions': {name: found[name] for name in DECIDING}}
    folder = path.with_name(f'{path.stem}.partial')
    if path.exists():
        count = _existing(path, made | {'budget': vars(budget)})
        shutil.rmtree(folder, ignore_errors=True)
        return count
    _begin(folder, made)
    kept = list(_kept(recipe, folder, budget, first, workers))
    if not kept:
        raise CollectionError(f'{path}: no episode was finished in time; give more --hours')
    whole = folder / path.name
    rows = recipe.write(whole, [_read(file) for file in kept])
    # The .json is written first: a data file without one counts as foreign.
    write_json(path.with_suffix(CARD), made | {
        'name': path.stem, 'budget': vars(budget), 'episodes': len(kept), 'rows': rows,
        'sha256': sha256(whole), 'commit': commit()})
    os.replace(whole, path)
    shutil.rmtree(folder)
    say(f'{path}: {len(kept)} episodes, {rows} rows')
    return len(kept)


def _existing(path: Path, wanted: dict[str, Any]) -> int:
    """Check that the existing file is of the same recipe."""
    try:
        card = read_object(path.with_suffix(CARD), ('episodes',), 'restore it')
    except JsonFileError as error:
        raise CollectionError(
            f'{path}: found a file of unknown origin ({error}); remove it, or name another '
            '--out') from error
    wanted = wanted | {'sha256': sha256(path)}
    differs = [key for key, value in wanted.items() if card.get(key) != value]
    if differs:
        raise CollectionError(
            f'{path}: found a file with {differs[0]} {card.get(differs[0])} in '
            f'{path.stem}{CARD}, expected {wanted[differs[0]]}; remove both, or name another '
            '--out')
    say(f'{path}: exists already, {card["episodes"]} episodes')
    return int(card['episodes'])


def _begin(folder: Path, made: dict[str, Any]) -> None:
    """Create the folder of finished episodes, or resume with the existing one."""
    file = folder / RECIPE
    if not file.exists():
        if any(folder.glob('*.npz')):
            raise CollectionError(
                f'{folder}: found episodes of unknown origin, expected {RECIPE} beside them; '
                'remove the folder, or name another --out')
        write_json(file, made)
    try:
        before = read_object(file, (), f'remove {folder}, or name another --out')
    except JsonFileError as error:
        raise CollectionError(str(error)) from error
    differs = [key for key, value in made.items() if before.get(key) != value]
    if differs:
        raise CollectionError(
            f'{folder}: found episodes collected with {differs[0]} {before.get(differs[0])}, now '
            f'asked for {made[differs[0]]}; use the same settings, or remove the folder')


def _kept(
        recipe: Recipe, folder: Path, budget: Budget, first: int, workers: int) -> Iterator[Path]:
    """Yield the files of episodes that succeeded, in order, until the budget is used up."""
    end = time.monotonic() + (budget.hours or float('inf')) * 3600
    missing, number = budget.episodes or float('inf'), first
    waiting: deque[tuple[Path, Future[None]]] = deque()
    with _pool(recipe, folder, workers) as pool, tqdm(
            total=budget.episodes, desc=folder.stem, unit='episode', disable=None) as bar:
        while missing:
            while len(waiting) < min(2 * workers, missing) and time.monotonic() < end:
                with _control_c_waits():
                    future = pool.submit(_work, number)
                waiting.append((folder / f'{number:08d}.npz', future))
                number += 1
            if not waiting:
                return
            file, future = waiting.popleft()
            future.result()
            if _succeeded(file):
                missing -= 1
                bar.update()
                yield file


@contextmanager
def _pool(recipe: Recipe, folder: Path, workers: int) -> Iterator[ProcessPoolExecutor]:
    # Started first, because its start unblocks Ctrl-C again.
    resource_tracker.ensure_running()
    pool = ProcessPoolExecutor(
        workers, multiprocessing.get_context('spawn'), _start_worker, (recipe, folder))
    try:
        yield pool
    except BrokenProcessPool as error:
        raise CollectionError(
            f'{folder}: a process died during its episode; if memory ran out, use fewer '
            '--workers. Finished episodes are kept: the same command resumes') from error
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _control_c_waits() -> Iterator[None]:
    """
    Block Ctrl-C while worker processes start; this process gets it at the end of the block.

    Only this process handles it, and lets the current episodes finish. A worker that ignored it
    only after its imports could die before, with a traceback.
    """
    came: list[int] = []
    # Workers inherit the mask. In this process it is not enough: the signal may go to another
    # thread.
    handler = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        signal.signal(signal.SIGINT, handler)
        if came:
            signal.raise_signal(signal.SIGINT)


_env: Any = None
_recipe: Recipe
_folder: Path


def _start_worker(recipe: Recipe, folder: Path) -> None:
    global _recipe, _folder
    threading.Thread(target=_end_with_parent, daemon=True).start()
    headless()
    _recipe, _folder = recipe, folder


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent
    wait([parent.sentinel])
    os._exit(1)


def _work(number: int) -> None:
    """Collect an episode into the folder, unless it exists; a failed one has no arrays."""
    global _env
    file = _folder / f'{number:08d}.npz'
    if file.exists():
        return
    if _env is None:
        _env = _recipe.make_env()
    with atomic_path(file) as partial:
        npz.write(partial, _recipe.collect(_env, number) or {}, ZIP_STORED)


def _succeeded(file: Path) -> bool:
    with np.load(file) as arrays:
        return bool(arrays.files)


def _read(file: Path) -> Episode:
    with np.load(file) as arrays:
        return dict(arrays)
