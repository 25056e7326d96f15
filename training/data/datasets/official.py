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
Download OGBench's official data sets.

    python -m training.datasets.official cube-double-play-v0

A data set with ``-100m-`` in its name is a folder of 100 numbered files; ``--files 10`` downloads
the first ten.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
import re
import sys

import gymnasium
from ogbench.utils import DATASET_URL, DEFAULT_DATASET_DIR

from dfp_ros.core.files.user_path import user_path
from dfp_ros.core.text.errors import nearest
from dfp_ros.core.text.printable import quoted
from dfp_ros.sim.simulation.picture_names import VISUAL
from training.data.datasets.download import Download, DownloadError
from training.data.transitions.transitions import DataError

VALIDATION = '-val'
_MAZE, _ARM = ('navigate', 'stitch', 'explore'), ('play', 'noisy')
# Kinds of data by the first word of a scene.
_KINDS = {
    'pointmaze': _MAZE, 'antmaze': _MAZE, 'humanoidmaze': _MAZE, 'antsoccer': _MAZE,
    'cube': _ARM, 'scene': _ARM, 'puzzle': _ARM, 'powderworld': ('play',)}
# Number of files of the large data sets, by the size in their name.
NUMBERED = {'-100m-': 100, '-1b-': 1000}
# Scene, kind, task and size in a data set's name.
NAME = re.compile(r'(.+?)-(play|noisy|demo)(-task[1-5])?(-100m|-1b)?-v0(?:-val)?')


def find(path: Path) -> Path:
    """
    Find a data file or folder at its path, or in OGBench's default folder.

    :param path: A run's ``data``.
    :raises DataError: If it is in neither; the message has the commands to make it.
    """
    shared = Path(DEFAULT_DATASET_DIR).expanduser() / path.name
    for place in (path, shared):
        if place.exists():
            return place
    match = NAME.fullmatch(path.stem)
    scene, kind, task, size = match.groups('') if match else ('SCENE', 'KIND', '', '')
    visual = ' --visual' if scene.startswith(VISUAL) else ''
    official = f'{scene}-{"play" if kind == "demo" else kind}{size}-v0'
    collected = (
        f'--scene {scene.removeprefix(VISUAL)} --kind {kind}{task.replace("-task", " --task ")}')
    raise DataError(
        f'{path}: found no such file, nor {shared}; make it with `python -m '
        f'training.collect {collected}{visual} --out {path.parent}`, download data with `python '
        f'-m training.datasets.official {official} --out {path.parent}`, or convert recordings '
        'with `python -m training.convert`')


def files(name: str, count: int | None = None) -> Iterator[str]:
    """
    List the files of a data set, relative to the server's root folder.

    :param name: For example ``scene-play-v0`` or ``cube-quadruple-play-100m-v0``.
    :param count: Number of numbered files; None for all.
    """
    sizes = [size for size in NUMBERED if size in name]
    if sizes:
        stem = name.replace(sizes[0], '-')
        stems = [f'{name}/{stem}-{i:03d}' for i in range(count or NUMBERED[sizes[0]])]
    else:
        stems = [name]
    for each in stems:
        yield f'{each}.npz'
        yield f'{each}{VALIDATION}.npz'


def known() -> list[str]:
    """List the names that an official data set may have, from the scenes that OGBench has."""
    scenes = sorted(
        name.removesuffix('-v0') for name in gymnasium.registry
        if name.endswith('-v0') and '-singletask' not in name
        and name.removeprefix('visual-').split('-')[0] in _KINDS)
    return [
        f'{scene}-{kind}{size}-v0' for scene in scenes
        for size in ('', *(each.rstrip('-') for each in NUMBERED))
        for kind in _KINDS[scene.removeprefix('visual-').split('-')[0]]]


def require_known(name: str) -> None:
    """
    Require that a data set may exist, before a server is asked for it.

    :raises DataError: If it cannot; the message names the nearest.
    """
    names = known()
    if name.removesuffix(VALIDATION) not in names:
        raise DataError(
            f'found no official data set {quoted(name)}; {nearest(name, names)} '
            '(another server than the official one: --url)')


def parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    made = argparse.ArgumentParser(
        prog='python -m training.datasets.official',
        description=(__doc__ or '').strip().splitlines()[0])
    made.add_argument('name', help='data set, for example cube-double-play-v0')
    made.add_argument('--out', type=user_path, default=Path('data'),
                      help='folder to write to (default: %(default)s)')
    made.add_argument('--files', type=int, help='number of numbered files (default: all)')
    made.add_argument('--url', default=DATASET_URL,
                      help='root folder on the server (default: %(default)s)')
    return made


def main(arguments: list[str] | None = None) -> int:
    """Download a data set."""
    made = parser()
    asked = made.parse_args(arguments)
    if asked.files is not None and asked.files < 1:
        made.error(f'--files: found {asked.files}, expected 1 or more')
    name = asked.name.removesuffix('.npz')
    try:
        if asked.url == DATASET_URL:
            require_known(name)
        for file in files(name, asked.files):
            Download(f'{asked.url}/{file}', asked.out / file).run()
    except (DataError, DownloadError) as error:
        made.exit(2, f'{error}\n')
    except KeyboardInterrupt:
        made.exit(130, 'stopped; partial data are kept, the same command resumes the download\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
