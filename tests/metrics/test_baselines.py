"""Baselines: fitted with what folds of whole groups choose, crops of a video counted once, saved and loaded."""

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import save_file
from small_features import features_of, finetune_config, pretrain_config

from vidrep.config.settings import EncoderSettings, SelectionSettings
from vidrep.errors import InputError
from vidrep.features.annotations import Annotation
from vidrep.features.store import Features
from vidrep.metrics.baselines import Baselines, baseline_encoders, fit_baselines, load_baselines, save_baselines
from vidrep.metrics.cross_validation import cross_validate_linear
from vidrep.metrics.video_features import mean_feature, ordered_bins
from vidrep.models.logistic_regression import DEFAULT_COST, fit_linear
from vidrep.models.pretrained import PretrainedEncoders
from vidrep.sequences.folds import grouped_folds
from vidrep.training.finetune import finetune
from vidrep.training.pretrain import train

CPU = torch.device("cpu")
OF_FEATURES = ["single frame", "mean feature", "ordered bins"]


def videos_of(folder: Path) -> Features:
    """Two classes that overlap, six videos each, of 3 to 14 frames."""
    rng, videos = np.random.default_rng(0), {}
    for number in range(12):
        name, length = "ab"[number % 2], 3 + number
        frames = rng.standard_normal((length, 4)) * 3 + np.linspace(-1, 1, length)[:, None] * (number % 2 * 2 - 1)
        videos[f"{name}/{number:02d}.npy"] = frames.astype(np.float32)
    return features_of(folder, videos)


def fitted(
    features: Features,
    *,
    groups: list[str] | None = None,
    start: Path | None = None,
) -> Baselines:
    encoders = baseline_encoders(None if start is None else PretrainedEncoders.load([start]))
    return fit_baselines(
        features,
        range(len(features)),
        classes=classes_of(features),
        groups=groups or [row.path for row in features.videos],
        num_classes=2,
        encoders=encoders,
        device=CPU,
    )


def classes_of(features: Features) -> NDArray[np.int64]:
    return np.array(["ab".index(row.label) for row in features.videos])


def test_they_are_fitted_with_the_cost_that_grouped_folds_choose(tmp_path: Path) -> None:
    features = videos_of(tmp_path)
    classes, groups = classes_of(features), [str(number // 2) for number in range(12)]
    baselines = fitted(features, groups=groups)
    assert [one.name for one in baselines.every] == OF_FEATURES
    folds = grouped_folds([str(one) for one in classes], groups, 5, seed=0)
    found = baselines.probabilities(features, range(12), {}, device=CPU)
    for name, describe in (("mean feature", mean_feature), ("ordered bins", ordered_bins)):
        rows = np.concatenate([describe(np.array(features.rows(video))) for video in range(12)])
        chosen = cross_validate_linear(rows, classes, 2, folds)
        (one,) = (one for one in baselines.every if one.name == name)
        assert (one.fitted.setting, one.fitted.validation_accuracy) == (chosen.setting, chosen.accuracy)
        expected = fit_linear(rows, classes, 2, C=chosen.setting).probabilities(rows)
        np.testing.assert_allclose(found[name], expected, atol=1e-6)
    single = baselines.every[0].fitted
    of_frames = single.classifier.probabilities(np.array(features.rows(3))).mean(axis=0)
    np.testing.assert_allclose(found["single frame"][3], of_frames, atol=1e-6)


def test_without_folds_there_are_defaults_and_a_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="vidrep"):
        baselines = fitted(videos_of(tmp_path), groups=["one"] * 12)
    assert {(one.fitted.setting, one.fitted.validation_accuracy) for one in baselines.every} == {(DEFAULT_COST, None)}
    assert "baselines are fitted with defaults (C 0.01, 1 neighbor): 12 videos with 2 labels in 1 groups" in caplog.text


def test_crops_of_a_video_are_in_one_fold_and_count_once(tmp_path: Path) -> None:
    features = videos_of(tmp_path)
    features.__dict__["source_videos"] = np.arange(12) // 3  # of each source, three crops of one label
    baselines = fitted(features, groups=[str(number // 3) for number in range(12)])
    accuracies = {one.fitted.validation_accuracy for one in baselines.every}
    assert accuracies <= {0.0, 0.25, 0.5, 0.75, 1.0}


def test_they_come_back_from_disk_exactly_or_not_at_all(tmp_path: Path) -> None:
    features = videos_of(tmp_path)
    start = train(features, tmp_path / "start", pretrain_config(steps=2), device="cpu").folder
    ours = fitted(features, start=start)
    save_baselines(tmp_path, ours)
    found = load_baselines(tmp_path)
    encoders = baseline_encoders(PretrainedEncoders.load([start]))
    assert [one.name for one in found.every] == [one.name for one in ours.every]
    assert len(found.every) == 7
    again = found.probabilities(features, range(12), encoders, device=CPU)
    for name, probabilities in ours.probabilities(features, range(12), encoders, device=CPU).items():
        assert probabilities.shape == (12, 2)
        np.testing.assert_array_equal(probabilities, again[name])
    path = tmp_path / "baselines.safetensors"
    content = path.read_bytes()
    save_file({"weight": np.zeros(3)}, path)  # as of an earlier version
    message = r"baselines.safetensors: cannot be read .* not finished, damaged or of an earlier version"
    for damaged in (path.read_bytes(), content[:50], content[:-50], None):
        path.unlink() if damaged is None else path.write_bytes(damaged)
        with pytest.raises(InputError, match=message) as caught:
            load_baselines(tmp_path)
        assert "\n" not in str(caught.value)


def test_what_only_the_order_of_frames_shows_is_found_by_the_ordered_bins(tmp_path: Path) -> None:
    rng, rising = np.random.default_rng(0), np.linspace(-1, 1, 16)[:, None]
    videos = {
        f"{name}/{number:02d}.npy": (sign * rising + rng.normal(0, 0.3, (1, 4))).astype(np.float32)
        for name, sign in (("a", 1), ("b", -1))
        for number in range(12)
    }
    accuracies = {one.name: one.fitted.validation_accuracy or 0 for one in fitted(features_of(tmp_path, videos)).every}
    assert accuracies["ordered bins"] == 1
    assert max(accuracies["mean feature"], accuracies["single frame"]) < 0.8


def test_they_do_not_depend_on_how_the_network_is_trained(tmp_path: Path) -> None:
    """Pretrainings whose scalers differ, steps, seed, transforms, a cross-validated choice: the same baselines."""
    features = videos_of(tmp_path)
    scales = (1.0, 50.0)
    starts = []
    for scale in scales:
        folder = tmp_path / f"scaled-{scale:g}"
        folder.mkdir()
        scaled = {
            row.path: scale * np.asarray(features.rows(video), dtype=np.float32) + scale
            for video, row in enumerate(features.videos)
        }
        starts.append(train(features_of(folder, scaled), folder / "run", pretrain_config(steps=2), device="cpu").folder)
    narrow, wide = (PretrainedEncoders.load([start]).inputs().std for start in starts)
    torch.testing.assert_close(wide, 50 * narrow)
    split = {row.path: Annotation(None, "train") for row in features.videos}
    chooses = {"selection": SelectionSettings(folds=2, least_steps=2, most_steps=2)}
    encoder = EncoderSettings(hidden_size=3)
    runs = {
        "from one": (finetune_config(encoder=EncoderSettings(), steps=2), starts[0]),
        "from another": (finetune_config(encoder=EncoderSettings(), steps=2), starts[1]),
        "from scratch": (finetune_config(encoder=encoder, steps=5, seed=7, settings={"transforms": ()}), None),
        "chosen": (finetune_config(encoder=encoder, steps=2, seed=3, settings=chooses), None),
    }
    found = {}
    for name, (config, start) in runs.items():
        run = finetune(features, tmp_path / name, config, pretrained=start, annotations=split, device="cpu").folder
        of_features = Baselines(tuple(one for one in load_baselines(run).every if not one.encoder))
        assert [one.name for one in of_features.every] == OF_FEATURES
        found[name] = of_features.probabilities(features, range(12), {}, device=CPU)
    for name, expected in found.pop("from one").items():
        for other in found.values():
            np.testing.assert_array_equal(other[name], expected)
