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
"""Training settings: presets by name, strict keys, ranges."""

from dataclasses import replace

import pytest

from training.config import ConfigError, TrainConfig
from training.presets import PRESETS, require_preset


def test_settings_survive_json() -> None:
    for _, config in PRESETS.values():
        assert TrainConfig.from_json(config.to_json()) == config


def test_unknown_setting_names_the_nearest() -> None:
    text = TrainConfig().to_json().replace('"horizon"', '"horizn"')
    with pytest.raises(ConfigError, match="unknown key 'horizn'; did you mean 'horizon'"):
        TrainConfig.from_json(text)


@pytest.mark.parametrize('change', [
    {'steps': 0}, {'horizon': 0}, {'top': 17}, {'discount': 1.5}, {'discount': float('nan')},
    {'bandwidths': ()}, {'bandwidths': (0.1, 0.0)}, {'hidden': (256, 0)}, {'seed': -1},
    {'value_weight': float('inf')}, {'learning_rate': 0.0}])
def test_values_out_of_range_are_refused_by_name(change: dict) -> None:
    with pytest.raises(ConfigError, match=f'^{next(iter(change))}: found'):
        replace(TrainConfig(), **change)


def test_offline_presets_are_the_paper_s() -> None:
    single, double = PRESETS['cube-single'][1], PRESETS['cube-double'][1]
    assert (single.value_weight, double.value_weight) == (0.45, 0.55)
    for config in (single, double):
        assert (config.horizon, config.best_of) == (1, 1)
        assert (config.pool, config.top, config.bandwidths) == (16, 8, (0.05,))
        assert config.hidden == (512,) * 4
    chunks = PRESETS['cube-double-online'][1]
    assert (chunks.horizon, chunks.best_of, chunks.pool, chunks.top) == (5, 16, 16, 4)


def test_an_unknown_preset_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    """In one line, without a list of all."""
    with pytest.raises(ConfigError, match='did you mean .small-clone.'):
        require_preset('smal-clone')
    require_preset('small-clone')
    train = pytest.importorskip('training.train')
    assert train.main(['smal-clone', '--run', 'none']) == 2
    assert capsys.readouterr().err == (
        "found no preset 'smal-clone'; did you mean 'small-clone'?\n")
