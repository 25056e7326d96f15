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
"""Camera of the simulated robot, which renders the newest state in the background."""

from __future__ import annotations

import threading
import time

from builtin_interfaces.msg import Time
import numpy as np
from numpy.typing import NDArray
from rclpy.impl.rcutils_logger import RcutilsLogger
from rclpy.publisher import Publisher

from dfp_ros.sim.sim_robot.messages import image
from dfp_ros.sim.simulation.rendering import FrameServer, RenderingError


class Camera:
    """
    Background renderer and publisher, which never delays the physics.

    :param server: Renders the images.
    :param publisher: Publisher of sensor_msgs/Image.
    :param rate: Largest image rate in Hz.
    :param logger: Logger for rendering errors.
    """

    def __init__(
            self, server: FrameServer, publisher: Publisher, rate: float,
            logger: RcutilsLogger) -> None:
        """Start the thread."""
        self._server = server
        self._publisher = publisher
        self._interval = 1 / rate
        self._logger = logger
        self._newest: tuple[Time, NDArray[np.float64]] | None = None
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name='camera', daemon=True)
        self._thread.start()

    def offer(self, stamp: Time, picture: NDArray[np.float64]) -> None:
        """Pass the newest state; an older one that was not rendered yet is dropped."""
        with self._changed:
            self._newest = stamp, picture
            self._changed.notify()

    def close(self) -> None:
        """Stop rendering, and end the render process."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(2)
        self._server.close()

    def _run(self) -> None:
        """Render until closed, or until rendering fails."""
        due = time.monotonic()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or self._newest is not None)
                while not self._closing and (early := due - time.monotonic()) > 0:
                    self._changed.wait(early)
                if self._closing:
                    return
                assert self._newest is not None
                (stamp, picture), self._newest = self._newest, None
            due = max(due + self._interval, time.monotonic() - self._interval)
            try:
                frame = self._server.draw(picture)
            except RenderingError as error:
                if not self._closing:
                    self._logger.error(f'camera: {error}; no more images are published')
                return
            if not self._closing:
                self._publisher.publish(image(stamp, frame))
