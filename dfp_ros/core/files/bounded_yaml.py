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
"""Parsing of untrusted YAML: bounded length, depth and size."""

from __future__ import annotations

from typing import Any

import yaml

#: Longest text in characters, deepest nesting, most values; an alias counts as its full content.
LONGEST, DEEPEST, MOST_VALUES = 128 << 10, 30, 5_000
# Longest number or date in characters. A number to base 60 takes time by the square of its length.
_LONGEST_NUMBER = 1000
_TEXT = 'tag:yaml.org,2002:str'


class YamlError(ValueError):
    """
    A text is not YAML, or exceeds the bounds.

    :param message: The fault.
    :param line: Its line, counted from 1; None for the whole text.
    """

    def __init__(self, message: str, line: int | None = None) -> None:
        """Store the line."""
        super().__init__(message)
        self.line = line


def compose_yaml(
        text: str, longest: int = LONGEST, most_values: int = MOST_VALUES) -> yaml.Node | None:
    """
    Parse untrusted YAML in a time bounded by its length.

    :param text: The text.
    :param longest: Longest text in characters.
    :param most_values: Most values.
    :return: The top node, whose values are not converted yet; None for an empty text.
    :raises YamlError: If the text is longer or has more values than allowed, nests deeper than
        :data:`DEEPEST`, contains itself, or is no YAML.
    """
    if len(text) > longest:
        raise YamlError(f'found {len(text)} characters, expected at most {longest}')
    try:
        loader = _Loader(text, most_values)
    except yaml.YAMLError as error:
        raise _not_yaml(error) from error
    try:
        node: yaml.Node | None = loader.get_single_node()
    except YamlError:
        raise
    except yaml.YAMLError as error:
        raise _not_yaml(error) from error
    except (ValueError, ArithmeticError) as error:
        # Characters that do not exist, such as \UFFFFFFFF.
        raise YamlError(f'found text that is not YAML: {error}', loader.line + 1) from error
    finally:
        loader.dispose()
    return node


def convert_node(node: yaml.Node) -> Any:
    """
    Convert a value as YAML does.

    :param node: A node that :func:`compose_yaml` returned, or one within it.
    :raises ValueError: If it cannot be converted.
    """
    require_short(node)
    try:
        return yaml.constructor.SafeConstructor().construct_document(node)
    except Exception as error:  # PyYAML raises IndexError for an empty !!int, and others alike
        raise ValueError(_fault(error) if isinstance(error, yaml.YAMLError) else (
            f'found a value that its tag does not allow ({type(error).__name__})')) from error


def _not_yaml(error: yaml.YAMLError) -> YamlError:
    """Explain why a text is not YAML, in one line, and where."""
    mark = getattr(error, 'problem_mark', None)
    return YamlError(
        f'found text that is not YAML: {_fault(error)}', None if mark is None else mark.line + 1)


def _fault(error: yaml.YAMLError) -> str:
    """Explain an error of PyYAML in one line: its own text has several, with an excerpt."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem is None:
        return ' '.join(str(error).split())
    context, begun = error.context, error.context_mark
    if context and begun is not None:
        context += f' that begins in line {begun.line + 1}'
    hint = '; indent by spaces, not by tabs' if r"'\t'" in error.problem else (
        '; a key needs a space after its colon' if "expected ':'" in error.problem else '')
    return ': '.join(part for part in (context, error.problem) if part) + hint


def require_short(node: yaml.Node) -> None:
    """
    Check that no number or date is too long to be converted.

    :param node: A node that :func:`compose_yaml` returned, or one within it.
    :raises ValueError: If one is.
    """
    if isinstance(node, yaml.ScalarNode):
        if node.tag != _TEXT and len(node.value) > _LONGEST_NUMBER:
            raise ValueError(
                f'found a number of {len(node.value)} characters, expected at most '
                f'{_LONGEST_NUMBER}')
    elif isinstance(node, yaml.MappingNode):
        for pair in node.value:
            for each in pair:
                require_short(each)
    else:
        for each in node.value:
            require_short(each)


class _Loader(yaml.SafeLoader):
    """Composes nodes up to the bounds."""

    def __init__(self, text: str, most_values: int) -> None:
        """Start before the first node."""
        super().__init__(text)
        self._most_values = most_values
        self._depth = self._total = 0
        # Count of the values in each complete node, itself included.
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose a node, and check depth and count."""
        # The type stubs of PyYAML lack this method.
        line = self.peek_event().start_mark.line + 1  # type: ignore[no-untyped-call]
        is_alias = self.check_event(yaml.AliasEvent)
        before, self._total = self._total, self._total + (0 if is_alias else 1)
        self._depth += 1
        if self._depth > DEEPEST:
            raise YamlError(f'found nesting deeper than {DEEPEST}', line)
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        if is_alias:
            if id(node) not in self._sizes:
                raise YamlError('found a value that contains itself', line)
            self._total += self._sizes[id(node)]
        else:
            self._sizes[id(node)] = self._total - before
        if self._total > self._most_values:
            raise YamlError(f'found more than {self._most_values} values', line)
        return node
