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
"""Drafts from the files of mjlab, Isaac Lab and LEAPP: what they state, and what is asked for."""

from __future__ import annotations

import json
from pathlib import Path
import struct
from typing import Any

import numpy as np
import onnx
import pytest
import yaml

from dfp_ros.tools.adopt.main import main
from testing.policies.foreign_policies import HIDDEN, write_network, write_recurrent

JOINTS = ['hip', 'thigh', 'calf']
# As mjlab.rl.exporter_utils writes it, numbers with three decimals.
MJLAB: dict[str, str] = {
    'run_path': 'me/velocity/abc', 'joint_names': 'hip,thigh,calf',
    'joint_stiffness': '20.000,21.000,22.000', 'joint_damping': '1.000,1.100,1.200',
    'default_joint_pos': '0.100,0.900,-1.800', 'command_names': 'twist',
    'observation_names': 'base_ang_vel,projected_gravity,joint_pos,joint_vel,actions,command',
    'action_scale': '0.373,0.373,0.373'}
NEWER = {
    'observation_terms_scale': '0.250,1.000,1.000,0.050,1.000,[2.0, 2.0, 0.25]',
    'observation_terms_flatten_history_dim': '1.000,1.000,1.000,1.000,1.000,1.000',
    'observation_terms_history_length': '0.000,0.000,2.000,0.000,0.000,0.000',
    'observation_terms_clip': '[-inf, inf],[-inf, inf],[-2.0, 2.0],[-inf, inf],[-inf, inf],'
    '[-inf, inf]'}
# As mjlab 1.6 writes the items of an item.
NEWEST = {
    **NEWER, 'observation_terms_scale': '0.250,1.000,1.000,0.050,1.000,2.000;2.000;0.250',
    'observation_terms_clip': '-inf;inf,-inf;inf,-2.000;2.000,-inf;inf,-inf;inf,-inf;inf'}


def draft(
        folder: Path, monkeypatch: pytest.MonkeyPatch, *files: Path, name: str = 'policy',
        ) -> tuple[dict[str, Any], str]:
    """Draft a meaning; return its content and its text."""
    monkeypatch.chdir(folder)
    assert main([*map(str, files)]) == 1
    text = (folder / f'{name}.adopt.yaml').read_text()
    return yaml.safe_load(text), text


def fill_in(folder: Path, *files: Path, **values: str) -> None:
    """Fill in all marks of a draft by key, and adopt."""
    path = folder / 'policy.adopt.yaml'
    text = path.read_text()
    for key, value in {'environment': 'x', 'low': '-9', 'high': '9', **values}.items():
        text = text.replace(f'{key}: FILL_IN', f'{key}: {value}')
    assert ': FILL_IN' not in text
    path.write_text(text)
    assert main([*map(str, files), str(path), '--out', str(folder / 'out.onnx')]) == 0


def test_mjlab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names, posture, scale and gains are stated; sizes follow, if they fit the graph."""
    foreign = write_network(tmp_path / 'policy.onnx', 3 + 3 + 3 + 3 + 3 + 3, 3, MJLAB)
    found, text = draft(tmp_path, monkeypatch, foreign)
    terms = found['inputs']['obs']['terms']
    assert [(term.get('name'), term.get('size'), term.get('unit')) for term in terms] == [
        ('base_ang_vel', 3, 'rad/s'), ('projected_gravity', 3, '1'), ('joint_pos', 3, 'rad'),
        ('joint_vel', 3, 'rad/s'), (None, None, None), ('command', 3, 'FILL_IN')]
    assert terms[4] == {'last_action': 'actions'}
    assert terms[2]['minus'] == [0.1, 0.9, -1.8]
    assert terms[2]['elements'] == JOINTS
    assert terms[1]['low'] == -1
    assert 'what the other terms leave; check' in text
    assert "by its name, as in mjlab's own tasks; check" in text
    [field] = found['outputs']['actions']['fields']
    assert (field['scale'], field['offset']) == (0.373, [0.1, 0.9, -1.8])
    assert (field['low'], found['period']) == ('FILL_IN', 'FILL_IN')
    assert [(each['name'], each['values']) for each in found['constants']] == [
        ('kp', [20, 21, 22]), ('kd', [1, 1.1, 1.2])]
    fill_in(tmp_path, foreign, period='0.02', unit='m/s')


@pytest.mark.parametrize('metadata', [NEWER, NEWEST])
def test_newer_mjlab(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metadata: dict[str, str]) -> None:
    """Scale, clip and history of each term, too."""
    foreign = write_network(tmp_path / 'policy.onnx', 3 + 3 + 6 + 3 + 3 + 3, 3, {
        **MJLAB, **metadata})
    found, _ = draft(tmp_path, monkeypatch, foreign)
    terms = found['inputs']['obs']['terms']
    assert [term.get('scale') for term in terms] == [
        0.25, None, None, 0.05, None, [2.0, 2.0, 0.25]]
    assert (terms[2]['history'], terms[2]['clip']) == (2, [-2, 2])
    assert terms[5]['size'] == 3
    fill_in(tmp_path, foreign, period='0.02', unit='m/s')


def test_mjlab_values_that_cannot_be_read(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are asked for, not left out."""
    foreign = write_network(tmp_path / 'policy.onnx', 21, 3, {
        **MJLAB, **NEWEST, 'observation_terms_scale': 'half,1.000,1.000,1.000,1.000,1.000',
        'default_joint_pos': '0.100,nan,0.200', 'run_path': '\x1b[31m\nme',
        'observation_terms_clip': '-inf;2.000,-inf;inf,-inf;inf,-inf;inf,-inf;inf,-inf;inf'})
    found, text = draft(tmp_path, monkeypatch, foreign)
    terms = first, *others = found['inputs']['obs']['terms']
    assert (first['scale'], first['clip']) == ('FILL_IN', 'FILL_IN')
    assert "mjlab states 'half'" in text
    assert terms[2]['minus'] == 'FILL_IN'
    assert found['environment'] == r'\x1b[31m\nme'
    assert not any('scale' in term or 'clip' in term for term in others)


def test_mjlab_names_that_do_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the sizes that the names suggest are not those of the graph, they are asked for."""
    foreign = write_network(tmp_path / 'policy.onnx', 11, 3, MJLAB)
    found, text = draft(tmp_path, monkeypatch, foreign)
    assert {term.get('size') for term in found['inputs']['obs']['terms']} == {'FILL_IN', None}
    assert 'all 6 terms have 11 numbers together' in text


@pytest.mark.parametrize(('key', 'text', 'words'), [
    ('observation_terms_history_length', '0,0,inf,0,0,0', 'history_length inf, expected 0 to'),
    ('observation_terms_history_length', '0,0,x,0,0,0', 'history_length x, expected 0 to 1000'),
    ('observation_names', ','.join(f'name{i}' for i in range(9999)), 'characters of observation')])
def test_mjlab_metadata_without_bounds(
        tmp_path: Path, capsys: pytest.CaptureFixture[str], key: str, text: str,
        words: str) -> None:
    """They are refused by name."""
    foreign = write_network(tmp_path / 'policy.onnx', 21, 3, {**MJLAB, **NEWEST, key: text})
    assert main([str(foreign)]) == 2
    assert words in capsys.readouterr().err


def test_mjlab_without_an_action(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its only output is a state."""
    model = onnx.load(write_recurrent(tmp_path / 'policy.onnx', 18, 3))
    del model.graph.output[0]
    onnx.helper.set_model_props(model, MJLAB)
    onnx.save(model, tmp_path / 'policy.onnx')
    assert main([str(tmp_path / 'policy.onnx')]) == 2
    assert 'found the outputs h_out, c_out, expected one of actions' in capsys.readouterr().err


def test_a_name_of_a_file_is_no_line_of_the_draft(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    """A bundle names its model, and the draft is printed, too."""
    name = 'x\x1b[2J\nperiod: 0.5\n#.onnx'
    monkeypatch.chdir(tmp_path)
    assert main([str(write_network(tmp_path / name, 5, 2))]) == 1
    text = next(tmp_path.glob('*.adopt.yaml')).read_text()
    assert yaml.safe_load(text)['period'] == 'FILL_IN'
    assert r'x\x1b[2J\nperiod: 0.5\n#.onnx' in text
    assert '\x1b' not in text + capsys.readouterr().out


def test_names_alone_make_no_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An output of another size is not what the input was before."""
    model = onnx.load(write_network(tmp_path / 'policy.onnx', 5, 2))
    graph, names = model.graph, {'obs': 'x_in', 'actions': 'x_out'}
    for named in (*graph.input, *graph.output):
        named.name = names[named.name]
    for node in graph.node:
        for part in (node.input, node.output):
            part[:] = [names.get(name, name) for name in part]
    onnx.save(model, tmp_path / 'policy.onnx')
    found, _ = draft(tmp_path, monkeypatch, tmp_path / 'policy.onnx')
    assert list(found['inputs']['x_in']) == ['terms']
    assert list(found['outputs']) == ['x_out']


def test_plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The metadata is not used if that is asked for."""
    foreign = write_network(tmp_path / 'policy.onnx', 18, 3, MJLAB)
    monkeypatch.chdir(tmp_path)
    assert main([str(foreign), '--plain']) == 1
    assert 'joint_pos:' not in (tmp_path / 'policy.adopt.yaml').read_text()


def term(name: str, size: int, kind: str = '', **more: Any) -> dict[str, Any]:
    """Describe a term as Isaac Lab does."""
    extras = {'description': 'A term.', 'modifiers': None, 'units': more.pop('units', None)}
    overloads = {
        'clip': more.pop('clip', None), 'flatten_history_dim': True,
        'history_length': more.pop('history', 0), 'scale': more.pop('scale', None)}
    return {
        'name': name, 'dtype': 'torch.float32', 'mdp_type': 'Observation', 'shape': [size],
        'full_path': f'isaaclab.envs.mdp.observations.{kind or name}', 'extras': {
            key: value for key, value in extras.items() if value or key == 'modifiers'},
        'overloads': overloads, **more}


def descriptors(**changes: Any) -> dict[str, Any]:
    """Write IO descriptors of a policy with three joints."""
    return {
        'actions': [{
            'action_type': 'JointAction', 'clip': None, 'dtype': 'torch.float32', 'extras': {},
            'full_path': 'isaaclab.envs.mdp.actions.joint_actions.JointPositionAction',
            'joint_names': JOINTS, 'mdp_type': 'Action', 'name': 'joint_position_action',
            'offset': [0.1, 0.4000000059604645, -0.8], 'scale': 0.5, 'shape': [3]}],
        'articulations': {'robot': {
            'joint_names': JOINTS[::-1],
            'default_joint_pos_limits': [[-2.5, -0.5], [-1.0, 3.0], [-0.8, 0.8]]}},
        'observations': {'policy': [
            term('base_ang_vel', 3, units='rad/s', scale=0.2),
            term('gravity', 3, 'projected_gravity', units='m/s^2'),
            term('velocity_commands', 3, 'generated_commands'),
            term('joint_pos', 3, 'joint_pos_rel', units='rad', joint_names=JOINTS, history=2,
                 joint_pos_offsets=[0.1, 0.4000000059604645, -0.8], clip=[-3.0, 3.0]),
            term('actions', 3, 'last_action')], 'critic': [term('height_scan', 7)]},
        'scene': {'decimation': 4, 'dt': 0.02, 'physics_dt': 0.005}, **changes}


def write(folder: Path, content: Any, name: str = 'IO_descriptors.yaml') -> Path:
    """Write a YAML file."""
    path = folder / name
    path.write_text(yaml.safe_dump(content))
    return path


def test_io_descriptors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything but ranges, and the unit of a command, is stated."""
    foreign = write_recurrent(tmp_path / 'policy.onnx', 3 + 3 + 3 + 6 + 3, 3)
    described = write(tmp_path, descriptors())
    found, text = draft(tmp_path, monkeypatch, foreign, described)
    assert found['period'] == 0.02
    terms = found['inputs']['obs']['terms']
    assert terms[0] == {'name': 'base_ang_vel', 'unit': 'rad/s', 'size': 3, 'low': 'FILL_IN',
                        'high': 'FILL_IN', 'scale': 0.2}
    assert terms[1] == {'name': 'gravity', 'unit': '1', 'size': 3, 'low': -1, 'high': 1}
    assert terms[2]['unit'] == 'FILL_IN'
    assert terms[3]['minus'] == [0.1, 0.4000000059604645, -0.8]
    assert (terms[3]['history'], terms[3]['clip']) == (2, [-3, 3])
    assert terms[4] == {'last_action': 'actions'}
    [field] = found['outputs']['actions']['fields']
    assert (field['scale'], field['unit']) == (0.5, 'rad')
    assert field['offset'] == [0.1, 0.4000000059604645, -0.8]
    assert field['elements'] == JOINTS
    assert 'largest command; the joints of the training have [0.8, 3.0, -0.5]' in text
    assert found['inputs']['h_in'] == {'state': 'h_out'}
    fill_in(tmp_path, foreign, unit="'1'")


def test_descriptors_that_cannot_be_read(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What changes the numbers is asked for, not left out; what changes nothing is."""
    foreign = write_network(tmp_path / 'policy.onnx', 18, 3)
    described = write(tmp_path, descriptors(observations={'policy': [
        term('a', 3, scale=[1.0, 1.0, 1.0], clip=[-np.inf, np.inf], joint_vel_offsets=[0.0] * 3),
        term('b', 3, scale=np.nan), term('c', 3, scale={'x': 2.0}), term('d', 3, clip=[0, np.inf]),
        term('e', 6, joint_pos_offsets=[0.1, 0.2])]}))
    found, text = draft(tmp_path, monkeypatch, foreign, described)
    terms = found['inputs']['obs']['terms']
    assert [term.get(key) for term in terms for key in ('minus', 'scale', 'clip')] == [
        None, None, None, None, 'FILL_IN', None, None, 'FILL_IN', None, None, None, 'FILL_IN',
        'FILL_IN', None, None]
    assert 'the file states [0.1, 0.2]' in text


@pytest.mark.parametrize(('changes', 'words'), [
    ({'observations': {'policy': [term('height_scan', 7)]}},
     'policy (7 numbers); the input'),
    ({'observations': {'policy': [term('a', 18, modifiers=1) | {
        'extras': {'modifiers': ['delay']}}]}}, "the term 'a' has modifiers"),
    ({'observations': {'policy': 'x'}}, 'expected a list of terms, as Isaac Lab writes it')])
def test_descriptors_that_do_not_fit(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
        changes: dict[str, Any], words: str) -> None:
    """The difference is named."""
    foreign = write_network(tmp_path / 'policy.onnx', 18, 3)
    monkeypatch.chdir(tmp_path)
    assert main([str(foreign), str(write(tmp_path, descriptors(**changes)))]) == 2
    assert words in capsys.readouterr().err


# As yaml.dump writes the configuration of an environment.
ENV = """
sim:
  dt: 0.005
  gravity: !!python/tuple [0.0, 0.0, -9.81]
decimation: 4
scene:
  robot:
    init_state:
      joint_pos:
        .*hip: 0.1
        .*calf: -1.5
observations:
  policy:
    concatenate_terms: true
    history_length: null
    base_ang_vel:
      func: isaaclab.envs.mdp.observations:base_ang_vel
      params:
        asset_cfg:
          joint_ids: !!python/object/apply:builtins.slice [null, null, null]
      modifiers: null
      noise: {func: 'isaaclab.utils.noise.noise_model:uniform_noise', n_min: -0.2}
      clip: !!python/tuple [-100.0, 100.0]
      scale: 0.2
      history_length: 0
    gravity: {func: 'isaaclab.envs.mdp.observations:projected_gravity', scale: null}
    velocity: {func: 'isaaclab.envs.mdp.observations:generated_commands', history_length: 0}
    joint_pos: {func: 'isaaclab.envs.mdp.observations:joint_pos_rel', history_length: 3}
    actions: {func: 'isaaclab.envs.mdp.observations:last_action'}
actions:
  joint_pos:
    class_type: isaaclab.envs.mdp.actions.joint_actions:JointPositionAction
    asset_name: robot
    joint_names: ['.*']
    scale: 0.25
    offset: 0.0
    use_default_offset: true
"""


def test_isaac_env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The terms and their functions are stated, but not what depends on the order of joints."""
    foreign = write_network(tmp_path / 'policy.onnx', 3 + 3 + 3 + 6 + 2, 2)
    path = tmp_path / 'env.yaml'
    path.write_text(ENV)
    found, text = draft(tmp_path, monkeypatch, foreign, path)
    assert found['period'] == 0.02
    terms = found['inputs']['obs']['terms']
    assert terms[0] == {'name': 'base_ang_vel', 'unit': 'rad/s', 'size': 3, 'low': 'FILL_IN',
                        'high': 'FILL_IN', 'scale': 0.2, 'clip': [-100, 100]}
    assert terms[1] == {'name': 'gravity', 'unit': '1', 'size': 3, 'low': -1, 'high': 1}
    assert (terms[2]['size'], terms[2]['unit']) == ('FILL_IN', 'FILL_IN')
    assert (terms[3]['minus'], terms[3]['history']) == ('FILL_IN', 3)
    assert terms[4] == {'last_action': 'actions'}
    [field] = found['outputs']['actions']['fields']
    assert (field['scale'], field['offset'], field['size']) == (0.25, 'FILL_IN', 2)
    assert 'the default posture, in the order of the joints: .*hip 0.1, .*calf -1.5' in text
    assert 'all terms have 17 numbers together' in text
    text = text.replace('size: FILL_IN', 'size: 3', 1).replace('size: FILL_IN', 'size: 2', 1)
    (tmp_path / 'policy.adopt.yaml').write_text(text)
    fill_in(tmp_path, foreign, unit='rad', minus='[0.1, -1.5]', offset='[0.1, -1.5]')


@pytest.mark.parametrize('content', [ENV, yaml.safe_dump(descriptors())])
def test_isaac_lab_without_an_action(
        tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str) -> None:
    """The input, of which there is one as expected, is not the fault."""
    model = onnx.load(write_recurrent(tmp_path / 'policy.onnx', 17, 2))
    del model.graph.output[0]
    onnx.save(model, tmp_path / 'policy.onnx')
    (tmp_path / 'isaac.yaml').write_text(content)
    assert main([str(tmp_path / 'policy.onnx'), str(tmp_path / 'isaac.yaml')]) == 2
    assert 'found the outputs h_out, c_out, expected one of actions' in capsys.readouterr().err


def test_the_default_offset_of_a_velocity_is_no_posture(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the default velocity of the joints, which is 0 if the file says so."""
    foreign = write_network(tmp_path / 'policy.onnx', 3 + 3 + 3 + 6 + 2, 2)
    path = tmp_path / 'env.yaml'
    env = ENV.replace('JointPositionAction', 'JointVelocityAction')
    path.write_text(env)
    found, text = draft(tmp_path, monkeypatch, foreign, path)
    [field] = found['outputs']['actions']['fields']
    assert (field['name'], field['offset']) == ('joint_velocity_targets', 'FILL_IN')
    assert 'the default posture, in the order of the joints: .*hip' not in text
    for velocity, offset in (('0.0', 0.0), ('1.5', 'FILL_IN')):
        path.write_text(env.replace(
            'init_state:\n', f"init_state:\n      joint_vel: {{'.*': {velocity}}}\n").replace(
                'joint_pos_rel', 'joint_vel_rel'))
        (tmp_path / 'policy.adopt.yaml').unlink()
        found, text = draft(tmp_path, monkeypatch, foreign, path)
        [field] = found['outputs']['actions']['fields']
        assert field['offset'] == offset
        # The same is subtracted in the observation.
        assert found['inputs']['obs']['terms'][3].get('minus') == (offset or None)
    assert text.count('the default velocity, in the order of the joints: .* 1.5') == 2


@pytest.mark.parametrize('kind', [
    'RelativeJointPositionAction', 'JointPositionToLimitsAction', 'BinaryJointPositionAction',
    'NonHolonomicAction'])
def test_actions_that_are_no_offset_and_scale(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """
    What the files state of them is not taken for the command; it is asked for.

    A NonHolonomicAction is, of a base, but nobody knows of each kind.
    """
    foreign = write_network(tmp_path / 'policy.onnx', 3 + 3 + 3 + 6 + 2, 2)
    env = write(tmp_path, {}, 'env.yaml')
    env.write_text(ENV.replace('JointPositionAction', kind).replace(
        'use_default_offset: true', 'use_zero_offset: true'))
    action = {
        **descriptors()['actions'][0], 'shape': [2], 'joint_names': JOINTS[:2], 'offset': 0.0,
        'scale': 0.25, 'full_path': f'isaaclab.envs.mdp.actions.joint_actions.{kind}'}
    for file in (env, write(tmp_path, descriptors(actions=[action], observations={
            'policy': [term('x', 17)]}))):
        found, text = draft(tmp_path, monkeypatch, foreign, file)
        [field] = found['outputs']['actions']['fields']
        assert (field['scale'], field['offset']) == ('FILL_IN', 'FILL_IN')
        assert f'the file states 0.25, but a {kind} may be more than offset + scale' in text
        (tmp_path / 'policy.adopt.yaml').unlink()


def test_the_clip_of_an_action_is_shown(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It bounds the command in the training."""
    foreign = write_network(tmp_path / 'policy.onnx', 3 + 3 + 3 + 6 + 2, 2)
    path = tmp_path / 'env.yaml'
    path.write_text(ENV + '    clip:\n      .*hip: !!python/tuple [-0.5, 0.75]\n')
    _, text = draft(tmp_path, monkeypatch, foreign, path)
    assert text.count('the action is clipped in the training: .*hip [-0.5, 0.75]') == 2


def test_the_order_of_a_quaternion_is_said(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not that of ROS in each release."""
    foreign = write_network(tmp_path / 'policy.onnx', 18, 3)
    turn = term('turn', 4, 'root_quat_w', units='unit')
    turn['extras']['axes'] = ['W', 'X', 'Y', 'Z']
    found, _ = draft(tmp_path, monkeypatch, foreign, write(tmp_path, descriptors(
        observations={'policy': [turn, term('x', 14)]})))
    assert found['inputs']['obs']['terms'][0]['elements'] == ['W', 'X', 'Y', 'Z']
    path = tmp_path / 'env.yaml'
    path.write_text(ENV.replace('projected_gravity', 'root_quat_w'))
    (tmp_path / 'policy.adopt.yaml').unlink()
    _, text = draft(tmp_path, monkeypatch, foreign, path)
    assert 'size: 4  # w, x, y, z up to Isaac Lab 2; x, y, z, w from 3 on' in text


def bundle(folder: Path, **pipeline: Any) -> Path:
    """Write a bundle of LEAPP with one recurrent model."""
    write_recurrent(folder / 'policy.onnx', 3, 2)

    def port(name: str, *shape: int, **more: Any) -> dict[str, Any]:
        return {'name': name, 'dtype': 'float32', 'shape': list(shape), 'type': 'tensor', **more}

    values = np.arange(HIDDEN, dtype='<f4')
    header = json.dumps({'policy/h_in': {
        'dtype': 'F32', 'shape': [1, 1, HIDDEN], 'data_offsets': [0, values.nbytes]}}).encode()
    (folder / 'first.safetensors').write_bytes(
        struct.pack('<Q', len(header)) + header + values.tobytes())
    state = (1, 1, HIDDEN)
    return write(folder, {
        'models': {'policy': {
            'inputs': [
                port('obs', 1, 3, kind='state/body/angular_velocity',
                     element_names=[None, ['x', 'y', 'z']]),
                port('h_in', *state), port('c_in', *state)],
            'outputs': [
                port('actions', 1, 2, kind='target/joint/position',
                     element_names=[None, ['a', 'b']]),
                port('h_out', *state), port('c_out', *state)],
            'parameters': {'backend': 'onnx', 'model_path': 'policy.onnx'}}},
        'pipeline': {
            'data_flow': {}, 'feedback_flow': {
                'policy/h_out': ['policy/h_in'], 'policy/c_out': ['policy/c_in']},
            'inputs': {'policy': ['obs']}, 'outputs': {'policy': ['actions']},
            'initial_values': 'first.safetensors', 'configs': {'frequency': 50}, **pipeline},
        'system information': {'leapp version': '0.7.2'}}, 'bundle.yaml')


def test_leapp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kinds, elements, states with their first values, and frequency are stated."""
    path = bundle(tmp_path)
    found, text = draft(tmp_path, monkeypatch, path)
    assert found['period'] == 0.02
    [observed] = found['inputs']['obs']['terms']
    assert (observed['unit'], observed['elements']) == ('rad/s', ['x', 'y', 'z'])
    assert found['inputs']['h_in'] == {'state': 'h_out', 'initial': list(range(HIDDEN))}
    assert found['inputs']['c_in'] == {'state': 'c_out'}
    [field] = found['outputs']['actions']['fields']
    assert (field['unit'], field['scale'], field['elements']) == ('FILL_IN', 1, ['a', 'b'])
    assert 'rad, or m for a prismatic joint; its kind is target/joint/position' in text
    fill_in(tmp_path, tmp_path / 'policy.onnx', unit='rad')


@pytest.mark.parametrize(('old', 'new', 'words'), [
    ('model_path: policy.onnx', 'model_path: policy.pt2', 'expected an .onnx file'),
    ('model_path: policy.onnx', 'model_path: ../policy.onnx', 'expected a file beside it'),
    ('initial_values: first', 'initial_values: second', 'cannot be read: No such file'),
    ('models:', 'models:\n  second: {}', 'found the models second, policy, expected one')])
def test_bundles_that_do_not_fit(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
        old: str, new: str, words: str) -> None:
    """The reason is named."""
    path = bundle(tmp_path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    monkeypatch.chdir(tmp_path)
    assert main([str(path)]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(('models', 'words'), [
    ({}, 'found the models nothing, expected one'),
    ({'encoder': {}, 'policy': {}}, 'found the models encoder, policy, expected one')])
def test_a_bundle_of_another_count_of_models_beside_its_model(
        tmp_path: Path, capsys: pytest.CaptureFixture[str], models: dict[str, Any],
        words: str) -> None:
    """Not the first of them is taken for the one that is given."""
    path = bundle(tmp_path)
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), 'models': models}))
    assert main([str(tmp_path / 'policy.onnx'), str(path)]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize('header', [
    b'[' * 9999, b'[1]', b'{"policy/h_in": {"dtype": "F32", "data_offsets": [0]}}'])
def test_first_values_that_are_damaged(
        tmp_path: Path, capsys: pytest.CaptureFixture[str], header: bytes) -> None:
    """The file is named."""
    path = bundle(tmp_path)
    (tmp_path / 'first.safetensors').write_bytes(struct.pack('<Q', len(header)) + header)
    assert main([str(path)]) == 2
    assert 'first.safetensors: is not a file of initial values' in capsys.readouterr().err


def test_a_shape_that_the_graph_leaves_open(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bundle has it, and its draft can be read."""
    path = bundle(tmp_path)
    model = onnx.load(tmp_path / 'policy.onnx')
    model.graph.input[1].type.tensor_type.shape.dim[2].dim_param = 'hidden'
    onnx.save(model, tmp_path / 'policy.onnx')
    found, _ = draft(tmp_path, monkeypatch, path)
    assert found['inputs']['h_in']['shape'] == [1, 1, HIDDEN]
    fill_in(tmp_path, tmp_path / 'policy.onnx', unit='rad')


def test_weights_in_a_file_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As PyTorch writes them; they are in the policy file then."""
    foreign = write_network(tmp_path / 'policy.onnx', 4, 2)
    onnx.save_model(
        onnx.load(foreign), foreign, save_as_external_data=True, location='policy.onnx.data',
        size_threshold=0)
    assert (tmp_path / 'policy.onnx.data').exists()
    draft(tmp_path, monkeypatch, foreign)
    fill_in(tmp_path, foreign, period='0.02', name='a', unit="'1'", size='4', scale='1',
            offset='0')
    (tmp_path / 'policy.onnx.data').unlink()
    assert len(onnx.load(tmp_path / 'out.onnx').graph.initializer) >= 4
