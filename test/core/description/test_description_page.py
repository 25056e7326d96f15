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
"""Documentation of robot descriptions: its examples work, and it has every key."""

import re

import pytest
import yaml

from dfp_ros.core.description.images import OPTIONAL as IMAGE_KEYS
from dfp_ros.core.description.observation import EARLIER, OPTIONAL
from dfp_ros.core.description.picture_format import CHANNELS_OF
from dfp_ros.core.description.robot import load_robot_description, RobotDescription
from dfp_ros.core.description.sources import OPTIONAL as SOURCE_KEYS
from dfp_ros.core.observation.builder import ObservationBuilder
from dfp_ros.core.rotations import OBSERVATION_ENCODINGS
from testing import ROOT
from testing.fixtures.descriptions import GRIP

PAGE = (ROOT / 'docs' / 'robot-description.md').read_text()
BLOCKS = re.findall(r'^```yaml\n(.*?)^```$', PAGE, re.DOTALL | re.MULTILINE)
PARTS = {
    key: [block.partition('\n')[2] for block in BLOCKS if block.startswith(f'{key}:\n')]
    for key in ('sources', 'observation', 'images')}


@pytest.fixture(name='robot', scope='module')
def described_robot(tmp_path_factory: pytest.TempPathFactory) -> RobotDescription:
    """Put all examples of sources and fields into one description."""
    path = tmp_path_factory.mktemp('page') / 'robot.yaml'
    path.write_text('robot: page\n' + GRIP + ''.join(
        f'{key}:\n' + ''.join(parts) for key, parts in PARTS.items()))
    return load_robot_description(path)


def test_examples_are_right(robot: RobotDescription) -> None:
    """Every example is one that the node takes, of message types and fields that there are."""
    assert len(robot.sources) == 12
    assert len(robot.observation) == 19
    assert len(robot.images) == 3
    assert ObservationBuilder(robot.observation)
    pytest.importorskip('rclpy')
    from dfp_ros.node.messages.source_reader import SourceReader
    for source in robot.sources.values():
        if not source.child:
            SourceReader(source, robot)


def test_every_key_has_an_example_and_a_line() -> None:
    """Also those that are added one day."""
    used = {
        key for block in BLOCKS for key in re.findall(r'\b([a-z_]+):', block)}
    for key in (
            *SOURCE_KEYS, *OPTIONAL, *EARLIER, *IMAGE_KEYS, 'constant', 'parent', 'child',
            'encoding', 'channels'):
        assert key in used, key
        assert re.search(rf'^\| [^|]*`{key}`', PAGE, re.MULTILINE), key
    for name in CHANNELS_OF:
        assert f'`{name}`' in PAGE
    for name, encoding in OBSERVATION_ENCODINGS.items():
        assert f'transform: {name}' in ''.join(BLOCKS)
        assert re.search(rf'^\| `{name}` \| {encoding.size}:', PAGE, re.MULTILINE)


def test_blocks_are_yaml() -> None:
    """Each block can be copied as it is; one with an anchor has it in itself."""
    assert len(BLOCKS) >= 6
    for block in BLOCKS:
        assert yaml.safe_load(block)
