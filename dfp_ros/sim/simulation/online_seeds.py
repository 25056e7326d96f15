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
"""Seeds of the episodes of an online phase, for the trainer and the simulated robot."""

from __future__ import annotations

import numpy as np


def online_seed(run_seed: int, episode: int) -> int:
    """
    Return the seed of an episode, of environment and noise.

    It depends on the seed of the run and the number of the episode alone, so that an episode can
    be repeated without those before it.

    :param run_seed: Seed of the training run, 0 or more.
    :param episode: Number of the episode, from 0.
    :return: 0 to 2**31 - 1.
    """
    return int(np.random.SeedSequence((run_seed, episode)).generate_state(1)[0]) >> 1
