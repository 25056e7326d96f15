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
"""Environment whose observations are counts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
import time
from typing import Any

import numpy as np

from training.data.collection.engine import Episode

SECONDS = 60.0


@dataclass(frozen=True)
class Numbers:
    """
    Episodes that contain only their number.

    :param failing: Numbers of failing episodes.
    :param late: Number of an episode that ends after the next one.
    :param last: Largest permitted number.
    """

    folder: str
    seed: int = 0
    failing: tuple[int, ...] = ()
    late: int = -1
    last: int = 1000
    name: str = 'numbers'
    suffix: str = '.npy'
    parted: bool = True

    def settings(self) -> dict[str, Any]:
        return asdict(self) | {'failing': list(self.failing)}

    def make_env(self) -> None:
        pass

    def collect(self, env: Any, number: int) -> Episode | None:
        assert number <= self.last
        (Path(self.folder).parent / f'begun-{number}').touch()
        end = time.monotonic() + SECONDS
        while number == self.late and not (Path(self.folder) / f'{number + 1:08d}.npz').exists():
            assert time.monotonic() < end, 'the next episode did not end'
            time.sleep(0.01)
        return None if number in self.failing else {'number': np.array([number])}

    def write(self, path: Path, episodes: list[Episode]) -> int:
        np.save(path, np.concatenate([episode['number'] for episode in episodes]))
        return len(episodes)
