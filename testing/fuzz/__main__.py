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
Fuzzing: every damaged file must be read or rejected by name; no traceback, no hang.

    make fuzz MINUTES=60

tries all targets of testing/fuzz/targets.py in turn with new seeds, and prints each finding with
its seed, to repeat it: ``python -m testing.fuzz --target npz --seed 17``. test_fuzz.py tries a
few seeds.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
import contextlib
from pathlib import Path
from random import Random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from types import FrameType
import warnings

from tqdm import tqdm

from testing.fuzz.targets import Target, targets

#: Limits of one damaged file: processor time in s, total time in s on a machine with other load,
#: and memory in bytes.
LONGEST, WAITED, MOST = 20.0, 200.0, 1 << 30


class TooSlow(BaseException):
    """One file took too long. Not an Exception, so that no program catches it."""


class Finding(AssertionError):
    """A damaged file was not handled as it should be."""


@contextlib.contextmanager
def time_limit() -> Iterator[None]:
    """Raise TooSlow in the block once its time is up."""
    def stop(number: int, frame: FrameType | None) -> None:
        raise TooSlow

    timers = {signal.SIGALRM: (signal.ITIMER_REAL, WAITED),
              signal.SIGPROF: (signal.ITIMER_PROF, LONGEST)}
    before = {number: signal.signal(number, stop) for number in timers}
    try:
        for timer, seconds in timers.values():
            signal.setitimer(timer, seconds)
        yield
    finally:
        for number, (timer, _) in timers.items():
            signal.setitimer(timer, 0)
            signal.signal(number, before[number])


def attempt(target: Target, sound: Path, seed: int, folder: Path) -> str:
    """
    Damage a copy of a sound file, and read it.

    :param sound: The file or folder to copy.
    :param seed: Determines the damage.
    :param folder: Empty folder for the copy.
    :return: Message of its rejection; empty if it was read.
    :raises Finding: If it was not rejected by a message that names the file.
    """
    copy = folder / sound.name
    if sound.is_dir():
        shutil.copytree(sound, copy)
    else:
        shutil.copy(sound, copy)
    target.damage(copy, Random(seed))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        with time_limit():
            target.read(copy)
        said = ''
    except target.refusals as error:
        said = str(error)
        if not said.strip() or len(said) > 10_000:
            raise Finding(f'refused with {len(said)} characters: {said[:200]!r}') from error
    except TooSlow as error:
        where = traceback.format_exc(limit=-3)
        raise Finding(f'took more than {LONGEST:g} s of processor time:\n{where}') from error
    except Exception as error:
        raise Finding(f'{type(error).__name__} instead of a refusal: {error}') from error
    taken = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    if taken > MOST:
        raise Finding(f'took {taken / 1e9:.1f} GB of memory')
    return said


def fuzz(name: str, target: Target, seeds: Iterator[int] | range, keep: Path) -> list[str]:
    """
    Try one target with some seeds.

    :param keep: Folder for files that led to a finding.
    :return: The findings.
    """
    findings = []
    with tempfile.TemporaryDirectory() as made, warnings.catch_warnings():
        warnings.simplefilter('ignore')
        sound = target.make(Path(made))
        target.read(sound)
        for seed in seeds:
            with tempfile.TemporaryDirectory() as tried:
                try:
                    attempt(target, sound, seed, Path(tried))
                except Finding as finding:
                    kept = keep / f'{name}-{seed}'.replace(' ', '_')
                    shutil.copytree(tried, kept, dirs_exist_ok=True)
                    findings.append(
                        f'{name}, seed {seed}: {finding}\n' + ''.join(
                            traceback.format_exception(finding.__cause__, limit=-4)))
    return findings


def main(arguments: list[str] | None = None) -> int:
    """Fuzz for some minutes; the exit status is 1 if anything was found."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').strip().splitlines()[0])
    every = targets()
    parser.add_argument('--minutes', type=float, default=10.0)
    parser.add_argument('--target', choices=sorted(every), help='only that target')
    parser.add_argument('--seed', type=int, help='only that seed')
    parser.add_argument('--keep', type=Path, default=Path('build/fuzz'),
                        help='folder for files that led to a finding')
    asked = parser.parse_args(arguments)
    chosen = {asked.target: every[asked.target]} if asked.target else every
    end = time.monotonic() + 60 * asked.minutes
    first = int(time.time()) if asked.seed is None else asked.seed
    count, found, tries = (1 if asked.seed is not None else 50), 0, 0
    with tqdm(desc='files', disable=None, unit='') as bar:
        while True:
            for name, target in chosen.items():
                for finding in fuzz(name, target, range(first, first + count), asked.keep):
                    found += 1
                    print(finding, flush=True)
                tries += count
                bar.update(count)
                if time.monotonic() > end:
                    break
            first += count
            if asked.seed is not None or time.monotonic() > end:
                break
    print(f'{tries} files tried, {found} findings' + (f', kept in {asked.keep}' if found else ''))
    return 1 if found else 0


if __name__ == '__main__':
    sys.exit(main())
