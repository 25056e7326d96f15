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
"""Arguments of benchmarks: refused before anything is measured."""

from __future__ import annotations

from argparse import ArgumentTypeError
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.common.arguments import amount, count, output, share, source, whole


@pytest.mark.parametrize(('read', 'text', 'value'), [
    (count, '1', 1), (whole, '0', 0), (amount, '0.5', 0.5), (share, '0', 0.0), (share, '1', 1.0)])
def test_what_is_accepted(read: Callable[[str], object], text: str, value: object) -> None:
    assert read(text) == value


@pytest.mark.parametrize(('read', 'text'), [
    (count, '0'), (count, '-3'), (count, '1.5'), (count, '9' * 5000), (whole, '-1'),
    (whole, 'x'), (amount, '0'), (amount, 'nan'), (amount, 'inf'), (amount, '-1'), (amount, ''),
    (share, '1.1'), (share, 'nan')])
def test_what_is_refused(read: Callable[[str], object], text: str) -> None:
    """A duration of zero would be taken for none, and one that is no number measure for ever."""
    with pytest.raises(ArgumentTypeError, match='found .*, expected a'):
        read(text)


def test_results_that_could_not_be_written(tmp_path: Path) -> None:
    """After minutes of measuring; a new folder is made."""
    file = tmp_path / 'file'
    file.touch()
    assert output(str(file)) == file
    assert output(str(tmp_path / 'a' / 'b.json')) == tmp_path / 'a' / 'b.json'
    assert source(str(file)) == file
    for text in (str(tmp_path), '/dev/zero', str(tmp_path / 'nope')):
        with pytest.raises(ArgumentTypeError, match='is no file'):
            source(text)
    for text in (str(tmp_path), str(file / 'x.json'), '/proc/x.json', '/dev/zero'):
        with pytest.raises(ArgumentTypeError, match=r'is no (file|folder)'):
            output(text)
