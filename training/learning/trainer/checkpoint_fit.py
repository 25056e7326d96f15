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
"""Compatibility check of a checkpoint's tensors with the networks to be restored."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from training.data.transitions.transitions import COLUMNS
from training.learning.agents.agent import Agent
from training.learning.trainer.checkpoint_file import CheckpointError, REMEDY

# Adam's state of a parameter.
MOMENTS = ('exp_avg', 'exp_avg_sq')
# Adam's settings, without the learning rate, which is set before each update.
ADAM = ('params', 'betas', 'eps', 'weight_decay', 'amsgrad', 'maximize')
PICTURES = ('frame', 'first_frame', 'frames', 'sums')
EXPLORER = ('episode', 'draws', 'solved', 'executed', 'queue')


def require_agent(path: Path, agent: Agent, found: Mapping[str, Any]) -> None:
    """
    Compare a checkpoint's networks with those of the agent.

    :param path: Path of the checkpoint, for the error.
    :param agent: The agent to be restored.
    :param found: The checkpoint's ``agent``.
    :raises CheckpointError: Naming the first tensor that is missing, unexpected or of another
        shape or type.
    """
    wanted = agent.state_dict()
    for name in [*wanted, *(name for name in found if name not in wanted)]:
        theirs, ours = (_shape(state.get(name)) for state in (found, wanted))
        if theirs != ours:
            raise CheckpointError(
                f'{path}: {str(name)[:80]}: found {theirs}, expected {ours} by the settings; it '
                f'belongs to another policy or preset, or was changed: {REMEDY}')


def require_optimiser(path: Path, agent: Agent, found: Mapping[str, Any]) -> None:
    """
    Compare a checkpoint's optimiser state with the optimiser; torch itself checks little.

    :raises CheckpointError: If they do not match.
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
            raise _odd(path, 'optimiser', f'moments of parameter {i} that do not have its shape')


def require_online(path: Path, agent: Agent, content: Mapping[str, Any]) -> None:
    """
    Check the state of an online phase: the added steps, and the episode and chunk in progress.

    :raises CheckpointError: If the phase cannot be resumed from it.
    """
    replay, explorer = content.get('replay'), content.get('explorer')
    if (replay is None) != (explorer is None):
        raise _odd(path, 'replay', 'only one of replay and explorer, expected both or none')
    if replay is None or explorer is None:
        return
    act_dim = agent.chunk_size // agent.config.horizon
    width = len(agent.normaliser.mean)
    widths = {'observations': (width,), 'next_observations': (width,), 'actions': (act_dim,)}
    tensors = [*replay.values(), *explorer.values()]
    pictures = PICTURES if agent.encoder is not None else ()
    if replay.keys() != {'added', *COLUMNS, *pictures} or (
            explorer.keys() != set(EXPLORER)) or not all(
            isinstance(value, torch.Tensor) for value in tensors):
        raise _odd(path, 'replay', 'other keys than those of an online phase')
    rows = len(replay['rewards']) if replay['rewards'].ndim else -1
    for name in COLUMNS:
        if replay[name].shape != (rows, *widths.get(name, ())):
            raise _odd(path, 'replay', f'{name} of shape {tuple(replay[name].shape)}')
    counters = [replay['added'], explorer['episode'], explorer['draws']]
    if pictures:
        counters.append(replay['frames'])
    if any(tensor.ndim or not 0 <= float(tensor) < 2 ** 53 for tensor in counters) or rows > int(
            replay['added']):
        raise _odd(path, 'replay', 'impossible counters')
    if pictures:
        _require_frames(path, agent, replay, rows)
    executed, queue = explorer['executed'], explorer['queue']
    if executed.shape[1:] != (act_dim,) or queue.shape[1:] != (act_dim,) or (
            len(executed) + len(queue) != int(explorer['draws']) * agent.config.horizon) or (
            explorer['solved'].ndim != 1):
        raise _odd(path, 'explorer', 'an episode that does not match its chunks')


def _require_frames(
        path: Path, agent: Agent, replay: Mapping[str, torch.Tensor], rows: int) -> None:
    """Check which pictures belong to the added steps."""
    assert agent.encoder is not None
    frame, first = replay['frame'], replay['first_frame']
    if replay['sums'].shape != (len(agent.encoder.shapes),) or any(
            each.shape != (rows,) or each.dtype != torch.int64 for each in (frame, first)):
        raise _odd(path, 'replay', 'other pictures than those of an online phase')
    if rows and not (0 <= int(first.min()) and bool((first <= frame).all()) and (
            int(frame.max()) + 1 < int(replay['frames']))):
        raise _odd(path, 'replay', 'steps of pictures that there are not')


def _shape(value: object) -> str:
    if isinstance(value, torch.Tensor):
        return f'{str(value.dtype).removeprefix("torch.")} {tuple(value.shape)}'
    return 'nothing' if value is None else type(value).__name__


def _odd(path: Path, part: str, found: str) -> CheckpointError:
    return CheckpointError(f'{path}: {part}: found {found}; {REMEDY}')
