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
"""Shared helpers of tests and benchmarks; never installed."""

import os
from pathlib import Path

import dfp_ros  # noqa: F401  ONNX Runtime reports nothing

# As in the simulations that tests start (dfp_ros/sim): equal seeds give equal digits.
os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')

#: Root of the checkout.
ROOT = Path(__file__).resolve().parents[1]
