"""Metrics of predictions, and of the trivial ones beside them, against plain NumPy on the same windows."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from skimage import metrics as skimage_metrics
from small_features import features_of

from vidrep.config.checks import NoSettings
from vidrep.config.settings import Likelihood
from vidrep.features.store import Features
from vidrep.metrics import prediction
from vidrep.metrics.prediction import Curve, PredictionMetrics, filmstrip_rows, prediction_metrics, window_errors
from vidrep.models.cells.lstm import LSTMSettings
from vidrep.models.classifier import Classifier
from vidrep.models.encoder import StackSpec
from vidrep.models.inputs import InputTransforms
from vidrep.models.objectives.frame_objective import FrameObjectiveSettings
from vidrep.models.objectives.reconstruction import Reconstruction
from vidrep.models.pretraining import PretrainingNetwork
from vidrep.models.saved import TrainedModel
from vidrep.progress import Progress
from vidrep.sequences.batches import FeatureBatchSet, VideoNumbers
from vidrep.sequences.windows import Windows, sliding_windows
from vidrep.training.preparation import frames_of

CONTEXT, FUTURE = 3, 2
BOTH = ("reconstruction", "future")
CPU = torch.device("cpu")
STACK = StackSpec(cell="lstm", settings=LSTMSettings(), hidden_size=4)
Floats = NDArray[np.float64]
Guesses = dict[str, tuple[Floats, dict[str, Floats]]]
skimage: Any = skimage_metrics  # which has no types
structural_similarity = partial(
    skimage.structural_similarity, gaussian_weights=True, use_sample_covariance=False, data_range=1
)
peak_signal_noise_ratio = partial(skimage.peak_signal_noise_ratio, data_range=1)


def prepared(
    folder: Path,
    dtype: str,
    likelihood: Likelihood,
    *shape: int,
    length: int = CONTEXT + FUTURE,
    objectives: Sequence[str] = BOTH,
    conditional: Sequence[str] = (),
    num_reconstructed: int = 0,
    transforms: Sequence[str] | None = None,
) -> tuple[TrainedModel, Windows, Features]:
    """Return an untrained model, windows of three videos, and their features; two more videos are trained on."""
    rng = np.random.default_rng(0)
    scale = 255 if dtype == "uint8" else 3
    videos = {f"{n}.npy": (scale * rng.random((4 + 3 * n, *shape))).astype(dtype) for n in range(5)}
    features = features_of(folder, videos)
    if transforms is None:
        transforms = ("standardize",) if likelihood == "gaussian" else ()
    inputs = InputTransforms(features.frame_size, {name: NoSettings() for name in transforms})
    inputs.fit(frames_of(features, [3, 4]))
    torch.manual_seed(0)
    network = PretrainingNetwork(
        frame_size=features.frame_size,
        stack=STACK,
        objectives={name: FrameObjectiveSettings(conditional=name in conditional) for name in objectives},
        likelihood=likelihood,
        num_context=CONTEXT,
        num_reconstructed=num_reconstructed,
    )
    windows = sliding_windows(features, [0, 1, 2], length=length, stride=2)
    return TrainedModel(inputs, network), windows, features


def network_of(model: TrainedModel) -> PretrainingNetwork:
    assert isinstance(model.network, PretrainingNetwork)
    return model.network


def batches_of(windows: Windows) -> FeatureBatchSet:
    return FeatureBatchSet(windows, VideoNumbers.of([row.path for row in windows.features.videos]), CPU)


def measured(model: TrainedModel, windows: Windows, features: Features) -> PredictionMetrics:
    return prediction_metrics(
        model,
        batches_of(windows),
        num_context=CONTEXT,
        num_future=windows.length - CONTEXT,
        frame_shape=features.frame_shape,
        device=CPU,
    )


def targets_and_guesses(model: TrainedModel, windows: Windows, features: Features) -> Guesses:
    """All frames of all windows, (N, W, D) in original units, beside each prediction of them."""
    divisor = 255 if features.dtype == "uint8" else 1
    slices = [features.rows(v)[s : s + windows.length] for v, s in zip(windows.videos, windows.starts, strict=True)]
    frames = np.stack(slices, axis=1).reshape(windows.length, len(windows), -1).astype(np.float64) / divisor
    training = np.concatenate([features.rows(3), features.rows(4)]).astype(np.float64) / divisor
    training = training.reshape(len(training), -1)
    mean, std = training.mean(axis=0), training.std(axis=0)
    network = network_of(model)
    is_real = network.likelihood == "gaussian"
    inputs = torch.from_numpy((frames - mean) / std if is_real else frames).float()
    with torch.no_grad():
        encoded = network.encode(inputs[:CONTEXT])
    result = {}
    for name, objective in network.frame_objectives.items():
        last = slice(CONTEXT - (objective.spec.num_reconstructed or CONTEXT), CONTEXT)
        emitted = last if isinstance(objective, Reconstruction) else slice(CONTEXT, windows.length)
        target = frames[emitted]
        guesses = {
            "mean frame": np.broadcast_to(mean, target.shape),
            "persistence": np.broadcast_to(frames[CONTEXT - 1], target.shape),
            "zeros": np.zeros(target.shape),
        }
        with torch.no_grad():
            outputs = {"model": objective.predict(encoded, len(target))}
            if objective.decoder.conditional:
                forced = objective.predict(encoded, len(target), target=inputs[emitted])
                outputs["model, teacher-forced"] = forced
        for predictor, output in outputs.items():
            guess = output.double().numpy()
            guesses[predictor] = guess * std + mean if is_real else 1 / (1 + np.exp(-guess))
        result[name] = target, guesses
    return result


def per_time_step(errors: Floats) -> list[float]:
    """Average errors, (N, W, D), summed over D, over windows."""
    return [float(step.sum(axis=-1).mean()) for step in errors]


def assert_curves(found: dict[str, Curve], expected: dict[str, list[float]]) -> None:
    assert found.keys() == expected.keys()
    for predictor, steps in expected.items():
        assert found[predictor].per_time_step == pytest.approx(steps, rel=1e-5, abs=1e-6), predictor
        assert found[predictor].mean == pytest.approx(np.mean(steps), rel=1e-5, abs=1e-6), predictor


@pytest.mark.parametrize("batch_size", [64, 4])
def test_metrics_of_gaussian_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_size: int) -> None:
    monkeypatch.setattr(prediction, "_MAX_WINDOWS", batch_size)
    monkeypatch.setattr(prediction, "_VALUES_AT_ONCE", 5 * 3)
    model, windows, features = prepared(tmp_path, "float32", "gaussian", 5)
    metrics = measured(model, windows, features)
    assert len(windows) == 6
    assert (metrics.num_windows, metrics.num_context, metrics.num_reconstructed, metrics.num_future) == (6, 3, 3, 2)
    std = np.concatenate([features.rows(3), features.rows(4)]).astype(np.float64).std(axis=0)
    expected = targets_and_guesses(model, windows, features)
    assert metrics.by_objective.keys() == expected.keys() == {"reconstruction", "future"}
    for objective, (target, guesses) in expected.items():
        found = metrics.by_objective[objective]
        assert found.keys() == {"squared_error", "squared_error_standardized", "absolute_error"}
        errors = {name: guess - target for name, guess in guesses.items()}
        assert_curves(found["squared_error"], {name: per_time_step(one**2) for name, one in errors.items()})
        assert_curves(found["absolute_error"], {name: per_time_step(abs(one)) for name, one in errors.items()})
        assert_curves(
            found["squared_error_standardized"], {name: per_time_step((one / std) ** 2) for name, one in errors.items()}
        )


def nats(p: Floats, v: Floats) -> Floats:
    return -v * np.log(np.maximum(p, 1e-6)) - (1 - v) * np.log(np.maximum(1 - p, 1e-6))


def test_metrics_of_bernoulli_frames(tmp_path: Path) -> None:
    model, windows, features = prepared(tmp_path, "uint8", "bernoulli", 5, objectives=("future",))
    metrics = measured(model, windows, features)
    assert metrics.by_objective.keys() == {"future"}
    target, guesses = targets_and_guesses(model, windows, features)["future"]
    found = metrics.by_objective["future"]
    assert found.keys() == {"nats", "squared_error", "absolute_error"}
    errors = {name: guess - target for name, guess in guesses.items()}
    assert_curves(found["squared_error"], {name: per_time_step(one**2) for name, one in errors.items()})
    inside = np.clip(target, 1e-12, 1 - 1e-12)
    floor = per_time_step(-inside * np.log(inside) - (1 - inside) * np.log(1 - inside))
    expected = {name: per_time_step(nats(guess, target)) for name, guess in guesses.items()}
    assert_curves(found["nats"], expected | {"entropy floor": floor})
    assert all(min(steps) > max(floor) for steps in expected.values())


def test_metrics_of_images(tmp_path: Path) -> None:
    model, windows, features = prepared(tmp_path, "uint8", "bernoulli", 12, 13, conditional=("future",))
    metrics = measured(model, windows, features)
    for objective, (target, guesses) in targets_and_guesses(model, windows, features).items():
        found = metrics.by_objective[objective]
        assert list(found) == ["nats", "squared_error", "absolute_error", "ssim", "psnr"]
        ssim: dict[str, list[float]] = {}
        psnr: dict[str, list[float]] = {}
        for name, guess in guesses.items():
            pairs = np.stack([target, guess], axis=2).reshape(*target.shape[:2], 2, 12, 13)
            if name == "persistence" and objective == "reconstruction":
                pairs = pairs[:-1]  # which is the frame itself: scikit-image gives none
            ssim[name] = [float(np.mean([structural_similarity(*pair) for pair in step])) for step in pairs]
            psnr[name] = [float(np.mean([peak_signal_noise_ratio(*pair) for pair in step])) for step in pairs]
            if len(pairs) < len(target):
                ssim[name].append(1)
                psnr[name].append(100)
        assert_curves(found["ssim"], ssim)
        assert_curves(found["psnr"], psnr)


@pytest.mark.parametrize(("shape", "with_psnr"), [((10, 14), True), ((140,), False), ((2, 5, 7, 2), False)])
def test_only_images_with_room_for_a_window_have_ssim(tmp_path: Path, shape: tuple[int, ...], with_psnr: bool) -> None:
    found = measured(*prepared(tmp_path, "uint8", "bernoulli", *shape)).by_objective["future"]
    assert ("psnr" in found) == with_psnr
    assert "ssim" not in found


def test_float_images_have_neither_ssim_nor_psnr(tmp_path: Path) -> None:
    found = measured(*prepared(tmp_path, "float32", "gaussian", 12, 12)).by_objective["future"]
    assert found.keys().isdisjoint({"ssim", "psnr"})


@pytest.mark.parametrize(("reconstruction", "future"), [(False, False), (True, False), (False, True), (True, True)])
def test_teacher_forced_metrics_stand_where_a_decoder_is_conditional(
    tmp_path: Path, reconstruction: bool, future: bool
) -> None:
    conditional = [name for name, chosen in zip(BOTH, (reconstruction, future), strict=True) if chosen]
    model, windows, features = prepared(tmp_path, "uint8", "bernoulli", 5, conditional=conditional)
    with torch.no_grad():  # so that the frames that are read change what is emitted
        for parameter in model.network.parameters():
            parameter.mul_(3)
    metrics = measured(model, windows, features)
    expected = targets_and_guesses(model, windows, features)
    for objective in BOTH:
        found = metrics.by_objective[objective]["nats"]
        assert ("model, teacher-forced" in found) == (objective in conditional)
        target, guesses = expected[objective]
        wanted = {name: per_time_step(nats(guess, target)) for name, guess in guesses.items()}
        assert_curves({name: curve for name, curve in found.items() if name != "entropy floor"}, wanted)
        if objective in conditional:
            free, forced = found["model"].per_time_step, found["model, teacher-forced"].per_time_step
            first = -1 if objective == "reconstruction" else 0  # whose input is zero either way
            assert free[first] == pytest.approx(forced[first], rel=1e-6)
            assert free[1] != pytest.approx(forced[1], rel=1e-4)


def test_the_last_frames_of_the_context_are_reconstructed(tmp_path: Path) -> None:
    model, windows, features = prepared(tmp_path, "float32", "gaussian", 5, num_reconstructed=2)
    metrics = measured(model, windows, features)
    target, guesses = targets_and_guesses(model, windows, features)["reconstruction"]
    assert metrics.num_reconstructed == 2
    expected = {name: per_time_step((guess - target) ** 2) for name, guess in guesses.items()}
    assert {len(steps) for steps in expected.values()} == {2}
    assert_curves(metrics.by_objective["reconstruction"]["squared_error"], expected)


def test_errors_of_windows_are_numpys_and_their_groups_make_the_interval(tmp_path: Path) -> None:
    model, windows, features = prepared(tmp_path, "float32", "gaussian", 5, length=CONTEXT + FUTURE)
    found = window_errors(model, batches_of(windows), num_context=CONTEXT, num_future=FUTURE, device=CPU)
    training = np.concatenate([features.rows(3), features.rows(4)]).astype(np.float64)
    expected = targets_and_guesses(model, windows, features)
    saved = measured(model, windows, features).saved_errors
    for objective, (target, guesses) in expected.items():
        errors = {
            name: np.square((guess - target) / training.std(axis=0)).sum(axis=-1).mean(axis=0)
            for name, guess in guesses.items()
        }
        for name, of_windows in errors.items():
            np.testing.assert_allclose(found.by_objective[objective][name], of_windows, rtol=1e-5)
        for name in ("persistence", "mean frame"):
            shares = (errors[name] - errors["model"]) / errors[name].mean()
            np.testing.assert_allclose(found.saved(objective, name), shares, rtol=1e-4, atol=1e-6)
            assert saved[objective][name].difference == pytest.approx(shares.mean(), abs=1e-6)
    numbers = {key: number for number, key in enumerate(sorted(row.path for row in features.videos))}
    assert found.groups.tolist() == [numbers[features.videos[video].path] for video in windows.videos]


def test_a_roll_out_begins_like_a_short_one(tmp_path: Path) -> None:
    model, windows, features = prepared(
        tmp_path, "uint8", "bernoulli", 5, length=CONTEXT + 7, objectives=("future",), conditional=("future",)
    )
    long = measured(model, windows, features).by_objective["future"]["nats"]
    short_windows = Windows(features, CONTEXT + 2, windows.videos, windows.starts, windows.lengths - 5)
    short = measured(model, short_windows, features).by_objective["future"]["nats"]
    for name, curve in short.items():
        assert len(long[name].per_time_step) == 7
        assert long[name].per_time_step[:2] == pytest.approx(curve.per_time_step, rel=1e-6)


def test_without_an_objective_of_the_future_only_the_reconstruction_is_measured(tmp_path: Path) -> None:
    metrics = measured(*prepared(tmp_path, "float32", "gaussian", 5, objectives=("reconstruction",)))
    assert metrics.by_objective.keys() == {"reconstruction"}
    assert asdict(metrics)["by_objective"]["reconstruction"]["squared_error"]["zeros"].keys() == {
        "mean",
        "per_time_step",
    }


def test_progress_counts_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction, "_MAX_WINDOWS", 4)
    model, windows, _ = prepared(tmp_path, "float32", "gaussian", 5)
    reports: list[Progress] = []
    prediction_metrics(
        model,
        batches_of(windows),
        num_context=CONTEXT,
        num_future=FUTURE,
        frame_shape=(5,),
        device=CPU,
        on_progress=reports.append,
    )
    assert [(one.done, one.total) for one in reports] == [(4, 6), (6, 6)]


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    model, windows, _ = prepared(tmp_path, "float32", "gaussian", 5)
    with pytest.raises(ValueError, match="windows of 5 frames, expected 3 of context and 4 that follow"):
        prediction_metrics(model, batches_of(windows), num_context=3, num_future=4, frame_shape=(5,), device=CPU)
    network = Classifier(
        encoders=[(5, STACK)], num_classes=2, head="every_step", head_settings=NoSettings(), dropout=0.0
    )
    classifier = TrainedModel(InputTransforms(5, {}), network)
    with pytest.raises(TypeError, match="a Classifier makes no predictions"):
        prediction_metrics(classifier, batches_of(windows), num_context=3, num_future=2, frame_shape=(5,), device=CPU)


@pytest.mark.parametrize(
    ("objectives", "num_reconstructed", "start", "stop"),
    [(BOTH, 0, 0, 5), (BOTH, 2, 1, 5), (("future",), 0, 3, 5), (("reconstruction",), 0, 0, 3), (BOTH[::-1], 0, 0, 5)],
)
def test_rows_of_a_filmstrip(
    tmp_path: Path, objectives: Sequence[str], num_reconstructed: int, start: int, stop: int
) -> None:
    model, windows, features = prepared(
        tmp_path, "uint8", "bernoulli", 6, 4, objectives=objectives, num_reconstructed=num_reconstructed
    )
    strips = filmstrip_rows(model, windows, num_context=3, num_future=2, frame_shape=(6, 4), device=CPU, num_windows=3)
    by_objective = targets_and_guesses(model, windows, features)
    in_order_of_time = [by_objective[name] for name in BOTH if name in by_objective]
    expected = 255 * np.concatenate([guesses["model"] for _, guesses in in_order_of_time])
    assert len(strips) == 3
    for number, (true, made) in zip((0, 2, 5), strips, strict=True):  # of six windows
        first = windows.starts[number]
        assert (true.start, made.start) == (0, start)
        np.testing.assert_array_equal(true.frames, features.rows(windows.videos[number])[first : first + 5])
        assert made.frames.dtype == np.uint8
        assert made.frames.shape == (stop - start, 6, 4)
        assert abs(made.frames.reshape(stop - start, -1) - expected[:, number]).max() < 0.501


def test_a_filmstrip_clips_what_is_beyond_black_and_white(tmp_path: Path) -> None:
    model, windows, _ = prepared(tmp_path, "uint8", "gaussian", 6, 4, objectives=("future",))
    with torch.no_grad():
        bias = network_of(model).frame_objectives["future"].decoder.projection.bias
        bias[:12] = -1e3
        bias[12:] = 1e3
    for _, made in filmstrip_rows(model, windows, num_context=3, num_future=2, frame_shape=(6, 4), device=CPU):
        assert (made.frames[:, :3] == 0).all()
        assert (made.frames[:, 3:] == 255).all()
