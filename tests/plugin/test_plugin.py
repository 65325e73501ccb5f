"""A plug-in from outside vidrep goes the whole way: extract, train, resume, finetune, evaluate, predict, info."""

import ast
import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import toy_plugin
from small_features import training_settings
from toy_training import KilledError, assert_same, killed_after, tree_of

import vidrep
from vidrep.config.settings import (
    ClassifierSettings,
    EncoderSettings,
    FinetuneConfig,
    PretrainConfig,
    PretrainWindows,
    SelectionSettings,
)
from vidrep.errors import ConfigError
from vidrep.registry import CELLS, EXTRACTORS, HEADS, OBJECTIVES, TRANSFORMS
from vidrep.synthetic.samples import SampleConfig

PRETRAIN = PretrainConfig(
    transforms=("scaled", "standardize"),
    objectives=("halves", "future"),
    encoder=EncoderSettings(cell="leaky", hidden_size=12),
    cell={"leaky": {"leak": 0.3}},
    objective={"halves": {"weight": 0.5, "temperature": 0.2}},
    windows=PretrainWindows(context=8, num_future=4, stride=4),
    training=training_settings(steps=12, batch_size=8, validate_every=4, patience=0),
)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    vidrep.sample(folder / "clips", SampleConfig(videos_per_class=3, num_frames=14, frame_size=32))
    return folder / "clips"


@pytest.fixture(scope="module")
def features(clips: Path) -> Any:
    output = clips.parent / "features.h5"
    vidrep.extract(vidrep.find_videos([clips]), output, toy_plugin.Brightness(size=3), workers=1)
    return vidrep.open_features(output)


@pytest.mark.parametrize("registry", [CELLS, EXTRACTORS, HEADS, OBJECTIVES, TRANSFORMS], ids=lambda one: one.kind)
def test_no_entry_is_longer_than_25_lines(registry: Any) -> None:
    entries = [registry[name] for name in registry.names() if registry[name].__module__ == "toy_plugin"]
    assert len(entries) == 1
    source = inspect.getsource(entries[0])
    assert len([line for line in source.splitlines() if line.strip()]) <= 25
    assert isinstance(ast.parse(source).body[0], ast.ClassDef)


def test_the_extractor_makes_features_that_it_can_make_again(features: Any) -> None:
    assert features.settings["kind"] == "brightness"
    assert features.settings["size"] == 3
    assert features.settings["frames_per_feature"] == 2
    assert (len(features), features.frame_shape, features.videos[0].length) == (24, (18,), 13)
    rows = features.rows(0)
    np.testing.assert_array_equal(rows[1:, :9], rows[:-1, 9:])  # a frame is the second of one pair, then the first


def test_a_pretraining_goes_on_after_a_kill_to_the_same_bits(features: Any, tmp_path: Path) -> None:
    vidrep.train(features, tmp_path / "whole", PRETRAIN, device="cpu", precision="fp32")
    with pytest.raises(KilledError):
        vidrep.train(
            features, tmp_path / "killed", PRETRAIN, device="cpu", precision="fp32", on_progress=killed_after(6)
        )
    vidrep.train(features, tmp_path / "killed", PRETRAIN, device="cpu", precision="fp32", resume=True)
    assert_same(tree_of(tmp_path / "killed"), tree_of(tmp_path / "whole"))


def test_stateful_windows_carry_a_dict(features: Any, tmp_path: Path) -> None:
    config = PretrainConfig(
        objectives=("future",),
        encoder=EncoderSettings(cell="leaky", hidden_size=6),
        windows=PretrainWindows(context=3, num_future=1, stateful=True),
        training=training_settings(steps=4, batch_size=4, validate_every=2),
    )
    vidrep.train(features, tmp_path / "run", config, device="cpu", precision="fp32")
    checkpoint = torch.load(sorted((tmp_path / "run" / "checkpoints").iterdir())[-1], weights_only=True)
    assert {name: tuple(value.shape) for name, value in checkpoint["state"].items()} == {"state.0.h": (4, 6)}
    assert checkpoint["state"]["state.0.h"].abs().sum() > 0


def test_the_whole_way(features: Any, clips: Path, tmp_path: Path) -> None:
    result = vidrep.train(features, tmp_path / "pretrained", PRETRAIN, device="cpu", precision="fp32")
    assert result.validation.objective_losses.keys() == {"halves"}
    assert 0 < result.validation.objective_losses["halves"] < 10
    assert result.validation.by_objective["future"]["squared_error"]["model"].mean > 0

    config = FinetuneConfig(
        classifier=ClassifierSettings(head="largest", dropout=0.0),
        training=training_settings(steps=60, batch_size=0, validate_every=20),
        selection=SelectionSettings(enabled=False),
    )
    run = tmp_path / "actions"
    vidrep.finetune(features, run, config, pretrained=tmp_path / "pretrained", device="cpu", precision="fp32")
    evaluation = vidrep.evaluate(run, features)
    assert evaluation.num_videos > 0

    one = next((clips / "left").iterdir())
    from_file = vidrep.predict(run, [one]).videos[0]
    index = features.index(f"left/{one.name}")
    from_features = vidrep.predict(run, [features.path]).videos[index]
    assert from_file.probabilities == pytest.approx(from_features.probabilities, abs=1e-6)

    info = vidrep.info(run)
    assert info["encoder.cell"] == "leaky"
    assert info["cell.leaky.leak"] == 0.3
    assert info["head.name"] == "largest"
    assert info["predictor"] == "LSTM"
    assert info["transforms"] == "scaled, standardize"


def test_an_objective_of_the_whole_batch_refuses_a_divided_one(features: Any, tmp_path: Path) -> None:
    config = PretrainConfig(
        objectives=("halves",),
        windows=PretrainWindows(context=8, stride=4),
        training=training_settings(gradient_accumulation=2),
    )
    with pytest.raises(ConfigError, match=r"training\.gradient_accumulation is 2, but halves needs the whole batch"):
        vidrep.train(features, tmp_path / "run", config, device="cpu")


def test_a_run_of_a_plug_in_that_is_not_loaded_is_refused_by_name(features: Any, tmp_path: Path) -> None:
    config = PretrainConfig(
        encoder=EncoderSettings(cell="leaky", hidden_size=4),
        windows=PretrainWindows(context=8, num_future=4, stride=4),
        training=training_settings(steps=1, batch_size=2),
    )
    vidrep.train(features, tmp_path / "run", config, device="cpu")
    code = "import sys, vidrep\ntry: vidrep.load_model(sys.argv[1])\nexcept Exception as error: print(error)"
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "run"], capture_output=True, text=True, check=True)
    known = ", ".join(name for name in CELLS.names() if name != "leaky")
    assert f"cell 'leaky' is not registered; known are {known}; a plug-in's needs --plugin MODULE" in done.stdout
    named = json.loads((tmp_path / "run" / "model.json").read_text())
    assert named["encoder"]["cell"] == "leaky"
    assert "toy_plugin" not in json.dumps(named)
