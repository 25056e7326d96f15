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
"""Fuzzing targets: files of every format, and messages of every type, with their readers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import json
from pathlib import Path
from random import Random
import shutil

import numpy as np
import yaml

from testing import ROOT
from testing.fuzz.damage import damage_bytes, damage_file, damage_tree


@dataclass(frozen=True)
class Target:
    """
    Reader under test, and its permitted rejections.

    :param make: Makes a valid file in a folder, and returns its path.
    :param damage: Damages it, with knowledge of its format.
    :param read: Reads it as the programs do.
    :param refusals: Permitted exceptions, which the programs report.
    """

    make: Callable[[Path], Path]
    damage: Callable[[Path, Random], None]
    read: Callable[[Path], object]
    refusals: tuple[type[Exception], ...]


def as_json(tree: object) -> str:
    """Format JSON, also deeper than Python's own writer can."""
    try:
        return json.dumps(tree)
    except RecursionError:
        return '{"a":[' * 50_000


def make_policy(folder: Path) -> Path:
    """Write a policy file."""
    from testing.policies.small_policy import write_policy
    return write_policy(folder / 'policy.onnx')


def damage_policy(path: Path, random: Random) -> None:
    """Change bytes, a value of the specification, an attribute or type of the graph."""
    import onnx

    from dfp_ros.spec import METADATA_KEY
    kind = random.randrange(3)
    if kind == 0:
        damage_file(path, random)
        return
    model = onnx.load(path)
    if kind == 1:
        entry = next(entry for entry in model.metadata_props if entry.key == METADATA_KEY)
        entry.value = as_json(damage_tree(json.loads(entry.value), random))
    else:
        node = random.choice(model.graph.node)
        change = random.randrange(5)
        if change == 0:
            model.graph.node.remove(node)
        elif change == 1:
            node.op_type = random.choice(('Loop', 'Sqrt', 'Nonsense', 'RandomNormal', 'Concat'))
        elif change == 2:
            node.domain = 'com.example'
        elif change == 3:
            tensor = random.choice(model.graph.initializer)
            tensor.dims[0] = random.choice((0, -1, 1, 2**40))
        else:
            random.choice([*model.graph.input, *model.graph.output]).name = 'renamed'
    path.write_bytes(model.SerializeToString())


def read_policy(path: Path) -> object:
    """Read and load a policy file and ask it, as the node's loading process does."""
    from dfp_ros.core.policy.onnx_policy import OnnxPolicy
    return OnnxPolicy(path)


def make_description(folder: Path) -> Path:
    """Copy a shipped robot description."""
    return Path(shutil.copy(ROOT / 'config' / 'ur5e_cube.yaml', folder / 'robot.yaml'))


def damage_yaml(path: Path, random: Random) -> None:
    """Change bytes, or a value."""
    if random.random() < 0.4:
        damage_file(path, random)
        return
    tree = damage_tree(yaml.safe_load(path.read_text()), random)
    try:
        text = yaml.safe_dump(tree, allow_unicode=True)
        path.write_text(text, encoding='utf-8')
    except (UnicodeEncodeError, RecursionError):
        path.write_bytes(b'a: ' + b'[' * 50_000)


def read_description(path: Path) -> object:
    """Read a description and its limits."""
    from dfp_ros.core.description.robot import load_robot_description
    return load_robot_description(path)


def make_report(folder: Path) -> Path:
    """Write a preflight report."""
    from testing.fixtures.preflight_reports import written
    return written(folder)


def damage_json(path: Path, random: Random) -> None:
    """Change bytes, or a value."""
    if random.random() < 0.4:
        damage_file(path, random)
        return
    path.write_text(as_json(damage_tree(json.loads(path.read_text()), random)))


def _arrays() -> dict[str, np.ndarray]:
    """Make two episodes in the format of OGBench's cube-single."""
    random = np.random.default_rng(0)
    rows = 24
    ends = np.zeros(rows, bool)
    ends[[11, 23]] = True
    return {
        'observations': random.standard_normal((rows, 28)).astype(np.float32),
        'actions': random.uniform(-1, 1, (rows, 5)).astype(np.float32), 'terminals': ends,
        'qpos': random.standard_normal((rows, 21)).astype(np.float32),
        'qvel': random.standard_normal((rows, 20)).astype(np.float32)}


def make_npz(folder: Path) -> Path:
    """Write a file in OGBench's format."""
    path = folder / 'play.npz'
    np.savez_compressed(path, **_arrays())
    return path


def damaged_array(array: np.ndarray, random: Random) -> np.ndarray:
    """Change the size, type or numbers of an array."""
    kind = random.randrange(8)
    if kind == 0:
        return array[:random.randrange(len(array))]
    if kind == 1:
        return array.astype(random.choice(('f2', 'f8', 'i8', 'U3', 'c8', 'bool', 'S1')))
    if kind == 2:
        return array.reshape(-1)
    if kind == 3:
        changed = array.astype(np.float64)
        changed.reshape(-1)[random.randrange(array.size)] = random.choice((np.nan, np.inf, 1e300))
        return changed
    if kind == 4:
        return np.concatenate([array, array])
    if kind == 5:
        return np.ones_like(array)
    if kind == 6:
        return np.zeros((0, *array.shape[1:]), array.dtype)
    return array[..., None]


def damage_npz(path: Path, random: Random) -> None:
    """Change bytes, or an array."""
    if random.random() < 0.5:
        damage_file(path, random)
        return
    with np.load(path) as file:
        arrays = dict(file)
    key = random.choice(sorted(arrays))
    if random.random() < 0.15:
        del arrays[key]
    else:
        arrays[key] = damaged_array(arrays[key], random)
    np.savez_compressed(path, **arrays)


def read_ogbench(path: Path) -> object:
    """Read a file as training does."""
    from training.data.formats.ogbench.reader import load
    return load(path, 'cube-single-singletask-task2-v0')


def make_hdf5(folder: Path) -> Path:
    """Write a file in Robomimic's format."""
    from testing.learning.robomimic_files import written
    return written(folder / 'demonstrations.hdf5', {0: 4, 1: 5})


def damage_hdf5(path: Path, random: Random) -> None:
    """Change bytes, an array, an attribute, or the target of a link."""
    import h5py
    if random.random() < 0.5:
        damage_file(path, random)
        return
    with h5py.File(path, 'r+') as file:
        names: list[str] = []
        file['data'].visit(names.append)
        name = f'data/{random.choice(names)}'
        found = file[name]
        kind = random.randrange(4)
        if kind == 0 or not isinstance(found, h5py.Dataset):
            if random.random() < 0.5:
                file['data'].attrs['env_args'] = as_json(
                    damage_tree(json.loads(file['data'].attrs['env_args']), random))[:60_000]
            else:
                del file[name]
            return
        values = found[()]
        del file[name]
        if kind == 1:
            changed = damaged_array(values, random)
            file[name] = changed.astype('S3') if changed.dtype.kind == 'U' else changed
        elif kind == 2:
            file[name] = h5py.SoftLink(random.choice(('/', f'/{name}', '/nowhere')))
        else:
            file[name] = h5py.ExternalLink('other.hdf5', '/data')


def read_robomimic(path: Path) -> object:
    """Read a file as training does."""
    from training.data.formats.robomimic.reader import load
    return load(path, 'lift-mh-low_dim')


def make_lerobot(folder: Path) -> Path:
    """Write a LeRobot dataset of somebody else, described by a person."""
    from testing.learning.lerobot_datasets import described, recorded
    return described(recorded(folder / 'dataset', [9, 11], {
        'next.reward': np.zeros(20, np.float32), 'next.success': np.zeros(20, bool)}))


def damage_lerobot(path: Path, random: Random) -> None:
    """Change bytes of a file, a value of a description, or a column."""
    from testing.learning.lerobot_datasets import DATA, EPISODES
    kind = random.randrange(3)
    if kind == 0:
        damage_file(path, random)
    elif kind == 1:
        damage_json(path / random.choice(('meta/info.json', 'meta/dfp_ros.json')), random)
    else:
        damage_parquet(path / random.choice((DATA, EPISODES, 'meta/tasks.parquet')), random)


def damage_parquet(path: Path, random: Random) -> None:
    """Change a column, or leave it out."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    table = pq.read_table(path)
    index = random.choice([
        i for i, kind in enumerate(table.schema.types) if not pa.types.is_string(kind)])
    name, column = table.column_names[index], np.array(table.column(index).to_pylist())
    table = table.remove_column(index)
    if random.random() < 0.8:
        values = damaged_array(column, random)
        values = values.astype('U5') if values.dtype.kind in 'cS' else values
        size = max(len(values), len(table))
        rows = (values.tolist() + [None] * size)[:len(table)]
        table = table.add_column(index, name, pa.array(rows))
    pq.write_table(table, path)


def read_lerobot(path: Path) -> object:
    """Read a dataset as training does."""
    from training.data.formats.lerobot.reader import load
    return load(path)


def make_checkpoint(folder: Path) -> Path:
    """Train for two updates on recorded data."""
    from testing.learning.transitions import drawn
    from training.config import TrainConfig
    from training.data.transitions import stored
    from training.learning.trainer.run import train
    stored.save(folder / 'data.npz', drawn([12, 12], 6, 2))
    train(folder / 'run', TrainConfig(
        data=str(folder / 'data.npz'), environment='none', hidden=(8,), batch_size=4, steps=2,
        log_every=2, threads=1, pool=2, top=1))
    return Path(shutil.copy(folder / 'run' / 'checkpoint.pt', folder / 'checkpoint.pt'))


def damage_checkpoint(path: Path, random: Random) -> None:
    """Change bytes, or a part."""
    import torch
    if random.random() < 0.6:
        damage_file(path, random)
        return
    content = torch.load(path, weights_only=True)
    key = random.choice(sorted(content))
    if random.random() < 0.3:
        del content[key]
    else:
        content[key] = random.choice((None, 1, 'x', [], {}, content['agent']))
    torch.save(content, path)


def read_checkpoint(path: Path) -> object:
    """Read a checkpoint as export and evaluation do."""
    from training.learning.trainer.checkpoint import load_agent
    return load_agent(path)


def make_bag(kind: str) -> Callable[[Path], Path]:
    """Return a writer of a short recording."""
    def make(folder: Path) -> Path:
        from testing.fixtures.bags import decision, demonstration, MS, PERIOD, START, write_bag
        decided = [message for i in range(8) for message in decision(
            i, START + i * PERIOD, START + i * PERIOD - 3 * MS, i / 100)]
        return write_bag(folder / 'bag', [*demonstration(8), *decided], kind)
    return make


def convert_bag(path: Path) -> object:
    """Convert a bag as training's command does."""
    from dfp_ros.core.description.robot import load_robot_description
    from training.data.formats.rosbag.actions import ActionLayout
    from training.data.formats.rosbag.convert import convert, Options
    robot = load_robot_description(ROOT / 'config' / 'ur5e_cube.yaml')
    return convert([path], robot, Options(0.05, ActionLayout.of_robot(robot)))


def read_bag(path: Path) -> object:
    """Read a bag as replay does."""
    from dfp_ros.tools.replay.recorded_bag import RecordedBag
    with RecordedBag(path) as bag:
        return bag.read()


def make_urdf(folder: Path) -> Path:
    """Write a URDF with two joints."""
    path = folder / 'robot.urdf'
    path.write_text("""<?xml version="1.0"?>
<robot name="arm">
  <link name="a"/><link name="b"/><link name="c"/>
  <joint name="first" type="revolute"><parent link="a"/><child link="b"/>
    <limit lower="-1.5" upper="1.5" velocity="2" effort="10"/></joint>
  <joint name="second" type="continuous"><parent link="b"/><child link="c"/>
    <limit velocity="1" effort="10"/></joint>
</robot>
""")
    return path


def damage_urdf(path: Path, random: Random) -> None:
    """Change bytes, a word, or a number."""
    text = path.read_text()
    if random.random() < 0.4:
        path.write_bytes(damage_bytes(text.encode(), random))
        return
    found = random.choice(['-1.5', '1.5', '2', '10', 'first', 'revolute', 'limit', 'joint'])
    strange = random.choice(['-1', '0', 'nan', 'inf', '', '1e400', '&lt;', 'x' * 5000, '1,5'])
    path.write_text(text.replace(found, strange, random.choice((1, 99))))


def read_urdf(path: Path) -> object:
    """Read the joints' limits."""
    from dfp_ros.core.description.urdf import read_joint_limits
    return read_joint_limits(path.read_bytes().decode('utf-8', 'surrogateescape'))


def targets() -> dict[str, Target]:
    """Return all targets by name."""
    from dfp_ros.core.description.urdf import UrdfError
    from dfp_ros.core.description.yaml_section import DescriptionError
    from dfp_ros.core.policy.interface import PolicyError
    from dfp_ros.spec import SpecMismatch
    from dfp_ros.tools.bags.reader import RecordingError
    from dfp_ros.tools.preflight.report import PreflightError
    from training.data.transitions.transitions import DataError
    from training.learning.trainer.checkpoint_file import CheckpointError

    def read_report(path: Path) -> object:
        from dfp_ros.tools.preflight.report import require_passed
        from testing.fixtures.preflight_reports import now, SUBJECT
        return require_passed(path, SUBJECT, 24, now())

    mcap, sqlite = make_bag('mcap'), make_bag('sqlite3')
    return {
        'policy': Target(make_policy, damage_policy, read_policy, (PolicyError,)),
        'description': Target(
            make_description, damage_yaml, read_description, (DescriptionError,)),
        'urdf': Target(make_urdf, damage_urdf, read_urdf, (UrdfError,)),
        'report': Target(make_report, damage_json, read_report, (PreflightError,)),
        'npz': Target(make_npz, damage_npz, read_ogbench, (DataError,)),
        'hdf5': Target(make_hdf5, damage_hdf5, read_robomimic, (DataError,)),
        'lerobot': Target(make_lerobot, damage_lerobot, read_lerobot, (DataError,)),
        'checkpoint': Target(
            make_checkpoint, damage_checkpoint, read_checkpoint, (CheckpointError,)),
        'mcap to data': Target(mcap, damage_file, convert_bag, (DataError,)),
        'sqlite3 to data': Target(sqlite, damage_file, convert_bag, (DataError,)),
        'mcap to replay': Target(mcap, damage_file, read_bag, (RecordingError, SpecMismatch)),
        'sqlite3 to replay': Target(sqlite, damage_file, read_bag, (RecordingError, SpecMismatch)),
    }
