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
"""A policy node as a learner sees it, whose answers a test gives."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from training.robot.candidate import Candidate
from training.robot.policy_changes import PolicyChanges
from training.robot.releases import Releases
from training.robot.robot_link import Answer
from training.robot.settings import LearnerSettings


class AskedNode:
    """The node as the learner sees it: takes requests, and says what it runs."""

    def __init__(self, out: Path) -> None:
        self.asked: list[tuple[str, str]] = []
        self.answer = Answer()
        self.is_current = True
        self.loading: list[str] = []
        self.lines: list[str] = []
        self.out = out
        self.changes = PolicyChanges(self)  # type: ignore[arg-type]
        self.since = 0
        state: Any = SimpleNamespace(
            config=SimpleNamespace(steps=0), progress=SimpleNamespace(step=1000))
        self.running = self.file('first')
        self.previous: str | None = None
        self.shadow: str | None = None
        self.say()
        self.releases = Releases(
            out, state, LearnerSettings(window=4), self.changes, self.lines.append)
        self.releases.begin()

    def file(self, name: str) -> str:
        """Write a file; return its hash."""
        path = self.out / f'{name}.onnx'
        path.write_bytes(name.encode())
        self.names = {**getattr(self, 'names', {}), hash_of(path): path}
        return hash_of(path)

    def set_parameter(self, name: str, value: str) -> Answer:
        """Take a request."""
        self.asked.append((name, value))
        self.answer = Answer()
        return self.answer

    def promote(self) -> Answer:
        """Take a request."""
        return self.set_parameter('promote', '')

    def say(self) -> None:
        """Publish the status."""
        self.changes.hear(json.dumps({
            'sha256': self.running, 'path': str(self.names[self.running]), 'since': self.since,
            'previous': self.previous and {
                'sha256': self.previous, 'path': str(self.names[self.previous])},
            'loading': self.loading,
            'shadow': self.shadow and {'sha256': self.shadow}}))

    def do(self, running: str | None = None, shadow: str | None = None) -> None:
        """Answer the last request, and have the learner hear it."""
        self.answer.problem = ''
        self.shadow = shadow
        if running:
            self.take_over(running)
        self.say()
        self.releases.poll(1.0)

    def take_over(self, running: str) -> None:
        """Run another policy, without saying so yet."""
        self.previous, self.running = self.running, running
        self.since += 1

    def start(self, running: str) -> None:
        """Start anew, with no policy but this, without saying so yet."""
        self.running, self.previous, self.shadow = running, None, None
        self.since += 1

    def choose(self, running: str) -> None:
        """Run what another chose."""
        self.take_over(running)
        self.say()
        self.releases.poll(1.0)

    def candidate(self, name: str) -> Candidate:
        """Make a candidate."""
        sha256 = self.file(name)
        return Candidate(self.names[sha256], sha256, 1, 500)


def hash_of(path: Path) -> str:
    """Hash a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
