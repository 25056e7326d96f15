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
Policy file from a policy of another tool, without touching its weights.

``ros2 run dfp_ros adopt policy.onnx`` reads what the file says of itself, and writes the rest as
questions into a YAML file; ``ros2 run dfp_ros adopt policy.onnx policy.adopt.yaml`` makes the
policy file, and compares it with the foreign one on random observations.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
import hashlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
import sys

from dfp_ros.core.description.unfilled import MARK
from dfp_ros.core.description.yaml_section import DescriptionError, read_text
from dfp_ros.core.files.atomic import atomic_path
from dfp_ros.core.files.user_path import user_path
from dfp_ros.core.hung_calls import ended_by_interrupts
from dfp_ros.core.policy.interface import PolicyError
from dfp_ros.core.text.printable import listed, printable, TEXT
from dfp_ros.core.text.say import say
from dfp_ros.node.parameters.files import own_words
from dfp_ros.spec import METADATA_KEY
from dfp_ros.tools.adopt.adoption import AdoptError, Adoption, read_adoption
from dfp_ros.tools.adopt.child_process import run_in_child
from dfp_ros.tools.adopt.draft import Draft, draft_of_graph
from dfp_ros.tools.adopt.foreign_model import ForeignModel, load_foreign_model
from dfp_ros.tools.adopt.foreign_yaml import read_foreign_yaml
from dfp_ros.tools.adopt.io_descriptors import draft_of_io_descriptors, is_io_descriptors
from dfp_ros.tools.adopt.isaac_env import draft_of_isaac_env, is_isaac_env
from dfp_ros.tools.adopt.layout import lay_out, require_adoptable
from dfp_ros.tools.adopt.leapp_bundle import draft_of_leapp, find_model, is_leapp
from dfp_ros.tools.adopt.mjlab_metadata import draft_of_mjlab, is_mjlab
from dfp_ros.tools.adopt.policy_graph import policy_model, require_new_operators
from dfp_ros.tools.adopt.self_check import Agreement, check_policy
from dfp_ros.tools.adopt.understood import describe_adoption

ENDING = '.adopt.yaml'


@dataclass(frozen=True)
class Given:
    """
    Files of the command line.

    :param model: The foreign ONNX file.
    :param adoption: The file with its meaning, None if there is none yet.
    :param other: YAML file of another tool, None if there is none.
    :param content: Content of that.
    """

    model: Path
    adoption: Path | None = None
    other: Path | None = None
    content: Mapping[str, object] | None = None


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Parse the command line, without ROS arguments."""
    parser = argparse.ArgumentParser(
        prog='adopt', description=(__doc__ or '').strip(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog='docs/adopting.md is for users of Isaac Lab and mjlab')
    parser.add_argument(
        'files', nargs='+', type=user_path, metavar='FILE',
        help='the .onnx file, its meaning (.adopt.yaml), and the YAML file that Isaac Lab '
        '(IO_descriptors.yaml, env.yaml) or LEAPP wrote beside it, in any order')
    parser.add_argument(
        '--out', type=user_path,
        help='policy file to write (default: NAME of the meaning, in the working folder)')
    parser.add_argument(
        '--plain', action='store_true',
        help='ignore the metadata in the .onnx file, and ask for everything')
    parser.add_argument('--force', action='store_true', help='overwrite an existing file')
    words = sys.argv if arguments is None else ['adopt', *arguments]
    return parser.parse_args(own_words(words)[1:])


def sort_files(files: list[Path]) -> Given:
    """
    Recognise the files of the command line.

    :raises AdoptError: If there is no model, or two of a kind.
    """
    models = [path for path in files if path.suffix == '.onnx']
    meaning: Path | None = None
    other: Path | None = None
    content: Mapping[str, object] | None = None
    for path in files:
        if path in models:
            continue
        if path.suffix not in ('.yaml', '.yml'):
            raise AdoptError(f'{path}: found neither an .onnx nor a .yaml file')
        parsed = read_foreign_yaml(path)
        if 'inputs' in parsed and 'outputs' in parsed and not is_leapp(parsed):
            if meaning is not None:
                raise AdoptError(f'{path}: found a second meaning of the policy, after {meaning}')
            meaning = path
        elif is_io_descriptors(parsed) or is_leapp(parsed) or is_isaac_env(parsed):
            if other is not None:
                raise AdoptError(f'{path}: found a second file of its kind, after {other}')
            other, content = path, parsed
            if is_leapp(parsed) and not models:
                models.append(find_model(path, parsed))
        else:
            raise AdoptError(
                f'{path}: found the keys {listed(parsed) or "of nothing"}, '
                'expected inputs and outputs (a meaning drafted by adopt), actions, observations '
                "and scene (Isaac Lab's IO_descriptors.yaml or env.yaml), or models and pipeline "
                '(a LEAPP bundle)')
    if len(models) != 1:
        raise AdoptError(
            f'found {len(models)} .onnx files, expected one; the files have several models? '
            'Adopt each with its own command')
    return Given(models[0], meaning, other, content)


def make_draft(given: Given, foreign: ForeignModel, is_plain: bool = False) -> Draft:
    """
    Draft the meaning of a model from everything that is known of it.

    :param given: The files.
    :param foreign: The model.
    :param is_plain: Whether its metadata is ignored.
    """
    if given.other is not None and given.content is not None:
        draw = (
            draft_of_leapp if is_leapp(given.content)
            else draft_of_io_descriptors if is_io_descriptors(given.content)
            else draft_of_isaac_env)
        return draw(foreign, given.other, given.content)
    if is_mjlab(foreign) and not is_plain:
        return draft_of_mjlab(foreign)
    return draft_of_graph(foreign)


def adopt(
        foreign: ForeignModel, adoption: Adoption, out: Path,
        overwrite: bool = False) -> Agreement:
    """
    Write a policy file, and compare it with the foreign policy.

    :param foreign: The foreign model.
    :param adoption: Its meaning.
    :param out: The policy file.
    :param overwrite: Whether an existing file is replaced.
    :raises AdoptError: If they do not fit each other, or the comparison fails.
    :raises OSError: If the file cannot be written.
    """
    import onnx
    layout = lay_out(adoption, foreign)
    spec = adoption.spec(layout.state_size, _provenance(foreign, adoption))
    model = policy_model(adoption, foreign, layout, spec)
    with atomic_path(out, overwrite=overwrite) as partial:
        onnx.save_model(model, str(partial))
        try:
            return check_policy(partial, adoption, foreign, layout)
        except PolicyError as error:
            raise AdoptError(
                f'{foreign.path}: the policy file that was made of it is refused, and not '
                f'written: {error}') from error


def main(args: list[str] | None = None) -> int:
    """
    Adopt a policy, or draft the questions about it.

    :return: Exit status: 1 if facts are missing, which were written as questions; 2 if the policy
        cannot be adopted.
    """
    asked = parse(args)
    # Inference of a foreign graph may take for ever.
    with ended_by_interrupts():
        # A program that calls this function may have threads, which a copy of it would lack.
        return run_in_child(lambda: _adopt(asked)) if args is None else _adopt(asked)


def _adopt(asked: argparse.Namespace) -> int:
    """Adopt or draft as the command line asks; return the exit status."""
    try:
        given = sort_files(asked.files)
        foreign = load_foreign_model(given.model)
        # A meaning was drafted by --plain, and needs it no more.
        if METADATA_KEY in foreign.metadata and not asked.plain and given.adoption is None:
            raise AdoptError(
                f'{given.model}: found a policy file of dfp_ros already ({METADATA_KEY!r} in its '
                'metadata), which needs no adoption: give it to the node with policy:=FILE, or '
                'add --plain to ask for the meaning of its graph anew')
        if given.adoption is None:
            return _ask(given, foreign, asked)
        adoption = read_adoption(given.adoption)
        out = asked.out or Path(f'{adoption.name.replace("/", "_")}.onnx')
        if out.suffix != '.onnx':
            raise AdoptError(f'--out: found {out}, expected the name of an .onnx file')
        _require_new(out, asked.force)
        if out.exists() and out.samefile(given.model):
            raise AdoptError(
                f'{out}: is the foreign policy itself; name another file with --out')
        agreement = adopt(foreign, adoption, out, asked.force)
    except (AdoptError, DescriptionError) as error:
        say(f'adopt: {printable(error, 2000)}', to_errors=True)
        return 2
    except OSError as error:
        say(f'adopt: cannot be written: {printable(error, 2000)}', to_errors=True)
        return 2
    say(describe_adoption(adoption, foreign))
    say('\n' + printable(
        f'{out}: {out.stat().st_size / 1000:,.0f} kB; the same answers as {foreign.path.name} '
        f'on {agreement.calls} random observations, within {agreement.largest:.1e}', TEXT))
    return 0


def _ask(given: Given, foreign: ForeignModel, asked: argparse.Namespace) -> int:
    """Write what is known and what is not into a file."""
    draft = make_draft(given, foreign, asked.plain)
    # What would be refused once all questions are answered.
    require_adoptable(foreign, [
        name for name, keys in draft.input_keys.items()
        if keys.keys.get('state', MARK) != MARK])
    require_new_operators(foreign)
    text = draft.write()
    path = Path(foreign.path.stem + ENDING)
    _require_new(path, asked.force)
    if any(path.exists() and path.samefile(each) for each in asked.files):
        raise AdoptError(
            f'{path}: is one of the files that were given, and the draft would replace it; rename '
            'it, or change to another folder')
    with atomic_path(path, overwrite=asked.force) as partial:
        partial.write_text(text, encoding='utf-8')
    files = ' '.join(str(each) for each in (given.model, path))
    say(text.removesuffix('\n'))
    say('\n' + printable(
        f'{path}: {text.count(f": {MARK}")} facts to fill in, each marked {MARK}; then '
        f'`ros2 run dfp_ros adopt {files}`', TEXT))
    return 1


def _require_new(path: Path, may_overwrite: bool) -> None:
    """Require that a file is not there, or may be overwritten."""
    if path.exists() and not may_overwrite:
        raise AdoptError(
            f'{path}: is there already, and may have been edited; move it, or add --force to '
            'overwrite it')


def _provenance(foreign: ForeignModel, adoption: Adoption) -> dict[str, object]:
    """Describe the origin of a policy file."""
    meaning = Path(adoption.where)
    versions = {}
    for name in ('onnx', 'onnxruntime', 'numpy'):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    elements = {
        term.name: list(term.elements) for term in adoption.observed if term.elements}
    elements |= {
        member.name: list(member.elements) for output in adoption.outputs
        for member in output.fields if member.elements}
    return {
        'algorithm': 'adopted', 'adopted': {
            'file': foreign.path.name, 'sha256': foreign.sha256,
            'producer': printable(
                f'{foreign.model.producer_name} {foreign.model.producer_version}'.strip()),
            'meaning': meaning.name,
            'meaning_sha256': hashlib.sha256(read_text(meaning)).hexdigest()},
        'elements': elements, 'exported_with': versions}


if __name__ == '__main__':
    sys.exit(main())
