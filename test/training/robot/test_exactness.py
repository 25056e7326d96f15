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
"""A robot over ROS, in lockstep, teaches what the trainer's own online phase teaches."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip('torch')
pytest.importorskip('rclpy')

from testing.processes.robot_learning import (  # noqa: E402
    clone_settings,
    LearningCell,
    make_clone,
)
from training.data.transitions.transitions import COLUMNS  # noqa: E402
from training.learning.trainer.checkpoint_file import read  # noqa: E402
from training.learning.trainer.run import train  # noqa: E402

SEED, START = 3, 40
# Two episodes that run out of time.
STEPS = 400


@pytest.mark.slow
def test_over_ros_it_learns_what_the_trainer_learns(
        demonstrations: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """
    The same transitions and, bit for bit, the same weights, with policies swapped over ROS.

    The trainer's online phase acts with a policy file exported before each episode, as the robot
    does. All else is as it is for everybody: observations from messages, commands in SI units,
    marks, swaps of a running node.
    """
    policy = make_clone(demonstrations, tmp_path / 'clone', seed=SEED)
    train(tmp_path / 'trainer', clone_settings(
        demonstrations, seed=SEED, acts='exported', online_steps=STEPS, online_start=START))
    expected = read(tmp_path / 'trainer' / 'checkpoint.pt')
    words = (
        str(tmp_path / 'clone'), '--steps', str(STEPS), '--start', str(START), '--batches',
        'uniform', '--swap-every', '1')
    with LearningCell(
            policy, {'trigger': 'samples'},
            {'mode': 'lockstep', 'run_seed': SEED, 'learner_node': 'dfp_learner'}) as cell:
        learner = cell.start_learner(*words)
        assert learner.wait(300) == 0, learner.output
        swaps = learner.output.count('takes over')
        saved = tmp_path / 'clone' / 'robot' / 'checkpoint.pt'
        found = read(saved)
        saved.unlink()
        capsys.readouterr()
        again = cell.learn_here(*words)
        said = capsys.readouterr().out
        assert again == 0, said
        assert f'{STEPS} transitions were on the disk' in said
    for name in COLUMNS:
        # Closer than the required 1e-6: bit for bit.
        np.testing.assert_array_equal(
            found['replay'][name], expected['replay'][name], err_msg=name)
    assert swaps >= 1
    assert found['progress']['step'] == expected['progress']['step'] > STEPS - START
    assert found['agent'].keys() == expected['agent'].keys()
    for name, values in expected['agent'].items():
        assert torch.equal(values, found['agent'][name]), name
    for kind in ('exp_avg', 'exp_avg_sq'):
        for i, moments in expected['optimiser']['state'].items():
            assert torch.equal(moments[kind], found['optimiser']['state'][i][kind])
    assert expected['batch_random'] == found['batch_random']
    assert torch.equal(expected['torch_random'], found['torch_random'])
    # Without its checkpoint, it learns the same once more from the episodes on the disk.
    repeated = read(saved)
    for name, values in expected['agent'].items():
        assert torch.equal(values, repeated['agent'][name]), name
