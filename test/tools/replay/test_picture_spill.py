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
"""Pictures of a recording in temporary files."""

from __future__ import annotations

import os
from pathlib import Path
import subprocess
import sys
import tempfile

import numpy as np
import pytest

pytest.importorskip('PIL')

from dfp_ros.tools.replay.picture_spill import PictureSpill
from testing import ROOT
from testing.fixtures.cameras import camera_robot, camera_samples

ROBOT = camera_robot()


def test_pictures_are_the_same_in_a_file(
        monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """To the last bit, over several files, which nobody can see; all else of a sample stays."""
    monkeypatch.setattr('dfp_ros.tools.replay.picture_spill._CHUNK', 1000)
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    spill = PictureSpill()
    samples = [camera_samples(ROBOT, 10**9 + i, i)['wrist_camera'] for i in range(20)]
    kept = [spill.keep(sample) for sample in samples]
    for sample, moved in zip(samples, kept, strict=True):
        before, after = sample.values['wrist'], moved.values['wrist']
        np.testing.assert_array_equal(after.pixels, before.pixels)
        assert after.number == before.number
        assert not after.pixels.flags.writeable
        assert not np.shares_memory(after.pixels, before.pixels)
        assert (moved.stamp, moved.received) == (sample.stamp, sample.received)
    assert len({id(_mapping(moved.values['wrist'].pixels)) for moved in kept}) == 10
    assert list(tmp_path.iterdir()) == []


def _mapping(pixels: np.ndarray) -> object:
    """Return the mapped file that pixels are in."""
    while isinstance(pixels.base, np.ndarray):
        pixels = pixels.base
    return pixels.base


def test_a_sample_without_a_picture() -> None:
    """One that cannot be read has nothing to move."""
    sample = camera_samples(ROBOT, 10**9)['arm']
    assert PictureSpill().keep(sample) == sample


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    """It is said; a mapped file without space would end the process (SIGBUS)."""
    code = (
        'import resource, signal\n'
        'from testing.fixtures.cameras import camera_robot, camera_samples\n'
        'from dfp_ros.tools.replay.picture_spill import PictureSpill, SpillError\n'
        # Files cannot grow: as on a disk without space, a hole cannot be filled.
        'signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n'
        'sample = camera_samples(camera_robot(), 10**9)["wrist_camera"]\n'
        'resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n'
        'try:\n'
        '    PictureSpill().keep(sample)\n'
        'except SpillError as error:\n'
        '    print(error)\n')
    found = subprocess.run(
        [sys.executable, '-c', code], cwd=ROOT, env={**os.environ, 'TMPDIR': str(tmp_path)},
        text=True, capture_output=True, check=False)
    assert f'and {tmp_path} has none' in found.stdout, found.stderr
    assert 'set TMPDIR to a folder with space' in found.stdout
