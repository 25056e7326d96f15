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
"""Pictures of the documentation: floors and rooms of the code, and the states of an episode."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
import math
from pathlib import Path

import tomllib

from dfp_ros.tools.episodes.machine import Phase, TRANSITIONS

_WIDTH = 920
_STYLE = """<style>
text { font: 14px system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif; fill: #1c2733; }
.name { font-weight: 600; }
.small { font-size: 12px; fill: #4a5868; }
.chip { fill: #fff; stroke: #7b8fa6; }
.floor { fill: #eef3f8; stroke: #b8c6d6; }
.top { fill: #fdf3e3; stroke: #dcb877; }
.edge { fill: none; stroke: #4a5868; stroke-width: 1.5; marker-end: url(#arrow); }
.faint { stroke: #a3b1c1; stroke-dasharray: 4 3; }
</style>
<defs><marker id="arrow" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7"
 orient="auto-start-reverse"><path d="M0 0L10 5L0 10z" fill="#4a5868"/></marker></defs>"""


def _picture(width: float, height: float, title: str, about: str, parts: Sequence[str]) -> str:
    """Put a picture together; the description is read by screen readers."""
    return '\n'.join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
        'role="img" aria-labelledby="title about">',
        f'<title id="title">{escape(title)}</title>', f'<desc id="about">{escape(about)}</desc>',
        '<!-- Written by `python -m documentation`. -->', _STYLE,
        f'<rect width="{width:g}" height="{height:g}" fill="#fff"/>', *parts, '</svg>', ''])


def rooms(root: Path, floor: str) -> list[str]:
    """
    List the rooms of a floor, from the contracts of import-linter.

    :param root: The checkout.
    :param floor: ``sim``, ``tools``, ``node`` or ``core``.
    :return: Names of the rooms that are folders, the highest first.
    """
    contracts = tomllib.loads((root / 'pyproject.toml').read_text())['tool']['importlinter']
    return [
        layer.split('.')[2] for layer in contracts['contracts'][0]['layers']
        if layer.startswith(f'dfp_ros.{floor}.') and '|' not in layer
        and (root / layer.replace('.', '/')).is_dir()]


def floors(root: Path) -> str:
    """
    Draw the floors and rooms.

    :param root: The checkout.
    """
    parts: list[str] = []
    top = 10.0
    for name, words, members in (
            ('bench, testing, documentation', 'benchmarks, tests, generated pages', []),
            ('training', 'learns a policy; needs PyTorch', []),
            ('dfp_ros/policy_node.py', 'the node, put together from its parts', []),
            ('dfp_ros/sim', 'robots in simulation', rooms(root, 'sim')),
            ('dfp_ros/tools', 'programs beside the node', rooms(root, 'tools')),
            ('dfp_ros/node', 'ROS 2', rooms(root, 'node')),
            ('dfp_ros/core', 'no ROS, no PyTorch', rooms(root, 'core')),
            ('dfp_ros/spec.py', 'contract of training and robot', [])):
        chips, bottom = _chips(members, top + 34)
        height = (bottom if members else top + 26) - top + 8
        kind = 'floor' if name.startswith('dfp_ros') else 'top'
        parts += [
            f'<rect class="{kind}" x="10" y="{top:g}" width="{_WIDTH - 20}" height="{height:g}" '
            'rx="6"/>',
            f'<text class="name" x="22" y="{top + 22:g}">{escape(name)}</text>',
            f'<text class="small" x="{32 + 9.2 * len(name):g}" y="{top + 22:g}">'
            f'{escape(words)}</text>', *chips]
        top += height + 10
    about = 'Imports go down from floor to floor, and to the right within one. ' + ' '.join(
        f'{floor}: {", ".join(rooms(root, floor))}.' for floor in ('sim', 'tools', 'node', 'core'))
    return _picture(_WIDTH, top, 'Floors and rooms of the code', about, parts)


def _chips(names: Sequence[str], top: float) -> tuple[list[str], float]:
    """Draw rooms in a row that wraps, with an arrow from each to the next."""
    parts, left = [], 22.0
    for i, name in enumerate(names):
        width = 8.4 * len(name) + 18
        if left + width > _WIDTH - 26:
            left, top = 22.0, top + 34
        parts += [
            f'<rect class="chip" x="{left:g}" y="{top:g}" width="{width:g}" height="26" rx="4"/>',
            f'<text x="{left + width / 2:g}" y="{top + 18:g}" text-anchor="middle">{name}</text>']
        if i + 1 < len(names):
            parts.append(f'<text class="small" x="{left + width + 4:g}" y="{top + 18:g}">→</text>')
        left += width + 22
    return parts, top + 26


_ENDED = 'ended'
_PLACES = {
    'resetting': (110, 110), 'ready': (280, 110), 'starting': (450, 110), 'running': (620, 110),
    _ENDED: (800, 110), 'waiting': (365, 270)}
_SIZE = {_ENDED: (130, 104)}


def states() -> str:
    """Draw the states of an episode; the four ends are one box."""
    ends = {Phase.SUCCESS, Phase.FAILURE, Phase.TIMEOUT, Phase.ABANDONED}
    pairs = {
        (before, after) for before, states in TRANSITIONS.items() for after in states
        if after is not Phase.RUNNING or before is Phase.STARTING}

    def box(phase: Phase) -> str:
        return _ENDED if phase in ends else phase.value

    edges: dict[tuple[str, str], set[str]] = {}
    for before, after in pairs:
        words = edges.setdefault((box(before), box(after)), set())
        words.update(phase.value for phase in (before, after) if phase in ends)
    parts = [_edge(*edge, words, len(ends)) for edge, words in sorted(edges.items())]
    for name, (x, y) in _PLACES.items():
        width, height = _SIZE.get(name, (110, 40))
        parts.append(
            f'<rect class="floor" x="{x - width / 2:g}" y="{y - height / 2:g}" width="{width}" '
            f'height="{height}" rx="20"/>')
        lines = sorted(phase.value for phase in ends) if name == _ENDED else [name]
        parts += [
            f'<text x="{x}" y="{y + 5 + 22 * (i - (len(lines) - 1) / 2):g}" text-anchor="middle">'
            f'{line}</text>' for i, line in enumerate(lines)]
    about = '; '.join(
        f'{before.value} to {after.value}'
        for before, after in sorted(pairs, key=lambda pair: (pair[0].value, pair[1].value)))
    return _picture(900, 310, 'States of an episode', about, parts)


def _edge(before: str, after: str, words: set[str], ends: int) -> str:
    """Draw an arrow between two boxes, bent so that a pair of opposite ones lie apart."""
    (x1, y1), (x2, y2) = _PLACES[before], _PLACES[after]
    length = math.hypot(x2 - x1, y2 - y1)
    # To the left of its direction; long ones between states of one row go above the others.
    bend = 0.62 * length / 4 if y1 == y2 and length > 200 else 16
    side = -1 if y1 == y2 and x2 < x1 and length > 200 else 1
    cx = (x1 + x2) / 2 + side * bend * (y2 - y1) / length
    cy = (y1 + y2) / 2 - side * bend * (x2 - x1) / length
    sx, sy = _rim(before, cx, cy)
    ex, ey = _rim(after, cx, cy)
    kind = 'edge faint' if after == 'waiting' else 'edge'
    drawn = f'<path class="{kind}" d="M{sx:.1f} {sy:.1f}Q{cx:.1f} {cy:.1f} {ex:.1f} {ey:.1f}"/>'
    if words and len(words) < ends:
        drawn += (f'<text class="small" x="{cx:.1f}" y="{cy + 24:.1f}" text-anchor="middle">'
                  f'{", ".join(sorted(words))}</text>')
    return drawn


def _rim(name: str, x: float, y: float) -> tuple[float, float]:
    """Find the point of a box's rim in the direction of another point."""
    cx, cy = _PLACES[name]
    width, height = _SIZE.get(name, (110, 40))
    dx, dy = x - cx, y - cy
    scale = min(
        (width / 2 + 3) / abs(dx) if dx else math.inf,
        (height / 2 + 3) / abs(dy) if dy else math.inf)
    return cx + dx * scale, cy + dy * scale
