"""Settings of a training from segments, as recipes and options change them."""

from dataclasses import replace

import pytest

from vidrep.config.kinds import CONFIGS, with_precision
from vidrep.config.reader import load_recipe, to_mapping
from vidrep.config.segmentation import SegmentationConfig
from vidrep.errors import ConfigError


def test_every_kind_of_config_is_known_by_its_name() -> None:
    assert sorted(CONFIGS) == ["finetune", "pretrain", "segment"]
    assert all(one.kind == name for name, one in CONFIGS.items())


def test_changes_are_those_that_options_name() -> None:
    changes = {"segmenter.several_labels": True, "encoder.bidirectional": False, "windows.margin": 3}
    config = load_recipe(SegmentationConfig, changes=changes)
    assert (config.segmenter.several_labels, config.encoder.bidirectional, config.windows.margin) == (True, False, 3)
    assert config.given == set(changes)
    assert (config.windows.length, config.transforms) == ("auto", "auto")
    assert to_mapping(replace(config, given=frozenset())) == to_mapping(config)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"segmenter.class_weights": "equal"}, "segmenter.class_weights"),
        ({"segmenter.dropout": 1.5}, "segmenter.dropout"),
        ({"windows.margin": -1}, "windows.margin"),
        ({"windows.context": 3}, "windows.context"),
        ({"training.ensemble": 2}, "training.ensemble is 2"),
    ],
)
def test_what_cannot_be_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_recipe(SegmentationConfig, changes=changes)


def test_another_precision() -> None:
    config = SegmentationConfig()
    assert with_precision(config, "bf16").training.precision == "bf16"
    assert with_precision(config, None).training == config.training
