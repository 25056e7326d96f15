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
"""Settings of minimal training runs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from training.config import TrainConfig

STEPS = 4


def small(data: Path, **changes: Any) -> TrainConfig:
    return replace(TrainConfig(
        data=str(data), environment='none', hidden=(8, 8), batch_size=4, steps=STEPS, threads=1,
        pool=4, top=2, log_every=2), **changes)
