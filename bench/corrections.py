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
Success of a clone before and after a person corrected it, with a scripted operator in simulation.

    python -m bench.corrections --json bench/results/corrections.json

Stages: collect demonstrations; clone them; run the clone over ROS in real time, with an operator
who takes over if it gets stuck, and a learner that only records; train the clone on, half of each
batch from the corrections; for comparison train it on as long without them; evaluate all three on
the same seeds. What is done is in the folder, and the same command again goes on where it was
stopped.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import ExitStack, suppress
import csv
import json
import os
from pathlib import Path
import subprocess
import sys
from typing import Any

from scipy.stats import binomtest
import yaml

from bench import ROOT
from bench.common.arguments import amount, count, output, share, whole
from bench.common.machine import finish
from dfp_ros.core.files.bounded_file import read_regular
from dfp_ros.core.files.bounded_json import LONGEST, read_json
from dfp_ros.core.files.user_path import user_path
from dfp_ros.core.intervals import wilson_interval
from dfp_ros.core.text.errors import explain
from dfp_ros.node.ros.domain import free_domain
from testing.processes.robot_learning import await_output, parameters
from testing.processes.ros_processes import NodeProcess
from training.common.files import write_json
from training.common.provenance import versions

# First seeds of the robot's episodes and of the evaluation, apart from each other.
_ROBOT_SEED, _EVALUATION_SEED = 500_000, 100_000
# Longest wall time of an episode over ROS in s, with start and reset, in real time.
_LONGEST_EPISODE = 60.0
#: File of the settings in the folder of the stages.
SETTINGS = 'settings.json'
POLICIES = {
    'clone': 'the clone',
    'longer': 'trained on, without corrections',
    'corrected': 'trained on, half of each batch from corrections'}


class StageError(RuntimeError):
    """A stage failed; the message says which, and has the end of its output."""


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog='python -m bench.corrections', description=(__doc__ or '').strip().splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = parser.add_argument
    add('--demonstrations', type=count, default=5, help='demonstrations that are cloned')
    add('--clone-steps', type=count, default=1500, help='updates of the clone')
    add('--episodes', type=count, default=20, help='corrected episodes')
    add('--steps', type=count, default=1500, help='further updates')
    add('--evaluations', type=count, default=100, help='episodes in which a policy is evaluated')
    add('--seed', type=whole, default=0, help='seed of data, networks and operator')
    add('--person-share', type=share, default=1.0,
        help="the person's largest commands, as a share of the policy's; 0 for those of the "
        'shipped description, 0.2 to 0.3')
    add('--real-time-factor', type=amount, default=1.0,
        help='simulated seconds in a second, for a machine that is too slow')
    add('--threads', type=whole, default=0, help="PyTorch threads; 0 for PyTorch's default")
    add('--out', type=user_path, default=Path('runs/corrections'), help='folder of the stages')
    add('--json', type=output, help='file for the results')
    return parser.parse_args(arguments)


class Stages:
    """
    The stages, each of which is skipped if its result exists.

    :param asked: The command line.
    """

    def __init__(self, asked: argparse.Namespace) -> None:
        """
        Create the folder.

        :raises StageError: If it has stages of other settings.
        """
        self._asked, self._out = asked, Path(asked.out)
        self._data = self._out / 'data' / 'cube-single-demo-task2-v0.npz'
        file, wanted = self._out / SETTINGS, _settings(asked)
        try:
            self._out.mkdir(parents=True, exist_ok=True)
            if not file.exists():
                write_json(file, wanted)
            found = read_json(read_regular(file, LONGEST))
        except (OSError, ValueError) as error:
            raise StageError(
                f'{self._out}: is no folder of the stages ({explain(error)}); name another one '
                'with --out') from error
        if not isinstance(found, dict):
            raise StageError(f'{file}: found no settings; name another folder with --out')
        for name, value in wanted.items():
            if found.get(name) != value:
                raise StageError(
                    f'{file}: {name}: found {found.get(name)}, asked for {value}; the stages '
                    'there are of other settings, so name another folder with --out')

    def run(self) -> dict[str, Any]:
        """
        Run all stages.

        :return: The result of each policy of :data:`POLICIES`, and of the operator.
        """
        asked, further = self._asked, ('--init-from', str(self._out / 'clone'))
        self._command('collect', (
            'training.collect', '--kind', 'demo', '--episodes', str(asked.demonstrations),
            '--val-episodes', '1', '--seed', str(asked.seed), '--workers', '1', '--out',
            str(self._data.parent)), self._data)
        self._train('clone', asked.clone_steps)
        self._record()
        self._train('longer', asked.steps, *further)
        self._train('corrected', asked.steps, *further, '--corrections', str(
            self._out / 'robot' / 'demonstrations'))
        return {
            **{name: self._evaluate(name) for name in POLICIES}, 'operator': self._operator()}

    def _train(self, name: str, steps: int, *words: str) -> None:
        """Train a policy, and export it."""
        run = self._out / name
        if (run / 'checkpoint.pt').exists():
            words = ('--resume',) + (words[2:] if '--init-from' in words else words)
        self._command(name, (
            'training.train', 'small-clone', '--run', str(run), '--data', str(self._data),
            '--steps', str(steps), '--evaluate-every', str(steps), '--episodes', '1', '--seed',
            str(self._asked.seed), '--threads', str(self._asked.threads), *words),
            run / 'policy.onnx', (
                'training.export', str(run), '--out', str(run / 'policy.onnx')))

    def _evaluate(self, name: str) -> dict[str, Any]:
        """Evaluate a policy, and read the result."""
        file = self._out / f'{name}.json'
        self._command(f'evaluate-{name}', (
            'training.evaluate', str(self._out / name / 'policy.onnx'), '--episodes',
            str(self._asked.evaluations), '--seed', str(_EVALUATION_SEED), '--environments', '1',
            '--candidates', '1', '--json', str(file)), file)
        found: dict[str, Any] = json.loads(file.read_text())
        return found

    def _command(
            self, name: str, words: Sequence[str], made: Path, *others: Sequence[str]) -> None:
        """Run commands of this package, unless their result exists."""
        if made.exists():
            print(f'{name}: done before', flush=True)
            return
        log = self._out / f'{name}.log'
        with log.open('w') as output:
            for each in (words, *others):
                print(f'{name}: python -m {" ".join(each)}', flush=True)
                done = subprocess.run(
                    [sys.executable, '-m', *each], cwd=ROOT, stdout=output,
                    stderr=subprocess.STDOUT, check=False)
                if done.returncode:
                    raise StageError(_failure(name, done.returncode, log))

    def _record(self) -> None:
        """Run the clone over ROS with operator and learner, for the episodes that are missing."""
        pace, clone = self._asked.real_time_factor, self._out / 'clone'
        done = len(self._episodes())
        missing = self._asked.episodes - done
        if missing <= 0:
            print('record: done before', flush=True)
            return
        print(f'record: {missing} episodes at {pace:g} times real time', flush=True)
        robot = self._describe_robot()
        domain, is_other_pace = free_domain(), str(pace != 1).lower()
        seed = _ROBOT_SEED + 1000 * self._asked.seed + done
        with ExitStack() as stack:
            def start(name: str, module: str, *words: str) -> NodeProcess:
                process = NodeProcess(module, domain, *words)
                stack.callback(self._leave, name, process)
                return process

            start('node', 'dfp_ros.policy_node', *parameters(
                policy=clone / 'policy.onnx', robot=robot, publish_decisions='true',
                use_sim_time=is_other_pace))
            learner = start(
                'learner', 'training.learn_on_robot', str(clone), '--out',
                str(self._out / 'robot'), '--updates-per-step', '0', '--swap', 'never',
                '--episodes', str(missing))
            operator = start('operator', 'dfp_ros.sim.operator.main', *parameters(
                robot=robot, seed=seed, use_sim_time=is_other_pace))
            # They hear the first episode.
            await_output(learner, 'learner: ')
            await_output(operator, 'watches ')
            start('robot', 'dfp_ros.sim.sim_robot.main', *parameters(
                policy_node='dfp_policy', seed=seed, publish_clock=is_other_pace,
                real_time_factor=pace))
            status = learner.wait(_LONGEST_EPISODE * (1 + missing / min(1.0, pace)))
        if status:
            raise StageError(_failure('record', status, self._out / 'record-learner.log'))

    def _describe_robot(self) -> Path:
        """Describe the shipped robot, with the largest commands of a person that are asked for."""
        shipped, share = ROOT / 'config' / 'ur5e_cube.yaml', self._asked.person_share
        if not share:
            return shipped
        described = yaml.safe_load(shipped.read_text())
        limits = {
            field['action']: field['limit'] for command in described['commands'].values()
            for field in command['fields']}
        for field in described['takeover']['fields']:
            most = share * limits[field['action']]
            field['clip'] = [-most, most]
        made = self._out.resolve() / 'ur5e_cube.yaml'
        made.write_text(yaml.safe_dump(described, sort_keys=False))
        return made

    def _leave(self, name: str, process: NodeProcess) -> None:
        """End a process, and keep its output."""
        with suppress(subprocess.TimeoutExpired):
            if process.process.poll() is None:
                process.stop()
        (self._out / f'record-{name}.log').write_text(process.output)
        process.__exit__()

    def _episodes(self) -> list[dict[str, str]]:
        """Read the table of the episodes on the robot."""
        table = self._out / 'robot' / 'episodes.csv'
        if not table.exists():
            return []
        with table.open(newline='') as file:
            return list(csv.DictReader(file))

    def _operator(self) -> dict[str, Any]:
        """Sum up what the operator did."""
        rows = self._episodes()
        return {
            'episodes': len(rows), 'solved': sum(row['success'] == '1' for row in rows),
            'corrected': sum(int(row['person_steps']) > 0 for row in rows),
            'steps': sum(int(row['transitions']) for row in rows),
            'person_steps': sum(int(row['person_steps']) for row in rows)}


def table(found: dict[str, Any]) -> list[dict[str, Any]]:
    """
    Make the rows of the results.

    :param found: As :meth:`Stages.run`.
    :return: For each policy its success with Wilson's 95 % interval, and against the clone, on
        the same seeds, the episodes that only one of the two solved, with the p-value of
        McNemar's exact test.
    """
    solved = {
        name: [episode['success'] for episode in found[name]['per_episode']] for name in POLICIES}
    rows = []
    for name in POLICIES:
        pairs = list(zip(solved['clone'], solved[name], strict=True))
        gained, lost = (sum(a is not b and b is new for a, b in pairs) for new in (True, False))
        count = sum(solved[name])
        rows.append({
            'policy': name, 'solved': count, 'episodes': len(pairs),
            'success': count / len(pairs), 'interval': wilson_interval(count, len(pairs)),
            'mean_steps': found[name]['mean_steps'], 'gained': gained, 'lost': lost,
            'p': float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0})
    return rows


def _settings(asked: argparse.Namespace) -> dict[str, Any]:
    """Return what determines the results."""
    return {name: value for name, value in vars(asked).items() if name not in ('json', 'out')}


def _failure(name: str, status: int, log: Path) -> str:
    """Describe a stage that failed."""
    return f'{name}: ended with status {status}; the end of {log}:\n{log.read_text()[-2000:]}'


def main(arguments: list[str] | None = None) -> int:
    """Run the stages, and print and write the results."""
    asked = parse(arguments)
    os.environ.setdefault('MUJOCO_GL', 'disable')
    try:
        found = Stages(asked).run()
    except (StageError, TimeoutError) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print('stopped; the same command goes on', file=sys.stderr)
        return 130
    rows, operator = table(found), found['operator']
    print(f'{operator["episodes"]} episodes over ROS, {operator["solved"]} solved; the operator '
          f'took over in {operator["corrected"]}, for {operator["person_steps"]} of '
          f'{operator["steps"]} steps')
    for row in rows:
        low, high = row['interval']
        against = '' if row['policy'] == 'clone' else (
            f'; {row["gained"]} more and {row["lost"]} fewer of the same episodes, p '
            f'{row["p"]:.2g}')
        print(f'{POLICIES[row["policy"]]}: {row["success"]:.0%} of {row["episodes"]} episodes '
              f'solved (95 % interval {low:.0%} to {high:.0%}){against}')
    finish(
        rows, asked.json, settings=_settings(asked), operator=operator, versions=versions())
    return 0


if __name__ == '__main__':
    sys.exit(main())
