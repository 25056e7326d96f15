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
Two policies side by side on the same seeds, as an animation with their success rates.

    python -m bench.side_by_side clone.onnx policy.onnx --titles Cloning DFP --out ascent.gif

Both policies are evaluated with one candidate; the first episodes are drawn by replaying their
actions, and a JSON file beside the animation has every episode.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
import sys

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from bench.common.arguments import count, output, source, whole
from bench.common.palette import BLUE, GREY, ORANGE
from dfp_ros.core.policy.policy_file import read_spec
from dfp_ros.sim.simulation.make_simulation import make_simulation
from dfp_ros.sim.simulation.render_backend import RenderingError
from dfp_ros.sim.simulation.rendering import FrameServer, write_gif
from training.common.error_line import error_line
from training.common.files import write_json
from training.evaluate import evaluate_file
from training.evaluation.environments import headless
from training.evaluation.episodes import Episode
from training.evaluation.evaluation import Evaluation

SIZE = (320, 240)
HEAD, FOOT = 26, 56
# Control periods per picture; the animation shows this many pictures a second.
EVERY, RATE = 4, 16
HOLD = 8


def replay(
        camera: FrameServer, environment: str, episode: Episode) -> Iterator[np.ndarray]:
    """Draw an episode by replaying its actions from its seed."""
    simulation = make_simulation(environment)
    simulation.reset(episode.seed)
    for step, action in enumerate(episode.actions):
        if step % EVERY == 0:
            yield camera.draw(simulation.picture())
        simulation.step(action)
    yield camera.draw(simulation.picture())


def panel(
        frame: np.ndarray, title: str, number: int, episode: Episode, over: bool,
        found: Evaluation, colour: str) -> Image.Image:
    """
    Compose one policy's picture: title, scene, and the bar of its success rate.

    :param over: Whether the drawn episode has ended.
    :param found: All its episodes.
    """
    width, height = SIZE
    image = Image.new('RGB', (width, HEAD + height + FOOT), 'white')
    image.paste(Image.fromarray(frame), (0, HEAD))
    draw = ImageDraw.Draw(image)
    small, large = ImageFont.load_default(14), ImageFont.load_default(16)
    draw.text((8, 4), title, fill=colour, font=large)
    state = ('solved' if episode.success else 'not solved') if over else ''
    draw.text((width - 8, 5), f'episode {number}  {state}', fill=GREY, font=small, anchor='ra')
    if over:
        draw.rectangle(
            (1, HEAD + 1, width - 2, HEAD + height - 2), width=4,
            outline='#009E73' if episode.success else ORANGE)
    top = HEAD + height + 8
    left, right = 8, width - 8
    solved, low, high = (
        left + share * (right - left) for share in (found.success, *found.interval))
    draw.rectangle((left, top, right, top + 16), fill='#EEEEEE')
    draw.rectangle((left, top, solved, top + 16), fill=colour)
    draw.line((low, top + 8, high, top + 8), fill='black', width=2)
    draw.text(
        (left, top + 20), f'{found.success:.0%} of {len(found.episodes)} episodes solved',
        fill='black', font=small)
    return image


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog='python -m bench.side_by_side',
        description=(__doc__ or '').strip().splitlines()[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    add = parser.add_argument
    add('policies', nargs=2, type=source, help='policy files')
    add('--titles', nargs=2, default=['cloning', 'DFP'], help='their names in the animation')
    add('--episodes', type=count, default=100, help='episodes of the evaluation')
    add('--drawn', type=count, default=4, help='number of episodes in the animation')
    add('--seed', type=whole, default=100_000, help='seed of the first episode')
    add('--out', type=output, default=Path('results/side_by_side.gif'), help='GIF file')
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluate both policies, draw their first episodes, and write the figures."""
    asked = parse(arguments)
    try:
        environment = read_spec(asked.policies[0]).environment
        with closing(FrameServer(environment, *SIZE)) as camera:
            # The camera's process has read MUJOCO_GL as the user set it; nothing else draws.
            headless()
            found = [
                evaluate_file(path, asked.episodes, asked.seed, environments=2, candidates=1)
                for path in asked.policies]
            write_json(asked.out.with_suffix('.json'), [
                {'policy': path.name, 'title': title, **each.summary()}
                for path, title, each in zip(asked.policies, asked.titles, found, strict=True)])
            write_gif(asked.out, list(animation(camera, environment, asked, found)), RATE)
    except (ValueError, RenderingError) as error:
        print(error_line(error), file=sys.stderr)
        return 2
    for title, each in zip(asked.titles, found, strict=True):
        print(f'{title}: {each.success:.1%} of {asked.episodes} episodes')
    return 0


def animation(
        camera: FrameServer, environment: str, asked: argparse.Namespace,
        found: Sequence[Evaluation]) -> Iterator[np.ndarray]:
    """Draw the first episodes of both policies; the shorter of two waits for the longer."""
    for number in range(min(asked.drawn, asked.episodes)):
        episodes = [each.episodes[number] for each in found]
        shown = [list(replay(camera, environment, episode)) for episode in episodes]
        longest = max(map(len, shown))
        for i in range(longest + HOLD):
            panels = [
                panel(frames[min(i, len(frames) - 1)], title, number + 1, episode,
                      i >= len(frames) - 1, each, colour)
                for frames, title, episode, each, colour in zip(
                    shown, asked.titles, episodes, found, (GREY, BLUE), strict=True)]
            yield np.concatenate([np.asarray(each) for each in panels], axis=1)


if __name__ == '__main__':
    sys.exit(main())
