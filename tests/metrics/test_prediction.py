"""Figures of predictions, and of the trivial ones beside them, against plain NumPy on the same windows."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from small_features import features_of

from vidrep.features.store import Features
from vidrep.metrics import prediction
from vidrep.metrics.prediction import Curve, PredictionMetrics, filmstrip_rows, prediction_metrics
from vidrep.models.classifier import Classifier
from vidrep.models.composite import CompositeModel
from vidrep.models.saved import ScaledModel
from vidrep.models.scaling import FrameScaler
from vidrep.progress import Progress
from vidrep.sequences.windows import Windows, sliding_windows
from vidrep.training.preparation import fit_scaler

SEEN, PREDICTED = 3, 2
CPU = torch.device("cpu")
Floats = NDArray[np.float64]
Guesses = dict[str, tuple[Floats, dict[str, Floats]]]


def prepared(
    folder: Path, dtype: str, values: str, *shape: int, length: int = SEEN + PREDICTED, **settings: bool
) -> tuple[ScaledModel, Windows, Features]:
    rng = np.random.default_rng(0)
    scale = 255 if dtype == "uint8" else 3
    videos = {f"{n}.npy": (scale * rng.random((4 + 3 * n, *shape))).astype(dtype) for n in range(5)}
    features = features_of(folder, videos)
    scaler = fit_scaler(features, [3, 4], values)  # type: ignore[arg-type]
    torch.manual_seed(0)
    composite = CompositeModel(frame_size=features.frame_size, hidden_size=4, values=values, **settings)  # type: ignore[arg-type]
    windows = sliding_windows(features, [0, 1, 2], length=length, stride=2)
    return ScaledModel(scaler, composite), windows, features


def measured(
    model: ScaledModel, windows: Windows, features: Features, reconstructed: int | None = None
) -> PredictionMetrics:
    return prediction_metrics(
        model,
        windows,
        seen=SEEN,
        predicted=windows.length - SEEN,
        reconstructed=reconstructed,
        frame_shape=features.frame_shape,
        device=CPU,
    )


def truth_and_guesses(model: ScaledModel, windows: Windows, features: Features, reconstructed: int = SEEN) -> Guesses:
    """All frames of all windows, (N, W, D) in original units, beside each prediction of them."""
    divisor = 255 if features.dtype == "uint8" else 1
    slices = [features.rows(v)[s : s + windows.length] for v, s in zip(windows.videos, windows.starts, strict=True)]
    frames = np.stack(slices, axis=1).reshape(windows.length, len(windows), -1).astype(np.float64) / divisor
    training = np.concatenate([features.rows(3), features.rows(4)]).astype(np.float64) / divisor
    training = training.reshape(len(training), -1)
    mean, std = training.mean(axis=0), training.std(axis=0)
    real = model.scaler.values == "real"
    inputs = torch.from_numpy((frames - mean) / std if real else frames).float()
    seen, coming = inputs[:SEEN], inputs[SEEN:]
    composite = model.model
    numbers = {"num_reconstructed": reconstructed, "num_predicted": len(coming)}
    with torch.no_grad():
        free = composite.decode(composite.encode(seen), **numbers)
        forced = composite.decode(composite.encode(seen), **numbers, seen=seen, coming=coming)
    result = {}
    for decoder, truth in (("reconstruction", frames[SEEN - reconstructed : SEEN]), ("future", frames[SEEN:])):
        if getattr(free, decoder) is None:
            continue
        guesses = {
            "mean frame": np.broadcast_to(mean, truth.shape),
            "persistence": np.broadcast_to(frames[SEEN - 1], truth.shape),
            "zeros": np.zeros(truth.shape),
        }
        emitted = {"model": free}
        if getattr(composite, f"{decoder}_decoder").conditional:
            emitted["model, teacher-forced"] = forced
        for name, one in emitted.items():
            guess = getattr(one, decoder).double().numpy()
            guesses[name] = guess * std + mean if real else 1 / (1 + np.exp(-guess))
        result[decoder] = truth, guesses
    return result


def per_time_step(costs: Floats) -> list[float]:
    """Average costs, (N, W, D), summed over D, over windows."""
    return [float(step.sum(axis=-1).mean()) for step in costs]


def assert_curves(found: dict[str, Curve], expected: dict[str, list[float]]) -> None:
    assert found.keys() == expected.keys()
    for predictor, steps in expected.items():
        assert found[predictor].per_time_step == pytest.approx(steps, rel=1e-5, abs=1e-6), predictor
        assert found[predictor].mean == pytest.approx(np.mean(steps), rel=1e-5, abs=1e-6), predictor


@pytest.mark.parametrize("batch_size", [64, 4])
def test_figures_of_real_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_size: int) -> None:
    monkeypatch.setattr(prediction, "_MOST_WINDOWS", batch_size)
    monkeypatch.setattr(prediction, "_PIECE_VALUES", 5 * 3)
    model, windows, features = prepared(tmp_path, "float32", "real", 5)
    metrics = measured(model, windows, features)
    assert len(windows) == 6
    assert (metrics.num_windows, metrics.seen, metrics.reconstructed, metrics.predicted) == (6, SEEN, SEEN, PREDICTED)
    std = np.concatenate([features.rows(3), features.rows(4)]).astype(np.float64).std(axis=0)
    expected = truth_and_guesses(model, windows, features)
    assert metrics.costs.keys() == expected.keys() == {"reconstruction", "future"}
    for decoder, (truth, guesses) in expected.items():
        costs = metrics.costs[decoder]
        assert costs.keys() == {"squared_error", "squared_error_standardized", "absolute_error"}
        errors = {name: guess - truth for name, guess in guesses.items()}
        assert_curves(costs["squared_error"], {name: per_time_step(one**2) for name, one in errors.items()})
        assert_curves(costs["absolute_error"], {name: per_time_step(abs(one)) for name, one in errors.items()})
        assert_curves(
            costs["squared_error_standardized"], {name: per_time_step((one / std) ** 2) for name, one in errors.items()}
        )


def nats(p: Floats, v: Floats) -> Floats:
    return -v * np.log(np.maximum(p, 1e-6)) - (1 - v) * np.log(np.maximum(1 - p, 1e-6))


def test_figures_of_probabilities(tmp_path: Path) -> None:
    model, windows, features = prepared(tmp_path, "uint8", "probability", 5, reconstruct=False)
    metrics = measured(model, windows, features)
    assert metrics.costs.keys() == {"future"}
    truth, guesses = truth_and_guesses(model, windows, features)["future"]
    costs = metrics.costs["future"]
    assert costs.keys() == {"nats", "squared_error", "absolute_error"}
    errors = {name: guess - truth for name, guess in guesses.items()}
    assert_curves(costs["squared_error"], {name: per_time_step(one**2) for name, one in errors.items()})
    inside = np.clip(truth, 1e-12, 1 - 1e-12)
    floor = per_time_step(-inside * np.log(inside) - (1 - inside) * np.log(1 - inside))
    expected = {name: per_time_step(nats(guess, truth)) for name, guess in guesses.items()}
    assert_curves(costs["nats"], expected | {"entropy floor": floor})
    assert all(min(steps) > max(floor) for steps in expected.values())


def test_figures_of_images(tmp_path: Path) -> None:
    model, windows, features = prepared(tmp_path, "uint8", "probability", 12, 13, conditional_future=True)
    metrics = measured(model, windows, features)
    for decoder, (truth, guesses) in truth_and_guesses(model, windows, features).items():
        costs = metrics.costs[decoder]
        assert list(costs) == ["nats", "squared_error", "absolute_error", "ssim", "psnr"]
        ssim: dict[str, list[float]] = {}
        psnr: dict[str, list[float]] = {}
        for name, guess in guesses.items():
            pairs = np.stack([truth, guess], axis=2).reshape(*truth.shape[:2], 2, 12, 13)
            if name == "persistence" and decoder == "reconstruction":
                pairs = pairs[:-1]  # the persistence is itself: scikit-image has no figure for that
            ssim[name] = [
                np.mean([
                    structural_similarity(*one, gaussian_weights=True, use_sample_covariance=False, data_range=1)
                    for one in step
                ])
                for step in pairs
            ]  # fmt: skip
            psnr[name] = [np.mean([peak_signal_noise_ratio(*one, data_range=1) for one in step]) for step in pairs]
            if len(pairs) < len(truth):
                ssim[name].append(1)
                psnr[name].append(100)
        assert_curves(costs["ssim"], ssim)
        assert_curves(costs["psnr"], psnr)


@pytest.mark.parametrize(("shape", "with_psnr"), [((10, 14), True), ((140,), False), ((2, 5, 7, 2), False)])
def test_only_images_with_room_for_a_window_have_ssim(tmp_path: Path, shape: tuple[int, ...], with_psnr: bool) -> None:
    costs = measured(*prepared(tmp_path, "uint8", "probability", *shape)).costs["future"]
    assert ("psnr" in costs) == with_psnr
    assert "ssim" not in costs


def test_float_images_have_neither_ssim_nor_psnr(tmp_path: Path) -> None:
    assert measured(*prepared(tmp_path, "float32", "real", 12, 12)).costs["future"].keys().isdisjoint({"ssim", "psnr"})


@pytest.mark.parametrize(("reconstruction", "future"), [(False, False), (True, False), (False, True), (True, True)])
def test_teacher_forced_figures_stand_where_a_decoder_is_conditional(
    tmp_path: Path, reconstruction: bool, future: bool
) -> None:
    settings = {"conditional_reconstruction": reconstruction, "conditional_future": future}
    model, windows, features = prepared(tmp_path, "uint8", "probability", 5, **settings)
    with torch.no_grad():  # so that what is read says something
        for parameter in model.model.parameters():
            parameter.mul_(3)
    metrics = measured(model, windows, features)
    expected = truth_and_guesses(model, windows, features)
    for decoder, conditional in (("reconstruction", reconstruction), ("future", future)):
        found = metrics.costs[decoder]["nats"]
        assert ("model, teacher-forced" in found) == conditional
        truth, guesses = expected[decoder]
        wanted = {name: per_time_step(nats(guess, truth)) for name, guess in guesses.items()}
        assert_curves({name: curve for name, curve in found.items() if name != "entropy floor"}, wanted)
        if conditional:
            free, forced = found["model"].per_time_step, found["model, teacher-forced"].per_time_step
            first = -1 if decoder == "reconstruction" else 0  # whose input is zero either way
            assert free[first] == pytest.approx(forced[first], rel=1e-6)
            assert free[1] != pytest.approx(forced[1], rel=1e-4)


def test_the_last_frames_seen_are_reconstructed(tmp_path: Path) -> None:
    model, windows, features = prepared(tmp_path, "float32", "real", 5)
    metrics = measured(model, windows, features, reconstructed=2)
    truth, guesses = truth_and_guesses(model, windows, features, reconstructed=2)["reconstruction"]
    assert metrics.reconstructed == 2
    expected = {name: per_time_step((guess - truth) ** 2) for name, guess in guesses.items()}
    assert {len(steps) for steps in expected.values()} == {2}
    assert_curves(metrics.costs["reconstruction"]["squared_error"], expected)


def test_a_roll_out_begins_like_a_short_one(tmp_path: Path) -> None:
    settings = {"conditional_future": True, "reconstruct": False}
    model, windows, features = prepared(tmp_path, "uint8", "probability", 5, length=SEEN + 7, **settings)
    long = measured(model, windows, features).costs["future"]["nats"]
    short_windows = Windows(features, SEEN + 2, windows.videos, windows.starts, windows.lengths - 5)
    short = measured(model, short_windows, features).costs["future"]["nats"]
    for name, curve in short.items():
        assert len(long[name].per_time_step) == 7
        assert long[name].per_time_step[:2] == pytest.approx(curve.per_time_step, rel=1e-6)


def test_without_a_future_decoder_only_the_reconstruction_is_measured(tmp_path: Path) -> None:
    metrics = measured(*prepared(tmp_path, "float32", "real", 5, future=False))
    assert metrics.costs.keys() == {"reconstruction"}
    assert asdict(metrics)["costs"]["reconstruction"]["squared_error"]["zeros"].keys() == {"mean", "per_time_step"}


def test_progress_counts_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction, "_MOST_WINDOWS", 4)
    model, windows, _ = prepared(tmp_path, "float32", "real", 5)
    heard: list[Progress] = []
    prediction_metrics(
        model, windows, seen=SEEN, predicted=PREDICTED, frame_shape=(5,), device=CPU, on_progress=heard.append
    )
    assert [(one.done, one.total) for one in heard] == [(4, 6), (6, 6)]


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    model, windows, _ = prepared(tmp_path, "float32", "real", 5)
    with pytest.raises(ValueError, match="windows of 5 frames, expected 3 seen and 4 predicted"):
        prediction_metrics(model, windows, seen=3, predicted=4, frame_shape=(5,), device=CPU)
    classifier = ScaledModel(FrameScaler(5, "real"), Classifier(frame_size=5, hidden_size=2, num_classes=2))
    with pytest.raises(TypeError, match="a Classifier makes no predictions"):
        prediction_metrics(classifier, windows, seen=3, predicted=2, frame_shape=(5,), device=CPU)


@pytest.mark.parametrize(
    ("settings", "reconstructed", "start", "stop"),
    [({}, None, 0, 5), ({}, 2, 1, 5), ({"reconstruct": False}, None, 3, 5), ({"future": False}, None, 0, 3)],
)
def test_rows_of_a_filmstrip(
    tmp_path: Path, settings: dict[str, bool], reconstructed: int | None, start: int, stop: int
) -> None:
    model, windows, features = prepared(tmp_path, "uint8", "probability", 6, 4, **settings)
    strips = filmstrip_rows(
        model, windows, seen=3, predicted=2, reconstructed=reconstructed, frame_shape=(6, 4), device=CPU, num_windows=3
    )
    by_decoder = truth_and_guesses(model, windows, features, reconstructed or SEEN)
    expected = 255 * np.concatenate([guesses["model"] for _, guesses in by_decoder.values()])
    assert len(strips) == 3
    for number, (truth, made) in zip((0, 2, 5), strips, strict=True):  # of six windows
        first = windows.starts[number]
        assert (truth.start, made.start) == (0, start)
        np.testing.assert_array_equal(truth.frames, features.rows(windows.videos[number])[first : first + 5])
        assert made.frames.dtype == np.uint8
        assert made.frames.shape == (stop - start, 6, 4)
        assert abs(made.frames.reshape(stop - start, -1) - expected[:, number]).max() < 0.501


def test_a_filmstrip_clips_what_is_beyond_black_and_white(tmp_path: Path) -> None:
    model, windows, _ = prepared(tmp_path, "uint8", "real", 6, 4, reconstruct=False)
    with torch.no_grad():
        model.model.future_decoder.readout.bias[:12] = -1e3
        model.model.future_decoder.readout.bias[12:] = 1e3
    for _, made in filmstrip_rows(model, windows, seen=3, predicted=2, frame_shape=(6, 4), device=CPU):
        assert (made.frames[:, :3] == 0).all()
        assert (made.frames[:, 3:] == 255).all()
