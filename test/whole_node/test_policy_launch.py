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
"""Launch file of the policy node: forwarded arguments."""

from pathlib import Path
import signal
import time
from typing import Any

import pytest

pytest.importorskip('launch_ros')

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.srv import GetParameters

from dfp_ros.node.ros.domain import free_domain
from testing.processes.launch_process import FOLDER, launch, outputs_of
from testing.processes.ros_processes import Peer

FILE = 'policy.launch.py'


#: Arguments that cannot work, and what is said of them.
WRONG: list[tuple[list[str], str]] = [
    (['policy:=none_such', 'robot:=ur5e_cube'], "found 'none_such', which is neither a file"),
    (['policy:=cube_single', 'robot:=ur5e_cube', 'rat:=30.0'],
     "argument 'rat': policy.launch.py has none of that name; did you mean 'rate'?"),
    (['policy:=cube_single', 'robot:=ur5e_cube', 'planning.envelope:=hold'],
     "did you mean 'safety.envelope'?"),
    (['policy:=cube_single', 'robot:=ur5e_cube', 'params:=~/no such file.yaml'],
     "argument params: found '~/no such file.yaml', which is no such file"),
    (['policy:=cube_single', 'robot:=ur5e_cube', 'rate:=fast'],
     "argument rate: found 'fast', expected float"),
    (['policy:=cube_single', 'robot:=ur5e_cube', 'params:=config/policy.yml'],
     "did you mean 'config/policy.yaml'?"),
    (['policy:=cube_single', 'robot:=ur5e_cube', 'params:=config/ur5e_cube.yaml'],
     'found no parameters in it, expected a node name or /**'),
    (['policy:=cube_single', 'robot:=config/ur5e_cube'],
     "(looked in ROOT/config); did you mean 'config/ur5e_cube.yaml'?"),
    (['policy:=cube_single', 'robot:=models/lift.onnx'],
     'this looks like a policy file, which is the parameter policy'),
    (['policy:=cube_single', 'robot:=ur5e_cube', 'safety.envelope:=held'],
     "cannot start: parameter safety.envelope: found 'held', expected ignore or warn or slow or "
     'hold or guard\n'),
    (['policy:=cube_single', 'robot:=ur5e_cube', 'log_level:=loud'],
     'expected debug, info, warn, error or fatal'),
    (['robot:=ur5e_cube'], "argument 'policy'")]
DEMO_WRONG = [
    ('episodes:=1.5', "argument episodes: found '1.5', expected int"),
    ('real_time_factor:=fast', "argument real_time_factor: found 'fast', expected float"),
    ('environment:=lift', 'names such as cube-single-singletask-task2-v0, lift-mh-low_dim')]
FILES = 'demo', 'learn', 'record', 'two_robots'


def misspelled(file: str) -> list[str]:
    """Return arguments of a launch file, one of them misspelled."""
    given = ['policy:=cube_single', 'robot:=ur5e_cube', 'out:=none']
    return [*(given[1:] if file == 'record' else given[:2]), 'namespac:=left']


@pytest.fixture(name='refused', scope='module')
def refused_launches() -> dict[tuple[str, ...], tuple[str, int]]:
    """Run all launches that cannot work; return output and status by file and arguments."""
    launches = [
        *((FILE, words) for words, _ in WRONG),
        *(('demo.launch.py', [word]) for word, _ in DEMO_WRONG),
        *((f'{file}.launch.py', misspelled(file)) for file in FILES)]
    found = outputs_of(free_domain(), launches)
    return {(file, *words): each for (file, words), each in zip(launches, found, strict=True)}


def test_forwards_its_arguments() -> None:
    """Parameters, groups and all, name and namespace reach it, and Ctrl-C ends it cleanly."""
    domain = free_domain()
    with Peer(domain) as peer:
        reports: list[Any] = peer.collect(DiagnosticArray, '/diagnostics')
        process = launch(
            FILE, domain, 'policy:=cube_single', 'robot:=ur5e_cube', 'rate:=100', 'name:=pilot',
            'namespace:=left', 'planning.mode:=receding', 'safety.slow_speed:=0.5',
            'publish_decisions:=true')
        try:
            peer.wait_for(lambda: reports)
            status = reports[-1].status[0]
            assert status.name == '/left/pilot: control loop'
            assert {item.key: item.value for item in status.values}['rate_hz'] == '100'
            values = peer.call(GetParameters, '/left/pilot/get_parameters', GetParameters.Request(
                names=['planning.mode', 'safety.slow_speed', 'publish_decisions'])).values
            assert values[0].string_value == 'receding'
            assert values[1].double_value == 0.5
            assert values[2].bool_value is True
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    assert 'process has finished cleanly' in output
    assert 'Traceback' not in output


def test_an_interrupt_of_launch_alone_ends_the_node_at_once() -> None:
    """As a container sends it: launch passes it on without delay, and waits for the node."""
    domain = free_domain()
    with Peer(domain) as peer:
        reports: list[Any] = peer.collect(DiagnosticArray, '/diagnostics')
        process = launch(FILE, domain, 'policy:=cube_single', 'robot:=ur5e_cube')
        try:
            peer.wait_for(lambda: reports)
            begin = time.monotonic()
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    assert time.monotonic() < begin + 30
    assert 'process has finished cleanly' in output
    assert 'failed to terminate' not in output


@pytest.mark.parametrize(('arguments', 'message'), WRONG)
def test_says_what_is_wrong(
        refused: dict[Any, tuple[str, int]], arguments: list[str], message: str) -> None:
    """A launch that cannot work ends by itself, with the reason and an exit status."""
    output, status = refused[(FILE, *arguments)]
    assert message.replace('ROOT', str(Path.cwd())).lower() in output.lower(), output
    assert 'RCLError' not in output
    assert 'Exception:' not in output
    assert status == 1


@pytest.mark.parametrize(('argument', 'message'), DEMO_WRONG)
def test_the_demo_says_what_is_wrong(
        refused: dict[Any, tuple[str, int]], argument: str, message: str) -> None:
    """A value that cannot be used is named, with its argument and what is expected."""
    pytest.importorskip('ogbench')
    output, status = refused['demo.launch.py', argument]
    assert message in output, output
    assert status == 1


def test_two_robots() -> None:
    """One launch, two nodes, each in its namespace with its own topics."""
    domain = free_domain()
    with Peer(domain) as peer:
        process = launch(
            'two_robots.launch.py', domain, 'policy:=cube_single', 'robot:=ur5e_cube')
        try:
            def commanders(name: str) -> list[tuple[str, str]]:
                return [
                    (end.node_namespace, end.node_name)
                    for end in peer.node.get_publishers_info_by_topic(f'/{name}/twist_command')]

            peer.wait_for(lambda: all(
                commanders(name) == [(f'/{name}', 'dfp_policy')] for name in ('left', 'right')))
            process.send_signal(signal.SIGINT)
            output, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    assert output.count('process has finished cleanly') == 2
    assert 'Traceback' not in output


@pytest.mark.parametrize('file', FILES)
def test_no_launch_file_passes_over_arguments(
        refused: dict[Any, tuple[str, int]], file: str) -> None:
    """A misspelled argument is an error."""
    output, status = refused[(f'{file}.launch.py', *misspelled(file))]
    assert f"argument 'namespac': {file}.launch.py has none of that name" in output
    assert status == 1


def test_arguments_of_an_including_launch_file_are_ignored(tmp_path: Path) -> None:
    """An including launch file may have other arguments; those it passes on are checked."""
    outer = tmp_path / 'cell.launch.py'
    outer.write_text(f"""
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
def generate_launch_description():
    return LaunchDescription([
        DeclareLaunchArgument('cell'),
        IncludeLaunchDescription(PythonLaunchDescriptionSource({str(FOLDER / FILE)!r}),
            launch_arguments=[('policy', 'none_such'), ('robot', 'ur5e_cube'), *EXTRA])])
""", encoding='utf-8')
    text = outer.read_text(encoding='utf-8')
    cases = (
        ('()', "found 'none_such', which is neither a file"),
        ("[('safety.envelop', 'hold')]", "did you mean 'safety.envelope'?"),
        ("[('rat', '3.0')]", "did you mean 'rate'?"))
    files = [tmp_path / f'{i}.launch.py' for i in range(len(cases))]
    for file, (extra, _) in zip(files, cases, strict=True):
        file.write_text(text.replace('EXTRA', extra), encoding='utf-8')
    found = outputs_of(free_domain(), [(str(file), ['cell:=3']) for file in files])
    for (output, _), (_, message) in zip(found, cases, strict=True):
        assert message in output, output


#: Two inclusions of a file in another, and the values of rate in each, or what is said.
INCLUDED_TWICE = {
    'leak': (
        "include(rate='40'), include()", "argument 'rate': inner.launch.py is included 2 times"),
    'later one': ("include(), include(rate='40')", 'rates 7 and 40'),
    'groups': ("GroupAction([include(rate='40')]), GroupAction([include()])", 'rates 40 and 7'),
    'one group': ("GroupAction([include(rate='40')]), include()", 'rates 40 and 7'),
    'each': ("include(rate='40'), include(rate='40')", 'rates 40 and 40'),
    'neither': ("DeclareLaunchArgument('rate', default_value='5'), include(), include()",
                'rates 5 and 5')}


def test_arguments_of_one_inclusion_are_refused_in_the_next(tmp_path: Path) -> None:
    """`launch` keeps them in the scope: both robots had the rate of the first."""
    inner = tmp_path / 'inner.launch.py'
    inner.write_text("""
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from dfp_ros.launch_arguments import require_known
def say(context):
    print('rate', LaunchConfiguration('rate').perform(context), flush=True)
def generate_launch_description():
    return LaunchDescription([
        require_known(__file__, ['rate']),
        DeclareLaunchArgument('rate', default_value='7'), OpaqueFunction(function=say)])
""", encoding='utf-8')
    launches: list[tuple[str, list[str]]] = []
    for name, (actions, _) in INCLUDED_TWICE.items():
        outer = tmp_path / f'{name}.launch.py'
        outer.write_text(f"""
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, GroupAction, IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource
def include(**arguments):
    return IncludeLaunchDescription(
        PythonLaunchDescriptionSource({str(inner)!r}), launch_arguments=list(arguments.items()))
def generate_launch_description():
    return LaunchDescription([{actions}])
""", encoding='utf-8')
        launches.append((str(outer), []))
    found = outputs_of(free_domain(), launches)
    for (output, status), (name, (_, expected)) in zip(found, INCLUDED_TWICE.items(), strict=True):
        rates = [line.split()[1] for line in output.splitlines() if line.startswith('rate ')]
        assert expected in f'{output} rates {" and ".join(rates)}', (name, output)
        assert status == (name == 'leak'), (name, output)
