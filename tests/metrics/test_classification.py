"""Probabilities of windows and videos."""

from pathlib import Path

import numpy as np
import pytest
import torch
from small_features import features_of

from vidrep.config.checks import NoSettings
from vidrep.metrics import classification
from vidrep.metrics.classification import Accuracy, average_over_windows, classify_windows
from vidrep.metrics.intervals import wilson_interval
from vidrep.models.cells.lstm import LSTMSettings
from vidrep.models.classifier import Classifier
from vidrep.models.encoder import StackSpec
from vidrep.models.heads.prototypes import PrototypesSettings
from vidrep.models.inputs import InputTransforms
from vidrep.models.pretraining import PretrainingNetwork
from vidrep.models.saved import TrainedModel
from vidrep.sequences.windows import Windows, sliding_windows


@pytest.fixture
def windows(tmp_path: Path) -> Windows:
    rng = np.random.default_rng(0)
    videos = {f"{n}.npy": rng.standard_normal((n, 3)).astype(np.float32) for n in (2, 5, 9)}
    return sliding_windows(features_of(tmp_path, videos), [2, 0, 1], length=4, stride=2, keep_short=True)


STACK = StackSpec(cell="lstm", settings=LSTMSettings(), hidden_size=4, dropout=0.5)


@pytest.fixture
def model() -> TrainedModel:
    torch.manual_seed(0)
    network = Classifier(
        encoders=[(3, STACK)], num_classes=3, head="every_step", head_settings=NoSettings(), dropout=0.5
    )
    return TrainedModel(InputTransforms(3, {}), network)


def test_windows_are_classified_as_each_by_itself(
    windows: Windows, model: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = []
    for video, start, length in zip(windows.videos, windows.starts, windows.lengths, strict=True):
        frames = torch.from_numpy(windows.features.rows(int(video))[start : start + length].copy())
        with torch.no_grad():
            expected.append(model.eval().network(frames[:, None])[0].numpy())
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


def test_groups_are_centered_by_the_mean_of_their_windows(windows: Windows, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the batches; the head's center is subtracted from windows without a group alone."""
    torch.manual_seed(0)
    settings = PrototypesSettings()
    network = Classifier(
        encoders=[(3, STACK)], num_classes=3, head="prototypes", head_settings=settings, center_groups=True
    ).eval()
    head = network.fitted_head
    head.fit(torch.randn(9, 4), torch.arange(9) % 3)
    assert head.center is not None
    head.center.copy_(torch.tensor([0.1, -0.2, 0.3, 0.0]))
    model, groups = TrainedModel(InputTransforms(3, {}), network), np.array([2, -1, 0, 2, 0, 2, 2])
    alone = [windows.gather(np.array([one]))[:length] for one, length in enumerate(windows.lengths)]
    with torch.no_grad():
        read = torch.cat([network.encoder(torch.from_numpy(one))[0][-1] for one in alone]).double().numpy()
    means = {-1: head.center.numpy()} | {group: read[groups == group].mean(axis=0) for group in (0, 2)}
    rows = read - np.stack([means[group] for group in groups.tolist()])
    cosines = torch.nn.functional.cosine_similarity(
        torch.from_numpy(rows)[:, None], head.state_dict()["prototypes"].double()[None], dim=2
    )
    expected = (cosines / settings.temperature).softmax(dim=1).numpy()
    for batch_size in (64, 2):
        monkeypatch.setattr(classification, "BATCH_SIZE", batch_size)
        found = classify_windows(model, windows, device=torch.device("cpu"), groups=groups)
        np.testing.assert_allclose(found, expected, atol=1e-5)
    found = classify_windows(model, windows, device=torch.device("cpu"))
    np.testing.assert_allclose(found[1], expected[1], atol=1e-5)
    assert np.abs(found - expected).max() > 0.01


def test_shuffling_moves_the_frames_of_a_window_and_nothing_else(windows: Windows, model: TrainedModel) -> None:
    device = torch.device("cpu")
    plain = classify_windows(model, windows, device=device)
    shuffled = classify_windows(model, windows, device=device, shuffle_seed=0)
    np.testing.assert_array_equal(shuffled, classify_windows(model, windows, device=device, shuffle_seed=0))
    assert (shuffled != plain).any()
    read: list[torch.Tensor] = []
    model.network.register_forward_pre_hook(lambda module, given: read.append(given[0]))
    classify_windows(model, windows, device=device, shuffle_seed=0)
    for column, (frames, length) in enumerate(zip(read[0].unbind(dim=1), windows.lengths, strict=True)):
        original = windows.gather(np.array([column]))[:, 0]
        assert sorted(map(tuple, frames.tolist())) == sorted(map(tuple, original.tolist()))
        assert not frames[length:].any()


def test_a_pretraining_does_not_classify(windows: Windows) -> None:
    network = PretrainingNetwork(frame_size=3, stack=STACK, objectives={}, likelihood="gaussian", num_context=2)
    model = TrainedModel(InputTransforms(3, {}), network)
    with pytest.raises(TypeError, match="a PretrainingNetwork does not classify"):
        classify_windows(model, windows, device=torch.device("cpu"))


def test_an_accuracy_has_the_interval_of_its_groups() -> None:
    true, predicted = np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1])
    few = Accuracy.of(true, predicted, list("abcd"))
    assert (few.accuracy, few.low, few.high, few.num_groups) == (0.75, None, None, 4)
    assert few.balanced_accuracy == pytest.approx((2 / 3 + 1) / 2)
    enough = Accuracy.of(np.tile(true, 2), np.tile(predicted, 2), list("abcdefgh"))
    assert (enough.low, enough.high) == wilson_interval(6, 8)
