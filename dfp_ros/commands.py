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
Console commands of the package.

Each command's module is imported only after :func:`dfp_ros.node.process.start.begin`, so that no
signal is lost during the import.
"""

from __future__ import annotations

import importlib

from dfp_ros.node.process.start import begin


def _run(module: str) -> int:
    """
    Import a module and run its ``main``.

    :raises SystemExit: If a Python package is not installed; only some commands need them all.
    """
    begin()
    try:
        return int(importlib.import_module(module).main())
    except ModuleNotFoundError as error:
        from dfp_ros.node.process.missing_package import describe_missing
        message = describe_missing(error)
        if message is None:
            raise
        raise SystemExit(message) from None


def adopt() -> int:
    """Make a policy file of a policy of another tool."""
    return _run('dfp_ros.tools.adopt.main')


def demo() -> int:
    """Run a policy on a simulated arm, and report."""
    return _run('dfp_ros.sim.demo.main')


def describe() -> int:
    """Scaffold a robot description, or print a policy file."""
    return _run('dfp_ros.tools.describe.main')


def episode_manager() -> int:
    """Manage the episodes of a robot."""
    return _run('dfp_ros.tools.episodes.main')


def evaluate_on_robot() -> int:
    """Count successes on a robot."""
    return _run('dfp_ros.tools.evaluation.main')


def mark_episodes() -> int:
    """Mark episodes by key."""
    return _run('dfp_ros.tools.recording.mark_episodes')


def policy_node() -> int:
    """Run a policy on a robot."""
    return _run('dfp_ros.policy_node')


def preflight() -> int:
    """Check whether machine, policy and robot are ready."""
    return _run('dfp_ros.tools.preflight.main')


def recorder() -> int:
    """Record a robot."""
    return _run('dfp_ros.tools.recording.recorder')


def replay() -> int:
    """Recompute the decisions of a recording."""
    return _run('dfp_ros.tools.replay.main')


def scripted_operator() -> int:
    """Take the simulated arm over by a script."""
    return _run('dfp_ros.sim.operator.main')


def sim_node() -> int:
    """Simulate a robot cell."""
    return _run('dfp_ros.sim.sim_robot.main')


def teleop_joy() -> int:
    """Take a robot over by joystick."""
    return _run('dfp_ros.tools.teleop.joystick')


def teleop_keyboard() -> int:
    """Take a robot over by keyboard."""
    return _run('dfp_ros.tools.teleop.keyboard')


def view() -> int:
    """Show a policy node or a recording."""
    return _run('dfp_ros.tools.view.main')
