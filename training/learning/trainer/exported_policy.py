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
from training.learning import distributed
from training.learning.agents.agent import Agent

#: Name of the file of an episode in the folder of a run; of earlier releases, that of any.
ACTING, ANY = 'acting-{episode}.onnx', 'acting.onnx'


class ExportedPolicy:
    """
    Acts through a policy file in ONNX Runtime.

    :param agent: The networks.
    :param spec: Specification of the policy.
    :param folder: Folder of the policy files, one for each episode. Those of the episodes of the
        last two checkpoints are kept: a run that is killed resumes within that of the last.
    """

    def __init__(self, agent: Agent, spec: PolicySpec, folder: Path) -> None:
        """Start without a policy."""
        self._agent, self._spec, self._folder = agent, spec, folder
        self._policy: OnnxPolicy | None = None
        self._saved: list[int] = []

    def renew(self, episode: int) -> None:
        """Export the networks as they are, and act with them from an episode on."""
        write_policy(self._agent, self._spec, self._file(episode))
        self.load(episode)
        kept = [self._file(number) for number in (*self._saved, episode)]
        for path in self._folder.glob(ACTING.format(episode='*')):
            # Only the first rank writes checkpoints.
            if distributed.own() == 0 and path not in kept:
                path.unlink(missing_ok=True)

    def load(self, episode: int) -> None:
        """Act with the policy of an episode, as a run that resumes within it."""
        path = self._file(episode)
        self._policy = OnnxPolicy(
            path if path.exists() else self._folder / ANY, candidates=0)

    def keep(self, episode: int) -> None:
        """Keep the file of an episode, because a checkpoint that is in it is written."""
        self._saved = [*self._saved[-1:], episode]

    def _file(self, episode: int) -> Path:
        return self._folder / ACTING.format(episode=episode)

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
