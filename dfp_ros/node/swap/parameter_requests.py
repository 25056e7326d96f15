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
"""Requests to set parameters, whose policy files are read in the background first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rcl_interfaces.msg import ParameterType, SetParametersResult
from rclpy.node import Node

from dfp_ros.core.policy.policy_file import PolicyFile
from dfp_ros.node.ros.background_worker import BackgroundWorker
from dfp_ros.node.ros.late_answers import answer_later, Later

#: The file that was read, or the error.
ReadResult = PolicyFile | Exception
_NAMES = ('policy', 'shadow')
_SERVICES = ('set_parameters', 'set_parameters_atomically')


class ParameterRequests:
    """
    Reads policy files in the background before their parameters are set.

    Requests without a policy file are served at once; the others in their order.

    :param node: The node with the services.
    :param read: Reads a policy file, in any thread.

    :ivar results: The files of the request that is being served, by name.
    """

    def __init__(self, node: Node, read: Callable[[str], PolicyFile]) -> None:
        """Serve requests at once, until there is a worker."""
        self.results: Mapping[str, ReadResult] = {}
        self._read = read
        self._worker: BackgroundWorker | None = None
        self._waiting: dict[Later, Callable[[], Any]] = {}
        for service in node.services:
            if service.srv_name.rpartition('/')[2] in _SERVICES:
                service.callback = self._serve(service.callback, answer_later(service))

    def work_with(self, worker: BackgroundWorker) -> None:
        """
        Read files in the background from now on.

        :param worker: The background worker, closed by the caller after :meth:`stop_working`.
        """
        self._worker = worker

    def stop_working(self) -> None:
        """Refuse pending requests; later ones are served at once."""
        self._worker = None
        waiting, self._waiting = self._waiting, {}
        for later, refuse in waiting.items():
            later.answer(refuse())

    def _serve(self, serve: Callable[[Any, Any], Any], send: Any) -> Callable[[Any, Any], Any]:
        """Make the callback of one service."""
        def begin(request: Any, response: Any) -> Any:
            names = tuple(dict.fromkeys(
                each.value.string_value for each in request.parameters if each.name in _NAMES
                and each.value.type == ParameterType.PARAMETER_STRING
                and each.value.string_value))
            if not names or self._worker is None:
                return serve(request, response)
            later = Later(send)

            def read_all() -> dict[str, ReadResult]:
                return {name: self._try_to_read(name) for name in names}

            def done(results: Mapping[str, ReadResult]) -> None:
                if self._waiting.pop(later, None) is None:
                    return
                self.results = results
                try:
                    later.answer(serve(request, response))
                finally:
                    self.results = {}

            self._waiting[later] = lambda: _refusal(request, response)
            self._worker.submit(
                read_all, done, lambda error: done(dict.fromkeys(names, error)))
            return later
        return begin

    def _try_to_read(self, name: str) -> ReadResult:
        """Read a file, or return the error, which refuses the parameter."""
        try:
            return self._read(name)
        except Exception as error:
            return error


def _refusal(request: Any, response: Any) -> Any:
    """Refuse all parameters of a request."""
    refused = SetParametersResult(
        successful=False,
        reason='the node was cleaned up before its file was read; set it again')
    if hasattr(response, 'results'):
        response.results = [refused] * len(request.parameters)
    else:
        response.result = refused
    return response
