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
"""``~`` in a path on a command line."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from launch import LaunchContext
import pytest

from dfp_ros.core.files.user_path import user_path
from dfp_ros.core.settings.setting import SettingsError
from dfp_ros.launch_arguments import find_parameter_file, LaunchError
from dfp_ros.node.files.loader_process import answer
from dfp_ros.sim.demo import main as demo
from dfp_ros.sim.sim_robot.settings import _folder
from dfp_ros.tools.describe import main as describe
from dfp_ros.tools.evaluation import main as evaluation
from dfp_ros.tools.preflight import main as preflight
from dfp_ros.tools.preflight.report import PreflightError
from dfp_ros.tools.preflight.subject import require_preflight


def test_the_home_folder_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the start only, and an unknown user stays as it is."""
    monkeypatch.setenv('HOME', str(tmp_path))
    assert user_path('~/x') == user_path(Path('~/x')) == tmp_path / 'x'
    assert user_path('~') == tmp_path
    for text in ('x/~/y', '~no_such_user/x', '/x', 'x~'):
        assert user_path(text) == Path(text)


def test_the_commands_expand_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell leaves ``--out=~/x`` as it is."""
    monkeypatch.setenv('HOME', str(tmp_path))
    assert describe.parse(['--out=~/x.yaml']).out == tmp_path / 'x.yaml'
    assert evaluation.parse(['--out=~/x.json']).out == tmp_path / 'x.json'
    assert preflight.parse(['--json=~/x.json']).json == tmp_path / 'x.json'
    assert demo.parse(['--json=~/x.json']).json == tmp_path / 'x.json'


def test_parameters_that_name_an_unknown_user(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a command line, it stays as it is, and a path that cannot be is refused by name."""
    monkeypatch.chdir(tmp_path)
    assert _folder('~no_such_user/x') == Path('~no_such_user/x')
    assert (tmp_path / '~no_such_user' / 'x').is_dir()
    with pytest.raises(SettingsError, match='parameter record: .*: no file can have that path'):
        _folder('a\0b')

    request = {'do': 'read', 'name': '~no_such_user/y.yaml', 'folder': '', 'suffix': '.yaml'}
    reply, _ = answer(request, [])
    assert reply['error'].startswith('~no_such_user/y.yaml: '), reply

    context = LaunchContext()
    for text, message in (
            ('~no_such_user/y.yaml', 'which is no such file'), ('x' * 5000, 'no file can have')):
        context.launch_configurations['params'] = text
        with pytest.raises(LaunchError, match=f'argument params: .*{message}'):
            find_parameter_file(context, 'params', str)

    def read(path: Path) -> bytes:
        raise ValueError(f'there is no {path}')

    loop: Any = SimpleNamespace(settings=SimpleNamespace(require_preflight='~no_such_user/z.json'))
    with pytest.raises(PreflightError, match='~no_such_user/z.json: cannot be read: there is no'):
        require_preflight(loop, read)


@pytest.mark.parametrize('text', ['x' * 5000, '/tmp/' + 'y' * 300, '/' + 'z/' * 3000, 'a\0b'])
def test_what_cannot_be_a_path(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It is refused in a line, before anybody looks for the file."""
    with pytest.raises(ValueError, match='no file can have that path') as raised:
        user_path(text)
    assert len(str(raised.value)) < 200
    with pytest.raises(SystemExit) as ended:
        describe.parse([f'--out={text}'])
    assert ended.value.code == 2
    assert 'no file can have that path' in capsys.readouterr().err
