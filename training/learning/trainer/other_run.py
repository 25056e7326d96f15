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
"""Networks of another run: a run that begins with them, and an online phase elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from training.common.permission import permitted
from training.data.datasets.alike import difference, joined
from training.data.transitions.transitions import SAME_PERIOD
from training.learning.agents.agent import Agent
from training.learning.trainer.checkpoint import (
    data_hash,
    parsed,
    PAST,
    Progress,
    restore_random,
    RunState,
)
from training.learning.trainer.checkpoint_file import CheckpointError, digest, read
from training.learning.trainer.checkpoint_fit import require_agent, require_optimiser

# Name of the anchor policy's encoder in the weights.
ANCHOR = 'anchor_encoder'


def initialise(path: Path, state: RunState) -> None:
    """
    Initialise a run with the networks of another run's checkpoint, and nothing else.

    The normaliser is taken over with the networks, which are useless without it. Update counter,
    optimiser, schedule and random numbers start afresh. The specification records the origin of
    the networks.

    :param path: Checkpoint or folder of the other run.
    :param state: The run as set up.
    :raises CheckpointError: If the file cannot be read, or the other run's networks or data differ
        in shape or meaning.
    """
    with permitted(path, CheckpointError):
        path = path / 'checkpoint.pt' if path.is_dir() else path
    content = read(path, tell=True)
    config, spec, progress = parsed(path, content)
    seeing = ('encoder', 'encoder_widths', 'encoder_features') if state.spec.images else ()
    for name in ('policy', 'hidden', 'critics', 'horizon', 'normalise', *seeing):
        theirs, ours = getattr(config, name), getattr(state.config, name)
        if theirs != ours:
            raise CheckpointError(
                f'{path}: was trained with {name} {theirs!r}, now asked for {ours!r}; start from '
                'networks of the same settings')
    for kind in ('observation', 'action'):
        theirs, ours = (
            [(part.name, part.size, part.unit) for part in getattr(one, kind)]
            for one in (spec, state.spec))
        if theirs != ours:
            i = next(
                (i for i, pair in enumerate(zip(theirs, ours, strict=False))
                 if pair[0] != pair[1]), min(len(theirs), len(ours)))
            raise CheckpointError(
                f'{path}: {kind} field {i}: found {_part(theirs, i)}, the data '
                f'{state.config.data} have {_part(ours, i)}; start from networks that were '
                'trained on the same fields')
    theirs, ours = ([str(image) for image in one.images] for one in (spec, state.spec))
    if theirs != ours:
        raise CheckpointError(
            f'{path}: found the pictures {", ".join(theirs) or "none"}, the data '
            f'{state.config.data} have {", ".join(ours) or "none"}; start from networks that were '
            'trained on the same pictures')
    if fault := difference(state.spec.action, spec.action, 'those networks'):
        state.notes.append(
            f'{path}: action {fault}, so an action of the networks begins as another command in '
            f'{state.config.data}; to keep it, convert the data with --policy and the policy of '
            'that run')
    if abs(state.spec.period - spec.period) > SAME_PERIOD * spec.period:
        state.notes.append(
            f'{path}: the networks learned steps of {spec.period:g} s, and those of '
            f'{state.config.data} take {state.spec.period:g} s')
    _load_networks(path, state.agent, content['agent'])
    state.agent.resume(began_trained=True)
    # Policy improvement starts by this run's own schedule.
    state.agent.actor.improving = False
    origin = {
        'name': spec.name, 'run': path.parent.name, 'steps': progress.step,
        'weights_sha256': digest(content['agent']), 'data_sha256': data_hash(path, spec),
        'commit': spec.provenance.get('commit', 'unknown')}
    if 'initialised_from' in spec.provenance:
        origin['initialised_from'] = spec.provenance['initialised_from']
    state.spec = replace(state.spec, provenance={
        **state.spec.provenance, 'initialised_from': origin,
        'normalisation': spec.provenance.get(
            'normalisation', state.spec.provenance['normalisation'])})
    state.notes.append(
        f'{path}: the networks and the normaliser are those of {spec.name!r} after '
        f'{progress.step} updates; the optimiser and the learning-rate schedule start afresh')


def take_over(path: Path, state: RunState) -> None:
    """
    Begin an online phase elsewhere with the state of a run: networks, optimiser, random states.

    Settings of learning and execution may differ, those of networks and data may not. Transitions
    of an online phase of that run are not taken over.

    :param path: Checkpoint of the run.
    :param state: The run as set up.
    :raises CheckpointError: If the file cannot be read, or networks or data differ.
    """
    content = read(path, tell=True)
    _, spec, progress = parsed(path, content)
    source, wanted = data_hash(path, spec), state.spec.provenance['data']['sha256']
    if source != wanted:
        raise CheckpointError(
            f'{path}: was trained on data with hash {source[:12]}, found {wanted[:12]} in '
            f'{state.config.data}; restore the data of the run, or train it again')
    _load_networks(path, state.agent, content['agent'])
    require_optimiser(path, state.agent, content['optimiser'])
    state.agent.optimiser.load_state_dict(content['optimiser'])
    state.agent.resume('initialised_from' in spec.provenance)
    restore_random(path, state, content)
    state.progress = Progress(progress.step)
    past = {name: spec.provenance[name] for name in PAST if name in spec.provenance}
    # The networks learned from corrections, too, if the run had some.
    state.spec = replace(
        state.spec, name=spec.name, observation=joined(state.spec.observation, spec.observation),
        action=joined(state.spec.action, spec.action), provenance={
            **state.spec.provenance, **past,
            'normalisation': spec.provenance.get(
                'normalisation', state.spec.provenance['normalisation'])})


def _load_networks(path: Path, agent: Agent, found: Mapping[str, Any]) -> None:
    """
    Load the networks of another run, which may average the actor's weights or not.

    An average begins as a copy of the actor; a run without one goes on with that of the other. The
    same holds for the encoders of pictures, of which the anchor policy may have one, too.
    """
    found = _with(found, 'average', 'actor', agent.average is not None)
    found = _with(found, 'average_encoder', 'encoder', agent.average_encoder is not None)
    if agent.anchor_encoder is None:
        # It shares the encoder from now on, and becomes a copy of the actor when that improves.
        found = {name: value for name, value in found.items() if not _is_of(name, ANCHOR)}
    elif not any(_is_of(name, ANCHOR) for name in found):
        found = _with(found, ANCHOR, 'encoder', True)
    require_agent(path, agent, found)
    agent.load_state_dict(found)


def _with(
        found: Mapping[str, Any], copy: str, original: str, wanted: bool) -> Mapping[str, Any]:
    """Give weights a copy of a network if it is wanted, or have it take the network's place."""
    if wanted == any(_is_of(name, copy) for name in found):
        return found
    source, goal = (original, copy) if wanted else (copy, original)
    pairs = [(name.partition('.')[2], value) for name, value in found.items()
             if _is_of(name, source)]
    return {name: value for name, value in found.items() if not _is_of(name, copy)} | {
        f'{goal}.{name}': value for name, value in pairs}


def _is_of(name: str, network: str) -> bool:
    return name.startswith(f'{network}.')


def _part(parts: list[tuple[str, int, str]], i: int) -> str:
    return f'{parts[i][0]} ({parts[i][1]}, {parts[i][2]})' if i < len(parts) else 'nothing'
