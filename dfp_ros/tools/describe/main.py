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
Summary of a policy file, or a robot description scaffolded from the topics found.

``ros2 run dfp_ros describe cube_single``: observation, action, control period, bounds and
provenance of a policy.

``ros2 run dfp_ros describe --out my_robot.yaml``: listens for some seconds, commands nothing, and
writes a robot description; values that topics do not reveal are marked FILL_IN, and no command
accepts the file while a mark is left.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
import re
import sys

from dfp_ros.core.description.unfilled import MARK
from dfp_ros.core.files.atomic import atomic_path
from dfp_ros.core.files.user_path import user_path
from dfp_ros.core.policy.interface import PolicyError
from dfp_ros.core.policy.policy_file import read_policy_file
from dfp_ros.core.text.printable import printable
from dfp_ros.core.text.say import say
from dfp_ros.node.parameters.files import own_words
from dfp_ros.node.process.start import raise_interrupts
from dfp_ros.resources import find_shared, SharedFileError
from dfp_ros.tools.describe.policy_table import describe_policy_file


class OutputError(ValueError):
    """The description cannot be written; the message says why."""


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Parse the command line, without ROS arguments."""
    parser = argparse.ArgumentParser(
        prog='describe', description=(__doc__ or '').strip(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='ROS arguments set the namespace: --ros-args -r __ns:=/left describes the topics '
        'in /left only, with names relative to it')
    parser.add_argument(
        'policy', nargs='?', help='policy file to print, or the bare name of one in models')
    parser.add_argument(
        '--out', type=user_path, help='robot description to write (default: standard output)')
    parser.add_argument(
        '--force', action='store_true', help='overwrite an existing --out')
    parser.add_argument('--name', help="the robot's name (default: that of the file)")
    parser.add_argument(
        '--seconds', type=float, default=5.0, help='seconds to listen (default: 5)')
    words = sys.argv if arguments is None else ['describe', *arguments]
    asked = parser.parse_args(own_words(words)[1:])
    if not 0.5 <= asked.seconds <= 600:
        parser.error(f'--seconds: found {asked.seconds:g}, expected 0.5 to 600')
    if asked.policy and (asked.out or asked.name):
        parser.error(
            'found a policy with --out or --name, which apply to robot descriptions only')
    if asked.name is not None and not re.fullmatch(r'[\w .-]{1,100}', asked.name):
        parser.error('--name: expected 1 to 100 letters, digits, "_", "-", "." or spaces')
    return asked


def describe_policy(name: str) -> str:
    """
    Summarise a policy file.

    :param name: Its path, or a bare name.
    :raises ValueError: If it cannot be found or read.
    """
    path = find_shared(name, 'models', '.onnx')
    if path.suffix in ('.yaml', '.yml'):
        raise PolicyError(
            f'policy file {path}: found a robot description; this prints policy files (.onnx), '
            'and `--out FILE` writes a description')
    return describe_policy_file(read_policy_file(path))


def describe_robot(seconds: float, name: str, arguments: list[str] | None = None) -> str:
    """
    Write a description of the robot from its topics.

    :param seconds: Seconds to listen.
    :param name: The robot's name.
    :param arguments: Command line with ROS arguments; None for that of the process.
    :raises dfp_ros.tools.describe.scaffold.ScaffoldError: If there is nothing to describe.
    """
    import rclpy
    from rclpy.executors import ExternalShutdownException
    from rclpy.node import Node
    from rclpy.signals import SignalHandlerOptions

    from dfp_ros.node.ros.start import join
    from dfp_ros.tools.describe.listener import RobotListener
    from dfp_ros.tools.describe.scaffold import write_scaffold

    join(arguments, SignalHandlerOptions.ALL)
    node = Node('dfp_describe', start_parameter_services=False)
    listener = RobotListener(node)
    try:
        return write_scaffold(listener.listen(seconds), name)
    except ExternalShutdownException:
        raise KeyboardInterrupt from None
    finally:
        listener.close()
        node.destroy_node()
        rclpy.try_shutdown()


def check_out(path: Path, force: bool) -> None:
    """
    Check before the survey that the result can be written.

    :raises OutputError: If it cannot.
    """
    folder = path.absolute().parent
    if path.is_dir():
        raise OutputError(f'--out: found the folder {path}, expected the name of a file')
    if path.exists() and not force:
        raise OutputError(
            f'--out: found the file {path}, which may have been edited; name another one, or add '
            '--force to overwrite it')
    if not folder.is_dir():
        raise OutputError(f'--out: there is no folder {folder}')
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f'--out: the folder {folder} cannot be written to')


def write_out(path: Path, text: str, force: bool) -> None:
    """
    Write the result atomically.

    :param path: The file.
    :param text: Its content.
    :param force: Whether an existing file may be replaced.
    :raises OutputError: If it cannot be written.
    """
    try:
        with atomic_path(path, overwrite=force) as partial:
            partial.write_text(text, encoding='utf-8')
    except OSError as error:
        raise OutputError(f'--out: {path} cannot be written: {error.strerror}') from error


def main(args: list[str] | None = None) -> int:
    """
    Print a policy file or write a description.

    :return: Exit status: 1 if there was nothing to describe, 2 if it could not be
        written or read.
    """
    asked = parse(args)
    raise_interrupts()
    try:
        if asked.policy:
            print(describe_policy(asked.policy), flush=True)
            return 0
        if asked.out is None:
            print(
                describe_robot(asked.seconds, asked.name or 'my_robot', args), end='', flush=True)
            return 0
        check_out(asked.out, asked.force)
        text = describe_robot(asked.seconds, asked.name or asked.out.stem, args)
        write_out(asked.out, text, asked.force)
        say(
            f'{asked.out}: {text.count(MARK) - 1} values to fill in, each marked {MARK}; the '
            'file is rejected until then')
        return 0
    except (PolicyError, SharedFileError, OutputError) as error:
        say(f'describe: {printable(error, 2000)}', to_errors=True)
        return 2
    except (ValueError, RuntimeError) as error:
        # rclpy raises RuntimeError if it cannot start.
        say(f'describe: {printable(error, 2000)}', to_errors=True)
        return 1
    except KeyboardInterrupt:
        say('describe: interrupted; nothing was written', to_errors=True)
        return 1
    except OSError as error:
        # Of the standard output; Python's own flush at exit would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if isinstance(error, BrokenPipeError):
            # The reader has read enough.
            return 0
        say(
            f'describe: the standard output cannot be written: {error.strerror}; write to another '
            'file, or free space', to_errors=True)
        return 2


if __name__ == '__main__':
    sys.exit(main())
