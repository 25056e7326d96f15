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
Small policies, exported by the frameworks of others, and what they answer there.

``make interop`` runs this in the environment of ``make interop-env``, which has the frameworks and
nothing of this package. For each policy there is a folder with its files as the framework exports
them, its meaning for ``adopt``, and ``calls.npz``: values that a robot measures, and the commands
that the framework's own runtime, PyTorch, makes of them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
import json
from pathlib import Path
import shutil
import sys

import numpy as np
import onnx
import torch
import yaml

POSTURE = [0.1, -0.2, 0.8, -1.5]
JOINTS = ['a', 'b', 'c', 'd']
ACTIONS = 4
MJLAB_TASK = 'Mjlab-Velocity-Flat-Unitree-Go1'
EPISODES, CALLS = 2, 40


class Term:
    """
    Term of an observation, as Isaac Lab and mjlab compute it.

    :param name: Its name; empty for the last action.
    :param size: Its size.
    :param unit: Its unit.
    :param bound: Largest value either way.
    :param minus: Subtracted from the value.
    :param scale: Multiplied.
    :param clip: Bounds before that.
    :param history: Its ticks.
    """

    def __init__(
            self, name: str, size: int, unit: str, bound: float, minus: Sequence[float] = (),
            scale: float = 1.0, clip: Sequence[float] = (), history: int = 1) -> None:
        """Begin an episode."""
        self.name, self.size, self.unit, self.bound = name, size, unit, bound
        self.minus, self.scale, self.clip, self.history = minus, scale, clip, history
        self.past: list[torch.Tensor] = []

    def see(self, value: torch.Tensor) -> torch.Tensor:
        """Compute the term, shape (history, size), the oldest first; the first fills a history."""
        if self.minus:
            value = value - torch.tensor(self.minus)
        if self.clip:
            value = value.clip(*self.clip)
        value = value * self.scale
        self.past = [*(self.past or [value] * (self.history - 1)), value][-self.history:]
        return torch.stack(self.past)

    def meaning(self) -> dict[str, object]:
        """Describe it for adopt."""
        found: dict[str, object] = {
            'name': self.name, 'unit': self.unit, 'size': self.size, 'low': -self.bound,
            'high': self.bound} if self.name else {'last_action': 'actions'}
        found |= {'history': self.history} if self.history > 1 else {}
        found |= {'minus': [*self.minus]} if self.minus else {}
        found |= {'scale': self.scale} if self.scale != 1 else {}
        return found | ({'clip': [*self.clip]} if self.clip else {})


def terms(history: int = 1, joints: int = 1) -> list[Term]:
    """List the terms of a legged robot."""
    return [
        Term('base_ang_vel', 3, 'rad/s', 4.0, scale=0.25, history=history),
        Term('projected_gravity', 3, '1', 1.0, history=history),
        Term('velocity_command', 3, 'm/s', 1.0, scale=2.0, history=history),
        Term('joint_pos', 4, 'rad', 2.0, POSTURE, clip=(-1.5, 1.5), history=joints),
        Term('joint_vel', 4, 'rad/s', 10.0, scale=0.05, history=history),
        Term('', ACTIONS, '', 0.0, history=history)]


def write_calls(
        folder: Path, observed: list[Term], act: Callable[[torch.Tensor], torch.Tensor],
        reset: Callable[[], object], is_time_major: bool = False) -> None:
    """Run the policy in its framework, and write what it saw and commanded."""
    generator = np.random.default_rng(0)
    values, commands, first = [], [], []
    for _ in range(EPISODES):
        reset()
        for term in observed:
            term.past = []
        last = torch.zeros(ACTIONS)
        for call in range(CALLS):
            measured = [
                torch.from_numpy(generator.uniform(
                    -term.bound, term.bound, term.size).astype(np.float32))
                for term in observed if term.name]
            rest = iter(measured)
            seen = [term.see(next(rest) if term.name else last) for term in observed]
            observation = torch.cat(
                [ticks[i] for i in range(len(seen[0])) for ticks in seen] if is_time_major
                else [ticks.flatten() for ticks in seen])
            with torch.no_grad():
                last = act(observation[None])[0].detach().clone()
            values.append(torch.cat(measured).numpy())
            commands.append((torch.tensor(POSTURE) + 0.5 * last).numpy())
            first.append(call == 0)
    np.savez_compressed(
        folder / 'calls.npz', values=np.array(values), commands=np.array(commands),
        first=np.array(first))


def write_meaning(
        folder: Path, observed: list[Term], states: Sequence[str] = (),
        is_time_major: bool = False, given: str = 'obs') -> None:
    """Write what adopt has to know."""
    inputs: dict[str, object] = {given: {'terms': [term.meaning() for term in observed]} | (
        {'order': 'time'} if is_time_major else {})}
    inputs |= {f'{name}_in': {'state': f'{name}_out'} for name in states}
    meaning = {
        'name': folder.name, 'environment': 'interop', 'period': 0.02, 'inputs': inputs,
        'outputs': {'actions': {'fields': [{
            'name': 'joint_position_targets', 'unit': 'rad', 'size': ACTIONS, 'scale': 0.5,
            'offset': POSTURE, 'low': -10.0, 'high': 10.0}]}}}
    (folder / 'meaning.adopt.yaml').write_text(yaml.safe_dump(meaning, sort_keys=False))


def write_versions(folder: Path, *names: str) -> None:
    """Write which versions have exported a policy."""
    found = {}
    for name in (*names, 'torch', 'onnx'):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    (folder / 'versions.json').write_text(json.dumps(found, indent=2) + '\n')


def rsl_rl_policies(out: Path) -> None:
    """Export policies of rsl_rl: with normaliser, feed-forward, LSTM and GRU."""
    from rsl_rl.models import MLPModel, RNNModel
    from tensordict import TensorDict
    for name, observed, kind, is_time_major in (
            ('rsl_rl_mlp', terms(joints=3), '', False),
            ('rsl_rl_mlp_time_major', terms(2, 2), '', True),
            ('rsl_rl_lstm', terms(), 'lstm', False), ('rsl_rl_gru', terms(), 'gru', False)):
        torch.manual_seed(1)
        folder = make_folder(out / name)
        size = sum(term.size * term.history for term in observed)
        sample = TensorDict({'policy': torch.randn(64, size) * 2 + 0.5}, batch_size=[64])
        options = {'hidden_dims': [16, 16], 'activation': 'elu', 'obs_normalization': True}
        groups = {'actor': ['policy']}
        model = (
            RNNModel(sample, groups, 'actor', ACTIONS, **options, rnn_type=kind,
                     rnn_hidden_dim=12, rnn_num_layers=1) if kind
            else MLPModel(sample, groups, 'actor', ACTIONS, **options))
        model.update_normalization(sample)
        model.eval()
        exported = model.as_onnx(verbose=False)
        exported.to('cpu')
        exported.eval()
        # As OnPolicyRunner.export_policy_to_onnx does.
        torch.onnx.export(
            exported, exported.get_dummy_inputs(), str(folder / 'policy.onnx'),
            export_params=True, opset_version=18, verbose=False,
            input_names=exported.input_names, output_names=exported.output_names)
        leave_out_traces(folder / 'policy.onnx')
        write_calls(
            folder, observed, lambda seen, model=model: model(
                TensorDict({'policy': seen}, batch_size=[1])),
            lambda model=model: model.reset(), is_time_major)
        write_meaning(
            folder, observed, {'': (), 'lstm': ('h', 'c'), 'gru': ('h',)}[kind], is_time_major)
        write_versions(folder, 'rsl-rl-lib')


def leapp_policies(out: Path) -> None:
    """Export a recurrent policy of PyTorch with LEAPP, and run it in LEAPP's own runtime."""
    import leapp
    from leapp import annotate, GraphConfigs, InferenceManager, TensorSemantics
    from leapp.utils.enums import InputKindEnum, OutputKindEnum
    from safetensors.torch import load_file

    class Recurrent(torch.nn.Module):
        """Policy with a hidden state in a buffer."""

        def __init__(self, size: int) -> None:
            """Make the layers."""
            super().__init__()
            self.gru = torch.nn.GRU(size, 12)
            self.head = torch.nn.Linear(12, ACTIONS)
            self.register_buffer('hidden', torch.linspace(-0.5, 0.5, 12).reshape(1, 1, 12))

        def forward(self, gyro: torch.Tensor, joints: torch.Tensor) -> torch.Tensor:
            """Answer, and keep the state."""
            seen = torch.cat([gyro * 0.25, joints - torch.tensor(POSTURE)], dim=-1)
            answer, self.hidden = self.gru(seen[None], self.hidden)
            return torch.tensor(POSTURE) + 0.5 * self.head(answer[0])

    torch.manual_seed(2)
    folder = make_folder(out / 'leapp_gru')
    observed = [Term('gyro', 3, 'rad/s', 4.0), Term('joint_pos', 4, 'rad', 2.0)]
    model = Recurrent(7).eval()
    leapp.start(name='policy', save_path=str(folder))
    gyro, joints = annotate.input_tensors('policy', [
        TensorSemantics('gyro', torch.zeros(1, 3), kind=InputKindEnum.BODY_ANGULAR_VELOCITY,
                        element_names=[None, ['x', 'y', 'z']]),
        TensorSemantics('joint_pos', torch.zeros(1, 4), kind=InputKindEnum.JOINT_POSITION,
                        element_names=[None, JOINTS])])
    annotate.module('policy', model)
    annotate.output_tensors('policy', [TensorSemantics(
        'targets', model(gyro, joints), kind=OutputKindEnum.JOINT_POSITION,
        element_names=[None, JOINTS])], export_with='onnx-torchscript')
    leapp.stop()
    leapp.compile_graph(graph_configs=GraphConfigs(frequency=50), visualize=False)
    bundle = next(folder.rglob('*.yaml'))
    for path in [*bundle.parent.iterdir()]:
        if path.suffix in ('.yaml', '.onnx', '.safetensors'):
            shutil.copy(path, folder / path.name)
    if bundle.parent != folder:
        shutil.rmtree(bundle.parent)
    running: list[InferenceManager] = []

    def reset() -> None:
        running[:] = [InferenceManager(str(folder / bundle.name))]

    def act(seen: torch.Tensor) -> torch.Tensor:
        [answer] = running[0].run_policy({
            'policy/gyro': seen[:, :3], 'policy/joint_pos': seen[:, 3:]}).values()
        # write_calls makes commands of actions; here they are commands already.
        return (answer.reshape(1, ACTIONS) - torch.tensor(POSTURE)) / 0.5

    write_calls(folder, observed, act, reset)
    stated = yaml.safe_load((folder / bundle.name).read_text())['pipeline']
    first = load_file(folder / stated['initial_values'])
    inputs: dict[str, object] = {term.name: {'terms': [term.meaning()]} for term in observed}
    for source, targets in stated['feedback_flow'].items():
        for target in targets:
            inputs[target.partition('/')[2]] = {
                'state': source.partition('/')[2], 'initial': first[target].flatten().tolist()}
    (folder / 'meaning.adopt.yaml').write_text(yaml.safe_dump({
        'name': folder.name, 'environment': 'interop', 'period': 0.02, 'inputs': inputs,
        'outputs': {'targets': {'fields': [{
            'name': 'joint_position_targets', 'unit': 'rad', 'size': ACTIONS, 'low': -10.0,
            'high': 10.0}]}}}, sort_keys=False))
    write_versions(folder, 'leapp')


def mjlab_policies(out: Path) -> None:
    """Export a policy of mjlab's velocity task, and run it in mjlab's own environment."""
    from dataclasses import asdict

    from mjlab.envs import ManagerBasedRlEnv
    from mjlab.rl import MjlabOnPolicyRunner, RslRlVecEnvWrapper
    from mjlab.rl.exporter_utils import attach_metadata_to_onnx, get_base_metadata
    import mjlab.tasks  # noqa: F401  (registers them)
    from mjlab.tasks.registry import load_env_cfg, load_rl_cfg

    torch.manual_seed(3)
    folder = make_folder(out / 'mjlab_velocity')
    configuration = load_env_cfg(MJLAB_TASK, play=True)
    configuration.scene.num_envs = 1
    agent = asdict(load_rl_cfg(MJLAB_TASK))
    agent['actor']['hidden_dims'] = agent['critic']['hidden_dims'] = [16, 16]
    base = ManagerBasedRlEnv(cfg=configuration, device='cpu', render_mode=None)
    env = RslRlVecEnvWrapper(base, clip_actions=agent['clip_actions'])
    runner = MjlabOnPolicyRunner(env, agent, device='cpu')
    policy = runner.get_inference_policy(device='cpu')
    runner.export_policy_to_onnx(str(folder), 'policy.onnx')
    attach_metadata_to_onnx(str(folder / 'policy.onnx'), get_base_metadata(base, 'interop'))

    names = base.observation_manager.active_terms['actor']
    sizes = [
        int(np.prod(shape)) for shape in base.observation_manager.group_obs_term_dim['actor']]
    posture = base.scene['robot'].data.default_joint_pos[0]
    term = base.action_manager.get_term('joint_pos')
    values, commands, first = [], [], []
    for _ in range(EPISODES):
        observation, _ = env.reset()
        for call in range(CALLS):
            parts = dict(zip(names, observation['actor'][0].split(sizes), strict=True))
            parts['joint_pos'] = parts['joint_pos'] + posture
            with torch.no_grad():
                action = policy(observation)
            observation, *_ = env.step(action)
            values.append(np.concatenate([
                parts[name].numpy() for name in names if name != 'actions']))
            commands.append(term._processed_actions[0].numpy().copy())
            first.append(call == 0)
    np.savez_compressed(
        folder / 'calls.npz', values=np.array(values), commands=np.array(commands),
        first=np.array(first))
    described: list[dict[str, object]] = []
    for name, size in zip(names, sizes, strict=True):
        described.append({'last_action': 'actions'} if name == 'actions' else {
            'name': name, 'unit': '1', 'size': size, 'low': -100.0, 'high': 100.0} | (
                {'minus': posture.tolist()} if name == 'joint_pos' else {}))
    (folder / 'meaning.adopt.yaml').write_text(yaml.safe_dump({
        'name': folder.name, 'environment': MJLAB_TASK, 'period': float(base.step_dt),
        'inputs': {'obs': {'terms': described}},
        'outputs': {'actions': {'fields': [{
            'name': 'joint_position_targets', 'unit': 'rad', 'size': len(posture),
            'scale': term._scale[0].tolist(), 'offset': posture.tolist(), 'low': -10.0,
            'high': 10.0}]}}}, sort_keys=False))
    write_versions(folder, 'mjlab', 'rsl-rl-lib')
    base.close()


def leave_out_traces(path: Path) -> None:
    """Leave out the lines of source, with paths, that PyTorch notes for each node."""
    model = onnx.load(path, load_external_data=False)
    for node in model.graph.node:
        del node.metadata_props[:]
        node.ClearField('doc_string')
    for function in model.functions:
        del function.metadata_props[:]
    del model.graph.metadata_props[:]
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output):
        del value.metadata_props[:]
    onnx.save(model, path)


def make_folder(path: Path) -> Path:
    """Make an empty folder."""
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


def main() -> int:
    """
    Export with every framework that is installed.

    :return: Exit status: 1 if one of them failed, 2 if none is installed.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or '').strip().splitlines()[0])
    parser.add_argument('--out', type=Path, required=True, help='folder to write into')
    out = parser.parse_args().out
    count, status = 0, 0
    for name, package, export in (
            ('rsl_rl', 'rsl-rl-lib', rsl_rl_policies), ('LEAPP', 'leapp', leapp_policies),
            ('mjlab', 'mjlab', mjlab_policies)):
        try:
            found = version(package)
        except PackageNotFoundError:
            print(f'{name}: not installed here, left out')
            continue
        count += 1
        try:
            export(out)
            print(f'{name} {found}: exported')
        except Exception as error:  # of the framework; the others go on
            print(f'{name} {found}: {type(error).__name__}: {error}', file=sys.stderr)
            status = 1
    return status if count else 2


if __name__ == '__main__':
    sys.exit(main())
