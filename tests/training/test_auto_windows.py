"""Windows "auto", the default, fit the videos of a training; what was chosen is logged and stored."""

import logging
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_features import Videos, circles, features_of, training_settings

from vidrep.config.reader import load_recipe, to_mapping
from vidrep.config.settings import EncoderSettings, FinetuneConfig, PretrainConfig, PretrainWindows, SelectionSettings
from vidrep.errors import ConfigError, Stopped
from vidrep.features.annotations import Annotation
from vidrep.models.description import read_description
from vidrep.training.finetune import finetune
from vidrep.training.pretrain import train

SMALL = EncoderSettings(hidden_size=4)


def shortened(videos: Videos, num_frames: int, *keys: str) -> Videos:
    return videos | {key: videos[key][:num_frames] for key in keys}


def trained(folder: Path, videos: Videos, **settings: Any) -> Path:
    config = PretrainConfig(encoder=SMALL, training=training_settings(batch_size=0, steps=2), **settings)
    return train(features_of(folder, videos), folder / "run", config, device="cpu").folder


def windows_of(run: Path) -> dict[str, Any]:
    """Return the windows of model.json, which are those of config.toml."""
    windows = read_description(run).windows
    config = tomllib.loads((run / "config.toml").read_text(encoding="utf-8"))["windows"]
    assert windows.items() <= config.items() and "auto" not in config.values()
    return windows


@pytest.mark.parametrize(("num_frames", "context", "num_future"), [(8, 4, 4), (20, 11, 9), (70, 16, 13)])
def test_a_pretraining_fits_its_windows_to_the_videos(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, num_frames: int, context: int, num_future: int
) -> None:
    with caplog.at_level(logging.INFO, logger="vidrep"):
        run = trained(tmp_path, circles(num_frames=num_frames))
    windows = windows_of(run)
    assert (windows["context"], windows["num_future"], windows["stride"]) == (context, num_future, context // 2)
    expected = f"windows of {context} frames of context and {num_future} that follow, every {context // 2} frames"
    assert expected in caplog.messages


def test_the_defaults_train_on_videos_shorter_than_29_frames(tmp_path: Path) -> None:
    features = features_of(tmp_path, circles(num_frames=12))
    config = load_recipe(PretrainConfig, changes={"training.steps": 1, "encoder.hidden_size": 4})
    assert config.windows == PretrainWindows()
    run = train(features, tmp_path / "run", config, device="cpu").folder
    assert windows_of(run)["context"] == 7
    changes = {"training.steps": 1, "encoder.hidden_size": 4, "selection.enabled": False}
    tuned = load_recipe(FinetuneConfig, changes=changes)
    run = finetune(features, tmp_path / "tuned", tuned, device="cpu").folder
    assert windows_of(run) == {"length": 12, "stride": 6, "to_the_end": True}


def test_videos_without_a_window_are_counted_and_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    videos = shortened(circles(10, num_frames=20), 6, "left/03.npy", "right/07.npy")
    with caplog.at_level(logging.INFO, logger="vidrep"):
        run = trained(tmp_path, videos)
    assert windows_of(run)["context"] == 11
    expected = "2 of 20 videos are shorter than a window of 20 frames and are left out: left/03.npy, right/07.npy"
    assert expected in caplog.messages


def test_videos_of_the_test_split_choose_no_length(tmp_path: Path) -> None:
    videos = shortened(circles(10, num_frames=20), 6, *(f"left/{number:02d}.npy" for number in range(8)))
    features = features_of(tmp_path, videos)
    annotations = {key: Annotation(None, "test" if len(frames) == 6 else "train") for key, frames in videos.items()}
    config = PretrainConfig(encoder=SMALL, training=training_settings(batch_size=0, steps=1))
    run = train(features, tmp_path / "run", config, annotations=annotations, device="cpu").folder
    assert windows_of(run)["context"] + windows_of(run)["num_future"] == 20


def test_a_fine_tuning_pads_short_videos_and_logs_the_length(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    features = features_of(tmp_path, shortened(circles(10, num_frames=20), 6, "left/03.npy"))
    config = FinetuneConfig(
        encoder=SMALL,
        training=training_settings(batch_size=0, steps=1),
        selection=SelectionSettings(enabled=False),
    )
    with caplog.at_level(logging.INFO, logger="vidrep"):
        result = finetune(features, tmp_path / "run", config, device="cpu")
    assert windows_of(result.folder) == {"length": 16, "stride": 8, "to_the_end": True}
    assert "windows of 16 frames, every 8 frames" in caplog.messages
    assert result.num_train_videos + result.num_validation_videos + result.num_test_videos == 20


def test_a_run_goes_on_with_auto_and_with_what_was_chosen(tmp_path: Path) -> None:
    run = trained(tmp_path, circles(num_frames=8))
    features, config = features_of(tmp_path, circles(num_frames=8)), load_recipe(PretrainConfig, run / "config.toml")
    assert config.windows.context == 4
    train(features, run, config, device="cpu", resume=True)
    auto = PretrainConfig(encoder=SMALL, training=training_settings(batch_size=0, steps=2))
    train(features, run, auto, device="cpu", resume=True)
    assert to_mapping(load_recipe(PretrainConfig, run / "config.toml")) == to_mapping(config)


@pytest.mark.parametrize(
    ("objectives", "num_future", "message"),
    [
        (("reconstruction",), 2, r"windows.num_future is 2, but no objective \(reconstruction\) needs frames after"),
        (("reconstruction", "future"), 0, r"windows.num_future is 0, but an objective needs frames after the context"),
        (("future",), 0, r"windows.num_future is 0, but an objective needs frames after the context; set it above 0"),
    ],
)
def test_windows_that_contradict_the_objectives_are_refused(
    tmp_path: Path, objectives: tuple[str, ...], num_future: int, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        trained(tmp_path, circles(), objectives=objectives, windows=PretrainWindows(num_future=num_future))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("call", [train, finetune])
def test_one_seed_keeps_the_other_settings_of_its_kind(tmp_path: Path, call: Callable[..., Any]) -> None:
    """`vidrep finetune --no-auto --seed 3` trains 1000 steps and validates after every 50, as without --seed."""
    config_class: Any = PretrainConfig if call is train else FinetuneConfig
    fixed = {} if call is train else {"selection.enabled": False}
    config = load_recipe(config_class, changes={"training.seed": 3, "encoder.hidden_size": 4, **fixed})

    def stop() -> bool:
        return True

    with pytest.raises(Stopped, match=f"stopped at step 1 of {2000 if call is train else 1000}"):
        call(features_of(tmp_path, circles()), tmp_path / "run", config, device="cpu", should_stop=stop)
    stored = tomllib.loads((tmp_path / "run" / "config.toml").read_text(encoding="utf-8"))["training"]
    expected = (2000, 100, 3) if call is train else (1000, 50, 3)
    assert (stored["steps"], stored["validate_every"], stored["seed"]) == expected
