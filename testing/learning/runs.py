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
"""Settings of training runs that take seconds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from training.config import TrainConfig


def settings(data: Path, **changes: object) -> TrainConfig:
    base = TrainConfig(
        data=str(data), hidden=(32, 32), batch_size=16, steps=20, evaluate_every=1000, episodes=1,
        log_every=5, checkpoint_every=10, threads=1, pool=4, top=2, normalise=True)
    return replace(base, **changes)


def unevaluated(data: Path, **changes: object) -> TrainConfig:
    """Of those on data of no simulator, which make no environment and are not evaluated."""
    return settings(data, environment='none', **changes)
