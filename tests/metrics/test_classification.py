"""Probabilities of windows and videos."""

from pathlib import Path

import numpy as np
import pytest
import torch
from small_features import features_of

from vidrep.metrics import classification
from vidrep.metrics.classification import average_over_windows, classify_windows
from vidrep.models.classifier import Classifier
from vidrep.models.composite import CompositeModel
from vidrep.models.saved import ScaledModel
from vidrep.models.scaling import FrameScaler
from vidrep.sequences.windows import Windows, sliding_windows


@pytest.fixture
def windows(tmp_path: Path) -> Windows:
    rng = np.random.default_rng(0)
    videos = {f"{n}.npy": rng.standard_normal((n, 3)).astype(np.float32) for n in (2, 5, 9)}
    return sliding_windows(features_of(tmp_path, videos), [2, 0, 1], length=4, stride=2, keep_short=True)


@pytest.fixture
def model() -> ScaledModel:
    torch.manual_seed(0)
    return ScaledModel(FrameScaler(3, "real"), Classifier(frame_size=3, num_classes=3, hidden_size=4, dropout=0.5))


def test_windows_are_classified_as_each_by_itself(
    windows: Windows, model: ScaledModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = []
    for video, start, length in zip(windows.videos, windows.starts, windows.lengths, strict=True):
        frames = torch.from_numpy(windows.features.rows(int(video))[start : start + length].copy())
        with torch.no_grad():
            expected.append(model.eval().model(frames[:, None]).softmax(dim=-1).mean(dim=0)[0].numpy())
    for batch_size in (64, 2):
        monkeypatch.setattr(classification, "BATCH_SIZE", batch_size)
        found = classify_windows(model.train(), windows, device=torch.device("cpu"))
        np.testing.assert_allclose(found, np.stack(expected), atol=1e-6)


def test_a_videos_probability_is_the_mean_of_its_windows(windows: Windows) -> None:
    probabilities = np.random.default_rng(0).random((len(windows), 3))
    averaged = average_over_windows(windows, probabilities)
    assert list(averaged) == [0, 1, 2]
    for video, found in averaged.items():
        np.testing.assert_allclose(found, probabilities[windows.videos == video].mean(axis=0), rtol=1e-14)


def test_shuffling_moves_the_frames_of_a_window_and_nothing_else(windows: Windows, model: ScaledModel) -> None:
    device = torch.device("cpu")
    plain = classify_windows(model, windows, device=device)
    shuffled = classify_windows(model, windows, device=device, shuffle_seed=0)
    np.testing.assert_array_equal(shuffled, classify_windows(model, windows, device=device, shuffle_seed=0))
    assert (shuffled != plain).any()
    seen: list[torch.Tensor] = []
    model.model.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    classify_windows(model, windows, device=device, shuffle_seed=0)
    for column, (frames, length) in enumerate(zip(seen[0].unbind(dim=1), windows.lengths, strict=True)):
        original = windows.gather(np.array([column]))[:, 0]
        assert sorted(map(tuple, frames.tolist())) == sorted(map(tuple, original.tolist()))
        assert not frames[length:].any()


def test_a_composite_model_does_not_classify(windows: Windows) -> None:
    model = ScaledModel(FrameScaler(3, "real"), CompositeModel(frame_size=3, hidden_size=2))
    with pytest.raises(TypeError, match="a CompositeModel does not classify"):
        classify_windows(model, windows, device=torch.device("cpu"))
