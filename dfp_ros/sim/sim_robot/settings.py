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
"""Parameters of the simulated robot."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rclpy.node import Node

from dfp_ros.core.files.user_path import PathError, user_path
from dfp_ros.core.settings.setting import SettingsError
from dfp_ros.core.text.printable import printable, TEXT
from dfp_ros.node.parameters.declare import declare_parameter
from dfp_ros.node.parameters.names import require_name
from dfp_ros.sim.simulation.picture_names import PICTURE_SIZE, VISUAL

MODES = ('realtime', 'lockstep')

#: Name, default, description, range. All are read once, at startup.
PARAMETERS: tuple[tuple[str, Any, str, tuple[float, float] | None], ...] = (
    ('environment', 'cube-single-singletask-task2-v0',
     "Simulated environment: one of OGBench's manipulation environments, "
     'lift-mh-low_dim, or lift-joint-low_dim, whose arm takes a JointTrajectory.', None),
    ('seed', 0, 'Seed of the first episode, which increases by one with each episode.',
     (0, 2**31 - 1)),
    ('mode', 'realtime',
     'realtime: physics follow the wall clock and hold the last command. lockstep: physics wait '
     'for the command that answers each observation.', None),
    ('real_time_factor', 1.0, 'Ratio of simulated time to wall time (realtime).',
     (0.01, 10.0)),
    ('publish_clock', False,
     'Publish simulated time on /clock, for nodes with use_sim_time: with a real_time_factor '
     'other than 1, a controller must use it to keep its rate.', None),
    ('state_rate', 100.0,
     'Rate of state messages in simulated time (realtime); must divide the control period '
     'into whole physics steps: 20, 100 or 500 Hz.', (1.0, 1000.0)),
    ('episodes', 0, 'Episodes after which the node ends; 0 for no limit.', (0, 1_000_000)),
    ('auto_reset', True,
     'Start the next episode when one has ended; if false, wait for ~/reset.', None),
    ('policy_node', '',
     'Name of a policy node to prepare before each episode: its noise_seed is set to the '
     "episode's seed and its ~/reset is called. Empty prepares none.", None),
    ('learner_node', '',
     'Name of a learner (python -m training.learn_on_robot) that physics wait for after each step '
     '(lockstep), so that a run can be repeated bit for bit. Empty waits for none.', None),
    ('run_seed', -1,
     'Seed of a training run: episodes have the seeds of its online phase, in place of seed. -1 '
     'for none.', (-1, 2**32 - 1)),
    ('record', '', 'Folder for a file of each episode. Empty records nothing.', None),
    ('render', False, 'Publish camera/image_raw; rendered in a separate process. Environments '
     'whose name begins with visual- always do, with the size and colours of their data.', None),
    ('render_rate', 10.0,
     'Largest image rate in Hz; a slow renderer gives a lower one.', (0.1, 60.0)),
    ('image_width', 320, 'Width of the camera image in pixels.', (16, 1920)),
    ('image_height', 240, 'Height of the camera image in pixels.', (16, 1080)),
)


@dataclass(frozen=True)
class Settings:
    """Values of the parameters, whose descriptions explain them."""

    environment: str
    seed: int
    mode: str
    real_time_factor: float
    publish_clock: bool
    state_rate: float
    episodes: int
    auto_reset: bool
    policy_node: str
    learner_node: str
    run_seed: int
    record: Path | None
    render: bool
    render_rate: float
    image_width: int
    image_height: int


def list_parameters() -> list[tuple[str, Any, str]]:
    """Return name, default and description of each parameter."""
    return [(name, default, sentence) for name, default, sentence, _ in PARAMETERS]


def declare(node: Node) -> Settings:
    """
    Declare the parameters on a node and read them.

    :raises ValueError: If the mode is unknown, or the policy node's name cannot be one.
    :raises SettingsError: If a value has another type or is out of range, or the folder of
        recordings cannot be created.
    """
    values = {
        name: declare_parameter(node, name, default, sentence, bounds)
        for name, default, sentence, bounds in PARAMETERS}
    if values['mode'] not in MODES:
        raise ValueError(f'mode: found {values["mode"]!r}, expected one of {", ".join(MODES)}')
    require_name('policy_node', values['policy_node'], 'left/dfp_policy')
    require_name('learner_node', values['learner_node'], 'left/dfp_learner')
    if values['learner_node'] and values['mode'] != 'lockstep':
        raise ValueError(
            f'learner_node: found {values["learner_node"]!r} with mode {values["mode"]!r}, '
            "expected mode 'lockstep': physics that follow the clock wait for nobody")
    record = values.pop('record')
    if values['environment'].startswith(VISUAL):
        values |= {
            'render': True, 'image_width': PICTURE_SIZE, 'image_height': PICTURE_SIZE}
    return Settings(record=_folder(record) if record else None, **values)


def _folder(name: str) -> Path:
    """
    Create the folder of the recordings.

    :raises SettingsError: If it cannot be created.
    """
    try:
        folder = user_path(name)
    except PathError as error:
        raise SettingsError(f'parameter record: {error}; name another folder') from error
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(
            f'parameter record: the folder {printable(folder, TEXT)} cannot be created '
            f'({error.strerror}); name another one') from error
    return folder
