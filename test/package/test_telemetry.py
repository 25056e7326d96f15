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
"""Telemetry of ONNX Runtime: off wherever this project loads it, unless somebody asks for it."""

from __future__ import annotations

import os
from pathlib import Path
import re
import subprocess
import sys

import pytest

from testing import ROOT

_IMPORT = re.compile(r'^\s*(import onnxruntime|from onnxruntime)\b', re.MULTILINE)
#: Files that import ONNX Runtime, in every package that runs.
IMPORTERS = sorted(
    path.relative_to(ROOT) for folder in ('dfp_ros', 'training', 'bench', 'testing')
    for path in (ROOT / folder).rglob('*.py') if _IMPORT.search(path.read_text()))
# Loads a policy in a process that has imported one module of this project first.
_LOAD = """
import importlib, sys
importlib.import_module(sys.argv[1])
import onnxruntime
onnxruntime.InferenceSession(sys.argv[2], providers=['CPUExecutionProvider'])
"""
# Variables by which telemetry is switched, or a home folder found. Continuous integration, which
# ONNX Runtime recognises by the last ones, reports nothing in any case.
_TOLD = (
    'ORT_DISABLE_TELEMETRY', 'XDG_CACHE_HOME', 'XDG_DATA_HOME', 'XDG_STATE_HOME', 'CI', 'TF_BUILD',
    'GITHUB_ACTIONS')


def test_importers_are_found() -> None:
    """The list that the next test goes through is not empty."""
    assert Path('dfp_ros/core/policy/onnx_session.py') in IMPORTERS


@pytest.mark.parametrize('path', IMPORTERS, ids=str)
def test_no_telemetry(path: Path, tmp_path: Path) -> None:
    """Loading a policy writes neither an identifier nor a database into the home folder."""
    environment = {key: value for key, value in os.environ.items() if key not in _TOLD}
    module = '.'.join(path.with_suffix('').parts)
    subprocess.run(
        [sys.executable, '-c', _LOAD, module, str(ROOT / 'models' / 'cube_single.onnx')],
        env=environment | {'HOME': str(tmp_path)}, cwd=ROOT, check=True, timeout=240)
    assert [each for each in tmp_path.rglob('*') if 'onnxruntime' in each.name] == []


def test_own_choice() -> None:
    """Who sets the variable keeps what they have set."""
    done = subprocess.run(
        [sys.executable, '-c', 'import dfp_ros, os; print(os.environ["ORT_DISABLE_TELEMETRY"])'],
        env=os.environ | {'ORT_DISABLE_TELEMETRY': '0'}, cwd=ROOT, check=True, timeout=240,
        capture_output=True, text=True)
    assert done.stdout == '0\n'
