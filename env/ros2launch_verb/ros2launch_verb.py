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
``ros2 launch`` for a ROS 2 from PyPI, which lacks the package ros2launch.

The arguments are a subset of those of ros2launch, so that a command line from the documentation
works with both.
"""

import argparse
from pathlib import Path
import sys

from ament_index_python.packages import get_package_share_directory, PackageNotFoundError
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import AnyLaunchDescriptionSource
from ros2cli.command import CommandExtension


def find_launch_file(package: str, name: str) -> Path:
    """
    Return the launch file of an installed package, searched as ros2launch does.

    :raises LookupError: If there is no such package or file.
    """
    try:
        share = Path(get_package_share_directory(package))
    except PackageNotFoundError:
        raise LookupError(
            f"package '{package}' is not on AMENT_PREFIX_PATH; source the setup file of the "
            'workspace in which it was built') from None
    found = sorted(p for p in share.rglob('*') if p.is_file() and 'launch' in p.name)
    matching = [p for p in found if p.name == name]
    if len(matching) != 1:
        names = ', '.join(p.name for p in found) or 'none'
        raise LookupError(
            f"package '{package}' has {len(matching)} files named '{name}', expected one; its "
            f'launch files: {names}')
    return matching[0]


def parse_launch_arguments(words: list[str]) -> list[tuple[str, str]]:
    """
    Split each ``name:=value``.

    :raises ValueError: If a word has no ``:=``.
    """
    pairs = []
    for word in words:
        name, separator, value = word.partition(':=')
        if not separator or not name:
            raise ValueError(f"launch argument '{word}' is not of the form name:=value")
        pairs.append((name, value))
    return pairs


def show_arguments(path: Path, service: LaunchService) -> None:
    """Print the arguments that a launch file declares, with their defaults."""
    description = AnyLaunchDescriptionSource(str(path)).get_launch_description(service.context)
    declared = description.get_launch_arguments()
    print("Arguments (pass arguments as '<name>:=<value>'):")
    for argument in declared:
        print(f"\n    '{argument.name}':\n        {argument.description}")
        if argument.choices is not None:
            print(f'        one of: {", ".join(argument.choices)}')
        if argument.default_value is not None:
            default = ''.join(part.describe() for part in argument.default_value)
            print(f'        (default: {default})')
    if not declared:
        print('\n    No arguments.')


class LaunchCommand(CommandExtension):
    """Run a launch file."""

    def add_arguments(self, parser: argparse.ArgumentParser, cli_name: str) -> None:
        """Declare the command line."""
        parser.add_argument('-d', '--debug', action='store_true', help='Show debug output')
        parser.add_argument('-s', '--show-args', '--show-arguments', action='store_true',
                            help='Show the arguments of the launch file and exit')
        parser.add_argument('-n', '--noninteractive', action='store_true',
                            help='Run non-interactively')
        parser.add_argument('package_name', help='Package, or path of a launch file')
        parser.add_argument('launch_file_name', nargs='?', default='',
                            help='Launch file of the package')
        parser.add_argument('launch_arguments', nargs='*', help="'<name>:=<value>'")

    def main(self, *, parser: argparse.ArgumentParser, args: argparse.Namespace) -> int:
        """Find the file, then launch it until it ends or is interrupted."""
        words = list(args.launch_arguments)
        try:
            if Path(args.package_name).is_file():
                path = Path(args.package_name)
                words = [args.launch_file_name, *words] if args.launch_file_name else words
            elif not args.launch_file_name:
                parser.error(f"'{args.package_name}' is not a file: give a package and the name "
                             'of its launch file, or the path of a launch file')
            else:
                path = find_launch_file(args.package_name, args.launch_file_name)
            pairs = parse_launch_arguments(words)
        except (LookupError, ValueError) as error:
            # The message of a KeyError is quoted by str; LookupError itself is not.
            print(f'ros2 launch: {error}', file=sys.stderr)
            return 1
        service = LaunchService(argv=words, debug=args.debug, noninteractive=args.noninteractive)
        if args.show_args:
            show_arguments(path, service)
            return 0
        service.include_launch_description(LaunchDescription([
            IncludeLaunchDescription(AnyLaunchDescriptionSource(str(path)),
                                     launch_arguments=pairs)]))
        return int(service.run())
