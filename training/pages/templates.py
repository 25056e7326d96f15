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
"""Loading of HTML templates (Jinja)."""

from __future__ import annotations

from pathlib import Path

import jinja2


def template(folder: Path, name: str) -> jinja2.Template:
    """
    Load the template of a page; inserted values are escaped.

    :param folder: Folder of the template; included templates may also be in the folder of this
        module.
    :param name: File name of the template.
    """
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, Path(__file__).parent]), autoescape=True,
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True).get_template(name)
