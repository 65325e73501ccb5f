"""Figures of predictions, and of the trivial ones beside them, against plain NumPy on the same windows."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from small_features import features_of

from vidrep.features.store import Features
from vidrep.models.composite import CompositeModel
from vidrep.models.saved import ScaledModel
from vidrep.sequences.windows import Windows, cut_windows
from vidrep.training import prediction
from vidrep.training.prediction import PredictionFigures, prediction_figures
from vidrep.training.preparation import fit_scaler

SEEN, PREDICTED = 3, 2
Floats = NDArray[np.float64]


def measured(
    folder: Path, dtype: str, values: str, **settings: bool
) -> tuple[PredictionFigures, ScaledModel, Windows, Features]:
    rng = np.random.default_rng(0)
    scale = 255 if dtype == "uint8" else 3
    videos = {f"{n}.npy": (scale * rng.random((4 + 3 * n, 5))).astype(dtype) for n in range(5)}
    features = features_of(folder, videos)
    scaler = fit_scaler(features, [3, 4], values)  # type: ignore[arg-type]
    torch.manual_seed(0)
    model = ScaledModel(scaler, CompositeModel(frame_size=5, hidden_size=4, values=values, **settings))  # type: ignore[arg-type]
    windows = cut_windows(features, [0, 1, 2], length=SEEN + PREDICTED, stride=2)
    figures = prediction_figures(model, windows, seen=SEEN, predicted=PREDICTED, device=torch.device("cpu"))
    return figures, model, windows, features


def truth_and_guesses(
    model: ScaledModel, windows: Windows, features: Features
) -> dict[str, tuple[Floats, dict[str, Floats]]]:
    """All frames of all windows, (T, W, D) in original units, beside each prediction of them."""
    divisor = 255 if features.dtype == "uint8" else 1
    slices = [features.rows(v)[s : s + SEEN + PREDICTED] for v, s in zip(windows.videos, windows.starts, strict=True)]
    frames = np.stack(slices, axis=1).astype(np.float64) / divisor
    training = np.concatenate([features.rows(3), features.rows(4)]).astype(np.float64) / divisor
    mean, std = training.mean(axis=0), training.std(axis=0)
    real = model.scaler.values == "real"
    inputs = torch.from_numpy((frames - mean) / std if real else frames).float()
    with torch.no_grad():
        emitted = model.model(inputs[:SEEN], PREDICTED)
    result = {}
    for decoder, truth in (("reconstruction", frames[:SEEN]), ("future", frames[SEEN:])):
        guess = getattr(emitted, decoder)
        if guess is None:
            continue
        guess = guess.double().numpy()
        result[decoder] = (
            truth,
            {
                "model": guess * std + mean if real else 1 / (1 + np.exp(-guess)),
                "mean frame": np.broadcast_to(mean, truth.shape),
                "last frame": np.broadcast_to(frames[SEEN - 1], truth.shape),
                "zeros": np.zeros(truth.shape),
            },
        )
    return result


def per_frame(costs: Floats) -> float:
    return float(costs.sum(axis=-1).mean())


@pytest.mark.parametrize("batch_size", [64, 4])
def test_figures_of_real_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_size: int) -> None:
    monkeypatch.setattr(prediction, "BATCH_SIZE", batch_size)
    figures, model, windows, features = measured(tmp_path, "float32", "real")
    assert len(windows) == 6
    assert (figures.num_windows, figures.seen, figures.predicted) == (len(windows), SEEN, PREDICTED)
    std = np.concatenate([features.rows(3), features.rows(4)]).astype(np.float64).std(axis=0)
    expected = {
        decoder: {
            "squared_error": {name: per_frame((guess - truth) ** 2) for name, guess in guesses.items()},
            "squared_error_standardised": {
                name: per_frame(((guess - truth) / std) ** 2) for name, guess in guesses.items()
            },
        }
        for decoder, (truth, guesses) in truth_and_guesses(model, windows, features).items()
    }
    assert expected.keys() == {"reconstruction", "future"}
    assert figures.costs.keys() == expected.keys()
    for decoder, costs in expected.items():
        assert figures.costs[decoder].keys() == costs.keys()
        for cost, by_predictor in costs.items():
            assert figures.costs[decoder][cost] == pytest.approx(by_predictor, rel=1e-5)


def test_figures_of_probabilities(tmp_path: Path) -> None:
    figures, model, windows, features = measured(tmp_path, "uint8", "probability", reconstruct=False)
    assert figures.costs.keys() == {"future"}
    truth, guesses = truth_and_guesses(model, windows, features)["future"]

    def nats(p: Floats) -> float:
        return per_frame(-truth * np.log(p) - (1 - truth) * np.log(1 - p))

    assert figures.costs["future"].keys() == {"squared_error", "nats"}
    assert figures.costs["future"]["squared_error"] == pytest.approx(
        {name: per_frame((guess - truth) ** 2) for name, guess in guesses.items()}, rel=1e-5
    )
    inside = np.clip(truth, 1e-12, 1 - 1e-12)
    assert figures.costs["future"]["nats"] == pytest.approx(
        {"model": nats(guesses["model"]), "mean frame": nats(guesses["mean frame"]), "entropy floor": nats(inside)},
        rel=1e-5,
    )
    floor = figures.costs["future"]["nats"].pop("entropy floor")
    assert all(figure > floor for figure in figures.costs["future"]["nats"].values())


def test_without_a_future_decoder_only_the_reconstruction_is_measured(tmp_path: Path) -> None:
    figures, *_ = measured(tmp_path, "float32", "real", future=False)
    assert figures.costs.keys() == {"reconstruction"}
