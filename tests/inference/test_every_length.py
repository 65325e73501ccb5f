"""Videos of 1 to 40 frames with windows of 16: each is scored once, by its own frames and by all of them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from small_features import features_of, finetune_config

from vidrep.features.store import Features
from vidrep.inference.classifier import load_classifier
from vidrep.inference.predict import predict
from vidrep.metrics.classification import classification_windows
from vidrep.metrics.predictor import ClassifierRun
from vidrep.training.finetune import finetune

LENGTHS, WINDOW, STRIDE = range(1, 41), 16, 8
Videos = dict[str, NDArray[np.float32]]


def videos_of_every_length() -> Videos:
    rng = np.random.default_rng(0)
    return {
        f"{'odd' if length % 2 else 'even'}/{length:02d}.npy": rng.standard_normal((length, 4)).astype(np.float32)
        for length in LENGTHS
    }


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    config = finetune_config(length=WINDOW, steps=3)
    assert config.windows.stride != STRIDE  # of a run, 2
    return finetune(features_of(folder, videos_of_every_length()), folder / "run", config, device="cpu").folder


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Features:
    return features_of(tmp_path_factory.mktemp("features"), videos_of_every_length())


def test_windows_have_all_frames_of_their_video_and_none_of_another(tmp_path: Path, run: Path) -> None:
    # Each value of a frame is the number of its video and of the frame itself: foreign ones show.
    videos = {
        f"x/{length:02d}.npy": (100 * length + np.arange(length, dtype=np.float32))[:, None] * np.ones(4, np.float32)
        for length in LENGTHS
    }
    features = features_of(tmp_path, videos)
    windows = classification_windows(features, range(len(features)), ClassifierRun.load(run).description)
    gathered = windows.gather(np.arange(len(windows)))[:, :, 0]
    read: dict[int, set[int]] = {length: set() for length in LENGTHS}
    for column, (video, length) in enumerate(zip(windows.videos, windows.lengths, strict=True)):
        values = gathered[:length, column].astype(int)
        assert (gathered[length:, column] == 0).all()
        assert set(values // 100) == {features.videos[video].length}
        assert (np.diff(values) == 1).all()
        read[features.videos[video].length] |= set(values % 100)
    assert read == {length: set(range(length)) for length in LENGTHS}


def test_each_video_is_scored_once_as_if_it_were_alone(run: Path, features: Features) -> None:
    classifier = load_classifier(run, device="cpu")
    found = {one.key: one for one in predict(run, features, device="cpu").videos}
    assert [one.key for one in predict(run, features, device="cpu").videos] == features.paths
    for key, frames in videos_of_every_length().items():
        # Windows by their definition: every 2 frames, and one that ends with the last frame; a short video is one.
        starts = [*range(0, max(len(frames) - WINDOW, 0) + 1, 2)]
        starts += [] if starts[-1] == max(len(frames) - WINDOW, 0) else [len(frames) - WINDOW]
        alone = [classifier(frames[start : start + WINDOW, None])[0] for start in starts]
        expected = np.mean(alone, axis=0)
        of_video = [found[key].probabilities[name] for name in classifier.classes]
        np.testing.assert_allclose(of_video, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("length", [1, 7, 15, 16, 17, 31, 40])
def test_every_frame_of_a_video_counts_and_no_frame_of_another(tmp_path: Path, run: Path, length: int) -> None:
    videos = videos_of_every_length()
    key = next(one for one in videos if one.endswith(f"/{length:02d}.npy"))
    before = _scores(tmp_path, run, videos)
    for frame in {0, length // 2, length - 1}:
        changed = {name: one.copy() for name, one in videos.items()}
        changed[key][frame] += 5
        after = _scores(tmp_path, run, changed)
        assert {name for name in before if not np.array_equal(before[name], after[name])} == {key}


def _scores(folder: Path, run: Path, videos: Videos) -> dict[str, NDArray[np.float64]]:
    features = features_of(folder, videos)
    found = ClassifierRun.load(run).predict(features, range(len(features)), device=torch.device("cpu"))
    return {features.paths[video]: one for video, one in found.items()}
