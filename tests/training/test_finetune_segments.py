"""Training from segments: what is learned, from which videos, and that nothing that happens on the way changes it."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from small_features import features_of, pretrain_config
from small_segments import FPS, moving, moving_features, segmentation_config
from toy_training import KilledError, assert_same, killed_after, tree_of

from vidrep.config.segmentation import SegmentationConfig, SegmenterSettings, SegmentWindows
from vidrep.config.settings import EncoderSettings, OptimizerSettings
from vidrep.errors import ConfigError, InputError, LabelError, OutputError
from vidrep.evaluation.evaluate import evaluate
from vidrep.evaluation.segmentation import SegmentationEvaluation
from vidrep.features.store import Features
from vidrep.metrics.segmentation import fitted_baselines
from vidrep.metrics.segmentation.frame_baselines import LabeledFrames, Majority
from vidrep.models.description import read_description
from vidrep.progress import Progress
from vidrep.segments.segment import Annotations, Segment, Span
from vidrep.timelines.segmenter_run import SegmenterRun
from vidrep.timelines.settings import BoutSettings
from vidrep.training import segmentation
from vidrep.training.pretrain import train
from vidrep.training.segmentation import SegmentationResult, finetune_segments
from vidrep.training.segmentation_data import fit_segment_windows

LEARNING = OptimizerSettings(learning_rate=0.05, warmup_steps=2)


def trained(features: Features, annotations: Annotations, run: Path, **how: Any) -> SegmentationResult:
    """Train 10 steps, unless a config is given."""
    config = how.pop("config", None) or segmentation_config()
    return finetune_segments(features, run, annotations, config, device="cpu", threads=1, **how)


def content(run: Path) -> dict[str, Any]:
    """Return all that must be the same in two equal runs."""
    trees = {str(path.parent.relative_to(run)): tree_of(path.parent) for path in sorted(run.rglob("metrics.jsonl"))}
    weights = {str(path.relative_to(run)): load_file(path) for path in sorted(run.rglob("*.safetensors"))}
    texts = {
        str(path.relative_to(run)): path.read_text(encoding="utf-8")
        for name in ("bouts.json", "config.toml", "videos.csv", "ensemble.json")
        for path in sorted(run.rglob(name))
    }
    assert not [path for path in run.rglob(".*") if not path.name.endswith(".lock")]
    return {"trees": trees, "weights": weights, "texts": texts}


@pytest.mark.parametrize("several_labels", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_it_learns(tmp_path: Path, several_labels: bool, bidirectional: bool) -> None:
    splits = {f"v{number}.npy": "test" for number in (0, 1)} | {"v2.npy": "validation"}
    features, annotations = moving_features(tmp_path, splits, num_videos=10, num_frames=160)
    config = segmentation_config(
        encoder=EncoderSettings(hidden_size=8, bidirectional=bidirectional),
        segmenter=SegmenterSettings(several_labels=several_labels, dropout=0.0),
        optimizer=LEARNING,
        steps=70,
        validate_every=70,
        batch_size=16,
    )
    result = trained(features, annotations, tmp_path / "run", config=config)
    assert (result.labels, result.background) == (
        (("left", "right"), "") if several_labels else (("left", "right", "background"), "background")
    )
    assert (result.from_scratch, result.learned_from_validation) == (True, True)
    assert result.delay == (15 if bidirectional else 0)
    assert result.num_videos == {"train": 7, "validation": 1, "test": 2}
    assert result.seconds == pytest.approx({"train": 7 * 160 / FPS, "validation": 160 / FPS, "test": 2 * 160 / FPS})
    found = evaluate(tmp_path / "run", features, segments=annotations, device="cpu", threads=1)
    assert isinstance(found, SegmentationEvaluation)
    f1 = found.network.bouts.f1[0.5].value
    assert f1 is not None and f1 > 0.8
    assert all((one.bouts.f1[0.5].value or 0) < f1 - 0.2 for one in found.baselines.values())


def test_micro_batches_learn_the_same(tmp_path: Path) -> None:
    """However a batch is divided, and though the videos differ in how much of them is known."""
    videos, annotations = moving(6, num_frames=60)
    few = Annotations.of(annotations.segments, {key: [Span(0, 0.3 * number)] for number, key in enumerate(videos)})
    features = features_of(tmp_path, videos, fps=FPS)
    weights = []
    for parts in (1, 3):
        run = tmp_path / f"run{parts}"
        trained(features, few, run, config=segmentation_config(batch_size=6, gradient_accumulation=parts))
        weights.append(load_file(run / "members" / "1" / "model.safetensors"))
    for name, values in weights[0].items():
        torch.testing.assert_close(values, weights[1][name], rtol=1e-4, atol=1e-6)


def test_unknown_time_teaches_nothing(tmp_path: Path) -> None:
    """A causal network learns the same, whatever is in frames after all that is known."""
    videos, _ = moving(4, num_frames=60)
    known = Annotations.of([Segment(key, *one) for key in videos for one in ((0, 0.4, "a"), (0.4, 1, "b"))])
    weights = []
    for name, value in (("a", 0.0), ("b", 3.0)):
        changed = {key: np.concatenate([frames[:25], frames[25:] + value]) for key, frames in videos.items()}
        features = features_of(tmp_path / name, changed, fps=FPS)
        config = segmentation_config(
            encoder=EncoderSettings(hidden_size=5),
            windows=SegmentWindows(length=30, margin=0, stride=30),
            settings={"transforms": ("differences",), "transform": {}},
            batch_size=1,
            validation_fraction=0.5,
        )
        trained(features, known, tmp_path / name / "run", config=config)
        weights.append(load_file(tmp_path / name / "run" / "members" / "1" / "model.safetensors"))
    for name in ("network.projection.weight", "network.projection.bias"):
        assert torch.equal(weights[0][name], weights[1][name])


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Features, Annotations]:
    """Five videos of 40 frames: one each to validate on and to test, whose bouts are too few to choose rules."""
    folder = tmp_path_factory.mktemp("small")
    splits = {"v0.npy": "test", "v1.npy": "validation"}
    return moving_features(folder, splits, num_videos=5, num_frames=40, seed=1)


@pytest.mark.parametrize("transfer", ["init", "frozen"])
def test_a_pretrained_encoder_goes_on(small: tuple[Features, Annotations], tmp_path: Path, transfer: Any) -> None:
    features, annotations = small
    train(features, tmp_path / "pretrained", pretrain_config(steps=2, validate_every=2), device="cpu")
    config = replace(
        SegmentationConfig(),
        segmenter=SegmenterSettings(transfer=transfer),
        windows=SegmentWindows(length=20, margin=4, stride=6),
        training=segmentation_config(steps=3).training,
    )
    result = trained(features, annotations, tmp_path / "run", config=config, pretrained=tmp_path / "pretrained")
    assert not result.from_scratch
    description = read_description(tmp_path / "run" / "members" / "1")
    assert (description.encoder["hidden_size"], description.encoder["num_layers"]) == (5, 2)
    before, after = (load_file(tmp_path / run / "model.safetensors") for run in ("pretrained", "run/members/1"))
    encoder = [name for name in after if ".encoder." in name]
    assert encoder
    assert all(torch.equal(before[name], after[name]) == (transfer == "frozen") for name in encoder)
    assert result.delay == 0  # the pretrained encoder reads forward, and its input transforms frame by frame


def test_frozen_needs_a_pretrained_run(small: tuple[Features, Annotations], tmp_path: Path) -> None:
    config = segmentation_config(segmenter=SegmenterSettings(transfer="frozen"))
    with pytest.raises(ConfigError, match="there is no pretrained run to transfer from; give --from RUN"):
        trained(*small, tmp_path / "run", config=config)


def test_the_best_weights_can_be_kept(small: tuple[Features, Annotations], tmp_path: Path) -> None:
    result = trained(*small, tmp_path / "run", config=segmentation_config(keep="best", validate_every=2))
    assert not result.learned_from_validation
    assert not (tmp_path / "run" / "selection").exists()
    assert result.outcome.best_step in (2, 4, 6, 8, 10)


@pytest.mark.parametrize("keep", ["best", "last"])
def test_a_single_video_is_enough(tmp_path: Path, keep: str, caplog: pytest.LogCaptureFixture) -> None:
    features, annotations = moving_features(tmp_path, num_videos=1, num_frames=120)
    with caplog.at_level(logging.WARNING):
        result = trained(features, annotations, tmp_path / "run", config=segmentation_config(keep=keep, batch_size=2))
    assert result.num_videos == {"train": 1, "validation": 0, "test": 0}
    assert result.bouts == BoutSettings.default(["left", "right"])
    assert not result.learned_from_validation
    assert "default rules" in caplog.text
    if keep == "best":
        assert "the weights are chosen by the loss on the training videos" in caplog.text


@pytest.fixture(autouse=True, scope="module")
def _quick_baselines() -> Iterator[None]:
    """Fits of classifiers have tests of their own."""

    def majority(videos: list[LabeledFrames], num_labels: int, *, frames_per_second: float) -> dict[str, Majority]:
        return {"majority": Majority(np.full(num_labels, 1 / num_labels))}

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(fitted_baselines, "fit_frame_baselines", majority)
        yield


def killed_at_step(step: int, training: int) -> Callable[[Progress], None]:
    """Kill at a step of the first or the second training."""
    num_begun = 0

    def listen(progress: Progress) -> None:
        nonlocal num_begun
        num_begun += progress.done == 1
        if (num_begun, progress.done) == (training, step):
            raise KilledError

    return listen


def kill(*_: Any, **__: Any) -> None:
    raise KilledError


@pytest.fixture(scope="module")
def undisturbed(small: tuple[Features, Annotations], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    run = tmp_path_factory.mktemp("undisturbed") / "run"
    trained(*small, run, config=segmentation_config(checkpoint_every=3))
    return content(run)


@pytest.mark.parametrize("moment", [(2, 1), (7, 1), (1, 2), (8, 2)])
def test_killed_while_training_it_goes_on_to_the_same_bits(
    small: tuple[Features, Annotations], tmp_path: Path, undisturbed: dict[str, Any], moment: tuple[int, int]
) -> None:
    config = segmentation_config(checkpoint_every=3)
    with pytest.raises(KilledError):
        trained(*small, tmp_path / "run", config=config, on_progress=killed_at_step(*moment))
    trained(*small, tmp_path / "run", config=config, resume=True)
    assert_same(content(tmp_path / "run"), undisturbed)


@pytest.mark.parametrize("step", ["train_members", "choose", "refit_baselines", "finish_members"])
def test_killed_between_its_steps_it_goes_on_to_the_same_bits(
    small: tuple[Features, Annotations],
    tmp_path: Path,
    undisturbed: dict[str, Any],
    step: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = segmentation_config(checkpoint_every=3)
    with monkeypatch.context() as patched, pytest.raises(KilledError):
        patched.setattr(segmentation, step, kill)
        trained(*small, tmp_path / "run", config=config)
    trained(*small, tmp_path / "run", config=config, resume=True)
    assert_same(content(tmp_path / "run"), undisturbed)


def test_a_finished_run_can_be_given_more_steps(small: tuple[Features, Annotations], tmp_path: Path) -> None:
    constant = OptimizerSettings(warmup_steps=2, lr_schedule="constant")
    shorter, longer = (segmentation_config(steps=steps, validate_every=7, optimizer=constant) for steps in (7, 14))
    trained(*small, tmp_path / "at once", config=longer)
    trained(*small, tmp_path / "run", config=shorter)
    trained(*small, tmp_path / "run", config=longer, resume=True)
    assert SegmenterRun.load(tmp_path / "run").rules
    at_once, in_two = (content(tmp_path / name)["weights"] for name in ("at once", "run"))
    assert_same(in_two, at_once)


def test_a_run_goes_on_with_its_own_annotations_alone(small: tuple[Features, Annotations], tmp_path: Path) -> None:
    features, annotations = small
    with pytest.raises(KilledError):
        trained(features, annotations, tmp_path / "run", on_progress=killed_after(4))
    changed = [replace(one, end=one.end + 0.4) if one.video == "v3.npy" else one for one in annotations.segments]
    changed = [one for one in changed if one.end <= 40 / FPS]
    others = Annotations.of(changed[:3] + changed[4:], annotations.watched)
    with pytest.raises((ConfigError, OutputError, LabelError)) as caught:
        trained(features, others, tmp_path / "run", resume=True)
    assert "\n" not in str(caught.value)
    assert "annotations" in str(caught.value)
    trained(features, annotations, tmp_path / "run", resume=True)


def test_what_cannot_be_learned_is_said(small: tuple[Features, Annotations], tmp_path: Path) -> None:
    features, annotations = small
    one_label = [one for one in annotations.segments if one.label == "left"]
    with pytest.raises(LabelError, match=r"training videos have left alone; time without a label is unknown: give --b"):
        trained(features, Annotations.of(one_label), tmp_path / "run")
    several = segmentation_config(segmenter=SegmenterSettings(several_labels=True))
    with pytest.raises(LabelError, match=r"nothing says when these labels do not hold: left, right; say"):
        trained(features, Annotations.of(annotations.segments), tmp_path / "run", config=several)
    of_test = [one for one in annotations.segments if one.video == "v0.npy"]
    with pytest.raises(InputError, match="no video to train on: none has the split 'train'"):
        trained(features, Annotations.of(of_test), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_labels_that_no_training_video_shows_are_not_learned(
    small: tuple[Features, Annotations], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    features, annotations = small
    rare = Segment("v1.npy", 0, 40 / FPS, "jump")
    others = [one for one in annotations.segments if one.video != "v1.npy"]
    with caplog.at_level(logging.WARNING):
        result = trained(features, Annotations.of([*others, rare], annotations.watched), tmp_path / "run")
    assert result.labels == ("left", "right", "background")
    assert "no training video shows jump: not learned" in caplog.text
    assert result.seconds["validation"] == 0


def test_windows_fit_the_videos() -> None:
    usual = fit_segment_windows(SegmentWindows(), [50, 1000])
    assert (usual.length, usual.margin, usual.stride) == (96, 16, 16)
    short = fit_segment_windows(SegmentWindows(), [50, 70])
    assert (short.length, short.margin, short.stride) == (70, 0, 17)
    narrow = fit_segment_windows(SegmentWindows(length=8), [50, 70])
    assert (narrow.length, narrow.margin, narrow.stride) == (8, 1, 1)
    tiny = fit_segment_windows(SegmentWindows(), [1])
    assert (tiny.length, tiny.margin, tiny.stride) == (1, 0, 1)
    with pytest.raises(ConfigError, match=r"both margins leave nothing of windows.length 8; give less than half"):
        fit_segment_windows(SegmentWindows(length=8, margin=4), [50])


def test_one_model_is_trained() -> None:
    with pytest.raises(ConfigError, match="what is trained from segments is one model; leave it out"):
        segmentation_config(ensemble=2)
