"""Evaluation: on which videos, and that its metrics are scikit-learn's."""

import csv
import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score, confusion_matrix
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from small_features import Videos, circles, features_of, finetune_config, pretrain_config, with_value

from vidrep.config.settings import ClassifierSettings, EncoderSettings, OptimizerSettings
from vidrep.errors import ConfigError, FeatureFileError, InputError
from vidrep.evaluation.classification import ClassificationEvaluation
from vidrep.evaluation.evaluate import evaluate
from vidrep.evaluation.prediction import PredictionEvaluation
from vidrep.features.annotations import Annotation
from vidrep.features.store import Features
from vidrep.metrics.baselines import baseline_encoders, load_baselines
from vidrep.metrics.classification import Accuracy
from vidrep.metrics.intervals import wilson_interval
from vidrep.metrics.prediction import prediction_metrics
from vidrep.models.pretrained import PretrainedEncoders
from vidrep.models.saved import load_model
from vidrep.sequences.batches import FeatureBatchSet, VideoNumbers
from vidrep.sequences.windows import sliding_windows
from vidrep.training.finetune import finetune
from vidrep.training.pretrain import train

Classes = NDArray[np.int64]
CLASSES = ("left", "right", "still")
THREE = dict.fromkeys([f"{name}/{n:02d}.npy" for name in CLASSES for n in range(3, 6)], "test")


def uneven_videos() -> Videos:
    """Videos of three classes and many lengths, some shorter than a window; of the first class there are most."""
    videos = circles(6, num_frames=9, classes=CLASSES)
    videos |= {
        key.replace("left/0", "left/1"): one for key, one in circles(3, num_frames=9, seed=7).items() if "left" in key
    }
    return {key: frames[: 3 + number % 7] for number, (key, frames) in enumerate(sorted(videos.items()))}


@pytest.fixture
def features(tmp_path: Path) -> Features:
    videos = uneven_videos()
    return features_of(tmp_path, videos, {key: THREE.get(key, "train") for key in videos})


def classifier(features: Features, output: Path, **settings: Any) -> Path:
    optimizer = OptimizerSettings(learning_rate=0.02, warmup_steps=2)
    training: dict[str, Any] = {"steps": 40, "validate_every": 10} | settings
    encoder = EncoderSettings(hidden_size=6, dropout=0.3)
    config = finetune_config(encoder=encoder, optimizer=optimizer, **training)
    return finetune(features, output, config, device="cpu").folder


def classification(run: Path, features: Features, **options: Any) -> ClassificationEvaluation:
    result = evaluate(run, features, device="cpu", **options)
    assert isinstance(result, ClassificationEvaluation)
    return result


def assert_accuracy(found: Accuracy, true: Classes, predicted: Classes, *, num_groups: int) -> None:
    assert found.accuracy == pytest.approx(accuracy_score(true, predicted))
    assert found.balanced_accuracy == pytest.approx(balanced_accuracy_score(true, predicted))
    assert found.num_groups == num_groups
    assert found.low is not None and found.high is not None and found.low <= found.accuracy <= found.high
    if num_groups == len(true):
        assert (found.low, found.high) == wilson_interval(round(found.accuracy * num_groups), num_groups)


def test_metrics_of_the_lstm_are_those_of_its_predictions(tmp_path: Path, features: Features) -> None:
    run = classifier(features, tmp_path / "run")
    result = classification(run, features)
    model, description = load_model(run)
    network = model.network
    true, predicted, true_windows, predicted_windows = [], [], [], []
    for index, row in enumerate(features.videos):
        if row.split != "test":
            continue
        frames = model.inputs(torch.from_numpy(np.array(features.rows(index))))
        starts = [*range(0, max(1, row.length - 3), 2)]
        if row.length > 4 and starts[-1] != row.length - 4:
            starts.append(row.length - 4)
        with torch.no_grad():
            probabilities = [network(frames[s : s + 4, None])[0] for s in starts]
        true.append(description.classes.index(row.label))
        predicted.append(int(torch.stack(probabilities).mean(dim=0).argmax()))
        true_windows += [true[-1]] * len(probabilities)
        predicted_windows += [int(one.argmax()) for one in probabilities]
    assert (result.num_videos, result.num_windows, result.num_left_out) == (9, len(true_windows), 0)
    assert result.which == "videos of split 'test'"
    assert_accuracy(result.per_video, np.array(true), np.array(predicted), num_groups=9)
    assert_accuracy(result.per_window, np.array(true_windows), np.array(predicted_windows), num_groups=9)
    np.testing.assert_array_equal(result.confusion.counts, confusion_matrix(true, predicted, labels=[0, 1, 2]))
    assert len(set(predicted)) > 1


def test_baselines_are_scikit_learns_on_the_same_videos(tmp_path: Path, features: Features) -> None:
    run = classifier(features, tmp_path / "run")
    result = classification(run, features)
    chosen = {one.name: one.fitted.setting for one in load_baselines(run).every}
    classes = load_model(run)[1].classes

    def videos(split: str) -> tuple[list[NDArray[np.float64]], Classes]:
        indices = [index for index, row in enumerate(features.videos) if row.split == split]
        known = np.array([classes.index(features.videos[i].label) for i in indices])
        return [np.array(features.rows(i), dtype=np.float64) for i in indices], known

    (frames, known), (others, true) = videos("train"), videos("test")
    single = make_pipeline(StandardScaler(), LogisticRegression(C=chosen["single frame"], max_iter=3000, tol=1e-8))
    single.fit(np.concatenate(frames), np.repeat(known, [len(f) for f in frames]))
    mean = make_pipeline(StandardScaler(), LogisticRegression(C=chosen["mean feature"], max_iter=3000, tol=1e-8))
    mean.fit(np.stack([one.mean(axis=0) for one in frames]), known)
    majority = DummyClassifier(strategy="most_frequent").fit(np.zeros((len(known), 1)), known)
    expected = {
        "majority class": majority.predict(np.zeros((len(true), 1))),
        "single frame": np.array([single.predict_proba(one).mean(axis=0).argmax() for one in others]),
        "mean feature": mean.predict(np.stack([one.mean(axis=0) for one in others])),
    }
    assert list(result.baselines) == [*expected, "ordered bins"]
    for name, predicted in expected.items():
        assert_accuracy(result.baselines[name], true, predicted, num_groups=9)


def test_baselines_of_a_pretrained_start_are_on_its_frozen_encoder(tmp_path: Path, features: Features) -> None:
    start = train(features, tmp_path / "pretrained", pretrain_config(), device="cpu").folder
    config = finetune_config(encoder=EncoderSettings(), test_fraction=0.4)
    run = finetune(features, tmp_path / "run", config, pretrained=start, device="cpu").folder
    result = classification(run, features)
    names = [name for name in result.baselines if "encoder" in name]
    assert [name.split(", ")[::2] for name in names] == [
        ["frozen encoder", "linear"],
        ["frozen encoder", "kNN"],
        ["frozen encoder", "prototypes"],
        ["random encoder", "linear"],
    ]
    for name in names:
        assert name.split(", ")[1] in ("last h", "last c", "mean h")
    # The head may have changed the encoder; the baselines read the one that the run started from.
    baselines, pretrained = load_baselines(run), PretrainedEncoders.load([start])
    test = [index for index, row in enumerate(features.videos) if row.split == "test"]
    found = baselines.probabilities(features, test, baseline_encoders(pretrained), device=torch.device("cpu"))
    classes = load_model(run)[1].classes
    true = np.array([classes.index(features.videos[index].label) for index in test])
    for name in names:
        assert_accuracy(result.baselines[name], true, found[name].argmax(axis=1), num_groups=9)
    shutil.rmtree(run / "pretrained")
    with pytest.raises(InputError, match="pretrained: no such run folder"):
        evaluate(run, features, device="cpu")


def test_differences_are_paired_on_the_same_videos(tmp_path: Path, features: Features) -> None:
    run = classifier(features, tmp_path / "run")
    result = classification(run, features)
    assert result.differences.keys() == result.baselines.keys()
    for name, paired in result.differences.items():
        assert paired.difference == pytest.approx(result.per_video.accuracy - result.baselines[name].accuracy)
        assert paired.low is not None and paired.high is not None
        assert paired.low <= paired.difference <= paired.high
    one_group = {key: Annotation(None, None, "one") for key in THREE}
    single = classification(run, features, annotations=one_group)
    assert all(paired.low is None for paired in single.differences.values())


def test_videos_that_it_was_trained_on_are_left_out_whatever_they_are_called(tmp_path: Path) -> None:
    videos = circles()
    features = features_of(tmp_path, videos)
    run = classifier(features, tmp_path / "run")
    result = classification(run, features)
    assert (result.num_videos, result.num_left_out) == (2, 8)
    assert result.which == "videos that the run was not trained on"

    renamed = {key.replace("/0", "/renamed"): frames for key, frames in videos.items()}
    more = {f"left/new{n}.npy": circles(seed=8)[f"left/0{n}.npy"] for n in range(3)}
    result = classification(run, features_of(tmp_path / "renamed", renamed | more))
    assert (result.num_videos, result.num_left_out) == (5, 8)


def test_another_video_with_the_key_of_one_trained_on_is_measured(tmp_path: Path) -> None:
    run = classifier(features_of(tmp_path, circles()), tmp_path / "run")
    result = classification(run, features_of(tmp_path / "other", circles(seed=1)))
    assert (result.num_videos, result.num_left_out) == (10, 0)


def test_a_source_file_that_was_sampled_otherwise_is_still_trained_on(tmp_path: Path) -> None:
    features = features_of(tmp_path, circles())
    run = classifier(features, tmp_path / "run")
    table = run / "videos.csv"
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    lines = [f"{row['video']},{row['label']},{row['split']},,{'0' * 64},{row['source_sha256']}" for row in rows]
    table.write_text("\n".join(["video,label,split,group,checksum,source_sha256", *lines]) + "\n", encoding="utf-8")
    assert classification(run, features).num_left_out == 8


def test_features_that_were_all_trained_on_are_refused(tmp_path: Path) -> None:
    features = features_of(tmp_path, circles())
    run = classifier(features, tmp_path / "run", test_fraction=0.0)
    with pytest.raises(
        InputError, match=r"trained on, or its weights were chosen by, all of its videos; give features of others"
    ):
        evaluate(run, features, device="cpu")


def test_a_split_is_measured_as_asked(tmp_path: Path, features: Features, caplog: pytest.LogCaptureFixture) -> None:
    run = classifier(features, tmp_path / "run")
    with caplog.at_level(logging.WARNING, logger="vidrep"):
        result = classification(run, features, split="train")
    assert (result.num_videos, result.num_left_out, result.which) == (12, 0, "videos of split 'train'")
    assert "the run was trained on 12 of these 12 videos" in caplog.text
    assert classification(run, features, split="test") == classification(run, features)
    with pytest.raises(ConfigError, match="split 'tset': allowed are train, validation, test"):
        evaluate(run, features, split="tset", device="cpu")
    with pytest.raises(InputError, match="no video has the split 'validation'; give --labels or --splits"):
        evaluate(run, features, split="validation", device="cpu")


def test_annotations_replace_labels_and_unknown_labels_are_left_out(
    tmp_path: Path, features: Features, caplog: pytest.LogCaptureFixture
) -> None:
    run = classifier(features, tmp_path / "run")
    annotations = {
        "left/03.npy": Annotation("jump", None, extends=True),
        "left/04.npy": Annotation("", None, extends=True),
    }
    with caplog.at_level(logging.WARNING, logger="vidrep"):
        result = classification(run, features, annotations=annotations)
    assert result.num_videos == 7
    assert "videos with labels that the run was not trained on are left out: jump" in caplog.text
    annotations = {key: Annotation("jump", None) for key in THREE}
    with pytest.raises(InputError, match=r"they are jump; its classes are left, right, still"):
        evaluate(run, features, annotations=annotations, device="cpu")


def test_shuffling_leaves_nothing_of_what_only_the_order_of_frames_shows(tmp_path: Path) -> None:
    videos = circles(24, num_frames=8)
    features = features_of(tmp_path, videos)
    optimizer = OptimizerSettings(learning_rate=0.02, warmup_steps=5)
    config = finetune_config(
        encoder=EncoderSettings(hidden_size=16, dropout=0.1),
        classifier=ClassifierSettings(dropout=0.1),
        optimizer=optimizer,
        length=8,
        steps=100,
        batch_size=16,
        validate_every=20,
        test_fraction=0.4,
    )
    run = finetune(features, tmp_path / "run", config, device="cpu").folder
    plain, shuffled = classification(run, features), classification(run, features, shuffle_frames=True)
    assert (plain.shuffled, shuffled.shuffled) == (False, True)
    assert plain.per_video.accuracy >= 0.9
    assert shuffled.per_video.accuracy <= 0.75
    assert shuffled.baselines == plain.baselines
    assert classification(run, features, shuffle_frames=True) == shuffled


def test_a_pretraining_is_measured_on_videos_that_it_was_not_trained_on(tmp_path: Path) -> None:
    videos = circles(num_frames=9)
    videos["left/04.npy"] = videos["left/04.npy"][:4]  # shorter than a window
    splits = {key: "test" if key.endswith(("3.npy", "4.npy")) else "train" for key in videos}
    features = features_of(tmp_path, videos, splits)
    run = train(features, tmp_path / "run", pretrain_config(), device="cpu").folder
    result = evaluate(run, features, device="cpu")
    assert isinstance(result, PredictionEvaluation)
    test = [index for index, row in enumerate(features.videos) if row.split == "test"]
    windows = sliding_windows(features, test, length=5, stride=2)
    device = torch.device("cpu")
    model = load_model(run)[0]
    batches = FeatureBatchSet(windows, VideoNumbers.of([row.path for row in features.videos]), device)
    expected = prediction_metrics(model, batches, num_context=3, num_future=2, frame_shape=(4,), device=device)
    assert result.metrics == expected
    assert (result.num_videos, result.num_left_out, result.metrics.num_windows) == (3, 0, 9)
    with pytest.raises(ConfigError, match="shuffled frames are for classifiers"):
        evaluate(run, features, shuffle_frames=True, device="cpu")
    with pytest.raises(ConfigError, match=r"frames of \(4,\) float32, which a filmstrip cannot show"):
        evaluate(run, features, filmstrip=tmp_path / "film.png", device="cpu")
    short = features_of(tmp_path / "short", {key: one[:4] for key, one in circles(seed=2).items()})
    with pytest.raises(InputError, match=r"no selected video has a window of 5 frames"):
        evaluate(run, short, device="cpu")


def test_features_that_do_not_fit_or_are_not_finite_are_refused(tmp_path: Path, features: Features) -> None:
    run = classifier(features, tmp_path / "run")
    wider = features_of(tmp_path / "wider", circles(size=6))
    with pytest.raises(FeatureFileError, match=r"frames of \(6,\) float32; the run was trained on \(4,\) float32"):
        evaluate(run, wider, device="cpu")
    bad = with_value(features_of(tmp_path / "bad", circles(seed=4)), "left/02.npy", 1, np.nan)
    with pytest.raises(FeatureFileError, match=r"video 'left/02.npy', frame 1 holds values that are not finite"):
        evaluate(run, bad, device="cpu")


def test_a_damaged_run_is_refused_in_one_line(tmp_path: Path, features: Features) -> None:
    run = classifier(features, tmp_path / "run")
    for name in ("baselines.safetensors", "videos.csv", "model.safetensors", "model.json"):
        (run / name).unlink()
        with pytest.raises(InputError, match=name) as caught:
            evaluate(run, features, device="cpu")
        assert "\n" not in str(caught.value)
