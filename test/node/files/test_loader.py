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
"""File loader: harmful files only affect a process that can be killed."""

from __future__ import annotations

from collections.abc import Iterator
import os
from pathlib import Path
import resource
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import onnx
from onnx import helper, TensorProto
import pytest

from dfp_ros.core.policy.interface import PolicyError
from dfp_ros.core.policy.policy_file import read_policy_file
from dfp_ros.core.settings.execution import ExecutionSettings
from dfp_ros.node.files.loader import GivenUpError, Loader
from testing.policies.endless_policy import endless_model, write_endless_policy
from testing.policies.small_policy import cube_spec, policy_model, write_policy

LONG = 60.0  # s
ALLOWED = ExecutionSettings(unbounded_operators='Loop')


@pytest.fixture(name='loader')
def made_loader() -> Iterator[Loader]:
    """Make a loader, and close it."""
    loader = Loader('the loader')
    yield loader
    loader.close()


def process_of(loader: Loader) -> subprocess.Popen[bytes]:
    """Return the process of a loader."""
    assert loader._process is not None
    return loader._process


def test_the_content_is_read_unchanged(loader: Loader, tmp_path: Path) -> None:
    """Content, hash and specification are of one moment; later changes are not seen."""
    path = write_policy(tmp_path / 'a.onnx', cube_spec(name='a'))
    wanted = read_policy_file(path)
    found = loader.read_policy(str(path), LONG)
    assert found == wanted
    assert 0 < loader.try_out(found, ExecutionSettings(), 0, LONG) < 1
    loader.try_out(found, ExecutionSettings(), 3, LONG)
    (tmp_path / 'robot.yaml').write_text('robot: x')
    assert loader.read(str(tmp_path / 'robot.yaml'), LONG) == (
        tmp_path / 'robot.yaml', b'robot: x')


def test_refusals_are_as_they_are_without_it(loader: Loader, tmp_path: Path) -> None:
    """With the same words; and another file is read afterwards."""
    os.mkfifo(tmp_path / 'fifo.onnx')
    (tmp_path / 'text.onnx').write_text('no policy')
    for name in ('fifo', 'text', 'none'):
        path = tmp_path / f'{name}.onnx'
        with pytest.raises(PolicyError) as here:
            read_policy_file(path)
        with pytest.raises(PolicyError) as there:
            loader.read_policy(str(path), LONG)
        assert str(there.value) == str(here.value)
    with pytest.raises(PolicyError, match='too long for the path of a file'):
        loader.read_policy('x' * 100_000, LONG)
    assert loader.read_policy(str(write_policy(tmp_path / 'a.onnx')), LONG).spec.name == 'test'


def test_a_graph_that_never_ends(loader: Loader, tmp_path: Path) -> None:
    """It is refused by name; allowed, it is ended in time, and the next one is tried out."""
    endless = read_policy_file(write_endless_policy(tmp_path / 'endless.onnx', cube_spec()))
    good = read_policy_file(write_policy(tmp_path / 'good.onnx'))
    with pytest.raises(PolicyError, match='its graph has Loop, which can run without end'):
        loader.try_out(endless, ExecutionSettings(), 0, LONG)
    loader.try_out(good, ALLOWED, 0, LONG)
    begin = time.monotonic()
    with pytest.raises(PolicyError, match='did not end within 1 s, and was killed'):
        loader.try_out(endless, ALLOWED, 0, 1.0)
    assert time.monotonic() - begin < 60
    loader.try_out(good, ALLOWED, 0, LONG)
    # An abandoned one ends for the next.
    with pytest.raises(GivenUpError):
        loader.try_out(endless, ALLOWED, 0, LONG, lambda: True)
    # Who waits for it is told when the node ends.
    failed: list[Exception] = []

    def try_out() -> None:
        try:
            loader.try_out(endless, ALLOWED, 0, LONG)
        except PolicyError as error:
            failed.append(error)

    thread = threading.Thread(target=try_out)
    thread.start()
    while loader._process is None:
        time.sleep(0.01)
    loader.close()
    thread.join(10)
    assert failed


@pytest.mark.parametrize(
    'where', ['graph', 'branch', 'function', 'unused function', 'default of a function'])
def test_operators_without_end_are_found_anywhere(where: str, tmp_path: Path) -> None:
    """In the graph, in a branch, in a function of the file's own."""
    model = endless_model(cube_spec())
    loop = next(node for node in model.graph.node if node.op_type == 'Loop')
    if where == 'branch':
        inner = onnx.GraphProto(name='then', node=[loop])
        inner.output.append(helper.make_tensor_value_info('spread', TensorProto.FLOAT, [1]))
        model.graph.node.remove(loop)
        model.graph.node.append(helper.make_node(
            'If', ['always'], ['spread'], then_branch=inner, else_branch=inner))
    elif where == 'default of a function':
        model.graph.node.remove(loop)
        inner = onnx.GraphProto(name='then', node=[loop])
        inner.output.append(helper.make_tensor_value_info('spread', TensorProto.FLOAT, [1]))
        branch = helper.make_node('If', ['always'], ['spread'])
        for name in ('then_branch', 'else_branch'):
            branch.attribute.append(onnx.AttributeProto(
                name=name, type=onnx.AttributeProto.GRAPH, ref_attr_name='branch'))
        model.functions.append(helper.make_function(
            'own', 'Quick', ['always', 'spread_before'], ['spread'], [branch],
            [helper.make_opsetid('', 17)],
            attribute_protos=[helper.make_attribute('branch', inner)]))
        model.graph.node.append(helper.make_node(
            'Quick', ['always', 'spread_before'], ['spread'], domain='own'))
    elif where.endswith('function'):
        model.graph.node.remove(loop)
        model.functions.append(helper.make_function(
            'own', 'Quick', ['', 'always', 'spread_before'][1:], ['spread'], [loop],
            [helper.make_opsetid('', 17)]))
        if where == 'function':
            model.graph.node.append(helper.make_node(
                'Quick', ['always', 'spread_before'], ['spread'], domain='own'))
    onnx.save(model, tmp_path / 'a.onnx')
    assert read_policy_file(tmp_path / 'a.onnx').unbounded == ('Loop',)


def test_a_process_that_hangs_or_dies(loader: Loader, tmp_path: Path) -> None:
    """As on a file system that hangs: there is an answer, and another process afterwards."""
    path = str(write_policy(tmp_path / 'a.onnx'))
    loader.read_policy(path, LONG)
    process_of(loader).send_signal(signal.SIGSTOP)
    with pytest.raises(PolicyError, match='did not end within 0.5 s'):
        loader.read_policy(path, 0.5)
    loader.read_policy(path, LONG)
    process_of(loader).send_signal(signal.SIGSTOP)
    threading.Timer(0.3, process_of(loader).kill).start()
    with pytest.raises(PolicyError, match='ended with status -9 in the middle of it'):
        loader.read_policy(path, LONG)
    assert loader.read_policy(path, LONG).spec.name == 'test'


def test_it_keeps_out_of_the_way_and_ends_with_its_owner(tmp_path: Path) -> None:
    """It has low priority, is first to be killed if memory is short, and ends with its owner."""
    endless = write_endless_policy(tmp_path / 'endless.onnx', cube_spec())
    owner = subprocess.Popen([sys.executable, '-c', f"""
from dfp_ros.core.settings.execution import ExecutionSettings
from dfp_ros.node.files.loader import Loader
from dfp_ros.core.policy.policy_file import read_policy_file
loader = Loader('the loader')
loader.start()
print(loader._process.pid, flush=True)
loader.try_out(
    read_policy_file({str(endless)!r}), ExecutionSettings(unbounded_operators='Loop'), 0, 60)
"""], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    pid = int(owner.stdout.readline())
    while int(Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[11]) < 100:
        time.sleep(0.05)  # processor time: it is in the graph
    assert Path(f'/proc/{pid}/oom_score_adj').read_text().strip() == '1000'
    assert os.getpriority(os.PRIO_PROCESS, pid) == 10
    owner.kill()
    owner.wait()
    deadline = time.monotonic() + 10
    while Path(f'/proc/{pid}').exists() and (
            Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()[0] != 'Z'):
        assert time.monotonic() < deadline, 'it outlives its owner'
        time.sleep(0.05)
    owner.stdout.close()


def test_a_file_that_is_newer_than_the_runtime(tmp_path: Path) -> None:
    """Another export would give the same file: the message names the version to install."""
    from dfp_ros.core.policy.onnx_policy import OnnxPolicy
    for change, provenance, says in (
            ('ir', {'exported_with': {'onnxruntime': '9.1.2'}}, "'onnxruntime>=9.1.2'"),
            ('opset', {'versions': {'onnxruntime': '9.1.2'}}, "'onnxruntime>=9.1.2'"),
            ('ir', {'versions': {'onnxruntime': 'x; rm'}}, 'pip install --upgrade onnxruntime')):
        model = policy_model(cube_spec(provenance=provenance))
        if change == 'ir':
            model.ir_version = 99
        else:
            model.opset_import[0].version = 99
        (tmp_path / 'a.onnx').write_bytes(model.SerializeToString())
        with pytest.raises(PolicyError, match='newer than this ONNX Runtime') as caught:
            OnnxPolicy(tmp_path / 'a.onnx')
        assert says in str(caught.value)
        assert 'export the policy again' not in str(caught.value)


@pytest.mark.parametrize('what', [
    'fields', 'metadata', 'specification', 'fields of the graph', 'graph after graph'])
def test_too_much_in_a_file(what: str, tmp_path: Path) -> None:
    """Megabytes that no policy needs are refused, before anything takes long over them."""
    model = policy_model(cube_spec(
        provenance={'x': np.zeros(300_000, int).tolist()} if what == 'specification' else {}))
    if what == 'metadata':
        onnx.helper.set_model_props(model, {'x': 'x' * (5 << 20)})
    content = model.SerializeToString()
    if what == 'fields':
        content += b'\x28\x01' * 3_000_000
    elif what == 'fields of the graph':
        # Unknown to ONNX and empty, 40 million of them.
        content += b'\x3a\x80\x9c\x9c\x39' + b'\x92\x03\x00' * 40_000_000
    elif what == 'graph after graph':
        content += (b'\x3a\xa0\xf7\x36' + b'\x92\x03\x00' * 300_000) * 30
    (tmp_path / 'a.onnx').write_bytes(content)
    begin = time.process_time()
    with pytest.raises(PolicyError, match='which no policy needs|keep its provenance short'):
        read_policy_file(tmp_path / 'a.onnx')
    assert time.process_time() - begin < 2


def test_how_long_loading_keeps_the_interpreter(loader: Loader, tmp_path: Path) -> None:
    """A graph of many nodes would keep a loop from deciding while it is loaded: that is known."""
    model = policy_model(cube_spec())
    last = model.graph.node[-1]
    last.output[0] = 'link_0'
    for i in range(6000):
        model.graph.node.append(helper.make_node(
            'Tanh', [f'link_{i}'], [f'link_{i + 1}'] if i < 5999 else ['spread']))
    onnx.save(model, tmp_path / 'many.onnx')
    small = loader.read_policy(str(write_policy(tmp_path / 'small.onnx')), LONG)
    many = loader.read_policy(str(tmp_path / 'many.onnx'), LONG)
    assert loader.try_out(many, ExecutionSettings(), 0, LONG) > 3 * loader.try_out(
        small, ExecutionSettings(), 0, LONG)


@pytest.mark.parametrize(('limit', 'remedy'), [
    (resource.RLIMIT_FSIZE, 'File too large; raise the limit on file sizes (`ulimit -f`)'),
    (resource.RLIMIT_NOFILE, 'Too many open files; raise the limit on open files (`ulimit -n`)')])
def test_a_file_that_does_not_fit_in_memory(
        limit: int, remedy: str, loader: Loader, tmp_path: Path) -> None:
    """The message has file and remedy, for either process; no descriptor is left."""
    path = write_policy(tmp_path / 'a.onnx')
    file = read_policy_file(path)
    (tmp_path / 'robot.yaml').write_text('x' * 4000)
    loader.read_policy(str(path), LONG)
    before = resource.getrlimit(limit)
    opened = os.listdir('/proc/self/fd')
    small = 100 if limit == resource.RLIMIT_FSIZE else 3
    resource.setrlimit(limit, (small, before[1]))
    try:
        with pytest.raises(PolicyError) as here:
            loader.try_out(file, ExecutionSettings(), 0, LONG)
    finally:
        resource.setrlimit(limit, before)
    assert len(os.listdir('/proc/self/fd')) == len(opened)
    assert f'policy file {path}: its 0.0 MB cannot be kept in memory: {remedy}' in str(here.value)
    if limit == resource.RLIMIT_NOFILE:
        return  # no file could be opened either
    resource.prlimit(process_of(loader).pid, limit, (small, before[1]))
    with pytest.raises(PolicyError) as there:
        loader.read_policy(str(path), LONG)
    assert str(there.value) == str(here.value)
    with pytest.raises(PolicyError, match='robot.yaml: its 0.0 MB cannot be kept in memory: File'):
        loader.read(str(tmp_path / 'robot.yaml'), LONG)


@pytest.mark.parametrize(('is_started', 'spare'), [
    (False, 0), (False, 1), (False, 2), (True, 0), (True, 1)])
def test_too_few_descriptors_are_named(
        loader: Loader, tmp_path: Path, is_started: bool, spare: int) -> None:
    """Wherever they end, in the start, the request or the answer; and none is lost."""
    path = write_policy(tmp_path / 'a.onnx', cube_spec(name='a'))
    if is_started:
        loader.read_policy(str(path), LONG)
    # The lowest free numbers are given first.
    taken = [os.dup(0) for _ in range(9)]
    for number in taken:
        os.close(number)
    free = sorted(taken)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free[spare], before[1]))
    try:
        with pytest.raises(PolicyError, match=r'Too many open files; raise the limit on open'):
            loader.read_policy(str(path), LONG)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    count = len(os.listdir('/proc/self/fd'))
    loader.read_policy(str(path), LONG)
    assert len(os.listdir('/proc/self/fd')) == count + (not is_started)
