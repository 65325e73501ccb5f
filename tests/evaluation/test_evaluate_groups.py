"""What counts as one video, and which videos are of the same group as those that a run was trained on."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from small_features import circles, features_of, finetune_config, pretrain_config

from vidrep.config.reader import load_recipe
from vidrep.config.settings import FinetuneConfig, PretrainWindows
from vidrep.errors import InputError
from vidrep.evaluation.classification import ClassificationEvaluation
from vidrep.evaluation.evaluate import evaluate
from vidrep.evaluation.prediction import PredictionEvaluation
from vidrep.features.annotations import Annotation
from vidrep.features.store import Features, open_features
from vidrep.features.table import VideoRow
from vidrep.features.writer import writing_features
from vidrep.inference.info import info
from vidrep.inference.predict import predict
from vidrep.metrics.classification import average_over_windows, classification_windows, classify_windows
from vidrep.metrics.intervals import wilson_interval
from vidrep.models.objectives.objective import Encoded, Loss, Objective, Window
from vidrep.models.saved import load_model
from vidrep.registry import OBJECTIVES
from vidrep.training.finetune import finetune
from vidrep.training.pretrain import train
from vidrep.training.run_videos import VIDEOS_NAME

NUM_CROPS = 3


def with_crops(path: Path, splits: Mapping[str, str], *, seed: int = 0) -> Features:
    """Write features of 20 videos, each three times, as three crops with noise of their own."""
    rng, videos = np.random.default_rng(seed), circles(10, seed=seed)
    num_rows = NUM_CROPS * sum(len(frames) for frames in videos.values())
    with writing_features(
        path, settings={"kind": "import"}, versions={}, num_rows=num_rows, frame_shape=(4,), dtype="float32"
    ) as writer:
        for key, frames in sorted(videos.items()):
            source = key.replace(".npy", ".mp4")
            for crop in range(NUM_CROPS):
                cropped = (frames.astype(float) + rng.normal(0, 0.3, frames.shape)).astype(np.float32)
                writer.append(cropped, np.arange(len(frames), dtype=np.float64))
                row = VideoRow(f"{source}#crop-{crop}", label=key.split("/")[0], split=splits.get(source, ""))
                writer.end_video(row)
    return open_features(path)


SPLITS = {f"{name}/{n:02d}.mp4": "test" if n >= 6 else "train" for name in ("left", "right") for n in range(10)}


def test_a_selection_leaves_out_whole_source_videos_and_counts_each_once(tmp_path: Path) -> None:
    features = with_crops(tmp_path / "f.h5", SPLITS)
    changes = {"encoder.hidden_size": 5, "training.steps": 2, "selection.folds": 2, "predictor": "average"}
    config = load_recipe(FinetuneConfig, changes=changes)
    result = finetune(features, tmp_path / "run", config, device="cpu")
    assert result.selection is not None
    assert (result.selection.num_videos, result.selection.num_groups) == (12, 12)
    files = sorted((result.folder / "selection").glob("scratch-windows-*.json"))
    folds = [json.loads(file.read_text(encoding="utf-8"))["videos"] for file in files]
    trained_on = [source for source, split in SPLITS.items() if split == "train"]
    assert sorted(key for fold in folds for key in fold) == sorted(trained_on)
    found = predict(result.folder, features, device="cpu").videos
    assert sorted(video.path for video in found) == sorted(SPLITS)
    assert all(sum(video.probabilities.values()) == pytest.approx(1) for video in found)
    measured = evaluate(result.folder, features, device="cpu")
    assert isinstance(measured, ClassificationEvaluation) and measured.num_videos == 8


def test_a_source_video_counts_once_however_many_crops_there_are(tmp_path: Path) -> None:
    features = with_crops(tmp_path / "f.h5", SPLITS)
    run = finetune(features, tmp_path / "run", finetune_config(steps=20, batch_size=16), device="cpu").folder
    result = evaluate(run, features, device="cpu")
    assert isinstance(result, ClassificationEvaluation)
    test = [index for index, row in enumerate(features.videos) if row.split == "test"]
    assert (len(test), result.num_videos) == (24, 8)
    assert sum(map(sum, result.confusion.counts)) == 8
    model, description = load_model(run)
    windows = classification_windows(features, test, description)
    probabilities = classify_windows(model, windows, device=next(model.parameters()).device)
    right, classes = [], np.array([description.classes.index(features.videos[v].label) for v in windows.videos])
    for source in np.unique(features.source_videos[test]):
        of_source = features.source_videos[windows.videos] == source
        right.append(probabilities[of_source].mean(axis=0).argmax() == classes[of_source][0])
    assert result.per_video.accuracy == np.mean(right)
    for accuracy in (result.per_video, result.per_window, *result.baselines.values()):
        assert accuracy.num_groups == 8
    assert (result.per_video.low, result.per_video.high) == wilson_interval(int(np.sum(right)), 8)
    assert result.per_window.accuracy == np.mean(probabilities.argmax(axis=1) == classes)


def test_info_counts_source_videos_beside_their_crops(tmp_path: Path) -> None:
    description = info(with_crops(tmp_path / "f.h5", SPLITS).path)
    assert (description["videos"], description["crops"], description["groups"]) == (20, 60, "none")
    assert description["labels"] == "left 10, right 10"


def test_a_prediction_is_of_a_source_video(tmp_path: Path) -> None:
    features = with_crops(tmp_path / "f.h5", SPLITS)
    run = finetune(features, tmp_path / "run", finetune_config(steps=5), device="cpu").folder
    predictions = predict(run, [features.path], device="cpu").videos
    assert [one.path for one in predictions] == sorted(SPLITS)
    model, description = load_model(run)
    windows = classification_windows(features, range(len(features)), description)
    probabilities = classify_windows(model, windows, device=next(model.parameters()).device)
    expected = probabilities[np.isin(windows.videos, [0, 1, 2])].mean(axis=0)
    found = [predictions[0].probabilities[name] for name in description.classes]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert list(average_over_windows(windows, probabilities)) == list(range(0, len(features), NUM_CROPS))


def test_a_pretraining_counts_source_videos(tmp_path: Path) -> None:
    features = with_crops(tmp_path / "f.h5", SPLITS)
    run = train(features, tmp_path / "run", pretrain_config(steps=2), device="cpu").folder
    result = evaluate(run, features, device="cpu")
    assert isinstance(result, PredictionEvaluation)
    assert (result.num_videos, result.metrics.num_windows) == (8, 24 * 3)


@pytest.mark.parametrize("kind", ["train", "finetune"])
def test_the_crops_of_a_video_are_in_one_split(tmp_path: Path, kind: str) -> None:
    features = with_crops(tmp_path / "f.h5", {})
    if kind == "train":
        run = train(features, tmp_path / "run", pretrain_config(steps=1), device="cpu").folder
    else:
        run = finetune(features, tmp_path / "run", finetune_config(steps=1), device="cpu").folder
    splits: dict[str, set[str]] = {}
    for line in (run / VIDEOS_NAME).read_text(encoding="utf-8").splitlines()[1:]:
        key, _, split, *_ = line.split(",")
        splits.setdefault(key.partition("#")[0], set()).add(split)
    assert len(splits) == 20
    assert {len(names) for names in splits.values()} == {1}
    assert len(set.union(*splits.values())) == (2 if kind == "train" else 3)


def test_videos_of_a_group_that_was_trained_on_are_left_out(tmp_path: Path) -> None:
    """A run that was trained without groups is measured on no person that it was trained on."""
    features = with_crops(tmp_path / "f.h5", {})
    finetuned = finetune(features, tmp_path / "run", finetune_config(steps=1), device="cpu")
    run = finetuned.folder
    assert (finetuned.num_train_videos + finetuned.num_validation_videos, finetuned.num_test_videos) == (16, 4)
    without = evaluate(run, features, device="cpu")
    assert isinstance(without, ClassificationEvaluation)
    assert (without.num_videos, without.num_left_out) == (4, 16)
    rows = [line.split(",") for line in (run / VIDEOS_NAME).read_text(encoding="utf-8").splitlines()[1:]]
    first = {split: next(row[0].partition("#")[0] for row in rows if row[2] == split) for split in ("train", "test")}
    shared = {source: Annotation(None, None, "one person") for source in first.values()}
    result = evaluate(run, features, annotations=shared, device="cpu")
    assert isinstance(result, ClassificationEvaluation)
    assert (result.num_videos, result.num_left_out) == (3, 17)
    with pytest.raises(InputError, match="was trained on, or its weights were chosen by, all of its videos"):
        evaluate(run, features, group_pattern="^left|^right", device="cpu")


def test_a_given_test_split_that_divides_a_group_is_kept_and_the_group_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The numbers 6 to 9 are split test: whole blocks of two, and half of two blocks of four."""
    splits = {key: "test" if 6 <= int(key[-6:-4]) < 10 else "train" for key in circles(12)}
    features = features_of(tmp_path, circles(12), splits)
    run = finetune(features, tmp_path / "run", finetune_config(steps=1), group_blocks=2, device="cpu").folder
    assert "divide" not in caplog.text
    assert isinstance(result := evaluate(run, features, device="cpu"), ClassificationEvaluation)
    assert (result.num_videos, result.per_video.num_groups) == (8, 4)
    assert "divide" not in caplog.text
    assert isinstance(result := evaluate(run, features, group_blocks=4, device="cpu"), ClassificationEvaluation)
    assert (result.num_videos, result.per_video.num_groups) == (8, 4)
    assert caplog.messages[-1] == (
        "the given splits divide 4 groups, and are kept: left 4-7, left 8-11, right 4-7, right 8-11 trained the run too"
    )


class SameGroup(Objective):
    """Outputs of windows of one group are to differ."""

    needs_whole_batch = True

    def forward(self, encoded: Encoded, window: Window) -> Loss:
        assert window.group is not None and window.video is not None
        is_same = window.group[:, None] == window.group[None]
        return Loss((encoded.outputs[-1] @ encoded.outputs[-1].T * is_same).sum(), num_frames=5)


@pytest.mark.parametrize("batch_size", [5, 64])
def test_an_objective_gets_the_groups_wherever_it_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_size: int
) -> None:
    monkeypatch.setattr(OBJECTIVES, "_registered", dict(OBJECTIVES._registered))
    OBJECTIVES.register("same_group")(SameGroup)
    features = with_crops(tmp_path / "f.h5", SPLITS)
    config = pretrain_config(
        windows=PretrainWindows(context=4), settings={"objectives": ("same_group",)}, steps=5, batch_size=batch_size
    )
    result = train(features, tmp_path / "run", config, device="cpu", precision="fp32")
    chosen_by = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])["validation"]
    assert result.outcome.best_step == 5
    assert result.validation.objective_losses == {"same_group": pytest.approx(chosen_by["same_group"], rel=1e-5)}
    losses = []
    for pattern in (None, "left|right"):
        evaluated = evaluate(tmp_path / "run", features, group_pattern=pattern, device="cpu")
        assert isinstance(evaluated, PredictionEvaluation)
        losses.append(evaluated.metrics.objective_losses["same_group"])
    assert losses[0] != losses[1]


def test_groups_are_made_as_in_training(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Those who trained a run are left out by other videos of theirs, without their pattern being given again."""
    pattern = r"(?:left|right)/\d+"
    features = features_of(tmp_path / "before", circles(10))
    run = train(features, tmp_path / "run", pretrain_config(steps=2), group_pattern=pattern, device="cpu").folder
    result = evaluate(run, features_of(tmp_path / "after", circles(12, seed=5)), device="cpu")
    assert isinstance(result, PredictionEvaluation)
    assert (result.num_videos, result.num_left_out) == (4, 20)
    assert "groups" not in caplog.text
    strangers = evaluate(
        run, features_of(tmp_path / "others", circles(2, classes=("up", "down"), seed=5)), device="cpu"
    )
    assert isinstance(strangers, PredictionEvaluation)
    assert (strangers.num_videos, strangers.num_left_out) == (4, 0)
    assert "groups are not made as in training: group pattern" in caplog.text
