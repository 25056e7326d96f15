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
"""Trusted policy files: by folder, by signature, and before anything is parsed."""

from __future__ import annotations

import os
from pathlib import Path
import sys

import pytest

from dfp_ros.core.files import bounded_file
from dfp_ros.core.policy.interface import PolicyError
from dfp_ros.core.policy.policy_file import read_policy_file
from dfp_ros.core.policy.trust import Trust
from dfp_ros.core.settings.setting import SettingsError
from dfp_ros.core.settings.trust import key_name, key_text, parse_keys, parse_roots
from dfp_ros.resources import find_shared, make_trust
from testing.policies.small_policy import write_policy

#: Test 1 of RFC 8032, section 7.1: the secret and the public key.
SECRET = bytes.fromhex('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60')
PUBLIC = bytes.fromhex('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a')
OTHER = bytes(31) + b'\1'


def refused(path: Path, trust: Trust) -> str:
    """Return the words with which a file is refused."""
    with pytest.raises(PolicyError) as caught:
        read_policy_file(path, trust)
    return str(caught.value)


def sign(path: Path) -> Path:
    """Sign a file as it is; return it."""
    ed25519 = pytest.importorskip('cryptography.hazmat.primitives.asymmetric.ed25519')
    key = ed25519.Ed25519PrivateKey.from_private_bytes(SECRET)
    Path(f'{os.path.realpath(path)}.sig').write_bytes(key.sign(path.read_bytes()))
    return path


def test_folders(tmp_path: Path) -> None:
    """What counts is where a file is, not by which path it is named."""
    root, outside = tmp_path / 'root', tmp_path / 'root2'
    (root / 'deep').mkdir(parents=True)
    outside.mkdir()
    inside = write_policy(root / 'deep' / 'a.onnx')
    other = write_policy(outside / 'b.onnx')
    (root / 'out.onnx').symlink_to(other)
    (root / 'away').symlink_to(outside)
    (outside / 'in.onnx').symlink_to(inside)
    linked = tmp_path / 'linked'
    linked.symlink_to(root)
    for trust in (Trust((root,)), Trust((linked,)), Trust((outside / 'x', root))):
        for path in (inside, outside / 'in.onnx', outside / '..' / 'root' / 'deep' / 'a.onnx',
                     linked / 'deep' / 'a.onnx'):
            assert read_policy_file(path, trust).path == path
        for path in (other, root / 'out.onnx', root / 'away' / 'b.onnx',
                     root / '..' / 'root2' / 'b.onnx', Path('/proc/self/environ'), tmp_path):
            assert 'is in none of the folders of policy_roots' in refused(path, trust)
    assert f'policy file {root / "out.onnx"}, which leads to {other},' in refused(
        root / 'out.onnx', Trust((root,)))
    assert read_policy_file(other, Trust((Path('/'),))).spec.name == 'test'
    # A folder of which another's name begins alike, and the folder itself.
    assert 'policy_roots' in refused(other, Trust((tmp_path / 'roo',)))
    assert 'is in none of the folders' in refused(root, Trust((root,)))
    # A file in place of its folder, and one that is not there.
    for none in (inside, tmp_path / 'nothing'):
        assert f'({none}, which is no folder here)' in refused(inside, Trust((none,)))


def test_what_is_outside_is_neither_opened_nor_told(tmp_path: Path) -> None:
    """A file that is there is refused with the words for one that is not; a FIFO, too."""
    root = tmp_path / 'root'
    root.mkdir()
    write_policy(tmp_path / 'a.onnx')
    os.mkfifo(tmp_path / 'b.onnx')
    said = {
        refused(tmp_path / f'{name}.onnx', Trust((root,))).replace(f'{name}.onnx', '')
        for name in 'abc'}
    assert len(said) == 1


def test_a_link_that_is_exchanged_after_the_check(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The opened file is judged, by its descriptor."""
    root = tmp_path / 'root'
    root.mkdir()
    good, other = write_policy(root / 'good.onnx'), write_policy(tmp_path / 'other.onnx')
    link = root / 'link.onnx'
    link.symlink_to(good)
    open_regular = bounded_file.open_regular

    def exchange(path: Path, most: int) -> int:
        link.unlink()
        link.symlink_to(other)
        return open_regular(path, most)

    monkeypatch.setattr(bounded_file, 'open_regular', exchange)
    assert f'which leads to {other}, is in none of the folders' in refused(link, Trust((root,)))

    def delete(path: Path, most: int) -> int:
        file = open_regular(path, most)
        good.unlink()
        return file

    monkeypatch.setattr(bounded_file, 'open_regular', delete)
    assert 'was deleted or replaced while it was read' in refused(good, Trust((root,)))


def test_signatures(tmp_path: Path) -> None:
    """Of exactly these bytes, by one of the keys, beside the file itself."""
    path = sign(write_policy(tmp_path / 'a.onnx'))
    trust = Trust(keys=(OTHER, PUBLIC))
    found = read_policy_file(path, trust)
    assert found.signed_by == key_text(PUBLIC)
    assert found.signer == f'signed by the key that ends in {key_name(found.signed_by)}'
    assert read_policy_file(path).signer == ''
    (tmp_path / 'sub').mkdir()
    link = tmp_path / 'sub' / 'link.onnx'
    link.symlink_to(path)
    assert read_policy_file(link, trust).signed_by
    assert 'is no signature of these bytes by one of the 1 key(s)' in refused(
        path, Trust(keys=(OTHER,)))
    beside = tmp_path / 'a.onnx.sig'
    signature = beside.read_bytes()
    for content in (b'', signature[:-1], signature[::-1], bytes(64)):
        beside.write_bytes(content)
        assert 'is no signature of these bytes' in refused(path, trust)
    beside.write_bytes(signature * 2)
    assert 'expected at most' in refused(path, trust)
    beside.unlink()
    assert f'{beside} cannot be read: No such file or directory; sign it with' in refused(
        path, trust)
    os.mkfifo(beside)
    assert 'Is a FIFO' in refused(path, trust)


def test_nothing_is_parsed_without_a_signature(tmp_path: Path) -> None:
    """What is no policy is refused for its signature; with one, for what it is."""
    path = tmp_path / 'text.onnx'
    path.write_text('no policy')
    trust = Trust(keys=(PUBLIC,))
    assert 'policy_keys' in refused(path, trust)
    assert 'found a file that is' in refused(path, Trust()) or 'ONNX' in refused(path, Trust())
    assert refused(sign(path), trust) == refused(path, Trust())
    content = bytearray(sign(write_policy(tmp_path / 'a.onnx')).read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / 'a.onnx').write_bytes(content)
    assert 'is no signature of these bytes' in refused(tmp_path / 'a.onnx', trust)


def test_without_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is loaded, and the package is named; without keys it is not missed."""
    path = write_policy(tmp_path / 'a.onnx')
    (tmp_path / 'a.onnx.sig').write_bytes(bytes(64))
    for name in list(sys.modules):
        if name.partition('.')[0] == 'cryptography':
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, 'cryptography', None)
    assert '`pip install cryptography`' in refused(path, Trust(keys=(PUBLIC,)))
    assert read_policy_file(path, Trust()).spec.name == 'test'


def test_parameters() -> None:
    """Their texts."""
    assert parse_roots('') == ()
    assert parse_roots('/a:~/b:models:') == ('/a', '~/b', 'models')
    assert parse_keys('') == ()
    assert parse_keys(f'{key_text(PUBLIC)}, {key_text(OTHER)}') == (PUBLIC, OTHER)
    for text in ('a', './a', '/a:b', ':'):
        with pytest.raises(SettingsError, match='parameter policy_roots: found .*, expected'):
            parse_roots(text)
    for text in (',', 'keys/arm.pub', key_text(PUBLIC)[:-4], key_text(PUBLIC)[16:], '-----BEGIN'):
        with pytest.raises(SettingsError, match='parameter policy_keys: found .*, expected'):
            parse_keys(text)


def test_models_of_the_package() -> None:
    """A bare name is found in what the word models stands for."""
    trust = make_trust('models', '')
    assert trust.folders
    path = find_shared('cube_single', 'models', '.onnx')
    assert read_policy_file(path, trust).spec.name == 'cube_single'
    with pytest.raises(ValueError, match='policy_roots: found .~nobody-of-that-name'):
        make_trust('~nobody-of-that-name/x', '')
