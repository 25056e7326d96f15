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
"""Background loads of bench/loop, as processes."""

from __future__ import annotations

import ctypes
from dataclasses import replace
import os
import signal
import sys
import time

import numpy as np

_BUFFER = 1 << 28  # bytes, much more than the caches hold
_WIDTH, _HEIGHT, _IMAGES = 640, 480, 100  # pixels, pixels, Hz
_SET_DEATH_SIGNAL = 1  # from sys/prctl.h


def end_with_parent() -> None:
    """Have this process killed when its parent ends for any reason."""
    ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)


def stay_busy() -> None:
    """Compute forever."""
    while True:
        pass


def stream() -> None:
    """Copy memory forever."""
    source, target = np.ones(_BUFFER // 8), np.empty(_BUFFER // 8)
    while True:
        np.copyto(target, source)


def publish_images() -> None:
    """Publish images at a rate."""
    import rclpy
    from rclpy.node import Node
    from rclpy.serialization import serialize_message
    from sensor_msgs.msg import Image

    from bench.common.sleep import sleep_until
    from dfp_ros.node.ros.qos import SENSOR_QOS

    rclpy.init()
    node = Node('camera')
    publisher = node.create_publisher(Image, 'image', SENSOR_QOS)
    content = serialize_message(Image(
        width=_WIDTH, height=_HEIGHT, encoding='rgb8', step=3 * _WIDTH,
        data=bytes(3 * _WIDTH * _HEIGHT)))
    deadline = time.monotonic_ns()
    while True:
        deadline += 1_000_000_000 // _IMAGES
        sleep_until(deadline)
        publisher.publish(content)


def learn(processors: str = 'auto') -> None:
    """
    Make the updates of a learner on a robot forever, as one does that is always behind.

    :param processors: As the learner's setting.
    """
    import torch

    from training.learning.precision import faster, improving_agent, random_batch
    from training.presets import PRESETS
    from training.robot.process_priority import step_aside
    from training.robot.settings import LearnerSettings

    settings = LearnerSettings()
    step_aside(settings.nice, processors)
    torch.set_num_threads(1)
    config = PRESETS['learn-clone'][1]
    config = replace(config, precision=faster(config)[0])
    agent, batch = improving_agent(config), random_batch(config)
    while True:
        agent.update(batch)


def learn_apart() -> None:
    """Do so on the last processor."""
    learn(str(max(os.sched_getaffinity(0))))


if __name__ == '__main__':
    end_with_parent()
    {'busy': stay_busy, 'memory': stream, 'images': publish_images,
     'learner': learn, 'learner_apart': learn_apart}[sys.argv[1]]()
