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
Untrained policies of the paper's size, written by the trainer's exporter.

The inference time does not depend on training. Sizes are those of cube-single with chunks of 5:
28 observations, 5 actions, actor and both critics 4 x 512.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import torch

from bench import ROOT
from dfp_ros.core.policy.onnx_policy import OnnxPolicy
from dfp_ros.core.policy.policy_file import read_spec
from dfp_ros.spec_images import ImageField
from training.config import TrainConfig
from training.learning.agents.agent import Agent
from training.learning.networks.modules import Normaliser
from training.onnx_export.parity import compare
from training.onnx_export.policy_graph import policy_model

MODELS = ROOT / 'models'
HIDDEN = (512, 512, 512, 512)


@dataclass(frozen=True)
class PaperPolicy:
    """
    Networks of a policy, and its file.

    :param agent: The networks.
    :param path: The policy file.
    """

    agent: Agent
    path: Path


def write_policy(
        folder: Path, evaluations: int | None = None,
        hidden: tuple[int, ...] = HIDDEN,
        images: tuple[ImageField, ...] = ()) -> PaperPolicy:
    """
    Make a policy, and compare its file with PyTorch as an export does.

    :param folder: Folder for the file.
    :param evaluations: Euler steps of a flow policy, unrolled in its graph; None for a drifting
        field policy, which evaluates its network once.
    :param hidden: Widths of the hidden layers.
    :param images: Pictures that it sees, each by an encoder of the default size.
    """
    name = 'paper' if evaluations is None else f'flow-{evaluations}'
    if images:
        name += f'-{len(images)}-pictures'
    torch.manual_seed(0)
    spec = replace(
        read_spec(MODELS / 'cube_single.onnx'), name=name, horizon=5, provenance={}, images=images)
    kind = {} if evaluations is None else {'policy': 'flow', 'flow_steps': evaluations}
    agent = Agent(
        TrainConfig(horizon=spec.horizon, hidden=hidden, **kind),
        spec.observation_size, spec.action_size,
        Normaliser(torch.zeros(spec.observation_size), torch.ones(spec.observation_size)),
        images)
    path = folder / f'{name}.onnx'
    onnx.save_model(policy_model(agent, spec), str(path))
    drawn = np.random.default_rng(0).uniform(-1, 1, (4, spec.observation_size))
    compare(agent, OnnxPolicy(path), drawn.astype(np.float32))
    return PaperPolicy(agent, path)
