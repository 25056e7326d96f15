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
"""Official data: lookup, and complete downloads from an unreliable server."""

from collections.abc import Callable, Iterator
import hashlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
import shutil
import socket
import subprocess
import threading
from typing import Any

import numpy as np
import pytest
from tenacity import wait_none

from training.data.datasets import official
from training.data.datasets.download import Download, DownloadError
from training.data.datasets.load import load
from training.data.transitions.source import DataSource
from training.data.transitions.transitions import DataError

NAME = 'cube-single-play-v0.npz'


@pytest.fixture(scope='module')
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Make an archive of 3 MB that does not compress."""
    path = tmp_path_factory.mktemp('served') / NAME
    np.savez(path, actions=np.random.default_rng(0).bytes(3_000_000))
    return path.read_bytes()


class Server(ThreadingHTTPServer):
    """A server that answers the n-th request with the n-th behaviour, then with the last."""

    daemon_threads = True

    def __init__(self, content: bytes, *behaviours: Callable) -> None:
        super().__init__(('127.0.0.1', 0), Handler)
        self.content, self.behaviours = content, behaviours
        self.ranges: list[str | None] = []

    @property
    def url(self) -> str:
        return f'http://127.0.0.1:{self.server_address[1]}/{NAME}'

    def handle_error(self, *_: Any) -> None:
        """Keep quiet of connections that the test breaks."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        given = self.headers.get('Range')
        self.server.ranges.append(given)
        begin = int(given.removeprefix('bytes=').rstrip('-')) if given else 0
        answers = self.server.behaviours
        answers[min(len(self.server.ranges), len(answers)) - 1](self, self.server.content, begin)
        self.close_connection = True

    def do_HEAD(self) -> None:
        head(self, 200, len(self.server.content))

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""


def head(handler: Handler, status: int, length: int, **headers: str) -> None:
    handler.send_response(status)
    handler.send_header('Content-Length', str(length))
    for key, value in headers.items():
        handler.send_header(key.replace('_', '-'), value)
    handler.end_headers()


def honest(handler: Handler, content: bytes, begin: int, *, send: int | None = None) -> None:
    """Answer as a server should; ``send`` cuts the connection after that many bytes."""
    if begin >= len(content):
        head(handler, 416, 0, Content_Range=f'bytes */{len(content)}')
        return
    part = content[begin:]
    rest = {'Content_Range': f'bytes {begin}-{len(content) - 1}/{len(content)}'} if begin else {}
    head(handler, 206 if begin else 200, len(part), **rest)
    handler.wfile.write(part[:send])


def drops(handler: Handler, content: bytes, begin: int) -> None:
    honest(handler, content, begin, send=400_000)


def silent(handler: Handler, content: bytes, begin: int) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


def no_range(handler: Handler, content: bytes, begin: int) -> None:
    honest(handler, content, 0)


def wrong_part(handler: Handler, content: bytes, begin: int) -> None:
    head(handler, 206, 10, Content_Range=f'bytes 0-9/{len(content)}')
    handler.wfile.write(content[:10])


def too_long(handler: Handler, content: bytes, begin: int) -> None:
    if begin:
        return honest(handler, content, begin)
    head(handler, 200, len(content) + 1000)
    handler.wfile.write(content)
    return None


def too_short(handler: Handler, content: bytes, begin: int) -> None:
    head(handler, 200, len(content) - 1000)
    handler.wfile.write(content)


def page(handler: Handler, content: bytes, begin: int) -> None:
    text = b'<html>Please log in</html>'
    head(handler, 200, len(text), Content_Type='text/html')
    handler.wfile.write(text)


def flipped(handler: Handler, content: bytes, begin: int) -> None:
    damaged = bytearray(content)
    damaged[len(content) // 2] ^= 0xFF
    honest(handler, bytes(damaged), begin)


def missing(handler: Handler, content: bytes, begin: int) -> None:
    head(handler, 404, 0)


def busy(handler: Handler, content: bytes, begin: int) -> None:
    head(handler, 503, 0)


@pytest.fixture
def serve(content: bytes) -> Iterator[Callable[..., Server]]:
    servers = []

    def start(*behaviours: Callable) -> Server:
        servers.append(Server(content, *behaviours))
        threading.Thread(target=servers[-1].serve_forever, args=(0.01,), daemon=True).start()
        return servers[-1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def fetch(server: Server, path: Path) -> None:
    Download(server.url, path, wait_none()).run()


def partial(path: Path) -> Path:
    return path.with_name(f'.{path.name}.download')


@pytest.mark.parametrize(('behaviours', 'ranges'), [
    ([honest], [None]),
    # Nine drops in a row are no reason to give up: each brings something.
    ([drops], [None, *(f'bytes={n * 400_000}-' for n in range(1, 8))]),
    ([silent, busy, silent, honest], [None] * 4),
    ([drops, no_range], [None, 'bytes=400000-']),
    ([drops, wrong_part, honest], [None, 'bytes=400000-', None]),
    ([too_long, too_long], None),
    ([too_short, honest], [None, None]),
    ([flipped, honest], [None, None])])
def test_ends_with_the_right_file(
        serve: Callable, content: bytes, tmp_path: Path, behaviours: list,
        ranges: list | None) -> None:
    server, path = serve(*behaviours), tmp_path / NAME
    fetch(server, path)
    assert path.read_bytes() == content
    assert {file.name for file in tmp_path.iterdir()} == {NAME, f'{NAME}.sha256'}
    if ranges is not None:
        assert server.ranges == ranges
    checked = shutil.which('sha256sum')
    if checked:
        subprocess.run([checked, '-c', f'{NAME}.sha256'], cwd=tmp_path, check=True)


@pytest.mark.parametrize(('behaviour', 'message', 'requests'), [
    (page, "found text/html that begins with b'<html>Please log in</htm', expected .npz", 1),
    (missing, 'found status 404 .*; give the name of an OGBench data set', 1),
    (busy, 'found status 503 .*, several times in a row', 6),
    (silent, 'the connection failed .*the same command resumes', 6),
    (too_short, r'found \d+ bytes that are not a complete .npz .*File is not a zip', 2),
    (flipped, r'found \d+ bytes that are not a complete .npz .*actions.npy is damaged', 2)])
def test_ends_with_a_clear_error(
        serve: Callable, tmp_path: Path, behaviour: Callable, message: str,
        requests: int) -> None:
    server, path = serve(behaviour), tmp_path / NAME
    with pytest.raises(DownloadError, match=message):
        fetch(server, path)
    assert len(server.ranges) == requests
    assert not path.exists()


def test_no_network(tmp_path: Path) -> None:
    with socket.create_server(('127.0.0.1', 0)) as free:
        url = f'http://127.0.0.1:{free.getsockname()[1]}/{NAME}'
    with pytest.raises(DownloadError, match='Connection refused.*from another machine, or make'):
        Download(url, tmp_path / NAME, wait_none()).run()
    assert not (tmp_path / NAME).exists()


def test_a_later_run_goes_on(serve: Callable, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / NAME
    partial(path).write_bytes(content[:1_000_000])
    server = serve(honest)
    fetch(server, path)
    assert path.read_bytes() == content
    assert server.ranges == ['bytes=1000000-']


@pytest.mark.parametrize('kept', [3_000_000_000, 2])
def test_rest_of_another_file_is_not_built_upon(
        serve: Callable, content: bytes, tmp_path: Path, kept: int) -> None:
    path = tmp_path / NAME
    partial(path).write_bytes(b'x' * min(kept, len(content) + 5))
    fetch(serve(honest), path)
    assert path.read_bytes() == content


def test_one_download_at_a_time(serve: Callable, tmp_path: Path) -> None:
    path, server = tmp_path / NAME, serve(honest)
    begun, go = threading.Event(), threading.Event()

    def slow(handler: Handler, content: bytes, begin: int) -> None:
        begun.set()
        go.wait(30)
        honest(handler, content, begin)

    server.behaviours = (slow,)
    first = threading.Thread(target=fetch, args=(server, path))
    first.start()
    assert begun.wait(30)
    with pytest.raises(DownloadError, match='another process is downloading it'):
        fetch(server, path)
    go.set()
    first.join(30)
    assert path.exists()


def test_file_that_is_there_is_checked(serve: Callable, content: bytes, tmp_path: Path) -> None:
    server, path = serve(missing), tmp_path / NAME
    path.write_bytes(content)
    fetch(server, path)  # no checksum yet: the archive's own are looked at, and one is kept
    path.write_bytes(content[:-1] + b'x')
    with pytest.raises(DownloadError, match=r'found contents that do not match .*\.sha256'):
        fetch(server, path)
    (tmp_path / f'{NAME}.sha256').unlink()
    path.write_bytes(content[:1000])
    with pytest.raises(DownloadError, match='found a damaged file there'):
        fetch(server, path)
    assert not server.ranges


def test_a_collected_file_is_not_taken_for_the_official_one(
        serve: Callable, content: bytes, tmp_path: Path) -> None:
    server, path = serve(honest), tmp_path / NAME
    np.savez(path, actions=np.zeros(3))
    path.with_suffix('.json').write_text('{}')
    with pytest.raises(DownloadError, match=r'made by training\.collect, as .*json says; name'):
        fetch(server, path)
    # Without the card its size tells it apart, where the server answers.
    path.with_suffix('.json').unlink()
    with pytest.raises(DownloadError, match='found a file of .* bytes there, expected the offic'):
        fetch(server, path)
    assert not (tmp_path / f'{NAME}.sha256').exists()


def test_a_copied_file_is_taken_without_a_network(
        tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture) -> None:
    with socket.create_server(('127.0.0.1', 0)) as free:
        url = f'http://127.0.0.1:{free.getsockname()[1]}/{NAME}'
    (tmp_path / NAME).write_bytes(content)
    Download(url, tmp_path / NAME, wait_none()).run()
    assert 'its size could not be compared with that on the server' in capsys.readouterr().out
    assert not (tmp_path / f'{NAME}.sha256').exists()


def test_a_checksum_that_is_there_pins_the_contents(
        serve: Callable, content: bytes, tmp_path: Path) -> None:
    path, pin = tmp_path / NAME, tmp_path / f'{NAME}.sha256'
    pin.write_text(f'{hashlib.sha256(b"other").hexdigest()}  {NAME}\n')
    with pytest.raises(DownloadError, match=r'found contents that do not match .*sha256; the s'):
        fetch(serve(honest), path)
    assert not path.exists()
    pin.write_text(f'{hashlib.sha256(content).hexdigest()}  {NAME}\n')
    fetch(serve(honest), path)
    assert path.read_bytes() == content
    pin.write_bytes(b'\xff')
    with pytest.raises(DownloadError, match='found no checksum, expected the format of sha256sum'):
        fetch(serve(honest), path)


def leads_away(handler: Handler, content: bytes, begin: int) -> None:
    port = handler.server.server_address[1]
    head(handler, 302, 0, Location=f'http://testhost.invalid:{port}/{NAME}')


@pytest.mark.parametrize('url', [
    f'http://example.com/{NAME}', f'http://127.0.0.1.example.com/{NAME}', f'ftp://host/{NAME}',
    f'file:///tmp/{NAME}', f'//host/{NAME}', NAME, f'http://localhost@example.com/{NAME}'])
def test_plain_http_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(DownloadError, match='expected https: data from an insecure connection'):
        Download(url, tmp_path / NAME, wait_none()).run()
    assert not list(tmp_path.iterdir())


def test_a_server_that_leads_to_plain_http_is_refused(
        serve: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Followed only in name: the host stands for any other than this machine."""
    server = serve(leads_away, honest)
    connect = socket.create_connection
    monkeypatch.setattr(
        'urllib3.util.connection.create_connection',
        lambda address, *more, **how: connect(('127.0.0.1', address[1])))
    with pytest.raises(DownloadError, match=r'http://testhost\.invalid.*expected https'):
        fetch(server, tmp_path / NAME)
    assert not (tmp_path / NAME).exists()


def test_command_fetches_both_files(
        serve: Callable, content: bytes, tmp_path: Path,
        capsys: pytest.CaptureFixture) -> None:
    server = serve(honest)
    url = server.url.rpartition('/')[0]
    assert official.main(
        ['cube-single-play-v0', '--out', str(tmp_path), '--url', url]) == 0
    for name in (NAME, NAME.replace('-v0', '-v0-val')):
        assert (tmp_path / name).read_bytes() == content
    server.behaviours = (page,)
    with pytest.raises(SystemExit):
        official.main(['scene-play-v0', '--out', str(tmp_path), '--url', url])
    assert 'a proxy or a login page may have answered' in capsys.readouterr().err


def test_names_of_numbered_files() -> None:
    names = list(official.files('cube-quadruple-play-100m-v0'))
    assert len(names) == 200
    assert names[:2] + names[-1:] == [
        'cube-quadruple-play-100m-v0/cube-quadruple-play-v0-000.npz',
        'cube-quadruple-play-100m-v0/cube-quadruple-play-v0-000-val.npz',
        'cube-quadruple-play-100m-v0/cube-quadruple-play-v0-099-val.npz']
    assert len(list(official.files('puzzle-4x4-play-100m-v0', 3))) == 6


def test_run_finds_data_in_ogbenchs_folder(
        demonstrations: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('HOME', str(tmp_path))
    source = DataSource(
        Path('elsewhere') / demonstrations.name, 'cube-single-singletask-task2-v0')
    with pytest.raises(DataError) as error:
        load(source)
    assert 'collect --scene cube-single --kind demo --task 2 --out elsewhere`' in str(error.value)
    assert '`python -m training.datasets.official cube-single-play-v0' in str(error.value)
    folder = tmp_path / '.ogbench' / 'data'
    folder.mkdir(parents=True)
    shutil.copy(demonstrations, folder)
    assert load(source).source['file'] == demonstrations.name


def test_missing_data_names_both_commands() -> None:
    with pytest.raises(DataError, match=(
            r'nowhere/scene-play-v0\.npz: found no such file.*`python -m training\.collect '
            r'--scene scene --kind play --out nowhere`.*`python -m training\.datasets\.official '
            r'scene-play-v0 --out nowhere`')):
        load(DataSource(Path('nowhere/scene-play-v0.npz'), 'cube-single-singletask-task2-v0'))


@pytest.mark.parametrize(('name', 'near'), [
    ('scene-play', 'scene-play-v0'), ('cube-singel-play-v0', 'cube-single-play-v0'),
    ('cube-quadruple-play-100m', 'cube-quadruple-play-100m-v0')])
def test_a_wrong_name_asks_no_server(
        name: str, near: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    """The nearest name is in the error."""
    monkeypatch.setattr(official, 'Download', lambda *_: pytest.fail('a server was asked'))
    with pytest.raises(SystemExit) as ended:
        official.main([name, '--out', str(tmp_path)])
    assert ended.value.code == 2
    assert f"no official data set '{name}'; did you mean '{near}'?" in capsys.readouterr().err


@pytest.mark.parametrize('name', [
    'scene-play-v0', 'puzzle-4x6-noisy-v0', 'visual-cube-double-play-v0', 'scene-play-v0-val',
    'antmaze-medium-explore-v0', 'humanoidmaze-giant-navigate-100m-v0', 'powderworld-easy-play-v0',
    'cube-octuple-play-1b-v0', 'antsoccer-arena-stitch-v0', 'pointmaze-teleport-navigate-v0'])
def test_official_names_are_known(name: str) -> None:
    official.require_known(name)
