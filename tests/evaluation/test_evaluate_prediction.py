"""Pretrainings are measured on the sequences that they should be, over as many frames as are asked for."""

import logging
import struct
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_features import circles, features_of, finetune_config, pretrain_config

from vidrep.config.settings import EncoderSettings, PretrainConfig, PretrainWindows
from vidrep.errors import ConfigError, InputError, OutputError
from vidrep.evaluation.evaluate import evaluate
from vidrep.evaluation.prediction import PredictionEvaluation
from vidrep.features.importing import import_features
from vidrep.models.description import ModelDescription
from vidrep.models.saved import TrainedModel, save_model
from vidrep.synthetic.generate import generate_moving_mnist
from vidrep.synthetic.moving_mnist import MovingMnistConfig
from vidrep.training.finetune import finetune
from vidrep.training.pretrain import train

DISPLACEMENT = 0.2


@pytest.fixture(scope="module")
def mnist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of IDX files with a few made-up digits."""
    folder = tmp_path_factory.mktemp("mnist")
    digits = np.random.default_rng(3).integers(0, 256, (9, 28, 28), dtype=np.uint8)
    for stem, some in {"train": digits[:4], "t10k": digits[4:]}.items():
        header = struct.pack(">4I", 0x803, len(some), 28, 28)
        (folder / f"{stem}-images-idx3-ubyte").write_bytes(header + some.tobytes())
    return folder


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, mnist: Path) -> Path:
    """A run on sequences of 3 + 2 frames, 32 x 32 pixels, one digit, and a displacement of its own."""
    folder = tmp_path_factory.mktemp("run")
    config = MovingMnistConfig(num_digits=1, canvas=32, num_frames=5, displacement=DISPLACEMENT)
    features = generate_moving_mnist(folder / "f.h5", num_videos=12, mnist=mnist, config=config)
    settings = PretrainConfig(
        encoder=EncoderSettings(hidden_size=4),
        objective={"future": {"conditional": True}},
        windows=PretrainWindows(context=3, num_future=2, stride=5),
        training=pretrain_config(steps=2).training,
    )
    return train(features, folder / "run", settings, device="cpu").folder


def measured(run: Path, *arguments: Any, **options: Any) -> PredictionEvaluation:
    result = evaluate(run, *arguments, device="cpu", **options)
    assert isinstance(result, PredictionEvaluation)
    return result


def generated_file(folder: Path, mnist: Path, *, num_videos: int, **settings: Any) -> Any:
    config = MovingMnistConfig(canvas=32, displacement=DISPLACEMENT, **settings)
    return generate_moving_mnist(
        folder / "test.h5", num_videos=num_videos, mnist=mnist, split="test", config=config, seed=1
    )


@pytest.mark.parametrize(("asked", "num_digits"), [({}, 1), ({"num_digits": 1}, 1), ({"num_digits": 3}, 3)])
def test_sequences_are_those_that_extract_writes(
    tmp_path: Path, mnist: Path, run: Path, asked: dict[str, int], num_digits: int
) -> None:
    features = generated_file(tmp_path, mnist, num_videos=130, num_digits=num_digits, num_frames=5)
    on_demand, from_file = measured(run, mnist=mnist, num_sequences=130, **asked), measured(run, features)
    assert on_demand.metrics == from_file.metrics
    assert on_demand.metrics.num_windows == 130
    assert (on_demand.num_videos, on_demand.num_left_out) == (130, 0)
    digits = {1: "1 digit", 3: "3 digits"}[num_digits]
    assert on_demand.which == f"Moving MNIST sequences of test digits, {digits}, seed 1"
    assert measured(run, mnist=mnist, num_sequences=130, seed=2, **asked).metrics != on_demand.metrics


def test_a_file_of_training_digits_is_measured_with_a_warning(
    tmp_path: Path, mnist: Path, run: Path, caplog: pytest.LogCaptureFixture
) -> None:
    test = generated_file(tmp_path, mnist, num_videos=3, num_digits=1, num_frames=5)
    # The run has used the twelve videos of these names.
    config = MovingMnistConfig(num_digits=1, canvas=32, num_frames=5, displacement=DISPLACEMENT)
    train = generate_moving_mnist(tmp_path / "train.h5", num_videos=15, mnist=mnist, config=config, seed=1)
    with caplog.at_level(logging.WARNING, logger="vidrep"):
        for features in (test, train):
            assert measured(run, features).num_videos == 3
    (message,) = caplog.messages
    assert message == (
        f"{train.path}: made from the training digits of MNIST, which the run may have been trained on; for figures of "
        "unseen digits give --mnist FOLDER, or features of vidrep extract moving-mnist --digits test"
    )


def test_roll_outs_of_any_length(tmp_path: Path, mnist: Path, run: Path) -> None:
    features = generated_file(tmp_path, mnist, num_videos=6, num_digits=1, num_frames=43)
    on_demand = measured(run, mnist=mnist, num_sequences=6, num_future=40)
    assert on_demand.metrics == measured(run, features, num_future=40).metrics
    assert (on_demand.metrics.num_context, on_demand.metrics.num_future) == (3, 40)
    future = on_demand.metrics.by_objective["future"]
    assert {len(curve.per_time_step) for by in future.values() for curve in by.values()} == {40}
    assert len(on_demand.metrics.by_objective["reconstruction"]["nats"]["model"].per_time_step) == 3
    short = measured(run, mnist=mnist, num_sequences=6).metrics.by_objective["future"]["nats"]
    for name, curve in short.items():
        assert future["nats"][name].per_time_step[:2] == pytest.approx(curve.per_time_step, rel=1e-6)
    with pytest.raises(InputError, match=r"window of 44 frames, the longest .* has 43; .* or predict fewer frames"):
        evaluate(run, features, num_future=41, device="cpu")


def test_the_canonical_file_is_measured(tmp_path: Path) -> None:
    sequences = np.random.default_rng(0).integers(0, 256, (20, 12, 64, 64), dtype=np.uint8)
    np.save(tmp_path / "mnist_test_seq.npy", sequences)
    features = import_features(tmp_path / "mnist_test_seq.npy", tmp_path / "f.h5").features
    result = measured(untrained(tmp_path / "run", (64, 64)), features)
    assert (result.num_videos, result.which, result.metrics.num_windows) == (12, "videos of split 'test'", 12)
    zeros = result.metrics.by_objective["future"]["squared_error"]["zeros"]
    expected = ((sequences[10:] / 255) ** 2).sum(axis=(2, 3)).mean(axis=1)
    assert zeros.per_time_step == pytest.approx(expected.tolist())
    assert zeros.mean == pytest.approx(expected.mean())


def untrained(
    folder: Path,
    frame_shape: tuple[int, ...],
    *,
    dtype: str = "uint8",
    extractor: dict[str, Any] | None = None,
    objectives: Sequence[str] = ("reconstruction", "future"),
) -> Path:
    """Write a run that has done no step, of windows of 10 + 10 frames."""
    description = ModelDescription(
        kind="pretraining",
        frame_shape=list(frame_shape),
        dtype=dtype,
        likelihood="bernoulli",
        extractor=extractor or {"kind": "import"},
        transforms={},
        encoder=asdict(EncoderSettings(hidden_size=3)),
        cell={},
        windows={"context": 10, "num_future": 10, "num_reconstructed": 0, "stride": 20},
        objectives={name: {} for name in objectives},
    )
    folder.mkdir()
    save_model(folder, description, TrainedModel.build(description).state_dict())
    (folder / "videos.csv").write_text("video,label,split,group,checksum,source_sha256\n")
    (folder / "config.toml").write_text("")
    return folder


def test_a_run_on_other_frames_of_the_right_shape_takes_the_usual_sequences(tmp_path: Path, mnist: Path) -> None:
    result = measured(untrained(tmp_path / "run", (40, 40)), mnist=mnist, num_sequences=3)
    assert result.which.endswith("2 digits, seed 1")
    config = MovingMnistConfig(canvas=40)
    features = generate_moving_mnist(tmp_path / "f.h5", num_videos=3, mnist=mnist, split="test", config=config, seed=1)
    assert result.metrics == measured(tmp_path / "run", features).metrics


@pytest.mark.parametrize(
    ("frame_shape", "dtype"), [((27, 27), "uint8"), ((64, 65), "uint8"), ((64, 64, 3), "uint8"), ((4096,), "uint8"),
                               ((64, 64), "float32")],
)  # fmt: skip
def test_a_run_on_frames_that_no_sequence_has_is_refused(
    tmp_path: Path, mnist: Path, frame_shape: tuple[int, ...], dtype: str
) -> None:
    run = untrained(tmp_path / "run", frame_shape, dtype=dtype)
    with pytest.raises(InputError, match=r"which Moving MNIST cannot have; .* give features instead") as caught:
        evaluate(run, mnist=mnist, device="cpu")
    assert f"frames of {frame_shape} {dtype}" in str(caught.value)


def test_sequence_settings_that_are_no_numbers_are_refused(tmp_path: Path, mnist: Path) -> None:
    run = untrained(tmp_path / "run", (32, 32), extractor={"kind": "moving-mnist", "displacement": "fast"})
    with pytest.raises(InputError, match="Moving MNIST settings that are no numbers"):
        evaluate(run, mnist=mnist, device="cpu")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, ConfigError, "either features or a folder of MNIST digits .*, one of the two"),
        ({"split": "test"}, ConfigError, "without splits and labels; those are for features"),
        ({"annotations": {"a": None}}, ConfigError, "without splits and labels"),
        ({"shuffle_frames": True}, ConfigError, "those are for features"),
        ({"num_sequences": 0}, ConfigError, "sequences 0: give at least 1"),
        ({"num_digits": 0}, ConfigError, "num_digits is 0, it must be at least 1"),
        ({"seed": -1}, ConfigError, "seed -1: give 0 or more"),
        ({"num_future": 0}, ConfigError, "num_future 0: give at least 1 frame"),
        ({"filmstrip": "film.gif"}, OutputError, r"film\.gif: .* ends in \.png"),
        ({"mnist": "absent"}, InputError, "absent: no such folder"),
    ],
)
def test_what_contradicts_itself_is_refused(
    mnist: Path, run: Path, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        measured(run, **({"mnist": mnist, "num_sequences": 2} | options if options else {}))


def test_features_and_digits_at_once_are_refused(tmp_path: Path, mnist: Path, run: Path) -> None:
    with pytest.raises(ConfigError, match="one of the two"):
        evaluate(run, features_of(tmp_path, circles()), mnist=mnist)


def test_a_run_without_an_objective_of_the_future_predicts_nothing_at_any_length(tmp_path: Path) -> None:
    features = features_of(tmp_path, circles(num_frames=9))
    windows, objectives = PretrainWindows(context=3, stride=2), ("reconstruction",)
    config = pretrain_config(windows=windows, settings={"objectives": objectives}, steps=2)
    run = train(features, tmp_path / "run", config, device="cpu").folder
    other = features_of(tmp_path / "other", circles(num_frames=9, seed=1))
    assert measured(run, other).metrics.by_objective.keys() == {"reconstruction"}
    with pytest.raises(ConfigError, match="run: no objective of it predicts the future; leave num_future 4 out"):
        evaluate(run, other, num_future=4, device="cpu")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mnist": "digits"}, "a classifier; MNIST digits: for a pretraining"),
        ({"num_future": 3}, "another number of predicted frames: for a pretraining"),
        ({"filmstrip": "film.png"}, "a filmstrip: for a pretraining"),
    ],
)
def test_a_classifier_predicts_no_frames(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    features = features_of(tmp_path, circles())
    run = finetune(features, tmp_path / "run", finetune_config(steps=2), device="cpu").folder
    with pytest.raises(ConfigError, match=message):
        evaluate(run, *([] if "mnist" in options else [features]), **options, device="cpu")


def test_a_filmstrip_shows_roll_outs(tmp_path: Path, mnist: Path, run: Path) -> None:
    path = tmp_path / "film.png"
    measured(run, mnist=mnist, num_sequences=3, num_future=6, filmstrip=path)
    with Image.open(path) as picture:
        # Nine frames of 2 * 32 pixels with lines between them, the red one 4 wider; three strips of two rows.
        assert picture.size == (9 * 64 + 8 + 4, 3 * 129 + 2 * 8)


@pytest.mark.slow
@pytest.mark.real_data
def test_baselines_on_thousands_of_sequences_are_those_of_the_literature(tmp_path: Path, real_data: Path) -> None:
    run = untrained(tmp_path / "run", (64, 64), objectives=["future"])
    result = measured(run, mnist=real_data / "mnist", num_sequences=4000)
    assert result.metrics.num_windows == 4000
    metrics = result.metrics.by_objective["future"]
    assert metrics["nats"]["entropy floor"].mean == pytest.approx(86.3, abs=0.5)
    assert metrics["squared_error"]["zeros"].mean == pytest.approx(173.9, abs=1.5)
    assert metrics["squared_error"]["persistence"].mean == pytest.approx(285.9, abs=3)
