"""Fine-tuning: where the classifier starts, which videos it learns from, and which it never reads."""

import csv
import gc
import json
import logging
import weakref
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_features import circles, features_of, finetune_config, pretrain_config, with_value
from toy_training import assert_same, tree_of

from vidrep.config.settings import ClassifierSettings, EncoderSettings, FinetuneWindows, OptimizerSettings
from vidrep.errors import ConfigError, FeatureFileError, InputError, LabelError, OutputError, Stopped
from vidrep.features.annotations import Annotation
from vidrep.features.store import Features
from vidrep.models.classifier import Classifier
from vidrep.models.saved import load_model, save_model
from vidrep.training.finetune import finetune
from vidrep.training.loop import run_training
from vidrep.training.pretrain import train

SPLITS = {f"{name}/{n:02d}.npy": "test" if n == 4 else "train" for name in ("left", "right") for n in range(5)}
PRETRAINED = EncoderSettings(dropout=0.3)  # whose cell, width and depth come from a pretrained run
NEARLY_STILL = OptimizerSettings(learning_rate=1e-9, warmup_steps=0)


@pytest.fixture
def features(tmp_path: Path) -> Features:
    return features_of(tmp_path, circles())


@pytest.fixture
def pretrained(tmp_path: Path, features: Features) -> Path:
    config = pretrain_config(encoder=EncoderSettings(hidden_size=6, num_layers=2))
    return train(features, tmp_path / "pretrained", config, device="cpu").folder


def splits_of(run: Path) -> dict[str, str]:
    rows = csv.DictReader((run / "videos.csv").read_text(encoding="utf-8").splitlines())
    return {row["video"]: row["split"] for row in rows}


def encoder_and_inputs(run: Path) -> dict[str, torch.Tensor]:
    state = load_model(run)[0].state_dict()
    return {name: value for name, value in state.items() if name.startswith(("network.encoder.", "inputs."))}


def test_a_run_records_what_it_learned_from_and_its_model_is_ready(tmp_path: Path, features: Features) -> None:
    result = finetune(features, tmp_path / "run", finetune_config(), device="cpu")
    splits = splits_of(result.folder)
    assert (result.num_train_videos, result.num_validation_videos, result.num_test_videos) == (6, 2, 2)
    assert Counter((key.split("/")[0], split) for key, split in splits.items()) == {
        (name, split): count
        for name in ("left", "right")
        for split, count in (("train", 3), ("validation", 1), ("test", 1))
    }
    description = load_model(result.folder)[1]
    assert (description.kind, description.classes, description.class_counts) == (
        "classifier",
        ["left", "right"],
        [3, 3],
    )
    assert result.classes == description.classes
    assert description.windows == {"length": 4, "stride": 2, "to_the_end": True}
    assert (result.folder / "baselines.safetensors").is_file()


def test_jitter_changes_what_resampled_windows_teach(tmp_path: Path, features: Features) -> None:
    def weights(name: str, jitter: float) -> torch.Tensor:
        windows = FinetuneWindows(length=4, resample=True, jitter=jitter)
        config = replace(finetune_config(steps=2), windows=windows)
        run = finetune(features, tmp_path / name, config, device="cpu").folder
        return load_model(run)[0].get_parameter("network.head.projection.weight")

    assert torch.equal(weights("once", 0.5), weights("again", 0.5))
    assert not torch.equal(weights("plain", 0.0), weights("moved", 0.5))


@pytest.mark.parametrize("transfer", ["init", "frozen"])
def test_it_starts_from_the_pretrained_encoder_and_inputs(
    tmp_path: Path, features: Features, pretrained: Path, transfer: Any
) -> None:
    classifier = ClassifierSettings(dropout=0.5, transfer=transfer)
    config = finetune_config(encoder=PRETRAINED, classifier=classifier, steps=1, optimizer=NEARLY_STILL)
    run = finetune(features, tmp_path / "run", config, pretrained=pretrained, device="cpu").folder
    there, here = encoder_and_inputs(pretrained), encoder_and_inputs(run)
    assert len(there) == 10  # three weights a layer, and the statistics of frames
    assert there.keys() == here.keys()
    for name, value in there.items():
        torch.testing.assert_close(here[name], value, rtol=0, atol=2e-8)
    encoder = load_model(run)[1].encoder
    assert (encoder["hidden_size"], encoder["num_layers"], encoder["dropout"]) == (6, 2, 0.3)


def test_from_scratch_it_starts_elsewhere(tmp_path: Path, features: Features, pretrained: Path) -> None:
    encoder = EncoderSettings(hidden_size=6, num_layers=2)
    run = finetune(features, tmp_path / "run", finetune_config(encoder=encoder, seed=1), device="cpu").folder
    there, here = encoder_and_inputs(pretrained), encoder_and_inputs(run)
    name = "network.encoder.cells.0.recurrent_weight"
    assert (there[name] - here[name]).abs().max() > 0.1


def test_a_frozen_encoder_stays_exactly_and_the_head_learns(
    tmp_path: Path, features: Features, pretrained: Path
) -> None:
    frozen: dict[str, Any] = {"encoder": PRETRAINED, "classifier": ClassifierSettings(transfer="frozen")}
    config = finetune_config(**frozen, optimizer=OptimizerSettings(weight_decay=0.1))
    first = finetune_config(**frozen, steps=1, optimizer=NEARLY_STILL)
    runs = [
        finetune(features, tmp_path / name, one, pretrained=pretrained, device="cpu").folder
        for name, one in (("first", first), ("last", config))
    ]
    for name, value in encoder_and_inputs(pretrained).items():
        assert torch.equal(encoder_and_inputs(runs[1])[name], value), name
    heads = [load_model(run)[0].state_dict()["network.head.projection.weight"] for run in runs]
    assert not torch.equal(*heads)


def test_without_freezing_the_encoder_learns(tmp_path: Path, features: Features, pretrained: Path) -> None:
    config = finetune_config(encoder=PRETRAINED)
    run = finetune(features, tmp_path / "run", config, pretrained=pretrained, device="cpu").folder
    here, there = encoder_and_inputs(run), encoder_and_inputs(pretrained)
    assert not any(torch.equal(here[name], there[name]) for name in here if name.startswith("network."))
    assert all(torch.equal(here[name], there[name]) for name in here if name.startswith("inputs."))


@pytest.mark.parametrize("with_pretrained", [False, True])
def test_test_videos_are_not_touched(tmp_path: Path, with_pretrained: bool) -> None:
    changed = circles()
    for key in ("left/04.npy", "right/04.npy"):
        changed[key] = np.full_like(changed[key][:3], 1e6)
    start = features_of(tmp_path / "start", circles(seed=5))
    pretrained = train(start, tmp_path / "pretrained", pretrain_config(), device="cpu").folder
    runs = [
        finetune(
            features_of(tmp_path / name, videos, SPLITS),
            tmp_path / name / "run",
            finetune_config(encoder=PRETRAINED),
            pretrained=pretrained if with_pretrained else None,
            device="cpu",
        ).folder
        for name, videos in (("one", circles()), ("other", changed))
    ]
    for name in ("model.safetensors", "model.json", "baselines.safetensors"):
        assert (runs[0] / name).read_bytes() == (runs[1] / name).read_bytes(), name
    lines = [[json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()] for run in runs]
    one, other = ([line | {"speed": None} for line in of_run] for of_run in lines)
    assert one == other != []
    assert {key for key, split in splits_of(runs[0]).items() if split == "test"} == {"left/04.npy", "right/04.npy"}


def test_videos_that_it_holds_out_itself_are_not_touched_either(tmp_path: Path, features: Features) -> None:
    one = finetune(features, tmp_path / "run", finetune_config(), device="cpu").folder
    changed = circles()
    held_out = [key for key, split in splits_of(one).items() if split == "test"]
    assert len(held_out) == 2
    for key in held_out:
        changed[key] = changed[key] * 50
    other = finetune(features_of(tmp_path / "o", changed), tmp_path / "other", finetune_config(), device="cpu").folder
    for name in ("model.safetensors", "baselines.safetensors"):
        assert (one / name).read_bytes() == (other / name).read_bytes()


def test_the_validation_loss_is_the_mean_over_frames_whatever_the_batches(tmp_path: Path) -> None:
    videos = circles(6)
    for number, key in enumerate(sorted(videos)):
        videos[key] = videos[key][: 1 + number % 4]  # of many lengths, all shorter than a window but the longest
    features = features_of(
        tmp_path, videos, {key: "validation" if n % 2 else "train" for n, key in enumerate(sorted(videos))}
    )
    result = finetune(features, tmp_path / "run", finetune_config(length=4, batch_size=4, steps=5), device="cpu")
    model, description = load_model(result.folder)
    network = model.network
    assert isinstance(network, Classifier)
    losses, right = [], []
    for index, row in enumerate(features.videos):
        if row.split == "validation":
            frames = model.inputs(torch.from_numpy(np.array(features.rows(index)))[:, None])
            with torch.no_grad():
                logits = network.head.frame_logits(network.encoder(frames)[0])
            assert logits is not None
            logs = logits[:, 0].log_softmax(dim=-1)
            true = description.classes.index(row.label)
            losses += (-logs[:, true]).tolist()
            right.append(int(logs.exp().mean(dim=0).argmax()) == true)
    assert len(right) == 6
    line = json.loads((result.folder / "metrics.jsonl").read_text().splitlines()[-1])
    assert line["validation"]["loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    assert line["validation"]["window_accuracy"] == pytest.approx(np.mean(right))


def test_it_learns_what_only_the_order_of_frames_shows(tmp_path: Path) -> None:
    features = features_of(tmp_path, circles(20, num_frames=8))
    config = finetune_config(
        encoder=EncoderSettings(hidden_size=16, dropout=0.1),
        classifier=ClassifierSettings(dropout=0.1),
        optimizer=OptimizerSettings(learning_rate=0.02, warmup_steps=5),
        length=8,
        steps=100,
        batch_size=16,
        validate_every=20,
    )
    result = finetune(features, tmp_path / "run", config, device="cpu")
    lines = [json.loads(line)["validation"] for line in (result.folder / "metrics.jsonl").read_text().splitlines()]
    assert max(line["window_accuracy"] for line in lines) == 1.0


def test_videos_shorter_than_the_window_take_part(tmp_path: Path) -> None:
    videos = {key: frames[:2] for key, frames in circles().items()}
    features = features_of(tmp_path, videos)
    result = finetune(features, tmp_path / "run", finetune_config(length=50), device="cpu")
    assert result.num_train_videos == 6


def test_a_class_with_one_video_is_trained_on_and_named_in_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    videos = circles() | {"alone/00.npy": circles(seed=3)["left/00.npy"]}
    with caplog.at_level(logging.WARNING, logger="vidrep"):
        result = finetune(features_of(tmp_path, videos), tmp_path / "run", finetune_config(), device="cpu")
    assert result.classes == ["alone", "left", "right"]
    assert splits_of(result.folder)["alone/00.npy"] == "train"
    assert [one for one in caplog.messages if "alone" in one] == ["classes with one training video only: alone"]


def test_one_video_of_every_class_will_do_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="vidrep"):
        result = finetune(features_of(tmp_path, circles(1)), tmp_path / "run", finetune_config(), device="cpu")
    assert (result.num_train_videos, result.num_validation_videos, result.num_test_videos) == (2, 0, 0)
    assert "no video can be held out" in caplog.text


def test_unlabeled_videos_take_no_part(tmp_path: Path, features: Features) -> None:
    annotations = {
        "left/00.npy": Annotation("", None, extends=True),
        "right/03.npy": Annotation("left", None, extends=True),
    }
    result = finetune(features, tmp_path / "run", finetune_config(), device="cpu", annotations=annotations)
    assert "left/00.npy" not in splits_of(result.folder)
    rows = {row["video"]: row for row in csv.DictReader((result.folder / "videos.csv").read_text().splitlines())}
    assert len(rows) == 9
    assert rows["right/03.npy"]["label"] == "left"
    whole = {"left/00.npy": "left", "left/01.npy": "left", "right/00.npy": "right", "right/01.npy": "right"}
    annotations = {key: Annotation(label, None) for key, label in whole.items()}
    result = finetune(features, tmp_path / "whole", finetune_config(), device="cpu", annotations=annotations)
    rows = {row["video"]: row for row in csv.DictReader((result.folder / "videos.csv").read_text().splitlines())}
    assert {key: row["label"] for key, row in rows.items()} == whole


def test_too_few_classes_are_refused(tmp_path: Path, features: Features) -> None:
    for labels, message in (
        ({"left": "", "right": ""}, "no video has a label; give --labels FILE.csv or --splits FILE"),
        ({"left": "go", "right": "go"}, "have one label only, 'go'; a classifier needs two or more"),
        ({"left": "go", "right": ""}, "have one label only, 'go'"),
    ):
        annotations = {row.path: Annotation(labels[row.label], None) for row in features.videos}
        with pytest.raises(LabelError, match=message):
            finetune(features, tmp_path / "run", finetune_config(), device="cpu", annotations=annotations)
    annotations = {
        row.path: Annotation(None, "train" if row.label == "left" else "validation") for row in features.videos
    }
    with pytest.raises(LabelError, match="have one label only, 'left'"):
        finetune(features, tmp_path / "run", finetune_config(), device="cpu", annotations=annotations)
    assert not (tmp_path / "run").exists()


def test_classes_that_differ_by_case_alone_are_refused(tmp_path: Path, features: Features) -> None:
    first = features.videos[0].path
    annotations = {row.path: Annotation("LEFT" if row.path == first else row.label, None) for row in features.videos}
    with pytest.raises(LabelError, match="the classes 'LEFT' and 'left' differ by case or blanks alone"):
        finetune(features, tmp_path / "run", finetune_config(), device="cpu", annotations=annotations)
    assert not (tmp_path / "run").exists()


def test_validation_labels_that_no_training_video_has_are_refused(tmp_path: Path) -> None:
    splits = dict.fromkeys(SPLITS, "train") | {"odd/00.npy": "validation"}
    features = features_of(tmp_path, circles() | {"odd/00.npy": circles()["left/00.npy"]}, splits)
    with pytest.raises(LabelError, match="validation videos have labels that no training video has: odd"):
        finetune(features, tmp_path / "run", finetune_config(), device="cpu")


def test_features_that_do_not_fit_the_pretrained_run_are_refused(tmp_path: Path, pretrained: Path) -> None:
    wider = features_of(tmp_path / "wider", circles(size=6))
    with pytest.raises(FeatureFileError, match=r"frames of \(6,\) float32; the run was trained on \(4,\) float32"):
        finetune(wider, tmp_path / "run", finetune_config(encoder=PRETRAINED), pretrained=pretrained, device="cpu")
    halves = features_of(tmp_path / "halves", {key: one.astype(np.float16) for key, one in circles().items()})
    with pytest.raises(FeatureFileError, match=r"frames of \(4,\) float16; the run was trained on \(4,\) float32"):
        finetune(halves, tmp_path / "run", finetune_config(encoder=PRETRAINED), pretrained=pretrained, device="cpu")
    assert not (tmp_path / "run").exists()


def test_features_of_another_extractor_are_refused(tmp_path: Path, features: Features, pretrained: Path) -> None:
    description = load_model(pretrained)[1]
    description.extractor.clear()
    description.extractor.update({"kind": "cnn", "model": "resnet18", "layer": "avgpool"})
    save_model(pretrained, description, load_model(pretrained)[0].state_dict())
    with pytest.raises(FeatureFileError, match=r"other settings than the features .*: kind is 'import', not 'cnn'"):
        finetune(features, tmp_path / "run", finetune_config(encoder=PRETRAINED), pretrained=pretrained, device="cpu")


def test_what_cannot_be_a_start_is_refused(tmp_path: Path, features: Features, pretrained: Path) -> None:
    frozen = finetune_config(classifier=ClassifierSettings(transfer="frozen"))
    with pytest.raises(InputError, match="no such run folder"):
        finetune(features, tmp_path / "run", finetune_config(), pretrained=tmp_path / "none", device="cpu")
    with pytest.raises(ConfigError, match=r"transfer is 'frozen', but there is no pretrained run .*; give --from RUN"):
        finetune(features, tmp_path / "run", frozen, device="cpu")
    with pytest.raises(OutputError, match="is the run to start from; give a new folder"):
        finetune(features, pretrained, finetune_config(), pretrained=pretrained, device="cpu", overwrite=True)
    assert load_model(pretrained)[1].kind == "pretraining"
    assert not (tmp_path / "run").exists()


def test_settings_of_a_transform_must_be_those_of_the_pretrained_run(tmp_path: Path, features: Features) -> None:
    with_pca = pretrain_config(settings={"transforms": ("pca",), "transform": {"pca": {"size": 3}}})
    start = train(features, tmp_path / "start", with_pca, device="cpu").folder
    other = finetune_config(encoder=PRETRAINED, settings={"transforms": ("pca",), "transform": {"pca": {"size": 2}}})
    message = "transform.pca.size is 2, but .*start has 3; leave transform.pca.size out"
    with pytest.raises(ConfigError, match=message):
        finetune(features, tmp_path / "run", other, pretrained=start, device="cpu")
    same = finetune_config(encoder=PRETRAINED, settings={"transforms": ("pca",)})
    run = finetune(features, tmp_path / "run", same, pretrained=start, device="cpu").folder
    assert load_model(run)[1].transforms == {"pca": {"size": 3}}


def test_a_classifier_of_pixels_takes_transforms(tmp_path: Path) -> None:
    videos = {key: np.rint(127 * (frames + 1)).astype(np.uint8) for key, frames in circles().items()}
    config = finetune_config(settings={"transforms": ("standardize",)})
    run = finetune(features_of(tmp_path, videos), tmp_path / "run", config, device="cpu").folder
    description = load_model(run)[1]
    assert (list(description.transforms), description.likelihood) == (["standardize"], "gaussian")


def test_a_classifier_is_a_start_too(tmp_path: Path, features: Features) -> None:
    first = finetune(features, tmp_path / "first", finetune_config(), device="cpu").folder
    config = finetune_config(steps=1, optimizer=NEARLY_STILL)
    second = finetune(features, tmp_path / "second", config, pretrained=first, device="cpu").folder
    for name, value in encoder_and_inputs(first).items():
        torch.testing.assert_close(encoder_and_inputs(second)[name], value, rtol=0, atol=2e-8)


@pytest.mark.parametrize("with_pretrained", [False, True])
def test_a_value_that_is_not_finite_is_named(tmp_path: Path, pretrained: Path, with_pretrained: bool) -> None:
    for split, number in (("train", 0), ("validation", 1)):
        splits = SPLITS | {"left/01.npy": "validation", "right/01.npy": "validation"}
        key = f"left/{number:02d}.npy"
        bad = with_value(features_of(tmp_path / split, circles(), splits), key, 3, np.nan)
        with pytest.raises(FeatureFileError, match=f"video '{key}', frame 3 holds values that are not finite"):
            finetune(
                bad,
                tmp_path / "run",
                finetune_config(encoder=PRETRAINED),
                pretrained=pretrained if with_pretrained else None,
                device="cpu",
            )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("gradient_accumulation", [2, 3])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_micro_batches_of_padded_windows_add_up(tmp_path: Path, gradient_accumulation: int, reduction: Any) -> None:
    """The mean is over frames: a micro-batch of short windows counts less."""
    videos = {key: frames[: 1 + number % 4] for number, (key, frames) in enumerate(sorted(circles(6).items()))}
    features = features_of(tmp_path, videos)
    lines = {}
    both: list[tuple[int, Any]] = [(1, "mean"), (gradient_accumulation, reduction)]
    for number, reduced in both:
        optimizer = OptimizerSettings(name="sgd", learning_rate=1e-9, warmup_steps=0, clip_norm=0, reduction=reduced)
        config = finetune_config(
            encoder=EncoderSettings(hidden_size=5),
            classifier=ClassifierSettings(dropout=0),
            optimizer=optimizer,
            steps=1,
            batch_size=7,
            gradient_accumulation=number,
        )
        run = finetune(features, tmp_path / f"{number}", config, device="cpu").folder
        lines[number] = json.loads((run / "metrics.jsonl").read_text())
    whole, summed = lines[1], lines[gradient_accumulation]
    assert summed["train"]["loss"] == pytest.approx(whole["train"]["loss"], rel=1e-5)
    ratio = summed["gradient_norm"] / whole["gradient_norm"]
    if reduction == "mean":
        assert ratio == pytest.approx(1, rel=1e-5)
    else:
        assert ratio == pytest.approx(round(ratio), rel=1e-5)
        assert 7 < ratio < 28  # frames of 7 windows of 1 to 4


@pytest.mark.parametrize("settings", [{"peepholes": True}, {"activation": "relu"}], ids=str)
def test_the_settings_of_the_cell_come_with_the_encoder(
    tmp_path: Path, features: Features, settings: dict[str, Any]
) -> None:
    config = pretrain_config(encoder=EncoderSettings(hidden_size=6), settings={"cell": {"lstm": settings}})
    source = train(features, tmp_path / "source", config, device="cpu").folder
    still = finetune_config(encoder=PRETRAINED, optimizer=NEARLY_STILL, steps=1, validate_every=1)
    run = finetune(features, tmp_path / "run", still, pretrained=source, device="cpu").folder
    cell = load_model(run)[1].cell
    assert {name: cell[name] for name in settings} == settings
    before, after = encoder_and_inputs(source), encoder_and_inputs(run)
    assert before.keys() == after.keys()
    assert any(name.endswith("peepholes") for name in after) == settings.get("peepholes", False)
    for name, value in before.items():
        torch.testing.assert_close(after[name], value, rtol=0, atol=1e-7)


@pytest.mark.parametrize("kind", ["pretrain", "finetune"])
def test_nothing_of_a_training_outlives_it(
    tmp_path: Path, features: Features, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Its model and rows may fill a GPU, which has no collector of cycles to call when the next one begins."""
    models: list[weakref.ref[Any]] = []

    def watched(task: Any, *passed: Any, **named: Any) -> Any:
        models.append(weakref.ref(task.model))
        return run_training(task, *passed, **named)

    monkeypatch.setattr("vidrep.training.session.run_training", watched)
    gc.collect()
    gc.disable()
    try:
        if kind == "pretrain":
            train(features, tmp_path / "run", pretrain_config(), device="cpu")
        else:
            finetune(features, tmp_path / "run", finetune_config(), device="cpu")
        assert models[0]() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("kind", ["pretrain", "finetune"])
def test_on_a_gpu_that_is_too_small_half_of_the_windows_are_recommended(
    tmp_path: Path, features: Features, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    sizes = []

    def too_large(task: Any, *passed: Any, **named: Any) -> Any:
        sizes.append(task.batch(0).frames.shape[1])
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (0, 1 << 30))
        monkeypatch.setattr(torch.cuda, "memory_reserved", lambda: 1 << 30)
        raise torch.OutOfMemoryError

    monkeypatch.setattr("vidrep.training.session.run_training", too_large)
    with pytest.raises(ConfigError) as caught:
        if kind == "pretrain":
            train(features, tmp_path / "run", pretrain_config(batch_size=0), device="cpu")
        else:
            finetune(features, tmp_path / "run", finetune_config(batch_size=0), device="cpu")
    assert sizes[0] < 64 and f"training.batch_size {sizes[0] // 2} takes about half" in str(caught.value)


@pytest.mark.parametrize("head", ["mean", "attention"])
def test_noise_and_head_are_resumed_to_the_same_bits(tmp_path: Path, features: Features, head: str) -> None:
    """With label smoothing, balanced classes, and an encoder that waits for the head."""
    config = finetune_config(
        classifier=ClassifierSettings(
            head=head, dropout=0.3, input_noise=0.2, label_smoothing=0.1, class_weights="balanced"
        ),
        optimizer=OptimizerSettings(lr_schedule="one_cycle", encoder_rate_factor=0.5, head_warmup_steps=4),
    )
    finetune(features, tmp_path / "whole", config, device="cpu")
    asked = iter(range(10))
    with pytest.raises(Stopped, match="stopped at step 7 of 10"):
        finetune(features, tmp_path / "resumed", config, device="cpu", should_stop=lambda: next(asked) == 6)
    finetune(features, tmp_path / "resumed", config, device="cpu", resume=True)
    assert_same(tree_of(tmp_path / "resumed"), tree_of(tmp_path / "whole"))
    state = load_model(tmp_path / "whole")[0].state_dict()
    assert torch.equal(state["network.class_weights"], torch.ones(2))


def test_the_encoder_waits_for_the_head(tmp_path: Path, features: Features, pretrained: Path) -> None:
    def run(steps: int) -> Path:
        optimizer = OptimizerSettings(weight_decay=0.1, warmup_steps=0, head_warmup_steps=5)
        config = finetune_config(encoder=PRETRAINED, optimizer=optimizer, steps=steps, validate_every=steps)
        return finetune(features, tmp_path / f"{steps}", config, pretrained=pretrained, device="cpu").folder

    before, waiting, learning = (encoder_and_inputs(one) for one in (pretrained, run(5), run(6)))
    assert all(torch.equal(waiting[name], one) for name, one in before.items())
    assert not any(torch.equal(learning[name], one) for name, one in before.items() if name.startswith("network."))
    heads = [load_model(tmp_path / f"{steps}")[0].state_dict()["network.head.projection.weight"] for steps in (5, 6)]
    assert not torch.equal(*heads)


def test_rare_classes_count_as_much_as_frequent_ones(tmp_path: Path) -> None:
    """Weights are by videos, of which "left" has one with a single window; validation is weighted too."""
    videos = {key: frames for key, frames in circles().items() if key not in ("left/01.npy", "left/02.npy")}
    videos["left/00.npy"] = videos["left/00.npy"][:3]
    splits = dict.fromkeys(videos, "train") | {"left/04.npy": "validation", "right/04.npy": "validation"}
    features = features_of(tmp_path, videos, splits)
    classifier = ClassifierSettings(dropout=0, head="last_step", class_weights="balanced")
    run = finetune(features, tmp_path / "run", finetune_config(classifier=classifier, steps=1), device="cpu").folder
    model, description = load_model(run)
    assert description.class_counts == [2, 4]
    assert torch.equal(model.state_dict()["network.class_weights"], torch.tensor([6 / (2 * 2), 6 / (2 * 4)]))
    losses = []
    for number, name in enumerate(("left/04.npy", "right/04.npy")):
        for start in (0, 2, 4):
            stored = torch.from_numpy(videos[name][start : start + 4])[:, None]
            with torch.no_grad():
                probabilities = model.network(model.inputs(stored))[0]
            losses.append([1.5, 0.75][number] * -float(probabilities[number].log()))
    line = json.loads((run / "metrics.jsonl").read_text())
    assert line["validation"]["loss"] == pytest.approx(np.mean(losses), rel=1e-5)


RECONSTRUCTING: dict[str, Any] = {"objectives": ("reconstruction",), "objective": {"reconstruction": {"weight": 0.5}}}


def test_reconstruction_is_learned_beside_the_classification_and_resumed(tmp_path: Path, features: Features) -> None:
    config = finetune_config(settings=RECONSTRUCTING, steps=20, validate_every=10)
    run = finetune(features, tmp_path / "whole", config, device="cpu").folder
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for line in lines:
        train, validation = line["train"], line["validation"]
        assert train["loss"] == pytest.approx(train["classification"] + 0.5 * train["reconstruction"], rel=1e-6)
        assert validation["loss"] == validation["classification"]
    assert lines[1]["validation"]["reconstruction"] < lines[0]["validation"]["reconstruction"]
    asked = iter(range(20))
    with pytest.raises(Stopped, match="stopped at step 7 of 20"):
        finetune(features, tmp_path / "resumed", config, device="cpu", should_stop=lambda: next(asked) == 6)
    finetune(features, tmp_path / "resumed", config, device="cpu", resume=True)
    assert_same(tree_of(tmp_path / "resumed"), tree_of(tmp_path / "whole"))
    again = finetune(features, tmp_path / "next", finetune_config(steps=1), pretrained=run, device="cpu").folder
    assert not any(name.startswith("network.objectives") for name in load_model(again)[0].state_dict())


def test_objectives_that_a_classifier_cannot_learn_are_refused(
    tmp_path: Path, features: Features, pretrained: Path
) -> None:
    def message(videos: Features = features, **options: Any) -> str:
        with pytest.raises(ConfigError) as caught:
            finetune(videos, tmp_path / "run", finetune_config(**options), pretrained=pretrained, device="cpu")
        assert not (tmp_path / "run").exists()
        return str(caught.value)

    future = message(settings={"objectives": ("future",)})
    assert future.startswith("objectives: future needs more than the window that is classified; give objectives that")
    frozen = ClassifierSettings(transfer="frozen")
    assert "objectives reconstruction train the encoder, which classifier.transfer 'frozen' keeps as it is" in message(
        settings=RECONSTRUCTING, classifier=frozen
    )
    short = features_of(tmp_path / "short", circles() | {"left/00.npy": circles()["left/00.npy"][:3]}, SPLITS)
    padded = message(short, settings=RECONSTRUCTING, encoder=PRETRAINED)
    assert padded.startswith("windows.length is 4, but a video has 3 frames, and objectives read no padding; set")
