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
Training of Drifting Field Policies; needs PyTorch, and runs from the checkout.

Top-level modules are commands, folders are libraries; a library never imports a command.
"""

import os

import dfp_ros  # noqa: F401  ONNX Runtime reports nothing

# The matrices of a simulation are small. An idle thread of OpenBLAS waits for the next one by
# spinning, which takes most of a processor, and the last digits of a product depend on the
# number of threads; this has to be said before NumPy is imported.
os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')

# So do PyTorch's threads (GNU OpenMP) between two products, for milliseconds each time. Beside
# processes that keep the processors busy, a thread that spins keeps off the one that it waits for:
# an update of two threads took 4970 ms in place of 410. Some microseconds are enough on a machine
# of one's own; this has to be said before PyTorch is imported.
if 'OMP_WAIT_POLICY' not in os.environ:
    os.environ.setdefault('GOMP_SPINCOUNT', '1000')
