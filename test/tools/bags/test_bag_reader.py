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
"""Bag reader: damaged, unfinished, foreign and malicious recordings are read or rejected."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
import os
from pathlib import Path
import shutil
import sqlite3
import struct
import subprocess
import sys
import time

from lz4.frame import compress
import numpy as np
import pytest
from rosbags.typesys import get_typestore, Stores

from dfp_ros.tools.bags import mcap_file, mcap_records
from dfp_ros.tools.bags.definitions import add_definition, DefinitionError
from dfp_ros.tools.bags.mcap_records import CHANNEL, CHUNK, MAGIC, MESSAGE, SCHEMA, walk
from dfp_ros.tools.bags.reader import BagReader, RecordingError
from testing.fixtures.bags import demonstration, header, JOINTS, MS, START, STORE, TYPES, write_bag


def record(code: int, *fields: bytes) -> bytes:
    """Make a record."""
    body = b''.join(fields)
    return bytes([code]) + struct.pack('<Q', len(body)) + body


def text(content: str) -> bytes:
    """Make a text."""
    return struct.pack('<I', len(content.encode())) + content.encode()


def chunk(content: bytes, first: int, last: int, compression: str = '', size: int = -1) -> bytes:
    """Make a chunk without a checksum."""
    packed = {'': lambda: content, 'lz4': lambda: compress(content)}[compression]()
    return record(
        CHUNK, struct.pack('<QQQI', first, last, len(content) if size < 0 else size, 0),
        text(compression), struct.pack('<Q', len(packed)), packed)


def chunks(path: Path) -> list[bytes]:
    """Read the contents of the chunks of a file."""
    whole = path.read_bytes()
    found = []
    for _, code, body in walk(whole[len(MAGIC):-len(MAGIC)], 'file'):
        if code == CHUNK:
            found.append(body[40:])
    return found


def make(folder: Path, *records: bytes, profile: str = 'ros2') -> Path:
    """Write an mcap file that was not ended."""
    file = folder / 'made.mcap'
    file.write_bytes(MAGIC + record(1, text(profile), text('test')) + b''.join(records))
    return file


def read(path: Path) -> list[tuple[str, int]]:
    """Read the joint states of a bag: topic and time."""
    with BagReader(path) as bag:
        return [(topic, time) for topic, time, _ in bag.messages({'/joint_states': JOINTS})]


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """Write a bag."""
    return write_bag(tmp_path / 'bag', demonstration(10))


def test_channels_that_are_not_of_ros(tmp_path: Path, whole: Path) -> None:
    """JSON, protobuf and an empty profile beside ROS's channels, which are read nevertheless."""
    expected = read(whole)
    content, = chunks(whole / 'bag.mcap')
    others = b''.join(
        record(SCHEMA, struct.pack('<H', 100 + i), text('Thing'), text(language), text('{}'))
        + record(CHANNEL, struct.pack('<HH', 100 + i, 100 + i), text(f'/{encoding}'),
                 text(encoding), text(''))
        for i, (language, encoding) in enumerate((
            ('jsonschema', 'json'), ('protobuf', 'protobuf'))))
    message = record(MESSAGE, struct.pack('<HIQQ', 100, 0, START, START), b'{"a": 1}')
    first, last = START - 5 * MS, START + 490 * MS
    for profile in ('', 'ros2', 'x'):
        file = make(tmp_path, others, chunk(message, START, START), chunk(
            content, first, last, 'lz4'), profile=profile)
        assert read(file) == expected
        with BagReader(file) as bag:
            assert bag.count('/json') == 1
            with pytest.raises(RecordingError, match=r"/json: found messages in 'json', expected"):
                next(iter(bag.messages({'/json': 'Thing'})))


def with_message(time: int = START, channel: int = 1) -> Callable[[bytes], bytes]:
    """Make a chunk of another message too."""
    return lambda content: chunk(
        content + record(MESSAGE, struct.pack('<HIQQ', channel, 0, time, time)), 0, time)


@pytest.mark.parametrize(('change', 'message'), [
    (with_message(2**63), 'after the year 2262'),
    (with_message(channel=99), 'channel 99, which is not defined'),
    (lambda content: chunk(content, 0, 1), 'another time range than its messages'),
    (lambda content: chunk(content, START, START, size=1 << 40), 'declares 1099511627776'),
    (lambda content: chunk(content, 0, 1, 'lz4', 1000), '1001 bytes, expected the declared 1000'),
    (lambda content: record(0x33), 'unknown opcode 0x33'),
    (lambda content: record(CHUNK, bytes(10)), 'shorter than its fields'),
    (lambda content: content + record(CHANNEL, struct.pack('<HH', 1, 1), text('/a'), text('cdr'),
                                      text('')), 'redefines channel 1 differently'),
    (lambda content: record(CHUNK, struct.pack('<QQQI', 0, 0, 9, 0), text('gzip'), bytes(8)),
     "compressed by 'gzip'"),
    (lambda content: record(SCHEMA, struct.pack('<H', 9), bytes(1 << 19)), 'defines a type'),
    (lambda content: record(SCHEMA, struct.pack('<H', 9), b'\x02\0\0\0\xff\xff'), 'not UTF-8')])
def test_records_that_cannot_be(
        tmp_path: Path, whole: Path, change: Callable[[bytes], bytes], message: str) -> None:
    """Refused at once, with the place in the file, and the remedy."""
    content, = chunks(whole / 'bag.mcap')
    with pytest.raises(RecordingError, match=f'made.mcap: .*damaged: .*{message}') as caught:
        read(make(tmp_path, change(content)))
    assert 'copy it again' in str(caught.value)


def test_an_end_without_bytes(tmp_path: Path, whole: Path) -> None:
    """A file system that had made room when the power went leaves zeros; no more is lost."""
    file = whole / 'bag.mcap'
    expected = read(whole)
    content, = chunks(file)
    made = make(tmp_path, chunk(content, START - 5 * MS, START + 490 * MS))
    with made.open('ab') as more:
        more.write(bytes(5000))
    assert read(made) == expected
    with BagReader(made) as bag:
        assert bag.lost == 5000
        assert 'has no checksums' in bag.notes[0]


def test_any_damage(tmp_path: Path) -> None:
    """Damage of a bag without checksums may change values, but raises no other exception."""
    random = np.random.default_rng(0)
    for storage in ('mcap', 'sqlite3'):
        path = write_bag(tmp_path / storage, demonstration(5), storage)
        file = next(each for each in path.iterdir() if each.stem == storage)
        content = file.read_bytes()
        refused: list[str] = []
        for _ in range(40):
            place, length = int(random.integers(len(content))), int(random.choice([1, 8, 100]))
            changed = bytearray(content)
            changed[place:place + length] = random.bytes(length)
            if random.integers(8) == 0:
                del changed[place:]
            file.write_bytes(changed)
            try:
                with BagReader(path) as bag:
                    for _ in bag.messages(TYPES):
                        pass
            except RecordingError as error:
                refused.append(str(error))
        assert len(refused) > 5
        assert all(text.startswith(str(path)) for text in refused)


def split(tmp_path: Path) -> Path:
    """Make a bag of two files."""
    path = write_bag(tmp_path / 'split', demonstration(10))
    other = write_bag(tmp_path / 'other', demonstration(10, START + 10**9))
    shutil.move(other / 'other.mcap', path / 'second.mcap')
    metadata = path / 'metadata.yaml'
    metadata.write_text(metadata.read_text().replace(
        '  relative_file_paths:\n  - split.mcap\n',
        '  relative_file_paths:\n  - split.mcap\n  - second.mcap\n'))
    return path


def test_files_compared_with_the_metadata(tmp_path: Path) -> None:
    """Files named by the metadata are read; missing and unnamed ones are reported and counted."""
    path = split(tmp_path)
    assert len(read(path)) == 40
    with BagReader(path) as bag:
        assert any('messages, expected ' in note for note in bag.notes)
    metadata = (path / 'metadata.yaml').read_text()
    (path / 'metadata.yaml').write_text(metadata.replace('  - second.mcap\n', ''))
    with pytest.raises(RecordingError, match='does not name second.mcap, which is there.*one by'):
        read(path)
    for text in ('[' * 1_000_000, 'a: !!int ""', 'a: !!bool zz', r'a: "\UFFFFFFFF"'):
        (path / 'metadata.yaml').write_text(text)
        with pytest.raises(RecordingError, match=r'metadata.yaml cannot be read.*one by one'):
            read(path)
    (path / 'metadata.yaml').write_text(metadata)
    (path / 'split.mcap').unlink()
    with pytest.raises(RecordingError, match='names split.mcap, which is missing'):
        read(path)
    (path / 'second.mcap').unlink()
    os.mkfifo(path / 'second.mcap')
    (path / 'metadata.yaml').unlink()
    with pytest.raises(RecordingError, match='found no regular file'):
        read(path)


@pytest.mark.parametrize(('change', 'message'), [
    ('version: !!int ""', 'a value that its tag does not allow'),
    ('version: !!bool zz', 'a value that its tag does not allow'),
    ('message_count: !!timestamp "x"', 'a value that its tag does not allow'),
    (f'version: 1{":1" * 400_000}', 'a number of 800001 characters'),
    ('custom_data: [' + 'a, ' * 60_000 + ']', 'more than 50000 values'),
    ('<<: &a0 {k: 1, l: 2}\n' + ''.join(
        f'  a{i}: &a{i} {{<<: [{", ".join([f"*a{i - 1}"] * 20)}]}}\n' for i in range(1, 8)),
     'more than 50000 values')], ids=['int', 'bool', 'time', 'base 60', 'values', 'merges'])
def test_metadata_that_is_expensive_to_read(tmp_path: Path, change: str, message: str) -> None:
    """Refused within a second or two, with the files that can be read instead."""
    path = split(tmp_path)
    metadata = path / 'metadata.yaml'
    metadata.write_text(f'{metadata.read_text()}\n  {change}\n')
    begin = time.process_time()
    with pytest.raises(RecordingError, match=(
            rf'metadata.yaml cannot be read: found {message}.*one by one: second.mcap')):
        read(path)
    assert time.process_time() - begin < 5


WRITER = """
import sqlite3, sys
database = sqlite3.connect(sys.argv[1])
database.execute(f'PRAGMA journal_mode={sys.argv[2]}')
database.execute('BEGIN IMMEDIATE')
database.execute('UPDATE topics SET name = name')
print('written', flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize('mode', ['DELETE', 'WAL'])
def test_a_database_that_is_still_written(tmp_path: Path, mode: str) -> None:
    """It is not damaged: the process is named."""
    path = write_bag(tmp_path / 'bag', demonstration(10), 'sqlite3')
    with subprocess.Popen(
            [sys.executable, '-c', WRITER, str(path / 'bag.db3'), mode], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(RecordingError, match='still being written, by process') as caught:
            read(path)
        assert f'process {process.pid}; end the recording first' in str(caught.value)
        process.kill()
    assert len(read(path)) == 20


def test_an_mcap_file_that_is_still_written(tmp_path: Path) -> None:
    """The process is named; one that has the file open to read it does not count."""
    path = write_bag(tmp_path / 'bag', demonstration(10), 'mcap') / 'bag.mcap'
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    wait = 'import sys; file = open(sys.argv[1], sys.argv[2]); print(flush=True); sys.stdin.read()'
    for mode in ('rb', 'ab'):
        with subprocess.Popen(
                [sys.executable, '-c', wait, str(path), mode], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            if mode == 'rb':
                read(path)
            else:
                with pytest.raises(RecordingError, match=(
                        f'still being written, by process {process.pid}; end the recording')):
                    read(path)
            process.kill()


@pytest.mark.parametrize('ending', ['mcap', 'db3'])
def test_a_file_without_content(tmp_path: Path, ending: str) -> None:
    """A recorder writes nothing before its first messages: it is named, and nothing is damaged."""
    path = tmp_path / f'empty.{ending}'
    path.touch()
    wait = 'import sys; file = open(sys.argv[1], "ab"); print(flush=True); sys.stdin.read()'
    with subprocess.Popen(
            [sys.executable, '-c', wait, str(path)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with pytest.raises(RecordingError, match=(
                f'still being written, by process {process.pid}; end the recording')):
            read(path)
        process.kill()
    with pytest.raises(RecordingError, match='found an empty file, expected') as caught:
        read(path)
    assert 'damaged' not in str(caught.value)


def test_no_room_to_unpack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database with a journal is put in order in TMPDIR, and it is that which is full."""
    path = write_bag(tmp_path / 'bag', demonstration(10), 'sqlite3')
    (path / 'bag.db3-journal').write_bytes(b'')

    def full(source: Path, target: Path) -> None:
        raise OSError(28, 'No space left on device', str(target))

    monkeypatch.setattr('shutil.copyfile', full)
    with pytest.raises(RecordingError, match='No space left.*set TMPDIR to a folder') as caught:
        read(path)
    assert 'damaged' not in str(caught.value)


@pytest.mark.parametrize('storage', ['mcap', 'sqlite3'])
def test_a_file_that_is_a_hole(tmp_path: Path, storage: str) -> None:
    """Refused at once; to read terabytes of zeros would take hours."""
    path = write_bag(tmp_path / 'bag', demonstration(10), storage)
    file, = (each for each in path.iterdir() if each.name != 'metadata.yaml')
    os.truncate(file, 1 << 32)
    with pytest.raises(RecordingError, match=(
            rf'{file.name}: found 4294967296 bytes, of which only \d+ are on the disk, .* '
            'copy it again from')):
        read(path)


def with_late_messages(count: int, size: int, start: int = START) -> bytes:
    """Make chunks of an early message and a large late one, which waits for the next chunk's."""
    definition, _ = STORE.generate_msgdef(JOINTS, ros_version=2)
    late = start + 1000 * MS
    messages = b''.join(
        record(MESSAGE, struct.pack('<HIQQ', 1, 0, time, time), STORE.serialize_cdr(
            STORE.types[JOINTS](header(time), [], *map(np.zeros, (0, size // 8, 0))), JOINTS))
        for time, size in ((start, 0), (late, size)))
    return (
        record(SCHEMA, struct.pack('<H', 1), text(JOINTS), text('ros2msg'), text(definition))
        + record(CHANNEL, struct.pack('<HH', 1, 1), text('/joint_states'), text('cdr'), text(''))
        + chunk(messages, start, late, 'lz4') * count)


def test_chunks_that_decompress_to_too_much(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused before all are decompressed, with a remedy for a file that is trusted."""
    monkeypatch.setattr(mcap_records, '_MOST', 10)
    monkeypatch.setattr(mcap_records, '_MOST_ANYWAY', 5_000_000)
    file = make(tmp_path, with_late_messages(4, 1_000_000))
    assert len(read(file)) == 8
    file = make(tmp_path, with_late_messages(6, 1_000_000))
    with pytest.raises(RecordingError, match=(
            r'made.mcap: found \d+ bytes that decompress to more than 5000000, expected .* '
            'uncompressed copy: `mcap decompress`')) as caught:
        read(file)
    assert 'damaged' not in str(caught.value)


def test_messages_that_wait_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Limited for all files of a bag together; messages left unread no longer count."""
    monkeypatch.setattr(mcap_file, '_MOST_WAITING', 5_000_000)
    with BagReader(make(tmp_path, with_late_messages(4, 1_000_000))) as bag:
        for _ in range(3):
            assert next(bag.messages({'/joint_states': JOINTS}))[1] == START
        assert len(list(bag.messages({'/joint_states': JOINTS}))) == 8
    with pytest.raises(RecordingError, match=(
            'made.mcap: found more than 5000000 bytes of messages that must wait .*`mcap sort`')):
        read(make(tmp_path, with_late_messages(6, 1_000_000)))


def test_files_that_follow_one_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begun only when it is their turn, so that they do not wait in memory."""
    monkeypatch.setattr(mcap_file, '_MOST_WAITING', 2_500_000)
    folder = tmp_path / 'long'
    folder.mkdir()
    names = [f'{i}.mcap' for i in range(5)]
    for i, name in enumerate(names):
        make(tmp_path, with_late_messages(1, 1_000_000, START + i * 2000 * MS)).rename(
            folder / name)
    (folder / 'metadata.yaml').write_text(
        f'rosbag2_bagfile_information: {{version: 9, relative_file_paths: {names}}}\n')
    assert [time for _, time in read(folder)] == [
        START + i * 1000 * MS for i in range(10)]


def test_too_many_definitions_and_messages(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Limited for a file, and for a chunk."""
    file = make(tmp_path, with_late_messages(2, 10))
    monkeypatch.setattr(mcap_file, '_MOST_MESSAGES', 1)
    with pytest.raises(RecordingError, match='chunk of more than 1 messages.*`mcap compress`'):
        read(file)
    monkeypatch.setattr(mcap_records, '_LARGEST_DEFINITIONS', 300)
    with pytest.raises(RecordingError, match='more than 300 bytes of topics.*`mcap filter`'):
        read(file)


def test_a_database_with_other_contents(tmp_path: Path) -> None:
    """A number for a message, a time that is none, and an index that leaves messages out."""
    for i, (statement, message) in enumerate((
            ('UPDATE messages SET data = 5 WHERE id = 3', 'is int, expected bytes'),
            ("UPDATE messages SET timestamp = 'noon' WHERE id = 3", "found the time 'noon'"),
            ('UPDATE messages SET timestamp = -1 WHERE id = 3', 'found the time -1'))):
        path = write_bag(tmp_path / f'{i}', demonstration(10), 'sqlite3')
        with closing(sqlite3.connect(path / f'{i}.db3')) as database:
            database.execute(statement)
            database.commit()
        with pytest.raises(RecordingError, match=message):
            with BagReader(path) as bag:
                list(bag.messages(TYPES))


@pytest.mark.parametrize(('kind', 'definition', 'message'), [
    ('a/msg/B:\n x = 1\nclass C', 'int8 a', 'not the name of a type'),
    ('a/msg/B', 'int8 a\n' * 50_000, 'expected at most'),
    ('a/msg/B', 'B[2] b', 'contains itself'),
    ('a/msg/B', 'C c', 'not defined'),
    ('a/msg/B', 'float64[1000000000] a', 'which no message can have'),
    ('a/msg/B', f'C[] c\n{"=" * 80}\nMSG: a/C\nint8 X=1', 'which no message can have'),
    ('a/msg/B', f'C[100000] c\n{"=" * 80}\nMSG: a/C\nD[100000] d\n{"=" * 80}\nMSG: a/D\nint8 x',
     'which no message can have'),
    ('a/msg/B', '((((((', 'cannot be used'), ('a/msg/B', '[' * 100_000, 'cannot be used')])
def test_definitions_that_cannot_be(kind: str, definition: str, message: str) -> None:
    """Nothing of them is run, and none of them takes the memory or the time of a machine."""
    with pytest.raises(DefinitionError, match=message):
        add_definition(get_typestore(Stores.EMPTY), kind, 'ros2msg', definition)


def test_a_definition_that_contradicts_another(tmp_path: Path, whole: Path) -> None:
    """Of two, or of ROS 2's: the first is refused, and of the other there is a note."""
    store = get_typestore(Stores.EMPTY)
    add_definition(store, 'a/msg/B', 'ros2msg', 'int8 a')
    with pytest.raises(DefinitionError, match='different definition'):
        add_definition(store, 'a/msg/B', 'ros2msg', 'int16 a')
    definition, _ = STORE.generate_msgdef(JOINTS, ros_version=2)
    other = definition.replace('float64[] position', 'float64[] places')
    assert other != definition
    content, = chunks(whole / 'bag.mcap')
    changed = content.replace(definition.encode(), other.encode().ljust(len(definition)))
    file = make(tmp_path, chunk(changed, START - 5 * MS, START + 490 * MS))
    with BagReader(file) as bag:
        message = next(iter(bag.messages({'/joint_states': JOINTS})))[2]
        assert len(message.places) == 6
        assert any('differs from that of ROS 2 Jazzy' in note for note in bag.notes)
