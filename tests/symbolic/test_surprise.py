"""Surprise as a series: the errors of a run's predictions, recomputed frame by frame, and what is no such run."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from small_features import Videos, circles, features_of, pretrain_config
from small_symbols import ON_CPU, small_config

import vidrep
from vidrep.config.settings import PretrainWindows
from vidrep.errors import FeatureFileError, InputError
from vidrep.features.store import Features
from vidrep.models.objectives.frame_objective import FrameObjective
from vidrep.models.pretraining import PretrainingNetwork
from vidrep.models.saved import load_model
from vidrep.symbolic.codebook import SymbolSettings
from vidrep.symbolic.series import read_series
from vidrep.symbolic.symbols import symbols

CONTEXT = 3


@pytest.fixture(scope="module")
def videos() -> Videos:
    return circles(3, num_frames=20) | {"short/00.npy": circles(1, num_frames=CONTEXT)["left/00.npy"]}


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory, videos: Videos) -> Features:
    return features_of(tmp_path_factory.mktemp("features"), videos)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, features: Features) -> Path:
    return vidrep.train(features, tmp_path_factory.mktemp("run") / "run", pretrain_config(), device="cpu").folder


def test_surprise_is_the_squared_error_of_the_next_frame(features: Features, videos: Videos, run: Path) -> None:
    model, _ = load_model(run)
    network = model.network
    assert isinstance(network, PretrainingNetwork)
    future = network.objectives["future"]
    assert isinstance(future, FrameObjective)
    for series in read_series(features, f"surprise:{run}"):
        frames = videos[features.paths[series.video]]
        expected = []
        for number in range(CONTEXT, len(frames)):
            with torch.inference_mode():
                inputs = model.inputs(torch.from_numpy(frames)[:, None])
                predicted = future.predict(network.encode(inputs[number - CONTEXT : number]), 1)
            expected.append(float((predicted[0, 0] - inputs[number, 0]).square().sum()))
        np.testing.assert_allclose(series.values, expected, rtol=1e-5)
        assert series.seconds.tolist() == list(range(CONTEXT, len(frames)))


def test_letters_of_surprise_are_predicted_and_kept_to_the_weights(
    features: Features, run: Path, tmp_path: Path
) -> None:
    pretrained = tmp_path / "pretrained"
    shutil.copytree(run, pretrained)
    symbols(features, tmp_path / "symbols", SymbolSettings(series=f"surprise:{pretrained}"))
    letters = tmp_path / "symbols" / "symbols.h5"
    trained = vidrep.train(letters, tmp_path / "letters", small_config(steps=2), **ON_CPU).folder
    found = symbols(features, tmp_path / "out", run=trained, num_forecast=2)
    assert found.surprises and len(found.videos[0].forecast) == 2
    assert not found.videos[features.index("short/00.npy")].symbols
    shutil.rmtree(pretrained)
    with pytest.raises(InputError, match="pretrained: not a finished run"):
        symbols(features, tmp_path / "refused", run=trained)
    vidrep.train(features, pretrained, pretrain_config(steps=1, seed=1), device="cpu")
    with pytest.raises(InputError, match="that run has other weights than those"):
        symbols(features, tmp_path / "refused", run=trained)


def test_runs_that_predict_no_such_frames_are_refused(features: Features, run: Path, tmp_path: Path) -> None:
    config = pretrain_config(
        settings={"objectives": ("reconstruction",)}, windows=PretrainWindows(context=3, num_future=0), steps=1
    )
    other = vidrep.train(features, tmp_path / "other", config, device="cpu").folder
    with pytest.raises(InputError, match=r"other: does not predict frames; give a run .* with the objective future"):
        read_series(features, f"surprise:{other}")
    wide = features_of(tmp_path / "wide", circles(1, size=6))
    with pytest.raises(FeatureFileError, match=r"frames of \(6,\) float32; the run was trained on \(4,\)"):
        read_series(wide, f"surprise:{run}")
