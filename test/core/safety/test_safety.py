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
"""Table of reasons and responses."""

import subprocess
import sys

import pytest

from dfp_ros.core.safety.reasons import (
    conclude,
    Finding,
    finding,
    MEANINGS,
    Reason,
    Response,
    RULES,
    tables,
)
from testing import ROOT

PAGE = ROOT / 'docs' / 'safety.md'


def test_every_reason_has_one_rule_and_every_response_a_meaning() -> None:
    """Every reason is in the table."""
    reasons = [rule.reason for rule in RULES]
    assert len(reasons) == len(set(reasons))
    assert set(reasons) == {reason for reason in Reason if reason.value}
    assert set(MEANINGS) == set(Response)


def test_the_page_is_current() -> None:
    """The documentation has the output of the command; if this fails, run it again."""
    printed = subprocess.run(
        [sys.executable, '-m', 'dfp_ros.core.safety'], check=True,
        capture_output=True, text=True)
    assert printed.stdout == tables() + '\n'
    assert printed.stdout in PAGE.read_text(), 'python -m dfp_ros.core.safety.reasons'


def test_reason_numbers_are_stable() -> None:
    """Recordings hold the numbers."""
    assert [Reason.WAITING.value, Reason.STALE.value, Reason.CLIPPED.value] == [1, 2, 256]
    assert Reason.OPERATOR_STOP.value == 2048


def test_the_strongest_response_counts_and_priority_orders_the_texts() -> None:
    """All reasons are listed in the table's order, regardless of the order of detection."""
    findings = [
        finding(Reason.CLIPPED, 'clipped'), finding(Reason.STALE, 'stale', 'deactivate'),
        finding(Reason.OPERATOR_STOP, 'stopped')]
    for order in (findings, findings[::-1]):
        assert conclude(order) == (
            Reason.CLIPPED | Reason.STALE | Reason.OPERATOR_STOP, 'stopped; stale; clipped',
            Response.DEACTIVATE)


def test_ignored_warnings_are_no_reason() -> None:
    """A warning with the response ``ignore`` is no reason."""
    assert conclude([finding(Reason.DISAGREEMENT, 'x', 'ignore')]) == (
        Reason.NONE, '', Response.PASS)
    assert conclude([]) == (Reason.NONE, '', Response.PASS)


@pytest.mark.parametrize(('chosen', 'response'), [
    ('', Response.HOLD), ('warn', Response.WARN), ('ramp', Response.RAMP)])
def test_responses_are_chosen_by_name(chosen: str, response: Response) -> None:
    """The table gives the default responses."""
    assert finding(Reason.STALE, 'x', chosen) == Finding(Reason.STALE, 'x', response)


def test_words() -> None:
    """Reasons read as words."""
    assert Reason.NONE.words == 'none'
    assert (Reason.STALE | Reason.FUTURE).words == 'stale future'
