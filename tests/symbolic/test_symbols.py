"""Symbols as a feature file that a model learns from: letters, likelihoods and forecasts."""

from pathlib import Path

import numpy as np
import pytest
from small_features import features_of
from small_symbols import ODD, VIDEOS, rows_of, train_symbols

from vidrep.errors import FeatureFileError, InputError
from vidrep.extraction.compatibility import require_same_features
from vidrep.features.store import Features, open_features
from vidrep.models.saved import load_model
from vidrep.symbolic.codebook import Codebook, SymbolSettings
from vidrep.symbolic.forecast import SymbolForecaster
from vidrep.symbolic.symbols import symbols


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Features:
    return features_of(tmp_path_factory.mktemp("features"), VIDEOS | ODD)


@pytest.fixture(scope="module")
def trained(features: Features, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with symbols/ and run/."""
    return train_symbols(features, tmp_path_factory.mktemp("trained")).parent


def test_letters_are_frames_of_a_feature_file(trained: Path, features: Features) -> None:
    frames, table = open_features(trained / "symbols/symbols.h5"), rows_of(trained / "symbols/symbols.csv")
    assert (frames.paths, frames.labels) == (features.paths, features.labels)
    book = Codebook.from_json(frames.settings["codebook"])
    for video, row in enumerate(table):
        assert np.array_equal(frames.rows(video), book.one_hot(row["symbols"]))
        assert frames.timestamps(video).tolist() == [float(start) for start in row["starts"].split()]


def test_a_continuation_is_the_likeliest_letter_each_time(trained: Path) -> None:
    forecaster = SymbolForecaster.load(trained / "run")
    text = forecaster.codebook.letters[:2] * 3
    following = forecaster.continuation(text, 9)
    book = forecaster.codebook
    assert book.num_steps(following) >= 9 > book.num_steps(following[:-1])
    for number, letter in enumerate(following):
        before = text + following[:number]
        nats = {other: forecaster.nats(before + other)[-1] for other in book.letters}
        assert min(nats, key=lambda other: nats[other]) == letter
        assert sum(np.exp(-value) for value in nats.values()) == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(forecaster.forecast(text, 0.25, 9), book.values(following, 0.25)[1:10])
    assert len(forecaster.forecast(text, 0.25, 0)) == 0


def test_components_of_other_videos_are_refused(tmp_path: Path, features: Features) -> None:
    run = train_symbols(features, tmp_path, series="component:1", steps=1)
    others = features_of(tmp_path / "others", {key: VIDEOS[key] for key in list(VIDEOS)[:3]})
    with pytest.raises(InputError, match="component:1 of the run was fitted to other videos"):
        symbols(others, tmp_path / "out", run=run)
    assert symbols(features, tmp_path / "out", run=run, num_forecast=1).surprises
    assert not symbols(features, tmp_path / "out", SymbolSettings(series="column:0"), overwrite=True).surprises
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["codebook.json", "symbols.csv", "symbols.h5"]


def test_other_features_and_other_letters_are_refused(tmp_path: Path, trained: Path, features: Features) -> None:
    wider = features_of(tmp_path / "wider", {key: np.tile(frames, 2) for key, frames in VIDEOS.items()})
    with pytest.raises(FeatureFileError, match=r"frames of \(4,\) float32; the run was trained on \(2,\) float32"):
        symbols(wider, tmp_path / "out", run=trained / "run")
    letters = open_features(trained / "symbols/symbols.h5")
    description = load_model(trained / "run")[1]
    require_same_features(letters, description)
    letters.settings["codebook"]["centers"]["a"][0] += 1
    with pytest.raises(FeatureFileError, match=r"other settings .*: codebook\.centers\.a is "):
        require_same_features(letters, description)
