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
YAML of other tools, read in bounded time, without executing anything in it.

Isaac Lab writes tuples and slices of Python into its ``env.yaml``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from dfp_ros.core.description.yaml_section import (
    DescriptionError,
    LARGEST_WHOLE,
    read_text,
)
from dfp_ros.core.files.bounded_yaml import compose_yaml, require_short, YamlError
from dfp_ros.core.text.printable import printable
from dfp_ros.tools.adopt.adoption import AdoptError

#: Longest file in characters and most values; that of a humanoid robot has a tenth of them.
LONGEST, MOST_VALUES = 1 << 19, 30_000


def read_foreign_yaml(path: Path) -> Mapping[str, object]:
    """
    Parse a YAML file of another tool.

    :return: Its keys and values; empty if it has none.
    :raises AdoptError: If it is not YAML, or larger than such files are.
    """
    try:
        node = compose_yaml(read_text(path).decode(), LONGEST, MOST_VALUES)
        if node is None:
            return {}
        require_short(node)
        found = _Constructor().construct_document(node)
    except DescriptionError as error:
        raise AdoptError(str(error)) from error
    except YamlError as error:
        line = '' if error.line is None else f':{error.line}'
        raise AdoptError(f'{path}{line}: {printable(error, 300)}') from error
    except Exception as error:  # PyYAML raises IndexError for an empty !!int, and others alike
        raise AdoptError(f'{path}: is not plain YAML: {printable(error, 300)}') from error
    return found if isinstance(found, Mapping) else {}


class _Constructor(yaml.constructor.SafeConstructor):
    """Makes lists of Python's tuples and slices, and texts of its other objects."""

    def construct_python(self, suffix: str, node: yaml.Node) -> object:
        """Read a list, and of everything else only what it is."""
        if isinstance(node, yaml.SequenceNode):
            return self.construct_sequence(node, deep=True)
        return f'!!python/{suffix}'

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """Read a whole number that a floating-point number can have."""
        found: Any = super().construct_yaml_int(node)
        if abs(found) > LARGEST_WHOLE:
            raise ValueError(
                f'found the number {printable(node.value)}, expected at most {LARGEST_WHOLE} '
                'either way')
        return int(found)


_Constructor.add_multi_constructor('tag:yaml.org,2002:python/', _Constructor.construct_python)
# PyYAML registers functions, not names of methods; the base class keeps its own.
_Constructor.yaml_constructors = {
    **_Constructor.yaml_constructors, 'tag:yaml.org,2002:int': _Constructor.construct_yaml_int}
