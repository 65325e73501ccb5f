"""Pretraining by views of clips: resumed to the same bits, and one clear line for what cannot be compared."""

import json
import logging
import math
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_features import Videos, circles, features_of, finetune_config, pretrain_config, write_mnist
from toy_training import KilledError, assert_same, killed_after, tree_of

from vidrep.config.settings import (
    EncoderSettings,
    FinetuneWindows,
    PretrainConfig,
    PretrainWindows,
    ViewSettings,
)
from vidrep.errors import ConfigError, InputError, Stopped, VidrepError
from vidrep.features.annotations import Annotation
from vidrep.features.store import Features
from vidrep.inference.predict import predict
from vidrep.models.description import read_description
from vidrep.training.finetune import finetune
from vidrep.training.pretrain import train

CONTRAST = ("contrast",)
EVERY = ("reconstruction", "future", "contrast", "balanced_prototypes")
AUTO = PretrainWindows()


def config_of(*objectives: str, windows: PretrainWindows | None = None, views: Any = None, **training: Any) -> Any:
    reads_windows = bool({"reconstruction", "future"} & set(objectives))
    return pretrain_config(
        encoder=EncoderSettings(hidden_size=5, dropout=0.3),
        windows=windows or (PretrainWindows(context=3, num_future=2, stride=2) if reads_windows else AUTO),
        settings={"objectives": objectives, "views": ViewSettings(num_frames=4, clip_seconds=5.0, **(views or {}))},
        **training,
    )


@pytest.fixture
def features(tmp_path: Path) -> Features:
    return features_of(tmp_path, circles(7))


@pytest.mark.parametrize("objectives", [CONTRAST, EVERY], ids=["alone", "with all"])
@pytest.mark.parametrize("step", [1, 5, 7])
def test_killed_at_any_step_it_goes_on_to_the_same_bits(
    tmp_path: Path, features: Features, objectives: tuple[str, ...], step: int
) -> None:
    config = config_of(*objectives, checkpoint_every=3)
    how: dict[str, Any] = {"device": "cpu", "group_pattern": r"^(\w+)/"}
    whole = train(features, tmp_path / "whole", config, **how).folder
    with pytest.raises(KilledError):
        train(features, tmp_path / "run", config, on_progress=killed_after(step), **how)
    run = train(features, tmp_path / "run", config, resume=True, **how).folder
    assert_same(tree_of(run), tree_of(whole))


def test_stopped_it_goes_on_too(tmp_path: Path, features: Features) -> None:
    whole = train(features, tmp_path / "whole", config_of(*CONTRAST), device="cpu").folder
    asked = count(1)
    with pytest.raises(Stopped, match="stopped at step 6 of 10"):
        train(features, tmp_path / "run", config_of(*CONTRAST), device="cpu", should_stop=lambda: next(asked) >= 6)
    run = train(features, tmp_path / "run", config_of(*CONTRAST), device="cpu", resume=True).folder
    assert_same(tree_of(run), tree_of(whole))


def test_a_fine_tuning_reads_the_clips_and_predicts_the_same_after_a_resume(tmp_path: Path, features: Features) -> None:
    start = train(features, tmp_path / "start", config_of(*CONTRAST, steps=2, validate_every=2), device="cpu").folder
    config = finetune_config(
        encoder=EncoderSettings(dropout=0.3), settings={"windows": FinetuneWindows(least_share=0.6)}
    )
    whole = finetune(features, tmp_path / "whole", config, pretrained=start, device="cpu").folder
    assert read_description(whole).clips == {"num_frames": 4, "clip_seconds": 5.0}
    with pytest.raises(KilledError):
        finetune(features, tmp_path / "run", config, pretrained=start, device="cpu", on_progress=killed_after(7))
    run = finetune(features, tmp_path / "run", config, device="cpu", resume=True).folder
    assert_same(tree_of(run), tree_of(whole))
    found = [[one.probabilities for one in predict(some, features, device="cpu").videos] for some in (whole, run)]
    assert found[0] == found[1] and len(found[0]) == 14


def test_equal_clips_are_at_chance(tmp_path: Path) -> None:
    """All cosines are 1, so that the loss is the logarithm of the other views' number."""
    values = np.random.default_rng(0).normal(size=14)
    videos = {key: np.full_like(one, value) for (key, one), value in zip(circles(7).items(), values, strict=True)}
    config = config_of(*CONTRAST, validation_fraction=0.3)
    result = train(features_of(tmp_path, videos), tmp_path / "run", config, device="cpu")
    lines = [json.loads(line) for line in (result.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    num_held_out = sum(",validation," in line for line in (result.folder / "videos.csv").read_text().splitlines())
    assert lines[-1]["train"]["loss"] == pytest.approx(math.log(2 * 4 - 1), rel=1e-5)
    assert lines[-1]["validation"]["loss"] == pytest.approx(math.log(2 * num_held_out - 1), rel=1e-5)


def refusal(error: type[VidrepError], folder: Path, features: Features | None, config: Any, **options: Any) -> str:
    with pytest.raises(error) as caught:
        train(features, folder / "run", config, device="cpu", **options)
    message = str(caught.value)
    assert "\n" not in message
    assert not (folder / "run").exists()
    return message


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            config_of(*CONTRAST, batch_size=1),
            "training.batch_size is 1, but views of at least 2 clips are compared; give 2 or more",
        ),
        (
            config_of(*EVERY[:3], batch_size=1),
            "training.batch_size is 1, but views of at least 2 clips are compared; give 2 or more",
        ),
        (
            config_of(*CONTRAST, batch_size=100),
            "training.batch_size 100: there are only 11 training videos; give at most that many, or 0 for what fits",
        ),
        (
            config_of("contrast", "future", windows=PretrainWindows(stateful=True)),
            "windows.stateful reads videos in order, but an objective (contrast, future) draws clips; unset it",
        ),
        (
            config_of(*CONTRAST, gradient_accumulation=2),
            "training.gradient_accumulation is 2, but contrast needs the whole batch at once; set it to 1",
        ),
        (
            config_of(*CONTRAST, windows=PretrainWindows(context=3)),
            "windows.context is 3, but no objective (contrast) reads windows; leave it out",
        ),
        (
            config_of("contrast", "reconstruction", windows=PretrainWindows(context=0)),
            "windows.context is 0, but an objective (contrast, reconstruction) reads windows; set it above 0",
        ),
    ],
    ids=["one clip", "one clip, with others", "large batch", "stateful", "accumulated", "context", "no context"],
)
def test_settings_that_views_cannot_have(tmp_path: Path, features: Features, config: Any, message: str) -> None:
    assert refusal(ConfigError, tmp_path, features, config) == message


def splits(videos: Videos, *, train: int, validation: int) -> dict[str, str]:
    names = ["train"] * train + ["validation"] * validation
    return dict(zip(videos, names + ["test"] * (len(videos) - len(names)), strict=True))


@pytest.mark.parametrize(("num_train", "num_validation", "which"), [(1, 3, "training"), (6, 1, "validation")])
def test_one_video_cannot_be_compared(tmp_path: Path, num_train: int, num_validation: int, which: str) -> None:
    videos = circles(4)
    features = features_of(tmp_path, videos, splits(videos, train=num_train, validation=num_validation))
    message = refusal(InputError, tmp_path, features, config_of(*CONTRAST, batch_size=0))
    assert message.endswith(
        f"features.h5: 1 {which} video, but the views of at least 2 are compared; use more videos, or objectives that "
        "read windows alone, such as --recipe composite"
    )


def test_auto_leaves_contrast_out_where_it_cannot_be(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    videos, auto = circles(4), {"objectives": "auto"}
    features = features_of(tmp_path, videos, splits(videos, train=7, validation=1))
    with caplog.at_level(logging.INFO, logger="vidrep"):
        run = train(features, tmp_path / "run", pretrain_config(settings=auto, steps=1), device="cpu").folder
    assert list(read_description(run).objectives) == ["reconstruction", "future"]
    reason = "(no contrast: there are fewer than 2 videos for training or for validation)"
    assert f"objectives: reconstruction, future {reason}" in caplog.messages
    features = features_of(tmp_path, videos)
    config = pretrain_config(settings=auto, steps=1, validation_fraction=0.3)
    with caplog.at_level(logging.INFO, logger="vidrep"):
        run = train(features, tmp_path / "all", config, device="cpu").folder
    assert list(read_description(run).objectives) == ["reconstruction", "future", "contrast"]
    assert "objectives: reconstruction, future, contrast" in caplog.messages


@pytest.mark.parametrize("named", [False, True], ids=["no groups", "groups of one clip each"])
def test_balanced_prototypes_need_groups_of_several_clips(tmp_path: Path, features: Features, named: bool) -> None:
    groups = {video.path: Annotation(None, None, f"person {video.path}") for video in features.videos}
    options = {"annotations": groups} if named else {}
    message = refusal(ConfigError, tmp_path, features, config_of("balanced_prototypes"), **options)
    assert message == (
        "objective balanced_prototypes compares the clips of a group, but each of the 11 training videos is a group of "
        "its own; give --group REGEX or a group column in --labels"
    )


def test_generated_sequences_have_no_views(tmp_path: Path) -> None:
    config = PretrainConfig(objectives=("contrast", "future"))
    message = refusal(ConfigError, tmp_path, None, config, mnist=write_mnist(tmp_path / "digits"))
    assert message == (
        "objectives contrast, future: generated sequences have no clips to take views of; leave out the objectives "
        "that compare views"
    )


def test_a_classifier_cannot_learn_by_views(tmp_path: Path, features: Features) -> None:
    config = finetune_config(settings={"objectives": CONTRAST})
    with pytest.raises(ConfigError, match="objectives: contrast needs more than the window that is classified"):
        finetune(features, tmp_path / "run", config, device="cpu")
