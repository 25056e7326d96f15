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
Terminal view of a policy node, drawn with Rich.

It is drawn between the messages, a few times a second, without a thread of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import importlib.util
import math
import os
from typing import TextIO, TYPE_CHECKING

from dfp_ros.core.control.decision import Commanding, State
from dfp_ros.core.safety.reasons import Reason, Response
from dfp_ros.tools.view.situation import Situation

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.measure import Measurement
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

#: Time between two pictures in s.
PERIOD = 0.25
# Silence in s after which the node is reported.
_SILENT = 2.0
_BLOCKS = '▁▂▃▄▅▆▇█'
_CURVE, _HALF, _NAMES = 30, 10, 15
_MOST_BARS, _MOST_DOTS = 10, 20
_COLUMNS, _ROWS = 60, 15
_STATES = {
    None: 'dim', State.WAITING: 'yellow', State.RUNNING: 'green', State.HOLD: 'bold red',
    State.STOPPED: 'bold yellow'}
_COMMANDERS = {
    Commanding.NOBODY: 'dim', Commanding.POLICY: 'cyan', Commanding.PERSON: 'bold magenta'}


def why_no_terminal(stream: TextIO) -> str:
    """Explain why a stream cannot show the view; empty if it can."""
    if not stream.isatty():
        return 'the output is not a terminal'
    if os.environ.get('TERM', 'dumb') in ('', 'dumb', 'unknown'):
        return f'the terminal is {os.environ.get("TERM") or "unknown"!r} (TERM)'
    if 'utf' not in (stream.encoding or '').lower():
        return f'its encoding is {stream.encoding}, not UTF-8 (LANG)'
    if importlib.util.find_spec('rich') is None:
        return ('the Python package rich is not installed; `pip install rich`, or on Debian and '
                'Ubuntu `apt install python3-rich`')
    columns, rows = os.get_terminal_size(stream.fileno())
    # A terminal of unknown size has the size 0.
    if 0 < columns < _COLUMNS or 0 < rows < _ROWS:
        return f'its size is {columns} x {rows}, less than {_COLUMNS} x {_ROWS}'
    return ''


def sparkline(values: Iterable[float], top: float) -> str:
    """
    Draw a curve in one line; a missing value is a space.

    :param top: The value of a full block.
    """
    return ''.join(
        ' ' if not math.isfinite(value) or not top > 0 else
        _BLOCKS[round(min(1.0, max(0.0, value / top)) * (len(_BLOCKS) - 1))]
        for value in values)


def bar(share: float) -> tuple[str, str]:
    """
    Draw a number from -1 to 1 as a bar from the middle.

    :return: The left and the right half.
    """
    length = 0 if not math.isfinite(share) else round(min(1.0, abs(share)) * _HALF)
    return (
        ('█' * length).rjust(_HALF) if share < 0 else ' ' * _HALF,
        ('█' * length).ljust(_HALF) if share > 0 else ' ' * _HALF)


def newest(values: Sequence[float]) -> float:
    """Return the newest number; NaN without one."""
    return next((value for value in reversed(values) if math.isfinite(value)), math.nan)


def draw(situation: Situation, now: float) -> Panel:
    """
    Draw the view.

    :param now: The time in s, on the clock of the situation.
    :return: A renderable of Rich.
    """
    from rich.console import Group
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    top, times, bars = (Table.grid(padding=(0, 2)) for _ in range(3))
    # In a narrow terminal, the curves and the names of fields give way, not the numbers.
    for grid in (top, times):
        grid.add_column(min_width=_NAMES, no_wrap=grid is times)
    for grid, columns in ((times, (True, False, True)), (bars, (False, True, True, True))):
        for no_wrap in columns:
            grid.add_column(no_wrap=no_wrap)
    top.add_row('episode', _episode(situation, now))
    silence = math.nan if situation.heard is None else now - situation.heard
    if situation.heard is None:
        top.add_row('state', Text(f'waiting for {situation.node}', 'dim'))
        return Panel(top, title_align='left', border_style='dim')
    if silence > _SILENT:
        top.add_row('state', Text(f'{situation.node} is silent for {silence:.0f} s', 'bold red'))
    else:
        state = 'not active' if situation.state is None else situation.state.value
        top.add_row('state', Text.assemble(
            (f'{state:<10}', _STATES[situation.state]), '  commanded by ',
            (situation.commander.name.lower(), _COMMANDERS[situation.commander])))
    top.add_row('reasons', _reasons(situation))
    # A single candidate has neither.
    candidates = [
        f'{name} {value:.3g}' for name, value in (
            ('value', situation.value), ('spread', situation.spread))
        if math.isfinite(value) and value]
    if candidates:
        top.add_row('candidates', ', '.join(candidates))
    if math.isfinite(situation.missed):
        top.add_row('missed ticks', Text(
            f'{situation.missed:.0f} of {situation.ticks + situation.missed:.0f}',
            'yellow' if situation.missed else ''))
    tick = situation.tick
    for name, values, least, note in (
            ('period', situation.periods, 2 * tick, f'of {tick:g} ms'),
            ('inference', situation.inferences, 0.0, ''),
            ('observation age', situation.ages, tick, '')):
        times.add_row(
            name, Text(f'{newest(values):8.2f} ms', 'bold'),
            _Curve(list(values), _top(values, least)),
            Text(note if math.isfinite(tick) else '', 'dim'))
    _add_bars(bars, situation)
    parts: list[RenderableType] = [top, Text(), times]
    if bars.row_count:
        parts += [Text(), bars]
    border = 'red' if situation.state is State.HOLD or silence > _SILENT else 'green'
    return Panel(
        Group(*parts),
        title=Text(f'{situation.policy or "policy"} on {situation.robot or "robot"}'),
        subtitle=Text(situation.node), title_align='left', subtitle_align='right',
        border_style=border)


def _episode(situation: Situation, now: float) -> Text:
    """Draw number, results and duration of episodes."""
    from rich.text import Text

    results, asked = situation.results, situation.asked
    running = len(results) + (situation.began is not None)
    text = Text('none yet' if not running else f'{running}' + (f' of {asked}' if asked else ''))
    if results:
        text.append('  ')
        for success in results[-_MOST_DOTS:]:
            text.append('●' if success else '○', 'green' if success else 'red')
        text.append(f'  {sum(results)} of {len(results)} solved')
    if situation.began is not None:
        text.append(f'  {now - situation.began:.1f} s', 'dim')
    return text


def _reasons(situation: Situation) -> Text:
    """Draw the reasons and their response."""
    from rich.text import Text

    if situation.reason is Reason.NONE:
        return Text('none', 'dim')
    style = 'yellow' if situation.response < Response.HOLD else 'red'
    text = Text(f'{situation.reason.words} ({situation.response.name.lower()})', style)
    if situation.state in (State.HOLD, State.STOPPED) and situation.explanation:
        text.append(f': {situation.explanation}', 'default')
    text.truncate(140, overflow='ellipsis')
    return text


def _add_bars(bars: Table, situation: Situation) -> None:
    """Draw what is sent, and what was asked for if it differs."""
    from rich.text import Text

    left = sum(map(len, situation.sent.values()))
    # The rows have no request of a person.
    asking = 'policy asked' if situation.commander is Commanding.PERSON else 'asked'
    for name, sent in situation.sent.items():
        asked, full = situation.command.get(name, sent), situation.largest[name]
        for i, value in enumerate(sent.tolist()):
            if bars.row_count == _MOST_BARS:
                bars.add_row(Text(f'and {left} more', 'dim'))
                return
            left -= 1
            low, high = bar(value / full[i] if full[i] > 0 else 0.0)
            other = float(asked[i]) if len(asked) == len(sent) else math.nan
            # NaN differs from everything, and a command may be missing.
            differs = math.isfinite(other) and abs(other - value) > 1e-3 * max(full[i], 1e-9)
            bars.add_row(
                Text(name if i == 0 else '', no_wrap=True, overflow='ellipsis'),
                Text.assemble((low, 'blue'), ('│', 'dim'), (high, 'blue')),
                Text(f'{value:8.3f}' if math.isfinite(value) else '       -', 'bold'),
                Text(f'{asking} {other:.3f}' if differs else '', 'yellow'))


class _Curve:
    """
    Curve of the newest values, as many as there is room for.

    :param values: The values, the newest last.
    :param top: The value of a full block.
    """

    def __init__(self, values: list[float], top: float) -> None:
        self._values = values
        self._top = top

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Return the least and the largest width."""
        from rich.measure import Measurement
        return Measurement(1, _CURVE)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw in the width that there is."""
        from rich.text import Text
        width = min(_CURVE, options.max_width)
        yield Text(sparkline(self._values[-width:], self._top).rjust(width), 'cyan', no_wrap=True)


def _top(values: Iterable[float], least: float) -> float:
    """Return the top of a curve: a little above its largest number, at least ``least``."""
    largest = max((value for value in values if math.isfinite(value)), default=0.0)
    return max(1.2 * largest, least if math.isfinite(least) else 0.0)


class TerminalView:
    """
    View at the bottom of a terminal, under the lines that are printed.

    :param situation: What to draw.
    """

    def __init__(self, situation: Situation) -> None:
        """Begin to draw."""
        from rich.console import Console
        from rich.live import Live

        self._situation = situation
        self._next = 0.0
        self._live = Live(
            console=Console(highlight=False), auto_refresh=False, transient=True,
            redirect_stdout=False, redirect_stderr=False)
        self._live.start()

    def update(self, now: float) -> None:
        """
        Draw, unless that was done a moment ago.

        :param now: The time in s, on the clock of the situation.
        """
        if now >= self._next:
            self._next = now + PERIOD
            self._live.update(draw(self._situation, now), refresh=True)

    def print(self, line: str) -> None:
        """Print a line above the view."""
        from rich.text import Text

        self._live.console.print(Text(line))

    def close(self) -> None:
        """Remove the view, and leave the lines."""
        self._live.stop()
