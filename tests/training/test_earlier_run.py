"""`train --from RUN`: a pretraining that learns on, with other videos of the same features."""

import csv
from pathlib import Path

import pytest
from safetensors.torch import load_file
from small_features import circles, features_of, pretrain_config
from toy_training import KilledError, assert_same, killed_after, tree_of

from vidrep.config.settings import EncoderSettings, OptimizerSettings, PretrainConfig
from vidrep.errors import ConfigError, FeatureFileError, InputError, OutputError
from vidrep.features.store import Features
from vidrep.training.pretrain import train
from vidrep.training.resuming import recorded_settings
from vidrep.training.run_videos import read_used_videos

# Its first step changes no weight that a float32 can show.
STILL = OptimizerSettings(name="sgd", learning_rate=1e-30, warmup_steps=0)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return train(features_of(tmp_path, circles()), tmp_path / "run", pretrain_config(), device="cpu").folder


def split_of(run: Path) -> dict[str, str]:
    rows = csv.DictReader((run / "videos.csv").read_text(encoding="utf-8").splitlines())
    return {row["checksum"]: row["split"] for row in rows}


def test_it_starts_from_the_whole_model_and_keeps_validation_videos_unlearned(tmp_path: Path, run: Path) -> None:
    more = features_of(tmp_path / "more", circles() | {f"new/{key}": one for key, one in circles(9, seed=1).items()})
    config = pretrain_config(optimizer=STILL, steps=1, validate_every=1, validation_fraction=0.4)
    longer = train(more, tmp_path / "longer", config, pretrained=run, device="cpu").folder
    assert_same(load_file(longer / "model.safetensors"), load_file(run / "model.safetensors"))
    before, now = split_of(run), split_of(longer)
    assert len(now) == 28
    assert {"train"} == {now[checksum] for checksum, split in before.items() if split == "train"}
    assert "validation" in now.values()


def test_without_a_config_it_has_the_settings_of_the_run(tmp_path: Path, run: Path) -> None:
    more = features_of(tmp_path / "more", circles(8, seed=1))
    longer = train(more, tmp_path / "longer", pretrained=run, device="cpu").folder
    assert recorded_settings(PretrainConfig, longer) == recorded_settings(PretrainConfig, run)
    used = read_used_videos(longer).content  # the videos of the run that it continued count too
    assert {*split_of(run), *split_of(longer)} <= used


def test_killed_it_goes_on_without_the_other_run(tmp_path: Path, run: Path) -> None:
    more = features_of(tmp_path / "more", circles(8, seed=1))
    whole = train(more, tmp_path / "whole", pretrained=run, device="cpu").folder
    with pytest.raises(KilledError):
        train(more, tmp_path / "killed", pretrained=run, device="cpu", on_progress=killed_after(3))
    run.rename(tmp_path / "elsewhere")
    train(more, tmp_path / "killed", device="cpu", resume=True)
    assert_same(tree_of(tmp_path / "killed"), tree_of(whole))


def test_each_model_of_an_ensemble_learns_on(tmp_path: Path) -> None:
    features = features_of(tmp_path, circles())
    run = train(features, tmp_path / "run", pretrain_config(ensemble=2, steps=2), device="cpu").folder
    config = pretrain_config(ensemble=2, steps=1, validate_every=1, optimizer=STILL)
    longer = train(features, tmp_path / "longer", config, pretrained=run, device="cpu").folder
    for member in ("1", "2"):
        now, before = (load_file(one / "members" / member / "model.safetensors") for one in (longer, run))
        assert_same(now, before)
    train(features, longer, device="cpu", resume=True)
    with pytest.raises(ConfigError, match=r"training.ensemble is 1, but .*run has 2 models; leave it out"):
        train(features, tmp_path / "one", pretrain_config(), pretrained=run, device="cpu")


def test_what_does_not_fit_is_one_line(tmp_path: Path, run: Path) -> None:
    features = features_of(tmp_path, circles())
    wider = pretrain_config(encoder=EncoderSettings(hidden_size=6))
    with pytest.raises(ConfigError, match=r"encoder.hidden_size is 6, but .*run has 5; leave encoder.hidden_size out"):
        train(features, tmp_path / "wider", wider, pretrained=run, device="cpu")
    with pytest.raises(OutputError, match=r"run is the run to start from; give a new folder, or --resume"):
        train(features, run, pretrained=run, device="cpu")
    with pytest.raises(FeatureFileError, match="frame"):
        train(features_of(tmp_path / "w", circles(size=6)), tmp_path / "x", pretrained=run, device="cpu")
    trained = split_of(run)
    learned = [key for key, one in circles().items() if trained[checksum_of(features, key)] == "train"]
    with pytest.raises(InputError, match="all videos that could validate trained the run to start from"):
        only = {key: circles()[key] for key in learned}
        train(features_of(tmp_path / "o", only), tmp_path / "y", pretrained=run, device="cpu")


def checksum_of(features: Features, key: str) -> str:
    return features.videos[features.index(key)].checksum
