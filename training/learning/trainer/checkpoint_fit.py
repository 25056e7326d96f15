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
"""Whether the tensors of a checkpoint are those of the networks that they are to fill."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from training.data.transitions.transitions import COLUMNS
from training.learning.agents.agent import Agent
from training.learning.trainer.checkpoint_file import CheckpointError, REMEDY

# What Adam keeps of a parameter.
MOMENTS = ('exp_avg', 'exp_avg_sq')
# What decides its updates besides the rate, which is set before each.
ADAM = ('params', 'betas', 'eps', 'weight_decay', 'amsgrad', 'maximize')
EXPLORER = ('episode', 'draws', 'solved', 'executed', 'queue')


def require_agent(path: Path, agent: Agent, found: Mapping[str, Any]) -> None:
    """
    Compare a checkpoint's networks with those that they are to fill.

    :param path: Of the checkpoint, for the error.
    :param agent: The networks.
    :param found: The checkpoint's ``agent``.
    :raises CheckpointError: Naming the first tensor that is missing, left over or another.
    """
    wanted = agent.state_dict()
    for name in [*wanted, *(name for name in found if name not in wanted)]:
        theirs, ours = (_shape(state.get(name)) for state in (found, wanted))
        if theirs != ours:
            raise CheckpointError(
                f'{path}: {str(name)[:80]}: found {theirs}, the settings say {ours}; it is '
                f"another policy's or another preset's, or was changed: {REMEDY}")


def require_optimiser(path: Path, agent: Agent, found: Mapping[str, Any]) -> None:
    """
    Compare a checkpoint's optimiser with the one that it is to fill; torch compares little.

    :raises CheckpointError: If it is another.
    """
    wanted = agent.optimiser.state_dict()
    state, groups = found.get('state'), found.get('param_groups')
    ours = wanted['param_groups'][0]
    if not isinstance(state, dict) or not isinstance(groups, list) or len(groups) != 1 or (
            not isinstance(groups[0], dict)) or any(
            groups[0].get(name) != ours[name] for name in ADAM):
        raise _odd(path, 'optimiser', "other settings than those of this release's Adam")
    if state and state.keys() != set(range(len(agent.trained))):
        raise _odd(path, 'optimiser', f'moments of {len(state)} parameters, expected those of '
                                      f'{len(agent.trained)}')
    for i, moments in state.items():
        shape = _shape(agent.trained[i])
        if not isinstance(moments, dict) or moments.keys() != {'step', *MOMENTS} or any(
                _shape(moments[name]) != shape for name in MOMENTS) or (
                _shape(moments['step']) != _shape(torch.tensor(0.0))):
            raise _odd(path, 'optimiser', f'moments of parameter {i} that are not of its shape')


def require_online(path: Path, agent: Agent, content: Mapping[str, Any]) -> None:
    """
    Look at what an online phase left: as many steps as are told, and a chunk that is under way.

    :raises CheckpointError: If that cannot be taken up.
    """
    replay, explorer = content.get('replay'), content.get('explorer')
    if (replay is None) != (explorer is None):
        raise _odd(path, 'replay', 'half of an online phase')
    if replay is None or explorer is None:
        return
    act_dim = agent.chunk_size // agent.config.horizon
    width = len(agent.normaliser.mean)
    widths = {'observations': (width,), 'next_observations': (width,), 'actions': (act_dim,)}
    tensors = [*replay.values(), *explorer.values()]
    if replay.keys() != {'added', *COLUMNS} or explorer.keys() != set(EXPLORER) or not all(
            isinstance(value, torch.Tensor) for value in tensors):
        raise _odd(path, 'replay', 'other parts than an online phase has')
    rows = len(replay['rewards']) if replay['rewards'].ndim else -1
    for name in COLUMNS:
        if replay[name].shape != (rows, *widths.get(name, ())):
            raise _odd(path, 'replay', f'{name} of shape {tuple(replay[name].shape)}')
    if any(tensor.ndim or not 0 <= float(tensor) < 2 ** 53 for tensor in (
            replay['added'], explorer['episode'], explorer['draws'])) or rows > int(
            replay['added']):
        raise _odd(path, 'replay', 'counters that cannot be')
    executed, queue = explorer['executed'], explorer['queue']
    if executed.shape[1:] != (act_dim,) or queue.shape[1:] != (act_dim,) or (
            len(executed) + len(queue) != int(explorer['draws']) * agent.config.horizon) or (
            explorer['solved'].ndim != 1):
        raise _odd(path, 'explorer', 'an episode that does not go with its chunks')


def _shape(value: object) -> str:
    if isinstance(value, torch.Tensor):
        return f'{str(value.dtype).removeprefix("torch.")} {tuple(value.shape)}'
    return 'nothing' if value is None else type(value).__name__


def _odd(path: Path, part: str, found: str) -> CheckpointError:
    return CheckpointError(f'{path}: {part}: found {found}; {REMEDY}')
