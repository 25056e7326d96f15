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
"""Deferred answers of services, which do not occupy a thread meanwhile."""

from __future__ import annotations

from typing import Any

from rclpy.service import Service


class Later:
    """Deferred response, returned by a callback in place of the response."""

    def __init__(self, send: Any) -> None:
        """Wait for the header, which identifies the call."""
        self._send = send
        self._header: Any = None

    def keep(self, header: Any) -> None:
        """Store the header of the call."""
        self._header = header

    def answer(self, response: Any) -> None:
        """
        Answer the call; runs on the thread that spins the node.

        :param response: The response.
        """
        self._send(response, self._header)


def answer_later(service: Service) -> Any:
    """
    Allow the callback of a service to return a :class:`Later`.

    Coroutines have the same effect if the executor awaits them; the events executor does not.

    :param service: The service.
    :return: Sends a response with a header, for :class:`Later`.
    """
    send = service.send_response

    def send_or_keep(response: Any, header: Any) -> None:
        if isinstance(response, Later):
            response.keep(header)
        else:
            send(response, header)

    setattr(service, 'send_response', send_or_keep)  # noqa: B010
    return send
