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
"""Launch file of learning: whether the learner is started, for folders of any name."""

from __future__ import annotations

import runpy

import pytest

pytest.importorskip('launch_ros')

from launch import LaunchContext, LaunchDescription
from launch.actions import ExecuteProcess
from launch_ros.actions import Node

from testing import ROOT


@pytest.mark.parametrize(('run', 'is_started'), [
    ('', False), ('runs/clone', True), ("/home/o'brien/runs", True), ("' or '", True)])
def test_the_learner_is_started_for_a_folder(run: str, is_started: bool) -> None:
    """A quote in its name is no part of an expression."""
    made = runpy.run_path(str(ROOT / 'launch' / 'learn.launch.py'))
    description: LaunchDescription = made['generate_launch_description']()
    learner, = (
        action for action in description.entities
        if isinstance(action, ExecuteProcess) and not isinstance(action, Node))
    context = LaunchContext()
    context.launch_configurations['run'] = run
    assert learner.condition is not None
    assert learner.condition.evaluate(context) is is_started
