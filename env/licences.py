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
Check of the licences of all packages in an environment, from what pip-licenses says of them.

``.venv-audit/bin/python env/licences.py .venv``, which ``make licences`` calls. The wheels of ROS
2 have no licence in their metadata: for them it is that of their ``package.xml``, or of the text
that they carry. ``env/licences.toml`` lists what is allowed, and each exception with its reason.
The exit status is 1 if a package has another licence, or none that can be found.
"""

from __future__ import annotations

from collections import Counter
import json
from pathlib import Path
import re
import subprocess
import sys
from typing import Any
from xml.etree import ElementTree

import tomllib

RULES = Path(__file__).resolve().parent / 'licences.toml'
UNKNOWN = 'UNKNOWN'
# Titles of licence texts.
_TITLES = (
    (r'\s*Apache License\s+Version 2\.0', 'Apache-2.0'), (r'(The )?MIT License', 'MIT'),
    (r'.{0,200}Redistribution and use in source and binary forms', 'BSD'),
    (r'.{0,200}Permission is hereby granted, free of charge', 'MIT'))


def list_packages(environment: Path) -> list[dict[str, Any]]:
    """List the packages of an environment with their licences, by pip-licenses."""
    command = [
        str(Path(sys.executable).with_name('pip-licenses')), '--python',
        str(environment / 'bin' / 'python'), '--format=json', '--with-license-file',
        '--no-license-path', '--with-system']
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    packages: list[dict[str, Any]] = json.loads(found.stdout)
    return packages


def find_licence(package: dict[str, Any], environment: Path) -> str:
    """
    Find the licence of a package.

    :param package: What pip-licenses says of it.
    :param environment: The environment.
    :return: Its name, or :data:`UNKNOWN`.
    """
    licence = str(package['License'])
    if licence not in (UNKNOWN, 'License'):
        return licence
    name = str(package['Name']).removeprefix('ros-').replace('-', '_')
    manifest = environment / 'share' / name / 'package.xml'
    if manifest.is_file():
        names = [each.text or '' for each in ElementTree.parse(manifest).iter('license')]
        return ' AND '.join(text.strip() for text in names) or UNKNOWN
    for title, known in _TITLES:
        if re.match(title, str(package['LicenseText']).lstrip('# \n'), re.DOTALL):
            return known
    return UNKNOWN


def is_allowed(licence: str, allowed: frozenset[str]) -> bool:
    """Return whether every part of a licence is allowed, or one of each choice."""
    return all(
        any(choice.strip('() ') in allowed or choice.strip() in allowed
            for choice in part.split(' OR '))
        for part in re.split(r';| AND ', licence))


def main(environment: Path) -> int:
    """
    Check an environment.

    :return: The exit status.
    """
    rules = tomllib.loads(RULES.read_text())
    allowed, exceptions = frozenset(rules['allowed']), dict(rules['exceptions'])
    wrong, counts, used = [], Counter[str](), set()
    for package in list_packages(environment):
        name, licence = package['Name'], find_licence(package, environment)
        counts[licence] += 1
        expected, reason = exceptions.get(name, ('', ''))
        if name in exceptions and expected in (licence, package['License']):
            print(f'{name} {package["Version"]}: {licence}: {reason}')
            used.add(name)
        elif not is_allowed(licence, allowed):
            wrong.append(
                f'{name} {package["Version"]}: found the licence {licence!r}, expected one of '
                f'`allowed` in {RULES.name}, or an exception there with its reason')
    for licence, count in counts.most_common():
        print(f'{count:4} {licence}')
    for line in wrong:
        print(line, file=sys.stderr)
    for name in sorted(set(exceptions) - used):
        print(f'{RULES.name}: nothing needs the exception for {name}', file=sys.stderr)
    return 1 if wrong or not counts else 0


if __name__ == '__main__':
    if len(sys.argv) != 2:
        sys.exit(f'usage: {sys.argv[0]} FOLDER-OF-THE-ENVIRONMENT')
    sys.exit(main(Path(sys.argv[1])))
