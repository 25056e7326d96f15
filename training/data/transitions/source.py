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
"""What a reader of data files has to know: the file, and how it is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from training.config import TrainConfig


@dataclass(frozen=True)
class DataSource:
    """
    A data file and how it is read.

    :param path: The file.
    :param environment: What its rewards are for; ``none`` if the file holds them.
    :param success_timing: Whether the state before or after a step of OGBench decides its reward.
    :param filter_key: Which of a Robomimic file's demonstrations, or the task of a LeRobot
        dataset's episodes; all if empty.
    :param observation_keys: Parts of the observation of a Robomimic file or a LeRobot dataset; its
        usual ones if empty.
    :param rewarded: Whether rewards are wanted. If not, those of an OGBench file, which take an
        environment to compute, are 0, and its masks 1.
    """

    path: Path
    environment: str
    success_timing: Literal['pre', 'post'] = 'pre'
    filter_key: str = ''
    observation_keys: tuple[str, ...] = ()
    rewarded: bool = True

    @classmethod
    def of_run(cls, config: TrainConfig, rewarded: bool = True) -> DataSource:
        """Take it from the settings of a training run."""
        return cls(
            Path(config.data), config.environment, config.success_timing, config.filter_key,
            config.observation_keys, rewarded)
