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
Check of the built site: ``python documentation/links.py build/docs/html``.

Every link, picture, style and script of every page leads to a file of the site, with the anchor
that it names; none is loaded from another server.
"""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
import sys
from urllib.parse import unquote, urlsplit

#: Attributes that name other files, and whether a browser loads them by itself.
_ATTRIBUTES = {
    ('a', 'href'): False, ('img', 'src'): True, ('script', 'src'): True, ('link', 'href'): True,
    ('source', 'src'): True, ('object', 'data'): True}


class Page(HTMLParser):
    """
    Links and anchors of a page.

    :param text: HTML.
    """

    def __init__(self, text: str) -> None:
        """Read the page."""
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[tuple[str, bool]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what is linked, and what can be linked to."""
        for name, value in attrs:
            if value is None:
                continue
            if name == 'id' or (tag == 'a' and name == 'name'):
                self.anchors.add(value)
            if (tag, name) in _ATTRIBUTES:
                self.links.append((value, _ATTRIBUTES[tag, name]))


def find_broken(folder: Path) -> list[str]:
    """
    List all links of a site that lead nowhere, and all that is loaded from elsewhere.

    :param folder: The site.
    """
    pages = {path: Page(path.read_text()) for path in sorted(folder.rglob('*.html'))}
    found = []
    for path, page in pages.items():
        for link, is_loaded in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                if is_loaded and parts.scheme != 'data':
                    found.append(f'{path}: {link} is loaded from another server')
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target /= 'index.html'
            other = pages.get(target)
            if not target.is_file():
                found.append(f'{path}: {link}: there is no such file')
            elif parts.fragment and other is not None and (
                    unquote(parts.fragment) not in other.anchors):
                found.append(f'{path}: {link}: the page has no such anchor')
    return found


def main(arguments: list[str]) -> int:
    """
    Check a site.

    :param arguments: Its folder.
    :return: Exit status.
    """
    folder = Path(arguments[0]).resolve()
    broken = find_broken(folder)
    for line in broken:
        print(line, file=sys.stderr)
    count = sum(1 for _ in folder.rglob('*.html'))
    print(f'{count} pages, {len(broken)} broken links')
    return 1 if broken or not count else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
