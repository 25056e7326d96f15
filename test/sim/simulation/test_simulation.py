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
"""Sliced physics, compared with the environment's own step."""

from __future__ import annotations

from typing import Any

import gymnasium
from gymnasium.envs.registration import EnvSpec
import numpy as np
import pytest

from dfp_ros.sim.simulation.cell_state import EpisodeResult
from dfp_ros.sim.simulation.ogbench_env import make_env
from dfp_ros.sim.simulation.ogbench_simulation import Simulation

# Force that presses a button all the way, N.
PRESS = 60.0
TASK = 'cube-single-singletask-task2-v0'


@pytest.fixture(scope='module')
def env() -> Any:
    """Give OGBench's environment, the reference."""
    return make_env(TASK)


@pytest.fixture(scope='module')
def simulation() -> Simulation:
    """Give the sliced simulation, at its default rate."""
    return Simulation(TASK)


def random_actions(seed: int, count: int) -> np.ndarray:
    """Draw actions that reach the table and the cube, not only the air."""
    generator = np.random.default_rng(seed)
    actions = generator.uniform(-1, 1, (count, 5))
    actions[:, 2] -= 0.3
    return np.clip(actions, -1, 1).astype(np.float32)


def test_lockstep_is_env_step_bit_for_bit(env: Any, simulation: Simulation) -> None:
    """A whole random episode, up to its time limit: observations, rewards and end are equal."""
    expected, _ = env.reset(seed=3)
    simulation.reset(3)
    total = 0.0
    for step, action in enumerate(random_actions(0, 250), start=1):
        assert np.array_equal(simulation.observation(), expected), f'before step {step}'
        result = simulation.step(action)
        expected, reward, terminated, truncated, info = env.step(action)
        total += reward
        assert (result is not None) == (terminated or truncated)
        if result is not None:
            break
    assert np.array_equal(simulation.observation(), expected)
    assert result == EpisodeResult(3, bool(info['success']), step, total, pytest.approx(step / 20))
    assert step == 200


def test_a_solved_episode_ends_as_the_environment_ends_it(
        env: Any, simulation: Simulation) -> None:
    """Put the cube on its target: both end one period later, with success and the same return."""
    expected: tuple[Any, ...] = ()
    results = []
    for subject in (env.unwrapped, simulation._env):
        if subject is env.unwrapped:
            env.reset(seed=5)
        else:
            simulation.reset(5)
        target = subject.data.mocap_pos[subject._cube_target_mocap_ids[0]]
        for step in range(1, 10):
            if step == 4:
                subject.data.joint('object_joint_0').qpos[:3] = target
            if subject is env.unwrapped:
                _, reward, terminated, truncated, info = env.step(np.zeros(5, np.float32))
                expected += (reward,)
                ended = terminated or truncated
            else:
                result = simulation.step(np.zeros(5))
                ended = result is not None
            if ended:
                results.append(step)
                break
    assert results == [5, 5]
    assert info['success']
    assert result is not None
    assert result.success
    assert result.total_reward == sum(expected)


@pytest.mark.parametrize('state_rate', [20.0, 100.0, 500.0])
def test_slices_do_not_change_the_physics(state_rate: float, simulation: Simulation) -> None:
    """Commands on the period's grid give the same states with any number of slices."""
    other = Simulation(TASK, state_rate)
    simulation.reset(1)
    other.reset(1)
    for action in random_actions(2, 40):
        simulation.step(action)
        other.command(action)
        for _ in range(round(other.period / other.slice_duration)):
            other.advance()
        assert np.array_equal(simulation.observation(), other.observation())


def test_same_seed_same_episode(simulation: Simulation) -> None:
    """Seeds repeat, also after another episode; other seeds differ."""
    def play(seed: int) -> np.ndarray:
        simulation.reset(seed)
        states = [simulation.picture()]
        for action in random_actions(7, 60):
            simulation.step(action)
            states.append(simulation.picture())
        return np.array(states)

    first, other, again = play(11), play(12), play(11)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_last_command_holds(simulation: Simulation) -> None:
    """A command given once moves the arm as the same command given every period."""
    action = np.array([0.5, 0.0, 0.2, 0.0, 0.0])
    simulation.reset(2)
    for _ in range(10):
        simulation.step(action)
    commanded = simulation.picture()
    simulation.reset(2)
    start = simulation.state().effector.position
    simulation.command(action)
    for _ in range(10 * simulation.slices):
        simulation.advance()
    assert np.array_equal(simulation.picture(), commanded)
    assert simulation.state().effector.position[0] - start[0] > 0.05


def test_a_command_takes_effect_at_the_next_slice(simulation: Simulation) -> None:
    """A command in the middle of a period does not wait for the period's end."""
    def target_after(slices: int) -> np.ndarray:
        simulation.reset(4)
        for _ in range(2):
            simulation.advance()
        simulation.command(np.array([0.0, 1.0, 0.0, 0.0, 0.0]))
        for _ in range(slices):
            simulation.advance()
        control: np.ndarray = simulation._env.data.ctrl.copy()
        return control

    assert not np.allclose(target_after(0)[:6], target_after(1)[:6], atol=1e-4)
    # It is renewed a whole period after it came, not at the end of the period that it came in.
    assert np.array_equal(target_after(1), target_after(5))
    assert not np.array_equal(target_after(5), target_after(6))


def test_state_holds_the_observation(simulation: Simulation) -> None:
    """The state in SI units has the values of OGBench's observation vector."""
    simulation.reset(6)
    for action in random_actions(6, 25):
        simulation.step(action)
    state = simulation.state()
    cube = state.cubes[0]

    def yaw(quaternion: np.ndarray) -> list[float]:
        w, x, y, z = quaternion
        angle = np.arctan2(2 * (w * z + x * y), 1 - 2 * (y * y + z * z))
        return [np.cos(angle), np.sin(angle)]

    center = np.array([0.425, 0.0, 0.0])
    rebuilt = np.concatenate([
        state.joint_positions, state.joint_velocities, (state.effector.position - center) * 10,
        yaw(state.effector.quaternion), [state.gripper_opening * 3, state.gripper_contact],
        (cube.position - center) * 10, cube.quaternion, yaw(cube.quaternion)])
    assert np.allclose(rebuilt, simulation.observation(), rtol=0, atol=1e-12)


@pytest.mark.parametrize('state_rate', [20.0, 100.0, 500.0])
def test_a_scene_with_buttons_drawer_and_window(state_rate: float) -> None:
    """
    A button pressed once changes its state once, and unlocks the drawer, with any slices.

    At every step the simulation's observation is the environment's, and the published state has
    the values of that observation.
    """
    task = 'scene-singletask-task2-v0'
    env: Any = make_env(task)
    simulation = Simulation(task, state_rate)
    expected, _ = env.reset(seed=4)
    simulation.reset(4)
    states = []
    for step, action in enumerate(random_actions(4, 30)):
        for subject in (env.unwrapped, simulation._env):
            for button, pressed in enumerate((5, 15)):
                subject.data.joint(f'buttonbox_joint_{button}').qfrc_applied[0] = (
                    -PRESS if pressed <= step < pressed + 4 else 0.0)
        expected = env.step(action)[0]
        simulation.command(action)
        for _ in range(simulation.slices):
            simulation.advance()
        assert np.array_equal(simulation.observation(), expected)
        state = simulation.state()
        states.append([button.lamps for button in state.buttons])
        slides = (state.furniture['drawer'], state.furniture['window'])
        parts = [value for button in state.buttons for value in (
            *button.lamps, 120 * button.position, button.velocity)] + [
            value for scale, slide in zip((18, 15), slides, strict=True)
            for value in (scale * slide.position, slide.velocity)]
        assert np.allclose(parts, expected[-12:], rtol=0, atol=1e-12)
    changes = [sum(one[i] != other[i] for one, other in zip(states, states[1:], strict=False))
               for i in (0, 1)]
    assert changes == [1, 1]


def test_bad_settings_are_refused() -> None:
    """The error has the found and the valid values."""
    with pytest.raises(ValueError, match=r"'cube-singel-v0'.*cube-single-v0"):
        Simulation('cube-singel-v0')
    with pytest.raises(ValueError, match=r"'CartPole-v1', which has no arm"):
        Simulation('CartPole-v1')
    with pytest.raises(ValueError, match='state_rate: found 90 Hz, expected one of 20, 100, 500'):
        Simulation(TASK, 90.0)


def test_an_environment_whose_package_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gymnasium registers it nevertheless, and the reason is named."""
    monkeypatch.setitem(gymnasium.registry, 'Missing-v0', EnvSpec(
        'Missing-v0', 'no_such_package:Missing'))
    with pytest.raises(ValueError, match=(
            "environment: found 'Missing-v0', which cannot be made: .*'no_such_package'")):
        Simulation('Missing-v0')


def test_bad_commands_are_refused(simulation: Simulation) -> None:
    """A command with a missing or a non-finite number never reaches the physics."""
    simulation.reset(0)
    for bad in ([0.0] * 4, [0.0, 0.0, np.nan, 0.0, 0.0]):
        with pytest.raises(ValueError, match='expected 5 finite numbers'):
            simulation.command(np.array(bad))


def test_an_environment_and_its_spaces_give_no_warnings(recwarn: pytest.WarningsRecorder) -> None:
    env = make_env('cube-single-singletask-task2-v0')
    env.reset(seed=0)
    assert env.action_space.shape == (5,)
    assert env.observation_space.shape == (28,)
    assert not [warning for warning in recwarn if 'precision' in str(warning.message)]
