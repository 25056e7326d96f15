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


@pytest.mark.parametrize('change', [
    {'threads': 100_000}, {'batch_size': 10**11}, {'hidden': (10**9,)}, {'hidden': (8,) * 1000},
    {'critics': 10**6}, {'horizon': 10**6}, {'best_of': 10**6}, {'generated': 10**6},
    {'pool': 10**6}, {'environments': 10**6}, {'episodes': 10**9}, {'flow_steps': 10**9},
    {'updates_per_step': 10**9}, {'steps': 10**30}, {'evaluate_every': 10**30},
    {'replay': 10**30}, {'seed': 2**64}, {'seed': 10**300}, {'bandwidths': (0.1,) * 10_000},
    {'bandwidths': (float('inf'),)}, {'hidden': (2**16,) * 4}, {'critics': True},
    {'steps': 1.5}, {'threads': float('nan')}, {'hidden': ('512',)}])
def test_counts_beyond_any_machine_are_refused_by_name(change: dict) -> None:
    name = next(iter(change))
    with pytest.raises(ConfigError, match=f'^{name}: found .*, expected .*[0-9]') as refused:
        replace(TrainConfig(), **change)
    assert len(str(refused.value)) < 1000


def test_counts_that_fit_no_memory_together_are_refused() -> None:
    largest = TrainConfig(batch_size=2**15, pool=1024)
    with pytest.raises(ConfigError, match='^batch_size: found 65536, expected at most 32768 for'):
        replace(largest, batch_size=2**16)


@pytest.mark.parametrize(('text', 'message'), [
    ('{"threads": "two"}', "threads: found 'two', expected a whole number"),
    ('{"hidden": 512}', 'hidden: found 512, expected a list'),
    ('{"data": 3}', 'data: found 3, expected a text'),
    ('{"bandwidths": ["wide"]}', "bandwidths: found 'wide', expected a number"),
    ('{"compile": "no"}', "compile: found 'no', expected true or false"),
    ('{"policy": "dpf"}', "policy: found 'dpf', expected one of dfp, flow"),
    ('{"discount": "high"}', "discount: found 'high', expected a number"),
    ('[1]', r'configuration: found \[1\], expected settings by name')])
def test_settings_of_the_wrong_type_are_refused_by_name(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TrainConfig.from_json(text)
