"""Ensembles: the same splits, weights and order of their own, and the first model is the one of a single training."""

from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from small_features import circles, features_of, finetune_config
from toy_training import assert_same, tree_of

from vidrep.config.settings import ClassifierSettings, EncoderSettings, TrainingSettings
from vidrep.errors import InputError, Stopped
from vidrep.evaluation.evaluate import evaluate
from vidrep.features.store import Features
from vidrep.inference.predict import predict
from vidrep.training.finetune import finetune


def test_the_first_model_is_drawn_by_the_seed_the_others_by_a_mix() -> None:
    every = [(seed, member) for seed in (0, 7) for member in range(5)]
    drawn = {one: TrainingSettings(seed=one[0], member=one[1]).draw_seed for one in every}
    assert (drawn[0, 0], drawn[7, 0]) == (0, 7)
    assert len(set(drawn.values())) == len(drawn)
    assert all(0 <= one < 2**63 for one in drawn.values())
    assert drawn[7, 3] == TrainingSettings(seed=7, member=3).draw_seed


@pytest.fixture
def features(tmp_path: Path) -> Features:
    return features_of(tmp_path, circles(6))


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(run / "model.safetensors")


def test_splits_are_equal_and_weights_are_not(tmp_path: Path, features: Features) -> None:
    alone = finetune(features, tmp_path / "alone", finetune_config(), device="cpu").folder
    result = finetune(features, tmp_path / "run", finetune_config(ensemble=3), device="cpu")
    assert result.num_models == 3
    members = [result.folder / "members" / str(number) for number in (1, 2, 3)]
    tables = [(run / "videos.csv").read_bytes() for run in (alone, result.folder, *members)]
    assert len(set(tables)) == 1
    assert_same(tree_of(members[0]), tree_of(alone))
    one, two, three = (
        torch.cat([value.flatten() for name, value in sorted(weights(member).items()) if name.startswith("network.")])
        for member in members
    )
    assert not (torch.equal(one, two) or torch.equal(one, three) or torch.equal(two, three))
    assert sorted(path.name for path in result.folder.iterdir()) == [
        "baselines.safetensors",
        "config.toml",
        "ensemble.json",
        "environment.json",
        "history.jsonl",
        "members",
        "predictor.json",
        "videos.csv",
    ]


@pytest.mark.parametrize("step", [3, 10, 14, 19])
def test_stopped_anywhere_it_goes_on_to_the_same_bits(tmp_path: Path, features: Features, step: int) -> None:
    config = finetune_config(ensemble=2)
    whole = finetune(features, tmp_path / "whole", config, device="cpu").folder
    asked = count(1)
    with pytest.raises(Stopped):
        finetune(features, tmp_path / "run", config, device="cpu", should_stop=lambda: next(asked) >= step)
    with pytest.raises(InputError, match="its training is not finished; the same command with --resume goes on"):
        predict(tmp_path / "run", features, device="cpu")
    run = finetune(features, tmp_path / "run", config, device="cpu", resume=True).folder
    for number in "12":
        assert_same(tree_of(run / "members" / number), tree_of(whole / "members" / number))
    for name in ("baselines.safetensors", "predictor.json", "ensemble.json", "config.toml", "videos.csv"):
        assert (run / name).read_bytes() == (whole / name).read_bytes(), name
    found = [[one.probabilities for one in predict(some, features, device="cpu").videos] for some in (whole, run)]
    assert found[0] == found[1]


def test_it_replaces_a_run_only_once_it_has_a_model(tmp_path: Path, features: Features) -> None:
    earlier = finetune(features, tmp_path / "run", finetune_config(), device="cpu").folder
    before = weights(earlier)
    with pytest.raises(Stopped, match="the run that it was to replace is back"):
        finetune(features, earlier, finetune_config(ensemble=2), device="cpu", overwrite=True, should_stop=lambda: True)
    assert_same(dict(weights(earlier)), dict(before))
    finetune(features, earlier, finetune_config(ensemble=2), device="cpu", overwrite=True)
    assert not (earlier / "model.safetensors").exists() and (earlier / "ensemble.json").exists()
    finetune(features, earlier, finetune_config(), device="cpu", overwrite=True)
    assert not (earlier / "members").exists() and not list(tmp_path.glob(".*"))


def test_an_ensemble_is_a_start_whose_encoders_stand_side_by_side(tmp_path: Path, features: Features) -> None:
    first = finetune(features, tmp_path / "first", finetune_config(ensemble=2, steps=2), device="cpu").folder
    frozen: dict[str, Any] = {
        "encoder": EncoderSettings(dropout=0.5),
        "classifier": ClassifierSettings(head="logistic", transfer="frozen"),
    }
    run = finetune(features, tmp_path / "run", finetune_config(**frozen), pretrained=first, device="cpu").folder
    state = weights(run)
    assert state["network.head.weight"].shape == (2, 10)
    for number in (0, 1):
        there = weights(first / "members" / str(number + 1))
        names = [name for name in there if name.startswith("network.encoder.")]
        assert names
        for name in names:
            kept = name.replace("network.encoder.", f"network.encoder.parts.{number}.", 1)
            assert torch.equal(state[kept], there[name])
    assert evaluate(run, features, device="cpu").num_videos > 0
