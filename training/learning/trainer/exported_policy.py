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
"""Policy that acts as on a robot: through a policy file, renewed at chosen times."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dfp_ros.core.policy.onnx_policy import OnnxPolicy
from dfp_ros.spec import PolicySpec
from training.common.files import atomic_path
from training.learning.agents.agent import Agent

#: Name of the file in the folder of a run.
ACTING = 'acting.onnx'


class ExportedPolicy:
    """
    Acts through a policy file in ONNX Runtime.

    :param agent: The networks.
    :param spec: Specification of the policy.
    :param path: The policy file.
    """

    def __init__(self, agent: Agent, spec: PolicySpec, path: Path) -> None:
        """Start without a policy."""
        self._agent, self._spec, self._path = agent, spec, path
        self._policy: OnnxPolicy | None = None

    def renew(self) -> None:
        """Export the networks as they are, and act with them from now on."""
        write_policy(self._agent, self._spec, self._path)
        self.load()

    def load(self) -> None:
        """Act with the policy in the file, as a run that resumes within an episode."""
        self._policy = OnnxPolicy(self._path, candidates=0)

    def __call__(
            self, observation: np.ndarray, noise: np.ndarray,
            pictures: Sequence[np.ndarray] = ()) -> np.ndarray:
        """Choose a chunk; see :class:`training.learning.trainer.explorer.Explorer`."""
        assert self._policy is not None, 'renew or load comes first'
        return self._policy.act(observation, noise, pictures=tuple(pictures)).actions


def write_policy(agent: Agent, spec: PolicySpec, path: Path) -> None:
    """
    Write the networks as a policy file, atomically.

    :raises WriteError: If the file cannot be written.
    """
    # Not needed by a run that exports nothing; readiness says so if it is missing.
    import onnx

    from training.onnx_export.policy_graph import policy_model
    model = policy_model(agent, spec)
    with atomic_path(path, model.ByteSize()) as partial:
        onnx.save_model(model, str(partial))
