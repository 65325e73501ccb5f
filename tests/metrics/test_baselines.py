"""Baselines are scikit-learn's logistic regression, however they are stored."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from vidrep.errors import InputError
from vidrep.metrics import baselines
from vidrep.metrics.baselines import Baselines, fit_baselines, load_baselines, save_baselines

LENGTHS = [4, 9, 1, 6, 5, 8]


def videos(num_classes: int) -> tuple[list[Tensor], NDArray[np.int64]]:
    rng = np.random.default_rng(0)
    classes = np.arange(len(LENGTHS)) % num_classes
    return [
        torch.from_numpy(rng.standard_normal((n, 3)) + one).float() for n, one in zip(LENGTHS, classes, strict=True)
    ], classes


def fitted(num_classes: int, *, of: int | None = None) -> tuple[Baselines, list[Tensor], NDArray[np.int64]]:
    frames, classes = videos(num_classes)
    return fit_baselines(iter(frames), lengths=LENGTHS, classes=classes, num_classes=of or num_classes), frames, classes


@pytest.mark.parametrize("num_classes", [2, 3])
def test_they_predict_what_scikit_learn_predicts(num_classes: int) -> None:
    ours, frames, classes = fitted(num_classes)
    single = LogisticRegression(max_iter=300).fit(torch.cat(frames).numpy(), np.repeat(classes, LENGTHS))
    mean = LogisticRegression(max_iter=300).fit(np.stack([video.numpy().mean(axis=0) for video in frames]), classes)
    for video in frames:
        found = ours.video_probabilities(video)
        single_frame = single.predict_proba(video.numpy()).mean(axis=0)
        mean_feature = mean.predict_proba(video.numpy().mean(axis=0, keepdims=True))[0]
        np.testing.assert_allclose(found["single frame"].numpy(), single_frame, atol=1e-5)
        np.testing.assert_allclose(found["mean feature"].numpy(), mean_feature, atol=1e-5)


def test_a_class_without_videos_is_never_chosen() -> None:
    ours, frames, _ = fitted(2, of=3)
    for probabilities in ours.video_probabilities(frames[0]).values():
        assert probabilities.shape == (3,)
        assert probabilities[2] == 0
    only = fit_baselines(frames, lengths=LENGTHS, classes=np.ones(len(frames), dtype=int), num_classes=3)
    assert only.video_probabilities(frames[0])["single frame"].tolist() == [0, 1, 0]


def test_of_many_frames_evenly_spread_ones_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "_MAX_FRAMES", 12)
    ours, frames, classes = fitted(2)
    kept = np.linspace(0, sum(LENGTHS) - 1, 12).astype(int)
    inputs, targets = torch.cat(frames).numpy()[kept], np.repeat(classes, LENGTHS)[kept]
    theirs = LogisticRegression(max_iter=300).fit(inputs, targets)
    np.testing.assert_allclose(ours.single_frame.weight[1].numpy(), theirs.coef_[0], atol=1e-5)


def test_they_come_back_from_disk_exactly_or_not_at_all(tmp_path: Path) -> None:
    ours, frames, _ = fitted(3)
    save_baselines(tmp_path, ours)
    found = load_baselines(tmp_path)
    for name, probabilities in ours.video_probabilities(frames[0]).items():
        assert torch.equal(probabilities, found.video_probabilities(frames[0])[name])
    path = tmp_path / "baselines.safetensors"
    path.write_bytes(path.read_bytes()[:50])
    for _ in range(2):
        with pytest.raises(InputError, match=r"baselines.safetensors: cannot be read .* not finished, or damaged"):
            load_baselines(tmp_path)
        path.unlink(missing_ok=True)
