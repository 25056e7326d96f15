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
Cost of cameras: from the picture to the command, ticks beside cameras, decoding, and inference.

    python -m bench.cameras --json bench/results/cameras.json
    python -m bench.cameras --quick

Policies of the paper's size, with the encoder of a training run (IMPALA, 16, 32 and 32 channels)
for each picture of 64 x 64, and the same one without. All that is compared is measured in one run:

* *latency*: time from the stamp of the picture that a decision used to the arrival of its command
  at the robot. Node, robot and camera are processes of their own, at 30 Hz each, the camera
  slightly faster, so that the wait of a picture for its tick takes all values. Beside it, the same
  node with a policy without pictures: from the stamp of the JointState that it used. The camera
  stamps a picture of 640 x 480 just before it publishes it: exposure and reading out of a real one
  come before that.
* *loop*: ticks of a node at 100 Hz that asks its policy in every tick, with two such cameras and
  an encoder for each, and without. As in bench/loop, a tick is *missed* if the next deadline
  passed before it started; it is *late* if it started more than half a period after its own.
* *decoding*: from a serialised message of 640 x 480 to the pixels for the policy, as in a camera's
  thread, by encoding. Pictures are blocks of colour with a camera's noise.
* *inference*: a call with no encoder, one, and two, *paced* with pauses as in a loop, and *tight*.

The measurement without cameras takes place in two halves, before and after that with cameras. The
exit status is 1 if a measurement failed.
"""

from __future__ import annotations

import argparse
from array import array
from collections.abc import Callable
import contextlib
from pathlib import Path
import sys
import tempfile
from typing import Any

import numpy as np
from numpy.typing import NDArray
import onnx
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CompressedImage, Image

from bench.common.arguments import amount, output
from bench.common.distribution import distribution
from bench.common.machine import finish
from bench.common.turns import in_turns, paced, tight
from bench.inference.paper_policy import write_policy
from bench.loop.camera import HEIGHT, WIDTH
from bench.loop.condition import Condition
from bench.loop.policy import write_robot, write_variant
from bench.loop.record import STAMP
from bench.loop.rows import Stretch, summarise
from bench.loop.scene import Cell, Scene
from dfp_ros.core.description.images import ImageEntry
from dfp_ros.core.description.picture_format import COMPRESSED_IMAGE, IMAGE, RAW
from dfp_ros.core.description.robot import load_robot_description
from dfp_ros.core.pictures.picture_reader import PictureReader
from dfp_ros.core.policy.onnx_policy import OnnxPolicy
from dfp_ros.core.policy.policy_file import read_spec
from dfp_ros.node.messages.picture_messages import PictureMessages
from dfp_ros.spec_images import ImageField
from testing.fixtures.cameras import depths, encode, scene

Row = dict[str, Any]
CAMERA_RATE, LATENCY_RATE, LOOP_RATE = 30.0, 30.0, 100.0
SIDE = 64
# The camera is slightly faster than the loop: once through all phases in that many seconds.
_SWEEP = 5.0
#: Encodings, each with the channels that the policy gets.
ENCODINGS = {
    'rgb8': 'rgb', 'bgr8': 'rgb', 'mono8': 'gray', '16UC1': 'depth', 'jpeg': 'rgb', 'png': 'rgb'}
PARTS = ('latency', 'loop', 'decoding', 'inference')
CALLS, QUICK_CALLS, TURNS, CALL_RATE = 500, 20, 5, 100.0
_POINTS = ('p50_us', 'p99_us', 'p99.9_us')


def fields(count: int) -> tuple[ImageField, ...]:
    """Describe the pictures of a policy with some cameras."""
    return tuple(ImageField(f'camera_{i}', SIDE, SIDE, 'rgb') for i in range(count))


def measure_node(
        folder: Path, policies: dict[int, Path], part: str, rate: float, cameras: int,
        seconds: float) -> list[Row]:
    """
    Measure the node with cameras, and before and after that without.

    :param folder: Folder in memory for the records.
    :param policies: Policy files by number of pictures.
    :param part: Name of the part in the rows.
    :param rate: Control rate in Hz.
    :param cameras: Number of cameras.
    :param seconds: Duration of each.
    """
    here = folder / part
    robots, variants = {}, {}
    for count in (0, cameras):
        place = here / str(count)
        place.mkdir(parents=True)
        spec = read_spec(policies[count])
        robots[count], message = write_robot(
            spec, place, {'encoding': 'rgb8', 'width': WIDTH, 'height': HEIGHT})
        variants[count] = write_variant(
            onnx.load(policies[count]), spec, place / 'policy.onnx', rate)
    cell = Cell(here, robots[0], message, spec.action_size, {})
    condition = Condition(rate, seconds=seconds, floor_seconds=seconds)
    topics = [image.name for image in fields(cameras)]
    period = round(1e9 / (CAMERA_RATE + 1 / _SWEEP))
    found: dict[int, list[Stretch]] = {0: [], cameras: []}
    with Scene(cell, condition) as site:
        found[0].append(site.measure_node(variants[0], seconds / 2))
        with contextlib.ExitStack() as stack:
            for topic in topics:
                stack.enter_context(site.beside('camera', topic, '--period', period))
            found[cameras].append(site.measure_node(
                variants[cameras], seconds, robot=robots[cameras], source=f'{topics[0]}_camera'))
        found[0].append(site.measure_node(variants[0], seconds / 2))
        arrivals = site.arrivals()
    rows = []
    for count, measured in found.items():
        row = {'part': part, 'cameras': count, 'rate': rate, 'camera_rate': CAMERA_RATE,
               **summarise(measured, condition.period, arrivals)}
        del row['period_histogram']
        # The policy is asked in every tick, unless the robot is held.
        row['held'] = row['ticks'] - row.get('inference', {'count': 0})['count']
        if count:
            row['pictures_used'] = sum(
                len(np.unique(each.ticks[:, STAMP])) for each in measured)
        rows.append(row)
    return rows


def measure_decoding(folder: Path, frames: int) -> list[Row]:
    """Time the way of a message to the pixels for the policy, by encoding."""
    calls, sizes = {}, {}
    for encoding in ENCODINGS:
        calls[encoding], sizes[encoding] = _decoder(folder, encoding)
    taken = in_turns({
        encoding: (_timed(call, None), frames) for encoding, call in calls.items()}, TURNS)
    return [
        {'part': 'decoding', 'encoding': encoding, 'width': WIDTH, 'height': HEIGHT,
         'side': SIDE, 'bytes': sizes[encoding], 'decoding': distribution(seconds)}
        for encoding, seconds in taken.items()]


def _decoder(folder: Path, encoding: str) -> tuple[Callable[[int], object], int]:
    """Make the function that reads a message, and return the size of that."""
    type_name = IMAGE if encoding in RAW else COMPRESSED_IMAGE
    picture = {'encoding': encoding, 'width': WIDTH, 'height': HEIGHT}
    path = folder / f'{encoding}.yaml'
    path.write_text(_ROBOT.format(
        type=type_name, picture=picture, side=SIDE, channels=ENCODINGS[encoding],
        range=', range: [0.2, 1.2]' if ENCODINGS[encoding] == 'depth' else ''))
    robot = load_robot_description(path)
    entries: tuple[ImageEntry, ...] = robot.images_of('camera')
    reader = PictureReader(robot.sources['camera'], entries, stamped=True)
    kind = Image if encoding in RAW else CompressedImage
    messages = PictureMessages(kind, type_name)
    content = serialize_message(_message(encoding))
    problem = reader.read(messages.read(content), 1).problem
    if problem:
        raise RuntimeError(f'{encoding}: {problem}')
    return lambda i: reader.read(messages.read(content), i), len(content)


def _message(encoding: str) -> Any:
    """Make a message of a camera."""
    colours = scene(0, (HEIGHT, WIDTH, 3))
    if encoding not in RAW:
        return CompressedImage(format=encoding, data=array('B', encode(colours, encoding)))
    pixels: NDArray[Any] = colours
    if encoding == 'mono8':
        pixels = scene(0, (HEIGHT, WIDTH))
    elif encoding == '16UC1':
        pixels = depths(0, (HEIGHT, WIDTH))
    return Image(
        width=WIDTH, height=HEIGHT, encoding=encoding, step=pixels.nbytes // HEIGHT,
        data=array('B', pixels.tobytes()))


def measure_inference(policies: dict[int, Path], calls: int) -> list[Row]:
    """Time calls of policies by the number of their encoders."""
    conditions = {}
    for count, path in policies.items():
        for rhythm, rate in (('paced', CALL_RATE), ('tight', None)):
            conditions[f'{count} {rhythm}'] = (_timed(_call(path), rate), calls)
    taken = in_turns(conditions, TURNS)
    return [
        {'part': 'inference', 'encoders': count, 'side': SIDE, 'rhythm': rhythm,
         'rate': CALL_RATE, 'inference': distribution(taken[f'{count} {rhythm}'])}
        for rhythm in ('paced', 'tight') for count in policies]


def _call(path: Path) -> Callable[[int], object]:
    """Make a function that asks a policy, one candidate at a time."""
    policy = OnnxPolicy(path, candidates=1)
    generator = np.random.default_rng(0)
    observation = generator.uniform(-1, 1, policy.spec.observation_size).astype(np.float32)
    noise = generator.standard_normal((1, policy.spec.noise_size), np.float32)
    pictures = tuple(
        generator.integers(0, 256, image.shape, np.uint8) for image in policy.spec.images)
    return lambda i: policy.act(observation, noise, pictures=pictures)


def _timed(
        call: Callable[[int], object], rate: float | None,
) -> Callable[[int], NDArray[np.float64]]:
    """Make a function that times a number of calls."""
    return lambda count: tight(call, count) if rate is None else paced(call, count, rate)


_ROBOT = """robot: bench
sources:
  camera: {{topic: picture, type: {type}, picture: {picture}, max_age: 1.0}}
observation:
  - {{name: nothing, unit: '1', constant: [0]}}
images:
  - {{name: seen, source: camera, height: {side}, width: {side}, channels: {channels}{range}}}
commands:
  arm:
    topic: command
    type: std_msgs/msg/Float64MultiArray
    stop: zero
    fields: [{{action: speed, unit: rad/s, path: data, indices: [0]}}]
"""


def line(row: Row) -> str:
    """Describe a row in a line: p50, p99 and p99.9 in microseconds."""
    def points(key: str) -> str:
        return '/'.join(f'{row[key][point]:.0f}' for point in _POINTS) if key in row else '-'

    if row['part'] == 'decoding':
        return f'decoding {row["encoding"]}: {points("decoding")}'
    if row['part'] == 'inference':
        return f'inference, {row["encoders"]} encoders, {row["rhythm"]}: {points("inference")}'
    return (
        f'{row["part"]} at {row["rate"]:g} Hz, {row["cameras"]} cameras: {row["ticks"]} ticks, '
        f'{row["missed"]} missed, {row["late_half_a_period"]} late, {row["held"]} held; stamp to '
        f'reception {points("observation_to_reception")}, period of commands '
        f'{points("period_error")}, of ticks {points("tick_period_error")}'
        + (f'; {row["pictures_used"]} pictures in {row["seconds"]:.0f} s'
           if row['cameras'] else ''))


def main(arguments: list[str] | None = None) -> int:
    """
    Print the results, and write them to JSON if requested.

    :return: Exit status; see the module's docstring.
    """
    made = argparse.ArgumentParser(
        prog='python -m bench.cameras', description=(__doc__ or '').strip().splitlines()[0])
    made.add_argument(
        '--seconds', type=amount, help='of each measurement of the node (default: 24, quick: 1)')
    made.add_argument('--quick', action='store_true', help='quick run')
    made.add_argument(
        '--only', nargs='+', choices=PARTS, default=PARTS, help='only these parts')
    made.add_argument('--json', type=output, help='write the results to this JSON file')
    asked = made.parse_args(arguments)
    seconds = asked.seconds or (1.0 if asked.quick else 24.0)
    calls = QUICK_CALLS if asked.quick else CALLS
    rows: list[Row] = []
    failed = []

    def take(name: str, measure: Callable[[], list[Row]]) -> None:
        try:
            found = measure()
        except (RuntimeError, TimeoutError) as error:
            # The others are measured nevertheless.
            print(f'failed: {name}: {error}', file=sys.stderr, flush=True)
            failed.append(name)
            return
        rows.extend(found)
        for row in found:
            print(line(row), flush=True)

    memory = Path('/dev/shm')
    print('us: p50/p99/p99.9')
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        folder = Path(name)
        policies = {
            count: write_policy(folder, images=fields(count)).path for count in range(3)}
        measures: dict[str, Callable[[], list[Row]]] = {
            'latency': lambda: measure_node(
                folder, policies, 'latency', LATENCY_RATE, 1, seconds),
            'loop': lambda: measure_node(folder, policies, 'loop', LOOP_RATE, 2, seconds),
            'decoding': lambda: measure_decoding(folder, calls),
            'inference': lambda: measure_inference(policies, calls)}
        for part in asked.only:
            take(part, measures[part])
    finish(rows, asked.json, failed=failed)
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
