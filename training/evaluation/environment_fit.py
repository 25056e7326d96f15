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
"""Compatibility of data with a simulated environment, and the default environment of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from dfp_ros.sim.simulation.make_env import ROBOMIMIC
from dfp_ros.sim.simulation.picture_names import CAMERA, PICTURE_SIZE, VISUAL
from dfp_ros.spec import ActionField, ObservationField, PolicySpec
from training.config import ConfigError, NO_ENVIRONMENT, TrainConfig
from training.data.datasets.numbered import files
from training.data.formats.lerobot.description import describe
from training.data.formats.lerobot.layout import is_dataset, STATE
from training.data.formats.ogbench.scenes import (
    ACTION,
    is_visual,
    PERIOD,
    scene_of,
    SCENES,
    VISUAL_ROBOT,
)
from training.data.transitions import stored
from training.data.transitions.transitions import DataError, SAME_PERIOD


class Described(Protocol):
    """Description of data, without the arrays."""

    @property
    def observation_fields(self) -> tuple[ObservationField, ...]:
        """Names, units and ranges of the observation."""

    @property
    def action_fields(self) -> tuple[ActionField, ...]:
        """Names, units and ranges of the action."""

    @property
    def period(self) -> float:
        """Control period in s."""

    @property
    def source(self) -> Mapping[str, Any]:
        """Provenance of the data."""


def misfits(environment: str, data: Described) -> Iterable[str]:
    """
    List the differences between data and environment.

    :param environment: Environment of a run or a preset; ``none`` fits all data.
    :param data: Training data.
    """
    if environment == NO_ENVIRONMENT:
        return
    if ROBOMIMIC.fullmatch(environment):
        yield from _robomimic_misfits(environment, data)
        return
    try:
        scene = SCENES[scene_of(environment)]
    except DataError as error:
        yield str(error)
        return
    observed = VISUAL_ROBOT if is_visual(environment) else scene.observation
    for kind, wanted, found in (
            ('observation', [(name, size) for name, size, _ in observed],
             [(field.name, field.size) for field in data.observation_fields]),
            ('action', [(name, size) for name, size, *_ in ACTION],
             [(field.name, field.size) for field in data.action_fields])):
        if wanted != found:
            i, theirs, ours = _first_difference(wanted, found)
            yield f'{kind} field {i}: {environment} has {theirs}, the data {ours}'
            break
    else:
        for (name, size, unit, bound), field in zip(ACTION, data.action_fields, strict=True):
            if field.low != (-bound,) * size or field.high != (bound,) * size:
                yield (
                    f'action field {name}: an action of 1 is {bound:g} {unit} in {environment}, '
                    f'and {", ".join(f"{value:g}" for value in field.high)} {field.unit} in the '
                    'data')
    if abs(data.period - PERIOD) > SAME_PERIOD * PERIOD:
        yield f'{environment} has a period of {PERIOD:g} s, the data {data.period:g} s'


def require_fit(environment: str, data: Described, where: object) -> None:
    """
    Check that data fit the environment of the evaluation.

    :param where: Path of the data, for the error.
    :raises DataError: If they do not; the message has the first difference.
    """
    for difference in misfits(environment, data):
        raise DataError(
            f'{where}: the data are not of the environment {environment} ({difference}); name '
            f'the environment of the data with --environment, or {NO_ENVIRONMENT!r} for a robot '
            'without a simulator')


def draws(environment: str, spec: PolicySpec) -> bool:
    """Tell whether an environment draws the pictures that a policy needs, if it needs some."""
    if not spec.images:
        return True
    return is_visual(environment) and [(image.name, image.shape) for image in spec.images] == [
        (CAMERA, (PICTURE_SIZE, PICTURE_SIZE, 3))]


def require_pictures(environment: str, spec: PolicySpec, where: object) -> None:
    """
    Check that an environment draws the pictures that a policy needs.

    :param where: Path of the policy, for the error.
    :raises ConfigError: If it does not.
    """
    if not draws(environment, spec):
        raise ConfigError(
            f'{where}: found a policy with pictures '
            f'({", ".join(str(image) for image in spec.images)}), which {environment} does not '
            f'draw, expected {CAMERA} of {PICTURE_SIZE} x {PICTURE_SIZE} and an environment '
            f'whose name begins with {VISUAL}; evaluate it on a robot (docs/episodes.md)')


def choose_environment(config: TrainConfig) -> tuple[TrainConfig, str]:
    """
    Choose the environment of a run if none is named.

    Data without a simulator, such as converted recordings of a robot, are trained on without
    evaluations. Other data keep the preset's environment, and are refused later if they do not fit
    it.

    :param config: A preset's settings, with the data of the run.
    :return: The settings with the chosen environment, and a message to the user; empty if nothing
        changed.
    :raises ConfigError: If the data have no simulator and the run has an online phase.
    """
    why = '' if config.environment == NO_ENVIRONMENT else _without_simulator(config)
    if not why:
        return config, ''
    if config.online_steps:
        raise ConfigError(
            f'online_steps: found {config.online_steps}, expected 0: {config.data} has no '
            f'simulator for the online phase ({why}); omit that phase with --online-steps 0, or '
            'name the environment of the data with --environment')
    return replace(config, environment=NO_ENVIRONMENT), (
        f'{config.data}: has no simulator ({why}); training runs without evaluations')


def _without_simulator(config: TrainConfig) -> str:
    """Reason why data have no simulator; empty if they may have one, or cannot be read."""
    try:
        path = files(Path(config.data))[0]
        if path.suffix == '.hdf5':
            from training.data.formats.robomimic import reader as robomimic
            name = robomimic.environment_name(path)
            return '' if name in robomimic.task_names() else f'its env_name is {name!r}'
        if is_dataset(path):
            described = describe(path, config.observation_keys or (STATE,))
        elif path.suffix != '.npz' or not stored.is_stored(path):
            return ''
        else:
            described = stored.describe(path)
    except (DataError, OSError):
        return ''  # Loading the data reports the error.
    args = described.source.get('env_args')
    if isinstance(args, Mapping):
        from training.data.formats.robomimic import reader as robomimic
        if args.get('env_name') in robomimic.task_names():
            return ''
    found = {field.name for field in described.observation_fields}
    if any(found == {name for name, *_ in scene.observation} for scene in SCENES.values()):
        return ''  # Of another scene of OGBench's, which has a simulator.
    return next(iter(misfits(config.environment, described)), '')


def _robomimic_misfits(environment: str, data: Described) -> Iterable[str]:
    from dfp_ros.sim.simulation import robosuite_env
    task, args = robosuite_env.find_task(environment), data.source.get('env_args')
    if task is None:
        yield f'there is no environment {environment!r}'
    elif not isinstance(args, Mapping):
        yield f'it is for {environment}, the data are not'
    elif args.get('env_name') != task.env_name:
        yield f'{environment} is {task.env_name}, the data are of {args.get("env_name")!r}'


def _first_difference(
        wanted: list[tuple[str, int]], found: list[tuple[str, int]]) -> tuple[int, str, str]:
    width = max(len(wanted), len(found))
    both = zip(
        [*map(_field, wanted), *['nothing'] * (width - len(wanted))],
        [*map(_field, found), *['nothing'] * (width - len(found))], strict=True)
    return next((i, *pair) for i, pair in enumerate(both) if pair[0] != pair[1])


def _field(field: tuple[str, int]) -> str:
    return f'{field[0]} ({field[1]})'
