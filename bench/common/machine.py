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
"""Description of the machine, and output of the results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dfp_ros.core.files.atomic import atomic_path
from training.common.machine import machine

__all__ = ('finish', 'machine')


def finish(rows: list[dict[str, Any]], file: Path | None, **others: Any) -> None:
    """
    Print the machine, and write the results.

    :param rows: The results.
    :param file: JSON file for results and machine; None to write none.
    :param others: Additional keys of the file.
    """
    described = machine()
    print(', '.join(f'{key} {value}' for key, value in described.items()))
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        # A row per line, because people compare the files.
        parts = [f'{json.dumps(key)}: {json.dumps(value)}'
                 for key, value in {'machine': described, **others}.items()]
        lines = ',\n'.join(json.dumps(row) for row in rows)
        with atomic_path(file) as partial:
            partial.write_text('{' + ',\n'.join([*parts, f'"rows": [\n{lines}\n]']) + '}\n')
