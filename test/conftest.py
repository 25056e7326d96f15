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
"""Shared fixtures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import contextlib
import fcntl
import os
from pathlib import Path
import shutil
import signal
from typing import Any

import pytest

from dfp_ros.node.ros.dds_transport import choose_transport
from testing.suite import SHARED
import training  # noqa: F401  settles how threads wait, before anything imports PyTorch

# Messages of the tests stay on this machine, and no port is reachable from others.
os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
choose_transport()
os.environ.setdefault('MUJOCO_GL', 'disable')  # tests that render set it themselves
with contextlib.suppress(ImportError):
    import hypothesis
    # An example of a property may take any time on a busy machine.
    hypothesis.settings.register_profile('any time', deadline=None)
    hypothesis.settings.load_profile('any time')
# A shell starts its background jobs with SIGINT ignored, and so would every process of the tests.
signal.signal(signal.SIGINT, signal.default_int_handler)
LONGEST_ID = 60


def pytest_make_parametrize_id(val: object) -> str | None:
    """Shorten long texts in the names of tests, which are printed and logged."""
    if isinstance(val, str | bytes) and len(val) > LONGEST_ID:
        start = val[:LONGEST_ID - 3]
        return f'{start if isinstance(start, str) else start.hex()[:LONGEST_ID - 3]}...'
    return None


# Before that of xdist, which reads the groups.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """
    In a session of several processes, keep tests of a fixture together, and start the longest.

    The short ones, which are alone, come last: at the end no process is left with a long file.
    """
    if not config.pluginmanager.hasplugin('xdist') or not hasattr(config, 'workerinput'):
        return
    slow = set()
    for item in items:
        if isinstance(item, pytest.Function) and any(
                found[-1].scope in ('module', 'class', 'package')
                for found in item._fixtureinfo.name2fixturedefs.values()):
            item.add_marker(pytest.mark.xdist_group(item.location[0]))
        if item.get_closest_marker('slow'):
            slow.add(item.location[0])
    items.sort(key=lambda item: (
        item.location[0] not in slow, item.get_closest_marker('xdist_group') is None))


@pytest.fixture(autouse=True)
def scheduling_as_before() -> Iterator[None]:
    """Require that the test leaves no other priority: every later test would inherit it."""
    if not hasattr(os, 'sched_getscheduler'):
        yield
        return
    before = os.sched_getscheduler(0), os.sched_getparam(0), os.nice(0)
    yield
    after = os.sched_getscheduler(0), os.sched_getparam(0), os.nice(0)
    os.sched_setscheduler(0, *before[:2])
    with contextlib.suppress(OSError):  # which only root may restore
        os.setpriority(os.PRIO_PROCESS, 0, before[2])
    assert after == before


@pytest.fixture(autouse=True)
def signals_as_before() -> Iterator[None]:
    """
    Restore the signal handlers after the test.

    The commands that some tests call in this process leave signals ignored, and every process
    started later would inherit that.
    """
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}
    yield
    for number, handler in before.items():
        if handler is not None and signal.getsignal(number) != handler:
            signal.signal(number, handler)


@pytest.fixture(scope='session')
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """Make a folder once for all processes of the tests, to be read only."""
    folder = os.environ.get(SHARED)
    if folder is not None:
        return Once(Path(folder))
    base = tmp_path_factory.getbasetemp()
    # Each process of a session has a folder within that of the session.
    return Once((base.parent if 'PYTEST_XDIST_WORKER' in os.environ else base) / 'once')


class Once:
    """
    Folders that the first process that wants one makes, and the others wait for.

    :param folder: Where they are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, name: str, make: Callable[[Path], object]) -> Path:
        """
        Return a folder, complete.

        :param name: Its name.
        :param make: Fills it; it gets another name afterwards.
        """
        self._folder.mkdir(exist_ok=True)
        with (self._folder / f'{name}.lock').open('w') as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            made = self._folder / name
            if not made.exists():
                beginning = self._folder / f'{name}.beginning'
                shutil.rmtree(beginning, ignore_errors=True)
                beginning.mkdir()
                make(beginning)
                beginning.rename(made)
        return made


@pytest.fixture(scope='session')
def demonstrations(once: Once) -> Path:
    """Four demonstrations of cube-single's task 2, collected by one worker."""
    from training.collect import main
    folder = once('demonstrations', lambda folder: main([
        '--episodes', '4', '--val-episodes', '1', '--workers', '1', '--out', str(folder)]))
    return folder / 'cube-single-demo-task2-v0.npz'


@pytest.fixture(scope='session')
def lift_demonstrations(once: Once) -> Path:
    """Three demonstrations of Robomimic's Lift, collected by one worker."""
    from training.collect import main
    folder = once('lift', lambda folder: main([
        '--scene', 'lift', '--episodes', '3', '--workers', '1', '--out', str(folder)]))
    return folder / 'robomimic' / 'lift' / 'mh' / 'low_dim_v15.hdf5'


@pytest.fixture(scope='session')
def recorded(demonstrations: Path, once: Once) -> Path:
    """Store the demonstrations as recordings of a robot are: with rewards."""
    from testing.processes.robot_learning import ENVIRONMENT
    from training.data.datasets.load import load
    from training.data.transitions import stored
    from training.data.transitions.source import DataSource
    folder = once('recorded', lambda folder: stored.save(
        folder / 'demonstrations.npz', load(DataSource(demonstrations, ENVIRONMENT))))
    return folder / 'demonstrations.npz'


@pytest.fixture(scope='session')
def clone(recorded: Path, once: Once) -> Path:
    """Make a clone that learners go on with, and return its policy file."""
    from testing.processes.robot_learning import make_clone
    made = once('clone', lambda folder: make_clone(recorded, folder / 'run'))
    return made / 'run' / 'policy.onnx'


@pytest.fixture
def node() -> Iterator[Any]:
    """Make a node in a ROS domain of its own."""
    rclpy = pytest.importorskip('rclpy')
    from rclpy.node import Node

    from dfp_ros.node.ros.domain import free_domain
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=free_domain())
    made = Node('tested', context=context)
    yield made
    made.destroy_node()
    rclpy.shutdown(context=context)
