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
"""Columns of transitions: rewards, masks and ends of consecutive steps of an episode."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dfp_ros.spec_images import ImageField
from training.data.formats.rosbag.episodes import Piece
from training.data.transitions.frames import Frames, make_room, sealed


def transition_columns(
        observations: np.ndarray, actions: np.ndarray, next_observations: np.ndarray,
        ends: np.ndarray, solved: np.ndarray) -> dict[str, Any]:
    """
    Make the columns of transitions.

    The reward is -1 per step, and 0 for a step that led to a success, which has no successor (no
    bootstrapping).

    :param observations: Shape (size, obs_dim).
    :param actions: Shape (size, act_dim); they are clipped to [-1, 1].
    :param next_observations: Shape (size, obs_dim).
    :param ends: Shape (size,), bool: whether the next transition does not follow.
    :param solved: Shape (size,), bool: whether it led to a success.
    :return: Columns of :class:`training.data.transitions.transitions.Transitions`, float32.
    """
    return {
        'observations': np.asarray(observations, np.float32),
        'actions': np.clip(actions, -1, 1).astype(np.float32),
        'next_observations': np.asarray(next_observations, np.float32),
        'rewards': np.where(solved, 0, -1).astype(np.float32),
        'masks': np.where(solved, 0, 1).astype(np.float32),
        'terminals': np.asarray(ends, np.float32)}


def join_pieces(pieces: Sequence[Piece]) -> tuple[dict[str, Any], int]:
    """
    Concatenate the transitions of pieces.

    :param pieces: At least one, each of two steps or more.
    :return: The columns, and the number of actions that were clipped to their bounds.
    """
    last = np.cumsum([len(piece.observations) - 1 for piece in pieces]) - 1
    size = int(last[-1]) + 1
    ends, solved = np.zeros(size, bool), np.zeros(size, bool)
    ends[last] = True
    solved[last[[piece.success for piece in pieces]]] = True
    actions = np.concatenate([piece.actions[:-1] for piece in pieces])
    return transition_columns(
        np.concatenate([piece.observations[:-1] for piece in pieces]), actions,
        np.concatenate([piece.observations[1:] for piece in pieces]), ends, solved,
    ), int((np.abs(actions) > 1 + 1e-6).any(axis=1).sum())


def join_pictures(
        pieces: Sequence[Piece], fields: Sequence[ImageField],
        beside: Path) -> tuple[tuple[Frames, ...], np.ndarray | None]:
    """
    Concatenate the pictures of pieces: one for each step, the last one included.

    :param pieces: As in :func:`join_pieces`.
    :param fields: What the pictures are, in order; none without cameras.
    :param beside: A file in whose folder frames are that do not fit into memory.
    :return: The frames, and the frame of each transition.
    """
    if not fields:
        return (), None
    lengths = [len(piece.observations) for piece in pieces]
    made = []
    for i, field in enumerate(fields):
        pixels = make_room((sum(lengths), *field.shape), beside)
        for row, picture in enumerate(
                pictures[i] for piece in pieces for pictures in piece.pictures):
            pixels[row] = picture
        made.append(Frames(field, sealed(pixels)))
    is_last = np.zeros(sum(lengths), bool)
    is_last[np.cumsum(lengths) - 1] = True
    return tuple(made), np.flatnonzero(~is_last)


def interventions(pieces: Sequence[Piece]) -> np.ndarray | None:
    """
    Make the column that flags steps that a person commanded.

    :param pieces: As in :func:`join_pieces`.
    :return: Shape (size,), float32; None if a person commanded none.
    """
    flags = np.concatenate([np.array(piece.by_person[:-1], np.float32) for piece in pieces])
    return flags if flags.any() else None
