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
"""Start of ROS in a process, with clear errors for a wrong command line or machine."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
import os
from pathlib import Path
import re
import sys
import tempfile
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.signals import SignalHandlerOptions

from dfp_ros.core.text.printable import quoted
from dfp_ros.core.text.say import say
from dfp_ros.node.parameters.files import own_words, require_files
from dfp_ros.node.ros.dds_transport import choose_transport, find_unknown_peer

_NO_LOG_FILE = '--disable-external-lib-logs'
# What to do, by a part of rcl's message.
_REMEDIES = {
    'override rule': '; expected -p NAME:=VALUE',
    'remap rule': '; expected -r FROM:=TO',
    'log level': '; expected debug, info, warn, error or fatal',
    'SECURITY ERROR':
        '; ROS_SECURITY_KEYSTORE has to be a keystore with an enclave for this node, or '
        'ROS_SECURITY_ENABLE false',
    'params file':
        '; a parameter file has the name of a node or /**, in it ros__parameters, and in that the '
        'parameters, as config/policy.yaml has; a robot description is the parameter robot'}


class StartError(ValueError):
    """ROS cannot be initialised with these arguments; the message says why."""


def read_words(
        name: str, about: str, parameters: Iterable[tuple[str, Any, str]],
        arguments: Sequence[str] | None, notes: str = '') -> None:
    """
    Parse the words of a command line that are not for ROS: only ``--help`` is allowed.

    :param name: The command.
    :param about: Its description.
    :param parameters: Name, default and description of each of its parameters.
    :param arguments: The command line without the command; None for the process's own.
    :param notes: Further text for ``--help``.
    :raises SystemExit: After ``--help`` with status 0, at an unknown word with status 2.
    """
    lines = [notes] if notes else []
    listed = list(parameters)
    if listed:
        lines += ['parameters, each with -p NAME:=VALUE after --ros-args, or in a --params-file:']
        for parameter, default, sentence in listed:
            kind = type(default).__name__
            lines += [f'  {parameter} ({kind}, default {default!r})', f'      {sentence}']
    else:
        lines += ['It has no parameters of its own.']
    parser = argparse.ArgumentParser(
        prog=name, description=about, epilog='\n'.join(lines),
        usage=f'ros2 run dfp_ros {name} [-h] [--ros-args ...]',
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('words', nargs='*', help=argparse.SUPPRESS)
    words = sys.argv if arguments is None else [name, *arguments]
    asked, unknown = parser.parse_known_args(own_words(words)[1:])
    for word in (*unknown, *asked.words):
        hint = suggest_parameter(word, [each for each, _, _ in listed])
        parser.error(f'found {word!r}, expected nothing but arguments for ROS{hint}')


def suggest_parameter(word: str, names: Sequence[str] = ()) -> str:
    """
    Suggest how to give a parameter that was given as a word of the command.

    :param word: The word: ``policy:=FILE``, or ``--policy``.
    :param names: The parameters.
    :return: The rest of a message; empty if the word is no parameter.
    """
    if ':=' in word:
        return f'; did you mean --ros-args -p {word} ?'
    option, _, value = word.partition('=')
    name = option.lstrip('-').replace('-', '_')
    if option.startswith('-') and name in names:
        return f'; did you mean --ros-args -p {name}:={value or "VALUE"} ?'
    return ''


def join(
        arguments: Sequence[str] | None,
        handlers: SignalHandlerOptions = SignalHandlerOptions.NO,
        context: Context | None = None, domain: int | None = None) -> str:
    """
    Initialise ROS like :func:`rclpy.init`.

    If no log file can be written, the log goes to the console only.

    :param arguments: The command line; None for the process's own.
    :param handlers: Signals that rclpy is to handle.
    :param context: Context to initialise; None for the default one.
    :param domain: ROS domain; None for that of the environment.
    :return: The chosen DDS transport, for the log.
    :raises ValueError: If the command line or the environment is wrong.
    """
    words = list(sys.argv if arguments is None else arguments)
    require_files(words)
    if _NO_LOG_FILE not in words and (trouble := explain_log_folder()):
        say(f'no log file: {trouble}; the log goes to the console alone', to_errors=True)
        words += ['--ros-args', _NO_LOG_FILE]
    transport = choose_transport()
    if peer := find_unknown_peer():
        raise StartError(
            f'environment variable ROS_STATIC_PEERS: found {quoted(peer)}, a host whose address '
            'cannot be found; expected host names or addresses, separated by ;')
    try:
        rclpy.init(
            args=words, context=context, domain_id=domain, signal_handler_options=handlers)
    except Exception as error:  # several types of rclpy, which differ by distribution
        text = re.sub(r',? at [^ ]+:\d+', '', str(error).splitlines()[0] if str(error) else '')
        hint = next((hint for sign, hint in _REMEDIES.items() if sign in text), '')
        if type(error).__name__ == 'UnknownROSArgsError':
            text = f'found {text}'
            hint = ', which ROS does not know; options of the command go before --ros-args'
        if 'error not set' in text and os.environ.get('ROS_SECURITY_ENABLE') == 'true' and (
                not os.environ.get('ROS_SECURITY_KEYSTORE')):
            # rcl has no words for it.
            text, hint = 'SECURITY ERROR: ROS_SECURITY_KEYSTORE is not set', (
                _REMEDIES['SECURITY ERROR'])
        raise StartError(f'{text.rstrip(".")}{hint}') from error
    return transport


def explain_log_folder() -> str:
    """Explain why rcl cannot write its log file; empty if it can."""
    named = os.environ.get('ROS_LOG_DIR') or os.environ.get('ROS_HOME')
    if not named and not os.environ.get('HOME'):
        return 'the environment variable HOME is not set'
    if os.environ.get('ROS_LOG_DIR'):
        folder = Path(os.environ['ROS_LOG_DIR'])
    elif os.environ.get('ROS_HOME'):
        folder = Path(os.environ['ROS_HOME']) / 'log'
    else:
        folder = Path(os.environ['HOME']) / '.ros' / 'log'
    try:
        folder = folder.expanduser()
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return ''
    except (OSError, RuntimeError) as error:
        return f'cannot write to {folder} ({error}); set ROS_LOG_DIR to another folder'
