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
from dfp_ros.sim.simulation.render_backend import RenderingError
from dfp_ros.sim.simulation.rendering import FrameServer

# Period of the comparison of the achieved rate with the requested one, s, and least ratio of the
# two that is not reported.
_CHECKED_EVERY, _KEPT = 10.0, 0.8


class Camera:
    """
    Background renderer and publisher, which never delays the physics in real time.

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
        self._since, self._drawn, self._drawing = time.monotonic(), 0, 0.0
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

    def publish(self, stamp: Time, picture: NDArray[np.float64]) -> None:
        """
        Render and publish a state at once, for physics that wait for an answer to it.

        Not beside :meth:`offer`.
        """
        if self._closing:
            return
        try:
            self._publisher.publish(image(stamp, self._server.draw(picture)))
        except RenderingError as error:
            self._closing = True
            self._logger.error(f'camera: {error}; no more images are published')

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
            begun = time.monotonic()
            try:
                frame = self._server.draw(picture)
            except RenderingError as error:
                if not self._closing:
                    self._logger.error(f'camera: {error}; no more images are published')
                return
            if not self._closing:
                self._publisher.publish(image(stamp, frame))
                self._compare_rates(begun)

    def _compare_rates(self, begun: float) -> None:
        """Count an image, and now and then report a rate that is not achieved."""
        now = time.monotonic()
        self._drawn += 1
        self._drawing += now - begun
        if now - self._since < _CHECKED_EVERY:
            return
        rate, mean = self._drawn / (now - self._since), self._drawing / self._drawn
        if mean > self._interval and rate * self._interval < _KEPT:
            self._logger.warning(
                f'camera: {rate:.1f} images a second of the {1 / self._interval:g} requested; one '
                f'takes {1000 * mean:.0f} ms to render; lower render_rate, or render on a GPU',
                throttle_duration_sec=60.0)
        self._since, self._drawn, self._drawing = now, 0, 0.0
