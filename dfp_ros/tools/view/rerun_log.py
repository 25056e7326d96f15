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
Translation of a policy node's and a robot's messages for Rerun (https://rerun.io).

The messages are those of rclpy, or of a recording. The entities:

``actions/FIELD/command``, ``limited``, ``sent``, ``person``
    What the policy asked for, in SI units, what is left within the limits, what was sent.
``policy/action/FIELD``
    The action of the policy, in [-1, 1].
``candidates/value``, ``candidates/spread``
    Value of the chosen chunk, and disagreement of the candidates.
``loop/...``, ``reasons/REASON``, ``log``
    State, commander, times; each reason that occurred, as 0 or 1; changes in words.
``robot/position/TOPIC``, ``world/TOPIC``, ``world/paths/TOPIC``, ``camera/TOPIC``
    Joint states, also ``robot/velocity``; poses; their paths in this episode; pictures.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
import json
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dfp_ros.core.control.decision import State
from dfp_ros.core.control.episode_marks import START
from dfp_ros.core.safety.reasons import Reason, Response
from dfp_ros.core.text.printable import listed, printable
from dfp_ros.tools.view.labelled_row import fields, LabelledRows, number, Row
from dfp_ros.tools.view.series import Series
from dfp_ros.tools.view.shown_topics import Shown
from dfp_ros.tools.view.situation import (
    find_commander,
    read_reason,
    read_response,
    read_state,
)

TIMELINE = 'time'
# Colour and width of the curves of a command; its further numbers are darker.
_CURVES = {
    'command': ((245, 150, 60), 1.0), 'limited': ((90, 160, 250), 1.0),
    'sent': ((70, 200, 110), 2.0), 'person': ((220, 90, 220), 1.5)}
_PATH_COLORS = (
    (245, 190, 60), (90, 160, 250), (70, 200, 110), (220, 90, 220), (240, 90, 90), (90, 210, 210))
# Points of a path, and the least time between two points of it, and between two pictures, in ns.
_PATH, _POINT_PERIOD, _PICTURE_PERIOD = 400, 50_000_000, 100_000_000
# While decisions arrive, commands are not taken from the statistics, which have fewer of them.
_DECISIONS_LAST = 1_000_000_000
# Names that are made of messages: reasons are few, but anybody may publish fields and joints.
_MOST_SERIES, _MOST_FIELDS, _MOST_JOINTS, _MOST_TEXT = 500, 12, 100, 20_000
# Different sets of joints of one topic.
_MOST_GROUPS = 20
_CHANNELS = {'rgb8': 'RGB', 'bgr8': 'BGR', 'rgba8': 'RGBA', 'bgra8': 'BGRA', 'mono8': 'L'}


class RerunLog:
    """
    Translator of messages.

    :param stream: A ``rerun.RecordingStream``.

    :ivar counts: Number of messages taken, of each kind.
    """

    def __init__(self, stream: Any) -> None:
        """Start without a message."""
        import rerun

        self.counts: Counter[Shown] = Counter()
        self._rerun = rerun
        self._stream = stream
        self._series = Series(self._send)
        self._names: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._rows = {Shown.DECISION: LabelledRows(), Shown.STATISTICS: LabelledRows()}
        self._latest_decision = -_DECISIONS_LAST
        self._seen_reasons: list[Reason] = []
        self._standing: object = None
        self._diagnosed: dict[str, str] = {}
        self._joints: dict[str, dict[tuple[str, ...], tuple[int, tuple[str, ...]]]] = {}
        self._paths: dict[str, deque[tuple[float, float, float]]] = {}
        self._latest: dict[str, int] = {}
        self._action: tuple[str, ...] | None = None
        self._has_pictures = False
        self._take = {
            Shown.DECISION: self._take_decision, Shown.STATISTICS: self._take_statistics,
            Shown.POLICY: self._take_policy, Shown.MARK: self._take_mark,
            Shown.DIAGNOSTICS: self._take_diagnostics, Shown.JOINTS: self._take_joints,
            Shown.POSE: self._take_pose, Shown.IMAGE: self._take_image}

    def take(self, topic: str, shown: Shown, message: Any, time: int) -> None:
        """
        Take a message.

        :param topic: Its topic.
        :param shown: What the topic shows.
        :param message: The message, of rclpy or of rosbags.
        :param time: The time at which it was received, in ns.
        """
        self.counts[shown] += 1
        self._take[shown](topic, message, time)

    def flush(self) -> None:
        """Pass on what was collected; to be called a few times a second."""
        self._series.flush()

    def _take_decision(self, topic: str, message: Any, time: int) -> None:
        row = self._rows[Shown.DECISION].read(message)
        if row is None or 'state' not in row:
            return
        self._latest_decision = time
        self._lay_out(fields(row, 'sent'))
        self._add_commands(row, time)
        for name, values in fields(row, 'action').items():
            self._series.add(('policy', 'action', name), time, values)
        for label, scale in (('inference', 1e3), ('observation_age', 1e3)):
            self._series.add(('loop', f'{label}_ms'), time, [number(row, label) * scale])
        self._take_state(row, time)

    def _take_statistics(self, topic: str, message: Any, time: int) -> None:
        row = self._rows[Shown.STATISTICS].read(message)
        if row is None or 'ticks' not in row:
            return
        for label in ('period_ms', 'missed_ticks'):
            self._series.add(('loop', label), time, [number(row, label)])
        for name, ages in fields(row, 'age_ms').items():
            self._series.add(('sources', name, 'age_ms'), time, ages)
        if self._latest_decision <= time < self._latest_decision + _DECISIONS_LAST:
            return
        self._lay_out(fields(row, 'sent'))
        self._add_commands(row, time)
        for label in ('inference_ms', 'observation_age_ms'):
            self._series.add(('loop', label), time, [number(row, label)])
        self._take_state(row, time)

    def _add_commands(self, row: Row, time: int) -> None:
        for kind in _CURVES:
            for name, values in fields(row, kind).items():
                self._series.add(('actions', name, kind), time, values)

    def _take_state(self, row: Row, time: int) -> None:
        """Take what decisions and statistics have in common."""
        state, reason = read_state(number(row, 'state')), read_reason(number(row, 'reason'))
        response, commander = read_response(number(row, 'response')), find_commander(state, reason)
        for label in ('value', 'spread'):
            self._series.add(('candidates', label), time, [number(row, label)])
        for label, value in (
                ('state', number(row, 'state')), ('commander', commander),
                ('response', response)):
            self._series.add(('loop', label), time, [value])
        new = [each for each in Reason if each.value and each in reason
               and each not in self._seen_reasons]
        self._seen_reasons += new
        for each in self._seen_reasons:
            self._series.add(
                ('reasons', str(each.name).lower()), time, [float(each in reason)])
        # Mild reasons come and go with every step.
        is_strong = response >= Response.HOLD
        standing = state, commander, is_strong and reason
        if standing != self._standing or new:
            self._standing = standing
            words = f'{"not active" if state is None else state.value}, commanded by ' \
                    f'{commander.name.lower()}; reasons: {reason.words}'
            self._say(time, words, 'ERROR' if state is State.HOLD else (
                'WARN' if response >= Response.WARN else 'INFO'))

    def _take_policy(self, topic: str, message: Any, time: int) -> None:
        """Show the running policy; its settings and specification are in the document, too."""
        try:
            found = json.loads(message.data[:_MOST_TEXT * 10])
            name, sha256 = printable(found['name']), printable(found['sha256'])
        except (ValueError, KeyError, TypeError, RecursionError):
            return
        self._say(time, f'policy {name} (sha256 {sha256[:12]})', 'INFO')
        text = json.dumps(
            {key: found.get(key) for key in (
                'name', 'path', 'sha256', 'since', 'providers', 'shadow', 'previous',
                'last_refusal', 'robot', 'settings', 'spec')}, indent=1)[:_MOST_TEXT]
        self._log(time, ('policy', 'running'), self._rerun.TextDocument(
            f'```json\n{text}\n```', media_type='text/markdown'))

    def _take_mark(self, topic: str, message: Any, time: int) -> None:
        if message.data == START:
            for path in self._paths.values():
                path.clear()
        self._say(time, f'episode: {printable(message.data)}', 'INFO')

    def _take_diagnostics(self, topic: str, message: Any, time: int) -> None:
        """Show messages of diagnostics that changed, without their numbers' changes."""
        for status in message.status:
            level = status.level[0] if isinstance(status.level, bytes) else int(status.level)
            said = f'{level} {"".join(each for each in status.message if not each.isdigit())}'
            before = self._diagnosed.get(status.name)
            if before == said or before is None and len(self._diagnosed) > _MOST_SERIES:
                continue
            self._diagnosed[status.name] = said
            if level or before is not None:
                self._say(
                    time, f'{printable(status.name)}: {printable(status.message, 500)}',
                    ('INFO', 'WARN', 'ERROR', 'ERROR')[min(level, 3)])

    def _take_joints(self, topic: str, message: Any, time: int) -> None:
        """Show joints, in one order; several publishers, as of arm and gripper, apart."""
        names = tuple(printable(name) for name in message.name[:_MOST_JOINTS])
        groups = self._joints.setdefault(topic, {})
        key = tuple(sorted(names))
        if not names or key not in groups and len(groups) == _MOST_GROUPS:
            return
        number, order = groups.setdefault(key, (len(groups) + 1, names))
        for kind in ('position', 'velocity'):
            values = getattr(message, kind)
            if len(values) == len(message.name):
                path = ('robot', kind, topic, *([str(number)] if number > 1 else []))
                self._name(path, order)
                self._series.add(path, time, values[:_MOST_JOINTS] if names == order else [
                    values[names.index(name)] for name in order])

    def _take_pose(self, topic: str, message: Any, time: int) -> None:
        if self._is_soon(topic, time, _POINT_PERIOD):
            return
        place, turn = message.pose.position, message.pose.orientation
        point = (float(place.x), float(place.y), float(place.z))
        rotation = (float(turn.x), float(turn.y), float(turn.z), float(turn.w))
        if not all(map(math.isfinite, (*point, *rotation))):
            return
        self._latest[topic] = time
        path = self._paths.setdefault(topic, deque(maxlen=_PATH))
        path.append(point)
        rerun = self._rerun
        self._log(time, ('world', topic), rerun.Transform3D(
            translation=point, quaternion=rerun.Quaternion(xyzw=rotation)))
        self._log(time, ('world', topic, 'point'), rerun.Points3D(
            [(0.0, 0.0, 0.0)], radii=0.01, labels=[topic.strip('/')]))
        if len(path) > 1:
            color = _PATH_COLORS[list(self._paths).index(topic) % len(_PATH_COLORS)]
            self._log(time, ('world', 'paths', topic), rerun.LineStrips3D(
                [list(path)], colors=[color], radii=rerun.Radius.ui_points(1.5)))

    def _take_image(self, topic: str, message: Any, time: int) -> None:
        model = _CHANNELS.get(message.encoding)
        if model is None or self._is_soon(topic, time, _PICTURE_PERIOD):
            return
        height, width, count = message.height, message.width, max(1, len(model))
        data = np.frombuffer(bytes(message.data), np.uint8)
        if not 0 < width * count <= message.step or len(data) != height * message.step:
            return
        if not self._has_pictures:
            self._has_pictures = True
            self._send_layout()
        self._latest[topic] = time
        pixels = data.reshape(height, message.step)[:, :width * count]
        picture = pixels.reshape((height, width, count) if count > 1 else (height, width))
        self._log(time, ('camera', topic), self._rerun.Image(picture, color_model=model))

    def _is_soon(self, topic: str, time: int, period: int) -> bool:
        """Tell whether less than a period has passed; a clock that is set back begins anew."""
        latest = self._latest.get(topic)
        return latest is not None and latest <= time < latest + period

    def _say(self, time: int, text: str, level: str) -> None:
        self._log(time, ('log',), self._rerun.TextLog(text, level=level))

    def _log(self, time: int, path: tuple[str, ...], what: Any) -> None:
        self._stream.set_time(TIMELINE, timestamp=np.datetime64(time, 'ns'))
        self._stream.log(self._entity(path), what)

    def _send(
            self, path: tuple[str, ...], times: NDArray[np.int64],
            values: NDArray[np.float64]) -> None:
        """Send the collected numbers of a series."""
        if path not in self._names:
            if len(self._names) >= _MOST_SERIES:
                return
            names = (path[-1],) if values.shape[1] == 1 else tuple(
                f'{path[-1]} {index}' for index in range(values.shape[1]))
            self._name(path, names)
        rerun = self._rerun
        columns = rerun.Scalars.columns(scalars=values.reshape(-1))
        self._stream.send_columns(
            self._entity(path),
            indexes=[rerun.TimeColumn(TIMELINE, timestamp=times.astype('datetime64[ns]'))],
            columns=columns.partition([values.shape[1]] * len(times)))

    def _name(self, path: tuple[str, ...], names: tuple[str, ...]) -> None:
        """Name the curves of a series, once."""
        if self._names.get(path) == names:
            return
        if path not in self._names and len(self._names) >= _MOST_SERIES:
            return
        self._names[path] = names
        style: dict[str, Any] = {}
        if path[0] == 'actions':
            color, width = _CURVES[path[-1]]
            style = {
                'widths': [width] * len(names), 'colors': [
                    tuple(round(part * (1 - 0.5 * i / len(names))) for part in color)
                    for i in range(len(names))]}
        self._stream.log(
            self._entity(path), self._rerun.SeriesLines(names=list(names), **style), static=True)

    def _entity(self, path: tuple[str, ...]) -> str:
        """Make the path of an entity; topics keep their slashes as levels."""
        parts = [part for word in path for part in word.split('/') if part]
        return str(self._rerun.new_entity_path(parts))

    def _lay_out(self, action: Mapping[str, object]) -> None:
        """Send the layout of the viewer for these fields of the action."""
        names = tuple(action)[:_MOST_FIELDS]
        if names != self._action:
            self._action = names
            self._send_layout()

    def _send_layout(self) -> None:
        self._stream.send_blueprint(self._blueprint(self._action or ()))

    def _blueprint(self, names: Sequence[str]) -> Any:
        """Arrange robot, actions, and loop beside each other."""
        import rerun.blueprint as layout

        def curves(name: str, *path: str, contents: Sequence[str] = ('$origin/**',)) -> Any:
            return layout.TimeSeriesView(
                name=name, origin=self._entity(path), contents=list(contents))

        return layout.Blueprint(layout.Horizontal(
            layout.Vertical(
                layout.Spatial3DView(name='Poses and paths', origin='world'),
                curves('Joint positions', 'robot', 'position'),
                curves('Joint velocities', 'robot', 'velocity'),
                *([layout.Spatial2DView(name='Camera', origin='camera')]
                  if self._has_pictures else []),
                row_shares=[3, 2, 2, *([2] if self._has_pictures else [])]),
            layout.Vertical(*(
                curves(f'{name}: asked for, limited, sent', 'actions', name)
                for name in names), curves('Action of the policy, in [-1, 1]', 'policy/action')),
            layout.Vertical(
                curves('State, who commands, response', 'loop', contents=[
                    '$origin/state', '$origin/commander', '$origin/response']),
                curves('Reasons', 'reasons'),
                curves('Candidates: value and spread', 'candidates'),
                curves('Period, inference, age (ms)', 'loop', contents=[
                    '$origin/period_ms', '$origin/inference_ms', '$origin/observation_age_ms']),
                layout.TextLogView(name='Changes', origin='log'))), collapse_panels=True)


def summarise(counts: Mapping[Shown, int]) -> str:
    """Summarise what was taken."""
    return listed(f'{count} of {shown.name.lower()}' for shown, count in counts.items())
