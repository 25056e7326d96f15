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
"""ROS 2 package for running one-step Drifting Field Policies on robots safely at a fixed rate."""

import os

# ONNX Runtime from PyPI reports its use over the internet, and writes an identifier of the machine
# and a database into the home folder, unless this is set before it is imported. Who wants to
# report sets it to 0.
os.environ.setdefault('ORT_DISABLE_TELEMETRY', '1')
