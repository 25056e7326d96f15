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
"""Where a view in Rerun goes: into a file, to a viewer that runs, or to one that is started."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

from dfp_ros.core.files.replaceable import require_writable
from dfp_ros.core.text.printable import printable, TEXT

INSTALL = (
    'the Python package rerun-sdk is not installed; `make view-env` installs it into the '
    'environment of a checkout, `pip install rerun-sdk` into another (it asks for NumPy 2, which '
    'ROS 2 Jazzy and older do not work with: there, `pip install pyarrow attrs pillow psutil '
    'typing-extensions` and `pip install --no-deps rerun-sdk`)')

NO_DISPLAY = (
    'there is no display here (DISPLAY) for the viewer of Rerun; record with --save FILE.rrd and '
    'open that elsewhere (`rerun FILE.rrd`), or let `ros2 run dfp_ros view` show it in a viewer '
    'that runs, with --connect rerun+http://HOST:9876/proxy')


class ViewError(ValueError):
    """Nothing can be shown; the message says why, and what to do."""


def has_display() -> bool:
    """Whether a window can be opened."""
    return bool(os.environ.get('DISPLAY') or os.environ.get('WAYLAND_DISPLAY'))


def require_rerun() -> Any:
    """
    Import Rerun.

    :raises ViewError: If it is not installed, or cannot be imported.
    """
    try:
        return importlib.import_module('rerun')
    except ModuleNotFoundError as error:
        if error.name != 'rerun':
            raise ViewError(
                f'rerun-sdk is installed, and lacks the package {error.name}; '
                f'`pip install {error.name}`') from error
        raise ViewError(INSTALL) from error
    except ImportError as error:
        raise ViewError(f'rerun-sdk cannot be imported: {error}') from error


def check_file(path: Path, force: bool) -> None:
    """
    Require that a recording can be written.

    :raises ViewError: If it cannot.
    """
    if path.suffix != '.rrd':
        raise ViewError(
            f'--save: found {printable(path, TEXT)}, expected a name that ends in .rrd')
    if path.exists() and not path.is_dir() and not force:
        raise ViewError(
            f'--save: {path} already exists; name another file, or overwrite it (--force)')
    try:
        require_writable(path)
    except OSError as error:
        raise ViewError(f'--save: {path} cannot be written: {error.strerror}') from error


def open_stream(file: Path | None, url: str) -> Any:
    """
    Open a stream.

    :param file: Recording to write; None for a viewer.
    :param url: Address of a viewer that runs; empty to start one.
    :return: A ``rerun.RecordingStream``.
    :raises ViewError: If it cannot be opened.
    """
    rerun = require_rerun()
    stream = rerun.RecordingStream('dfp_ros')
    try:
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            stream.save(str(file))
        elif url:
            stream.connect_grpc(url)
        elif not has_display():
            raise ViewError(NO_DISPLAY)
        else:
            stream.spawn()
    except (OSError, RuntimeError, ValueError) as error:
        if isinstance(error, ViewError):
            raise
        raise ViewError(f'Rerun cannot be started: {printable(error, 500)}') from error
    return stream


def end_stream(stream: Any) -> None:
    """
    Send what is left, and end a stream.

    :param stream: A ``rerun.RecordingStream``.
    :raises ViewError: If it cannot be sent or written.
    """
    try:
        stream.flush()
    except RuntimeError as error:
        raise ViewError(
            f'not everything reached Rerun: {printable(error, 500)}; check that the viewer runs '
            'and --connect names it, or that the disk of --save has room') from error
    finally:
        stream.disconnect()
