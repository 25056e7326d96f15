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
Distance and duration by which healthy episodes of the shipped policies leave the training data.

``python -m bench.envelope`` runs episodes in the simulator without ROS, evaluates each observation
as the policy node does, and prints the basis of the defaults of ``safety.envelope_far`` and
``safety.envelope_long``; docs/safety.md has the table.
"""

from __future__ import annotations

import argparse
from contextlib import closing
from pathlib import Path
import sys
from typing import Any

from gymnasium.vector import VectorEnv, VectorWrapper
import numpy as np

# `python -m bench.envelope` puts the script's folder on the path, not the checkout.
from bench.common.arguments import count, output, whole
from bench.common.machine import finish
from dfp_ros.core.hung_calls import ended_by_interrupts
from dfp_ros.core.policy.onnx_policy import OnnxPolicy
from dfp_ros.core.safety.monitors import distances, training_ranges
from dfp_ros.core.settings.safety import SafetySettings
from dfp_ros.spec import PolicySpec
from training.evaluation.environments import start
from training.evaluation.evaluation import acting, evaluate

_SHARES = {'p50': 50, 'p99': 99, 'max': 100}
POLICIES = ('cube_single', 'lift', 'lift_joint')


class Watched(VectorWrapper):
    """
    Environments with the distance of their observations recorded at every step.

    :param environments: The environments.
    :param spec: Specification with the ranges.

    :ivar distances: Distance of each step, a list per episode, by the episode's seed.
    :ivar worst: Largest distance of each element, by name.
    """

    def __init__(self, environments: VectorEnv[Any, Any, Any], spec: PolicySpec) -> None:
        """Start empty."""
        super().__init__(environments)
        self._ranges = training_ranges(spec.observation)
        self._names = [f'{f.name}[{i}]' for f in spec.observation for i in range(f.size)]
        self._running: list[list[float] | None] = [None] * environments.num_envs
        self.distances: dict[int, list[float]] = {}
        self.worst: dict[str, float] = {}

    def reset(self, **kwargs: Any) -> tuple[Any, dict[str, Any]]:
        """Start episodes in the environments that are reset."""
        # reset() removes it from the options.
        mask = kwargs['options']['reset_mask']
        observations, infos = super().reset(**kwargs)
        for i, observation in enumerate(observations):
            if mask[i] and kwargs['seed'][i] is not None:
                self._running[i] = self.distances.setdefault(kwargs['seed'][i], [])
                self._add(i, observation)
        return observations, infos

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        """Step, and record the distances."""
        found = super().step(actions)
        for i, observation in enumerate(found[0]):
            self._add(i, observation)
        for i in np.flatnonzero(found[2] | found[3]):
            self._running[i] = None
        return found

    def _add(self, i: int, observation: Any) -> None:
        running = self._running[i]
        if running is None:
            return
        beyond = distances(observation.tolist(), self._ranges)
        far, place = max(beyond) - 0.5, beyond.index(max(beyond))
        running.append(far)
        if far > 0:
            name = self._names[place]
            self.worst[name] = max(far, self.worst.get(name, 0.0))


def longest_stay(distances: list[float], margin: float, period: float) -> float:
    """
    Return the longest time in s that an episode stayed outside, short returns included.

    A return shorter than the half second that clears a warning does not end a stay.
    """
    calm, longest, since, inside = round(0.5 / period), 0, None, 0
    for i, far in enumerate(distances):
        if far > margin:
            since, inside = i if since is None else since, 0
            longest = max(longest, i - since + 1)
        elif since is not None:
            inside += 1
            if inside >= calm:
                since = None
    return longest * period


def measure(
        path: Path, episodes: int, seed: int, environments: int) -> list[dict[str, Any]]:
    """Run a policy's episodes, and summarise solved and unsolved ones separately."""
    with ended_by_interrupts():
        policy = OnnxPolicy(path)
    spec, margin = policy.spec, SafetySettings().envelope_margin
    watched = Watched(
        start(spec.environment, min(environments, episodes), spec.provenance), spec)
    with closing(watched):
        found = evaluate(
            watched, acting(policy), spec, episodes, seed,
            bar=path.stem)
    solved = {episode.seed: episode.success for episode in found.episodes}
    worst = sorted(watched.worst.items(), key=lambda item: -item[1])
    return [{
        'policy': path.stem, 'solved': kind, 'margin': margin,
        **figures([each for seed, each in watched.distances.items() if solved[seed] is kind],
                  margin, spec.period),
        'worst': {name: round(far, 4) for name, far in worst[:8]}} for kind in (True, False)]


def figures(episodes: list[list[float]], margin: float, period: float) -> dict[str, Any]:
    """
    Summarise distance and duration of the stays outside.

    :param episodes: Distance of each step, a list per episode.
    :param margin: Distance from which a step counts as outside.
    :param period: Control period in s.
    """
    if not episodes:
        return {'episodes': 0}
    furthest = np.array([max(each) for each in episodes])
    stays = np.array([longest_stay(each, margin, period) for each in episodes])
    every = np.concatenate([np.array(each) for each in episodes])
    return {
        'episodes': len(episodes), 'steps': len(every),
        'outside_share': float((every > margin).mean()),
        **{f'furthest_{name}': float(np.percentile(furthest, share))
           for name, share in _SHARES.items()},
        **{f'longest_{name}': float(np.percentile(stays, share))
           for name, share in _SHARES.items()}}


def table(rows: list[dict[str, Any]]) -> str:
    """Format the table of docs/safety.md."""
    lines = [
        '| policy | episodes | steps outside | furthest: median, p99, largest | longest stay: '
        'median, p99, largest |', '| --- | --- | ---: | ---: | ---: |']
    for row in rows:
        if not row['episodes']:
            continue
        furthest = ', '.join(f'{row[f"furthest_{name}"]:.2f}' for name in _SHARES)
        longest = ', '.join(f'{row[f"longest_{name}"]:.1f} s' for name in _SHARES)
        lines.append(
            f'| {row["policy"]} | {row["episodes"]} {"" if row["solved"] else "not "}solved | '
            f'{row["outside_share"]:.2%} | {furthest} | {longest} |')
    return '\n'.join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or '').strip().splitlines()[0])
    parser.add_argument('--episodes', type=count, default=500, help='episodes of each policy')
    parser.add_argument('--seed', type=whole, default=500_000, help='seed of the first episode')
    parser.add_argument('--environments', type=count, default=2)
    parser.add_argument('--json', type=output, help='also write the results to this JSON file')
    parser.add_argument('--policies', nargs='*', default=POLICIES)
    asked = parser.parse_args(arguments)
    rows = []
    for name in asked.policies:
        rows += measure(
            Path('models') / f'{name}.onnx', asked.episodes, asked.seed, asked.environments)
    print(table(rows))
    finish(rows, asked.json)
    return 0


if __name__ == '__main__':
    sys.exit(main())
