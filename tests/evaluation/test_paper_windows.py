"""The paper's windows: of 16 frames, every 8 frames, with none besides at a video's end."""

from pathlib import Path

import numpy as np
import pytest
import torch
from small_features import features_of, finetune_config

from vidrep.config.reader import load_recipe
from vidrep.config.settings import EncoderSettings, FinetuneConfig, FinetuneWindows
from vidrep.errors import ConfigError
from vidrep.evaluation.classification import ClassificationEvaluation
from vidrep.evaluation.evaluate import evaluate
from vidrep.features.store import Features
from vidrep.models.saved import load_model
from vidrep.training.finetune import finetune

LENGTH, STRIDE = 16, 8
TEST_LENGTHS = range(1, 41)
PAPER = FinetuneWindows(length=LENGTH, stride=STRIDE, to_the_end=False)


@pytest.fixture
def features(tmp_path: Path) -> Features:
    """Videos of two classes to train on, and one of each length from 1 to 40 to test on."""
    rng = np.random.default_rng(0)
    lengths = {f"{'ab'[n % 2]}/test{n:02}.npy": n for n in TEST_LENGTHS}
    lengths |= {f"{name}/train{n}.npy": 20 for name in "ab" for n in range(4)}
    videos = {key: rng.standard_normal((length, 3)).astype(np.float32) for key, length in lengths.items()}
    return features_of(tmp_path, videos, {key: "test" if "test" in key else "train" for key in videos})


def test_every_video_is_scored_once_by_its_own_frames(tmp_path: Path, features: Features) -> None:
    settings = {"windows": PAPER}
    encoder = EncoderSettings(hidden_size=4, dropout=0.5)
    run = finetune(features, tmp_path / "run", finetune_config(encoder=encoder, settings=settings), device="cpu").folder
    found = evaluate(run, features, device="cpu")
    assert isinstance(found, ClassificationEvaluation)
    starts = {length: list(range(0, max(1, length - LENGTH + 1), STRIDE)) for length in TEST_LENGTHS}
    assert found.num_windows == sum(map(len, starts.values())) < sum(-(-max(0, n - 16) // 8) + 1 for n in TEST_LENGTHS)
    assert [one.video for one in found.videos] == sorted(one.video for one in found.videos)
    assert len(found.videos) == found.num_videos == len(TEST_LENGTHS)
    model, _ = load_model(run)
    for one in found.videos:
        rows = np.array(features.rows(features.index(one.video)))
        windows = [rows[start : start + LENGTH] for start in starts[len(rows)]]
        with torch.no_grad():  # each window by itself, without padding
            of_windows = [model.eval().network(model.inputs(torch.from_numpy(w)[:, None]))[0] for w in windows]
        np.testing.assert_allclose(list(one.probabilities.values()), np.mean(of_windows, axis=0), atol=1e-6)


def test_the_recipe_has_them() -> None:
    windows = load_recipe(FinetuneConfig, "srivastava-actions").windows
    assert (windows.length, windows.stride, windows.to_the_end, windows.resample) == (LENGTH, STRIDE, False, False)


def test_clips_reach_the_end() -> None:
    with pytest.raises(ConfigError, match=r"windows\.to_the_end is false, but resampled clips always reach the end"):
        FinetuneWindows(resample=True, to_the_end=False)
