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
"""Keys and signatures: the command, its files, and what OpenSSL says of them."""

from __future__ import annotations

import base64
from pathlib import Path
import shutil
import stat
import subprocess
import sys

import pytest

from dfp_ros.core.policy.policy_file import read_policy_file
from dfp_ros.resources import make_trust
from testing import ROOT
from testing.policies.small_policy import write_policy

pytest.importorskip('cryptography')

from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import ec

from training.common.signatures import read_private_key, SignatureError
from training.common.signatures import sign as sign_file
from training.sign import main


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """Make keys."""
    path = tmp_path / 'keys' / 'arm'
    assert main(['keygen', str(path)]) == 0
    return path


def said(capsys: pytest.CaptureFixture[str], status: int, *arguments: object) -> str:
    """Run the command, and return what it prints."""
    assert main([str(word) for word in arguments]) == status
    output = capsys.readouterr()
    return output.out + output.err


def test_from_a_key_to_a_trusted_policy(
        tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The line that keygen prints is what the node takes."""
    key = tmp_path / 'keys' / 'arm'
    printed = said(capsys, 0, 'keygen', key).splitlines()[-1]
    name, _, keys = printed.partition(': ')
    assert name == 'policy_keys'
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert keys == Path(f'{key}.pub').read_text().splitlines()[1]
    policy = write_policy(tmp_path / 'a.onnx')
    assert 'cannot be read: No such file' in said(capsys, 1, 'verify', f'{key}.pub', policy)
    assert "signature of policy 'test'" in said(capsys, 0, 'sign', key, policy)
    assert (tmp_path / 'a.onnx.sig').stat().st_size == 64
    assert 'signed by the key that ends in' in said(capsys, 0, 'verify', f'{key}.pub', policy)
    assert read_policy_file(policy, make_trust(str(tmp_path), keys)).signed_by == keys
    policy.write_bytes(policy.read_bytes() + b'\0')
    assert 'is no signature of these bytes' in said(capsys, 1, 'verify', f'{key}.pub', policy)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['a.onnx', 'a.onnx.sig', 'keys']
    assert sorted(path.name for path in key.parent.iterdir()) == ['arm', 'arm.pub']


def test_keys_are_not_overwritten(key: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nor is one made if only the other is there."""
    before = key.read_bytes()
    assert 'which would be lost' in said(capsys, 2, 'keygen', key)
    assert key.read_bytes() == before
    key.unlink()
    assert f'{key}.pub: found a file' in said(capsys, 2, 'keygen', key)
    assert not key.exists()


def test_what_is_no_key(
        key: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each with its own words, and without a traceback."""
    policy = write_policy(tmp_path / 'a.onnx')
    # Whatever its mode.
    assert 'found a public key, with which nothing can be' in said(
        capsys, 2, 'sign', f'{key}.pub', policy)
    (tmp_path / 'curve').write_bytes(ec.generate_private_key(ec.SECP256K1()).private_bytes(
        form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption()))
    assert 'found a key of another kind' in said(capsys, 2, 'sign', tmp_path / 'curve', policy)
    # A curve that no library knows.
    content = (tmp_path / 'curve').read_bytes()
    lines = content.split(b'\n')
    der = base64.b64decode(b''.join(lines[1:-2])).replace(
        bytes.fromhex('2b8104000a'), bytes.fromhex('2b8104007f'))
    (tmp_path / 'curve').write_bytes(b'\n'.join(
        [lines[0], base64.b64encode(der), *lines[-2:]]))
    assert 'found no private key in PEM' in said(capsys, 2, 'sign', tmp_path / 'curve', policy)
    for name in ('', '.', '/'):
        assert 'found a folder, expected the name of a file' in said(capsys, 2, 'keygen', name)
    assert 'found no public key of Ed25519' in said(capsys, 2, 'verify', key, policy)
    assert 'cannot be read' in said(capsys, 2, 'sign', tmp_path / 'none', policy)
    key.chmod(0o640)
    assert 'mode 640), expected mode 600' in said(capsys, 2, 'sign', key, policy)
    key.chmod(0o600)
    (tmp_path / 'text.onnx').write_text('no policy')
    assert 'text.onnx' in said(capsys, 2, 'sign', key, tmp_path / 'text.onnx')
    assert not list(tmp_path.glob('*.sig'))
    (tmp_path / 'a.onnx.sig').write_bytes(bytes(65))
    assert 'found 65 bytes or more, expected at most 64 bytes' in said(
        capsys, 1, 'verify', f'{key}.pub', policy)


def test_each_policy_is_signed_whoever_reads_the_output(key: Path, tmp_path: Path) -> None:
    """A full disk below a log leaves no policy without its signature."""
    policies = [str(write_policy(tmp_path / f'{name}.onnx')) for name in 'ab']
    with open('/dev/full', 'w') as full:
        done = subprocess.run(
            [sys.executable, '-m', 'training.sign', 'sign', str(key), *policies], cwd=ROOT,
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=100)
    assert (done.returncode, done.stderr) == (0, '')
    assert all(Path(f'{policy}.sig').exists() for policy in policies)


def test_a_name_forges_no_verification(
        key: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file whose name has a line of the output in it."""
    policy = write_policy(tmp_path / "a.onnx\nb.onnx: policy 'b', signed by the key x.onnx")
    for command, given in (('sign', key), ('verify', f'{key}.pub')):
        assert len(said(capsys, 0, command, given, policy).splitlines()) == 1


def test_public_keys_as_other_systems_write_them(
        key: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the line ends of Windows; one of another kind is told by what made it."""
    policy = write_policy(tmp_path / 'a.onnx')
    said(capsys, 0, 'sign', key, policy)
    public = Path(f'{key}.pub')
    other = tmp_path / 'windows.pub'
    other.write_bytes(public.read_bytes().replace(b'\n', b'\r\n'))
    assert 'signed by the key' in said(capsys, 0, 'verify', other, policy)
    other.write_bytes(ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(
        form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo))
    assert 'that `python -m training.sign keygen NAME` has written' in said(
        capsys, 2, 'verify', other, policy)


def test_a_file_that_changed_is_not_signed(key: Path, tmp_path: Path) -> None:
    """The learner signs what it has checked, and nothing else that has its name."""
    policy = write_policy(tmp_path / 'a.onnx')
    with pytest.raises(SignatureError, match='another program has changed it'):
        sign_file(policy, read_private_key(key), '0' * 64)
    assert not list(tmp_path.glob('*.sig'))


@pytest.mark.skipif(shutil.which('openssl') is None, reason='needs openssl')
def test_openssl_agrees(key: Path, tmp_path: Path) -> None:
    """It verifies what is signed here, and its signatures are taken here."""
    policy = write_policy(tmp_path / 'a.onnx')
    assert main(['sign', str(key), str(policy)]) == 0
    verify = [
        'openssl', 'pkeyutl', '-verify', '-pubin', '-inkey', f'{key}.pub', '-rawin', '-in',
        str(policy), '-sigfile', f'{policy}.sig']
    assert subprocess.run(verify, capture_output=True, check=False).returncode == 0
    other = tmp_path / 'other'
    for command in (
            ['genpkey', '-algorithm', 'ed25519', '-out', str(other)],
            ['pkey', '-in', str(other), '-pubout', '-out', f'{other}.pub'],
            ['pkeyutl', '-sign', '-inkey', str(other), '-rawin', '-in', str(policy), '-out',
             f'{policy}.sig']):
        subprocess.run(['openssl', *command], capture_output=True, check=True)
    assert main(['verify', f'{other}.pub', str(policy)]) == 0
    assert main(['verify', f'{key}.pub', str(policy)]) == 1
    other.chmod(0o600)
    assert main(['sign', str(other), str(policy)]) == 0
