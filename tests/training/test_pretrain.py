"""Pretraining: what it learns from, what it leaves alone, and what it minimizes."""

import csv
import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from small_features import circles, features_of, pretrain_config, with_value

from vidrep.config import CompositeSettings, OptimizerSettings
from vidrep.errors import ConfigError, FeatureFileError, InputError
from vidrep.features.annotations import Annotation
from vidrep.models.composite import CompositeModel
from vidrep.models.saved import load_model
from vidrep.sequences.windows import sliding_windows
from vidrep.training.pretrain import pretrain

ALL_SPLITS = {f"{name}/{n:02d}.npy": "test" if n == 4 else "train" for name in ("left", "right") for n in range(5)}


def parts_of(run: Path) -> dict[str, str]:
    rows = csv.DictReader((run / "videos.csv").read_text(encoding="utf-8").splitlines())
    return {row["video"]: row["part"] for row in rows}


def test_a_run_says_what_it_learnt_from_and_its_model_is_ready(tmp_path: Path) -> None:
    features = features_of(tmp_path, circles())
    result = pretrain(features, tmp_path / "run", pretrain_config(), device="cpu")
    parts = parts_of(result.folder)
    assert parts.keys() == {row.path for row in features.videos}
    assert (result.num_train_videos, result.num_validation_videos) == (8, 2)
    assert sorted(parts.values()) == ["train"] * 8 + ["validation"] * 2
    model, description = load_model(result.folder)
    assert description.kind == "composite"
    assert (description.frame_shape, description.dtype, description.values) == ([4], "float32", "real")
    assert description.windows == {"seen": 3, "reconstructed": 0, "predicted": 2, "stride": 2, "stateful": False}
    assert description.extractor == features.settings
    assert result.num_parameters == sum(one.numel() for one in model.parameters())
    assert not (result.folder / "baselines.safetensors").exists()


def test_the_scaler_knows_the_training_videos_alone(tmp_path: Path) -> None:
    features = features_of(tmp_path, circles())
    result = pretrain(features, tmp_path / "run", pretrain_config(), device="cpu")
    training = [key for key, part in parts_of(result.folder).items() if part == "train"]
    frames = np.concatenate([features.rows(features.index(key)) for key in training]).astype(np.float64)
    scaler = load_model(result.folder)[0].scaler
    np.testing.assert_allclose(scaler.mean.numpy(), frames.mean(axis=0), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(scaler.std.numpy(), frames.std(axis=0), rtol=1e-5)


@pytest.mark.parametrize(("dtype", "values"), [("float32", "auto"), ("uint8", "auto"), ("uint8", "real")])
def test_the_validation_loss_is_both_decoders_mean_cost_per_frame(tmp_path: Path, dtype: str, values: str) -> None:
    videos = circles()
    if dtype == "uint8":
        videos = {key: np.round(127 * (frames + 1)).astype(np.uint8) for key, frames in videos.items()}
    features = features_of(tmp_path, videos)
    result = pretrain(features, tmp_path / "run", pretrain_config(values=values), device="cpu")
    model, description = load_model(result.folder)
    assert description.values == ("probability" if (dtype, values) == ("uint8", "auto") else "real")
    assert isinstance(model.model, CompositeModel)
    held_out = [features.index(key) for key, part in parts_of(result.folder).items() if part == "validation"]
    windows = sliding_windows(features, held_out, length=5, stride=2)
    assert len(windows) == 6
    assert result.validation.num_windows == 6
    frames = model.scaler(torch.from_numpy(windows.gather(np.arange(6))))
    with torch.no_grad():
        prediction = model.model(frames[:3], 2)
    expected = {}
    for decoder, truth in (("reconstruction", frames[:3]), ("future", frames[3:])):
        guess, target = getattr(prediction, decoder).double(), truth.double()
        if description.values == "real":
            expected[decoder] = float((guess - target).square().sum(dim=-1).mean())
        else:
            p = guess.sigmoid()
            expected[decoder] = float((-target * p.log() - (1 - target) * (1 - p).log()).sum(dim=-1).mean())
    looks = [json.loads(line) for line in (result.folder / "metrics.jsonl").read_text().splitlines()]
    look = next(one for one in looks if one["step"] == result.outcome.best_step)
    assert look["validation"] == pytest.approx(expected | {"loss": sum(expected.values())}, rel=1e-5)
    assert result.outcome.best_loss == look["validation"]["loss"]


@pytest.mark.parametrize("decoder", ["reconstruct", "future"])
def test_one_decoder_alone_is_trained_and_measured(tmp_path: Path, decoder: str) -> None:
    settings = CompositeSettings(hidden_size=4, reconstruct=decoder == "reconstruct", future=decoder == "future")
    result = pretrain(features_of(tmp_path, circles()), tmp_path / "run", pretrain_config(model=settings), device="cpu")
    name = "reconstruction" if decoder == "reconstruct" else "future"
    assert result.validation.costs.keys() == {name}
    look = json.loads((result.folder / "metrics.jsonl").read_text().splitlines()[0])
    assert look["validation"].keys() == {"loss", name}
    assert look["validation"]["loss"] == look["validation"][name]


def test_it_learns_to_predict(tmp_path: Path) -> None:
    features = features_of(tmp_path, circles(20, num_frames=10))
    config = pretrain_config(
        model=CompositeSettings(hidden_size=24),
        optimizer=OptimizerSettings(learning_rate=0.02, warmup_steps=10),
        steps=250,
        batch_size=32,
        validate_every=50,
    )
    future = pretrain(features, tmp_path / "run", config, device="cpu").validation.costs["future"]["squared_error"]
    assert future["model"].mean < 0.3 * future["mean frame"].mean
    assert future["model"].mean < 0.3 * future["persistence"].mean


def test_test_videos_are_not_touched(tmp_path: Path) -> None:
    changed = circles()
    for key in ("left/04.npy", "right/04.npy"):
        changed[key] = 100 + changed[key][:6]
    weights = []
    for name, videos in (("one", circles()), ("other", changed)):
        features = features_of(tmp_path / name, videos, ALL_SPLITS)
        run = pretrain(features, tmp_path / name / "run", pretrain_config(), device="cpu").folder
        assert {key for key, part in parts_of(run).items() if part == "test"} == {"left/04.npy", "right/04.npy"}
        weights.append((run / "model.safetensors").read_bytes())
    assert weights[0] == weights[1]


def test_labels_change_nothing(tmp_path: Path) -> None:
    features = features_of(tmp_path, circles())
    other = {key.path: Annotation("same", None) for key in features.videos}
    runs = [
        pretrain(features, tmp_path / name, pretrain_config(), device="cpu", annotations=annotations).folder
        for name, annotations in (("one", None), ("other", other))
    ]
    assert (runs[0] / "model.safetensors").read_bytes() == (runs[1] / "model.safetensors").read_bytes()


def test_videos_that_no_list_names_are_learnt_from(tmp_path: Path) -> None:
    splits = {"left/04.npy": "test", "right/04.npy": "test", "left/00.npy": "train"}
    features = features_of(tmp_path, circles(), splits)
    result = pretrain(features, tmp_path / "run", pretrain_config(), device="cpu")
    assert result.num_train_videos + result.num_validation_videos == 8


def test_a_listing_is_laid_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    features = features_of(tmp_path, circles())
    annotations = {"left/03.npy": Annotation("left", "test"), "gone.npy": Annotation("left", "test")}
    with caplog.at_level(logging.WARNING, logger="vidrep"):
        result = pretrain(features, tmp_path / "run", pretrain_config(), device="cpu", annotations=annotations)
    assert parts_of(result.folder)["left/03.npy"] == "test"
    assert "annotated videos are not in the features: gone.npy" in caplog.text


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_not_finite_is_named_and_nothing_is_written(tmp_path: Path, value: float) -> None:
    for number in range(5):  # whichever part the video is in
        key = f"left/{number:02d}.npy"
        features = with_value(features_of(tmp_path, circles()), key, 6, value)
        with pytest.raises(FeatureFileError, match=rf"video '{key}', frame 6 holds values that are not finite"):
            pretrain(features, tmp_path / "run", pretrain_config(), device="cpu")
    assert not (tmp_path / "run").exists()


def test_a_bad_start_leaves_the_run_that_is_there(tmp_path: Path) -> None:
    features = features_of(tmp_path, circles())
    run = pretrain(features, tmp_path / "run", pretrain_config(), device="cpu").folder
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    bad = with_value(features_of(tmp_path / "bad", circles()), "left/00.npy", 0, np.nan)
    with pytest.raises(FeatureFileError):
        pretrain(bad, run, pretrain_config(), device="cpu", overwrite=True)
    short = features_of(tmp_path / "short", circles(num_frames=4))
    with pytest.raises(InputError):
        pretrain(short, run, pretrain_config(), device="cpu", overwrite=True)
    assert before == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


def test_videos_that_are_too_short_or_too_few_are_refused(tmp_path: Path) -> None:
    short = features_of(tmp_path / "short", circles(num_frames=4))
    with pytest.raises(
        InputError, match=r"no training video has a window of 5 frames, the longest .* 4; lower windows"
    ):
        pretrain(short, tmp_path / "run", pretrain_config(), device="cpu")
    one = features_of(tmp_path / "one", {"a.npy": circles()["left/00.npy"]})
    with pytest.raises(InputError, match=r"only one video to train on, and one more is needed"):
        pretrain(one, tmp_path / "run", pretrain_config(), device="cpu")
    test_only = features_of(tmp_path / "test", circles(), dict.fromkeys(ALL_SPLITS, "test"))
    with pytest.raises(InputError, match="no video to train on"):
        pretrain(test_only, tmp_path / "run", pretrain_config(), device="cpu")
    assert not (tmp_path / "run").exists()


def test_a_model_that_no_memory_holds_is_refused_and_the_run_that_is_there_kept(tmp_path: Path) -> None:
    features = features_of(tmp_path, circles())
    run = pretrain(features, tmp_path / "run", pretrain_config(), device="cpu").folder
    config = pretrain_config(model=CompositeSettings(hidden_size=10**7))
    with pytest.raises(ConfigError, match=r"does not fit into memory; lower model.hidden_size"):
        pretrain(features, run, config, device="cpu", overwrite=True)
    assert load_model(run)[1].arguments["hidden_size"] == 5


def test_an_unknown_device_or_number_of_threads_is_refused(tmp_path: Path) -> None:
    features = features_of(tmp_path, circles())
    with pytest.raises(ConfigError, match="device 'tpu': allowed are auto, cpu, cuda, mps"):
        pretrain(features, tmp_path / "run", pretrain_config(), device="tpu")
    with pytest.raises(ConfigError, match="threads 0: give at least 1"):
        pretrain(features, tmp_path / "run", pretrain_config(), threads=0)
    assert not (tmp_path / "run").exists()
