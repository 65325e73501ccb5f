"""Pretraining: what it learns from, what it leaves alone, and what it minimizes."""

import csv
import json
import logging
import tomllib
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_features import circles, features_of, finetune_config, pretrain_config, with_value

from vidrep.config.kinds import with_precision
from vidrep.config.settings import EncoderSettings, OptimizerSettings, PretrainWindows
from vidrep.errors import ConfigError, FeatureFileError, InputError, Stopped
from vidrep.evaluation.evaluate import evaluate
from vidrep.features.annotations import Annotation
from vidrep.models.pretraining import PretrainingNetwork
from vidrep.models.saved import load_model
from vidrep.sequences.windows import sliding_windows
from vidrep.training.finetune import finetune
from vidrep.training.pretrain import train

ALL_SPLITS = {f"{name}/{n:02d}.npy": "test" if n == 4 else "train" for name in ("left", "right") for n in range(5)}


def splits_of(run: Path) -> dict[str, str]:
    rows = csv.DictReader((run / "videos.csv").read_text(encoding="utf-8").splitlines())
    return {row["video"]: row["split"] for row in rows}


def numerics_of(run: Path) -> dict[str, Any]:
    newest = max((run / "checkpoints").iterdir())
    numerics: dict[str, Any] = torch.load(newest, weights_only=True)["numerics"]
    return numerics


def test_a_run_records_what_it_learned_from_and_its_model_is_ready(tmp_path: Path) -> None:
    features = features_of(tmp_path, circles())
    result = train(features, tmp_path / "run", pretrain_config(), device="cpu")
    splits = splits_of(result.folder)
    assert splits.keys() == {row.path for row in features.videos}
    assert (result.num_train_videos, result.num_validation_videos) == (8, 2)
    assert sorted(splits.values()) == ["train"] * 8 + ["validation"] * 2
    model, description = load_model(result.folder)
    assert description.kind == "pretraining"
    assert (description.frame_shape, description.dtype, description.likelihood) == ([4], "float32", "gaussian")
    assert description.windows == {
        "context": 3,
        "num_future": 2,
        "num_reconstructed": 0,
        "stride": 2,
        "stateful": False,
    }
    assert description.extractor == features.settings
    assert result.num_parameters == sum(one.numel() for one in model.parameters())
    assert not (result.folder / "baselines.safetensors").exists()


@pytest.mark.parametrize(("asked", "used"), [(None, "fp32"), ("bf16", "bf16"), ("auto", "bf16")])
def test_the_config_sets_the_precision_and_the_argument_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str | None, used: str
) -> None:
    monkeypatch.setattr("vidrep.devices._has_native_bf16", lambda device: True)
    features = features_of(tmp_path, circles())
    one, other = with_precision(pretrain_config(), "fp32"), with_precision(finetune_config(), "fp32")
    run = train(features, tmp_path / "run", one, device="cpu", precision=asked).folder
    actions = finetune(features, tmp_path / "actions", other, device="cpu", precision=asked).folder
    for folder in (run, actions):
        settings = tomllib.loads((folder / "config.toml").read_text(encoding="utf-8"))
        assert settings["training"]["precision"] == (asked or "fp32")
        assert numerics_of(folder)["precision"] == used


def test_a_run_goes_on_in_another_precision_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    features, asked = features_of(tmp_path, circles()), count(1)
    with pytest.raises(Stopped):
        train(
            features,
            tmp_path / "run",
            pretrain_config(),
            device="cpu",
            precision="fp32",
            should_stop=lambda: next(asked) == 2,
        )
    train(features, tmp_path / "run", pretrain_config(), device="cpu", precision="bf16", resume=True)
    assert any("goes on with" in message and "precision bf16, not fp32" in message for message in caplog.messages)


def test_precision_auto_is_bf16_from_training_to_evaluation_where_it_is_native(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = features_of(tmp_path, circles())
    weights = {}
    for is_native, precision in ((False, "auto"), (False, "bf16"), (True, "auto")):
        monkeypatch.setattr("vidrep.devices._has_native_bf16", lambda device, native=is_native: native)
        run = train(
            features, tmp_path / f"{precision} {is_native}", pretrain_config(), device="cpu", precision=precision
        )
        actions = finetune(
            features,
            run.folder / "actions",
            finetune_config(),
            pretrained=run.folder,
            device="cpu",
            precision=precision,
        )
        weights[is_native, precision] = [
            (one / "model.safetensors").read_bytes() for one in (run.folder, actions.folder)
        ]
        assert numerics_of(run.folder)["precision"] == ("bf16" if is_native else precision.replace("auto", "fp32"))
        assert evaluate(actions.folder, features, device="cpu").num_videos == 2
    assert weights[True, "auto"] == weights[False, "bf16"]
    assert weights[True, "auto"][0] != weights[False, "auto"][0]


def test_input_transforms_are_fitted_to_the_training_videos_alone(tmp_path: Path) -> None:
    features = features_of(tmp_path, circles())
    result = train(features, tmp_path / "run", pretrain_config(), device="cpu")
    training = [key for key, split in splits_of(result.folder).items() if split == "train"]
    frames = np.concatenate([features.rows(features.index(key)) for key in training]).astype(np.float64)
    inputs = load_model(result.folder)[0].inputs
    np.testing.assert_allclose(inputs.mean.numpy(), frames.mean(axis=0), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(inputs.std.numpy(), frames.std(axis=0), rtol=1e-5)
    standardize = inputs.transforms["standardize"]
    assert torch.equal(standardize.get_buffer("mean"), inputs.mean)
    assert torch.equal(standardize.get_buffer("std"), inputs.std)


@pytest.mark.parametrize(("dtype", "likelihood"), [("float32", "auto"), ("uint8", "auto"), ("uint8", "gaussian")])
def test_the_validation_loss_is_the_mean_loss_per_frame_of_all_objectives(
    tmp_path: Path, dtype: str, likelihood: str
) -> None:
    videos = circles()
    if dtype == "uint8":
        videos = {key: np.round(127 * (frames.astype(float) + 1)).astype(np.uint8) for key, frames in videos.items()}
    features = features_of(tmp_path, videos)
    result = train(features, tmp_path / "run", pretrain_config(settings={"likelihood": likelihood}), device="cpu")
    model, description = load_model(result.folder)
    assert description.likelihood == ("bernoulli" if (dtype, likelihood) == ("uint8", "auto") else "gaussian")
    network = model.network
    assert isinstance(network, PretrainingNetwork)
    held_out = [features.index(key) for key, split in splits_of(result.folder).items() if split == "validation"]
    windows = sliding_windows(features, held_out, length=5, stride=2)
    assert len(windows) == 6
    assert result.validation.num_windows == 6
    frames = model.inputs(torch.from_numpy(windows.gather(np.arange(6))))
    expected = {}
    for name, target in (("reconstruction", frames[:3].double()), ("future", frames[3:].double())):
        with torch.no_grad():
            encoded = network.encode(frames[:3])
            output = network.frame_objectives[name].predict(encoded, len(target)).double()
        if description.likelihood == "gaussian":
            expected[name] = float((output - target).square().sum(dim=-1).mean())
        else:
            p = output.sigmoid()
            expected[name] = float((-target * p.log() - (1 - target) * (1 - p).log()).sum(dim=-1).mean())
    lines = [json.loads(line) for line in (result.folder / "metrics.jsonl").read_text().splitlines()]
    best = next(one for one in lines if one["step"] == result.outcome.best_step)
    assert best["validation"] == pytest.approx(expected | {"loss": sum(expected.values())}, rel=1e-5)
    assert result.outcome.best_loss == best["validation"]["loss"]


@pytest.mark.parametrize(("name", "num_future"), [("reconstruction", 0), ("future", 2)])
def test_one_objective_alone_is_trained_and_measured(tmp_path: Path, name: str, num_future: int) -> None:
    windows = PretrainWindows(context=3, num_future=num_future, stride=2)
    config = pretrain_config(windows=windows, settings={"objectives": (name,)})
    result = train(features_of(tmp_path, circles()), tmp_path / "run", config, device="cpu")
    assert result.validation.by_objective.keys() == {name}
    line = json.loads((result.folder / "metrics.jsonl").read_text().splitlines()[0])
    assert line["validation"].keys() == {"loss", name}
    assert line["validation"]["loss"] == line["validation"][name]


def test_a_weight_multiplies_the_loss_of_its_objective(tmp_path: Path) -> None:
    config = pretrain_config(settings={"objective": {"future": {"weight": 0.25}}})
    run = train(features_of(tmp_path, circles()), tmp_path / "run", config, device="cpu").folder
    for line in (run / "metrics.jsonl").read_text().splitlines():
        for split in ("train", "validation"):
            losses = json.loads(line)[split]
            assert losses["loss"] == pytest.approx(losses["reconstruction"] + 0.25 * losses["future"], rel=1e-6)


def test_it_learns_to_predict(tmp_path: Path) -> None:
    features = features_of(tmp_path, circles(20, num_frames=10))
    config = pretrain_config(
        encoder=EncoderSettings(hidden_size=24),
        optimizer=OptimizerSettings(learning_rate=0.02, warmup_steps=10),
        steps=250,
        batch_size=32,
        validate_every=50,
    )
    future = train(features, tmp_path / "run", config, device="cpu").validation.by_objective["future"]["squared_error"]
    assert future["model"].mean < 0.3 * future["mean frame"].mean
    assert future["model"].mean < 0.3 * future["persistence"].mean


def test_test_videos_are_not_touched(tmp_path: Path) -> None:
    changed = circles()
    for key in ("left/04.npy", "right/04.npy"):
        changed[key] = 100 + changed[key][:6]
    weights = []
    for name, videos in (("one", circles()), ("other", changed)):
        features = features_of(tmp_path / name, videos, ALL_SPLITS)
        run = train(features, tmp_path / name / "run", pretrain_config(), device="cpu").folder
        assert {key for key, split in splits_of(run).items() if split == "test"} == {"left/04.npy", "right/04.npy"}
        weights.append((run / "model.safetensors").read_bytes())
    assert weights[0] == weights[1]


def test_labels_change_nothing(tmp_path: Path) -> None:
    features = features_of(tmp_path, circles())
    other = {key.path: Annotation("same", None) for key in features.videos}
    runs = [
        train(features, tmp_path / name, pretrain_config(), device="cpu", annotations=annotations).folder
        for name, annotations in (("one", None), ("other", other))
    ]
    assert (runs[0] / "model.safetensors").read_bytes() == (runs[1] / "model.safetensors").read_bytes()


def test_videos_that_no_list_names_are_learned_from(tmp_path: Path) -> None:
    splits = {"left/04.npy": "test", "right/04.npy": "test", "left/00.npy": "train"}
    features = features_of(tmp_path, circles(), splits)
    result = train(features, tmp_path / "run", pretrain_config(), device="cpu")
    assert result.num_train_videos + result.num_validation_videos == 8


def test_videos_without_a_window_are_not_counted(tmp_path: Path) -> None:
    short = {key: frames[:4] for key, frames in circles().items() if key.startswith("left/0")}
    splits = {key: "validation" if key.endswith("04.npy") else "train" for key in circles()}
    features = features_of(tmp_path, circles() | short, splits)
    result = train(features, tmp_path / "run", pretrain_config(), device="cpu")
    assert (result.num_train_videos, result.num_validation_videos) == (4, 1)


def test_annotations_replace_the_splits_of_the_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    features = features_of(tmp_path, circles())
    annotations = {"left/03.npy": Annotation("left", "test"), "gone.npy": Annotation("left", "test")}
    with caplog.at_level(logging.WARNING, logger="vidrep"):
        result = train(features, tmp_path / "run", pretrain_config(), device="cpu", annotations=annotations)
    assert splits_of(result.folder)["left/03.npy"] == "test"
    assert "1 videos are listed but not among the videos: gone.npy" in caplog.text


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_value_that_is_not_finite_is_named_and_nothing_is_written(tmp_path: Path, value: float) -> None:
    for number in range(5):  # whichever split the video is in
        key = f"left/{number:02d}.npy"
        features = with_value(features_of(tmp_path, circles()), key, 6, value)
        with pytest.raises(FeatureFileError, match=rf"video '{key}', frame 6 holds values that are not finite"):
            train(features, tmp_path / "run", pretrain_config(), device="cpu")
    assert not (tmp_path / "run").exists()


def test_a_bad_start_leaves_the_run_that_is_there(tmp_path: Path) -> None:
    features = features_of(tmp_path, circles())
    run = train(features, tmp_path / "run", pretrain_config(), device="cpu").folder
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    bad = with_value(features_of(tmp_path / "bad", circles()), "left/00.npy", 0, np.nan)
    with pytest.raises(FeatureFileError):
        train(bad, run, pretrain_config(), device="cpu", overwrite=True)
    short = features_of(tmp_path / "short", circles(num_frames=4))
    with pytest.raises(InputError):
        train(short, run, pretrain_config(), device="cpu", overwrite=True)
    assert before == {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


def test_videos_that_are_too_short_or_too_few_are_refused(tmp_path: Path) -> None:
    short = features_of(tmp_path / "short", circles(num_frames=4))
    with pytest.raises(
        InputError, match=r"no training video has a window of 5 frames, the longest .* 4; lower windows"
    ):
        train(short, tmp_path / "run", pretrain_config(), device="cpu")
    one = features_of(tmp_path / "one", {"a.npy": circles()["left/00.npy"]})
    with pytest.raises(InputError, match=r"only one video, or one group of videos, to train on"):
        train(one, tmp_path / "run", pretrain_config(), device="cpu")
    test_only = features_of(tmp_path / "test", circles(), dict.fromkeys(ALL_SPLITS, "test"))
    with pytest.raises(InputError, match="no video to train on"):
        train(test_only, tmp_path / "run", pretrain_config(), device="cpu")
    assert not (tmp_path / "run").exists()


def test_a_model_that_no_memory_holds_is_refused_and_the_run_that_is_there_kept(tmp_path: Path) -> None:
    features = features_of(tmp_path, circles())
    run = train(features, tmp_path / "run", pretrain_config(), device="cpu").folder
    config = pretrain_config(encoder=EncoderSettings(hidden_size=10**7))
    with pytest.raises(ConfigError, match=r"does not fit into memory; lower encoder.hidden_size"):
        train(features, run, config, device="cpu", overwrite=True)
    assert load_model(run)[1].encoder["hidden_size"] == 5


def test_an_unknown_device_or_number_of_threads_is_refused(tmp_path: Path) -> None:
    features = features_of(tmp_path, circles())
    with pytest.raises(ConfigError, match="device 'tpu': allowed are auto, cpu, cuda, mps"):
        train(features, tmp_path / "run", pretrain_config(), device="tpu")
    with pytest.raises(ConfigError, match="threads 0: give at least 1"):
        train(features, tmp_path / "run", pretrain_config(), threads=0)
    assert not (tmp_path / "run").exists()
