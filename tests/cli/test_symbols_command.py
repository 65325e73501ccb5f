"""`vidrep symbols`: what it prints and writes, and what it refuses in one line."""

import json
from pathlib import Path

import numpy as np
import pytest
from running import one_line, vidrep
from small_features import features_of
from small_symbols import ODD, ON_CPU, VIDEOS, rows_of, small_config, train_symbols

from vidrep.features.store import Features
from vidrep.symbolic.codebook import Codebook
from vidrep.symbolic.forecast import SymbolForecaster
from vidrep.training.pretrain import train


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Features:
    return features_of(tmp_path_factory.mktemp("features"), VIDEOS | ODD)


@pytest.fixture(scope="module")
def trained(features: Features, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with symbols/ and run/."""
    return train_symbols(features, tmp_path_factory.mktemp("trained")).parent


def test_the_command_writes_what_can_be_turned_back(tmp_path: Path, features: Features) -> None:
    out = tmp_path / "out"
    code, stdout, stderr = vidrep("symbols", features.path, "-o", out, "--series", "column:0", "--alpha", 0.01)
    assert code == 0, stderr
    assert stdout.startswith(f"{out}: 10 videos, {features.num_frames} values of column:0 in ")
    assert stdout.endswith("letters; off by 0.000 standard deviations as pieces, 0.000 as letters\n")
    assert "1 of 10 videos have fewer than 2 values and no symbols: odd/one.npy" in stderr
    assert "1 of 10 videos have a constant series: odd/still.npy" in stderr
    book = Codebook.from_json(json.loads((out / "codebook.json").read_text()))
    found = {row["video"]: row for row in rows_of(out / "symbols.csv")}
    assert list(found) == features.paths
    assert found["odd/one.npy"]["symbols"] == found["odd/one.npy"]["starts"] == ""
    assert len(found["odd/still.npy"]["symbols"]) == 1
    for key, frames in VIDEOS.items():
        row = found[key]
        assert len(row["starts"].split()) == len(row["symbols"])
        values = book.values(row["symbols"], float(row["first_value"]))
        np.testing.assert_allclose(values, frames[:, 0], atol=1e-6)
    assert sorted(path.name for path in out.iterdir()) == ["codebook.json", "symbols.csv", "symbols.h5"]


def test_a_run_gives_likelihoods_and_forecasts(tmp_path: Path, trained: Path, features: Features) -> None:
    out = tmp_path / "out"
    code, stdout, stderr = vidrep("symbols", features.path, "-o", out, "--from", trained / "run", "--forecast", 6)
    assert code == 0, stderr
    assert stdout.splitlines()[1].split() == ["least", "likely", "from", "(s)", "to", "(s)", "letter", "nats"]
    assert (out / "symbols.csv").read_bytes() == (trained / "symbols/symbols.csv").read_bytes()
    forecaster = SymbolForecaster.load(trained / "run")
    by_video: dict[str, list[float]] = {}
    for row in rows_of(out / "likelihoods.csv"):
        by_video.setdefault(row["video"], []).append(float(row["nats"]))
    texts = {row["video"]: row["symbols"] for row in rows_of(out / "symbols.csv")}
    assert set(by_video) == set(VIDEOS)
    for video, nats in by_video.items():
        np.testing.assert_allclose(nats, forecaster.nats(texts[video]), atol=1e-4)
        for number in range(1, len(texts[video])):  # each letter from those before it alone
            assert forecaster.nats(texts[video][: number + 1])[-1] == pytest.approx(nats[number - 1], abs=1e-3)
    assert np.isfinite([one for nats in by_video.values() for one in nats]).all()
    values = [row for row in rows_of(out / "forecast.csv") if row["video"] == "p5/0.npy"]
    assert [row["step"] for row in values] == ["1", "2", "3", "4", "5", "6"]
    assert len(rows_of(out / "forecast.csv")) == 6 * (len(VIDEOS) + 1)


def test_what_is_refused_in_one_line(tmp_path: Path, trained: Path, features: Features) -> None:
    out, run, path = tmp_path / "out", trained / "run", features.path
    one_line(["symbols", path, "-o", out, "--series", "column:1"], 3, "series column:1: constant, 0 in all 10 videos")
    one_line(["symbols", path, "-o", out, "--series", "speed"], 2, "series 'speed': give motion, column:N")
    one_line(["symbols", path, "-o", out, "--tolerance", "0"], 2, "tolerance 0.0: give a number above 0")
    one_line(["symbols", path, "-o", out, "--forecast", "3"], 2, "forecast 3: give the run", "--from")
    one_line(["symbols", path, "-o", out, "--from", run, "--alpha", "1"], 2, "are those of the run of --from")
    one_line(["symbols", run, "-o", out], 2, "is a run; symbols takes FEATURES")
    one_line(["symbols", path, "-o", trained / "symbols"], 5, "exists and is not empty", "--overwrite")
    one_line(["symbols", path, "-o", path], 5, "is a file; give the name of a new folder")
    ones = np.ones((5, 2), dtype=np.float32)
    still = features_of(tmp_path / "still", {"a.npy": ones[1:], "b.npy": ones})
    one_line(["symbols", still.path, "-o", out], 3, "series motion: constant, 0 in all 2 videos", "another --series")
    single = features_of(tmp_path / "single", {"a.npy": ones[:1]})
    one_line(["symbols", single.path, "-o", out], 3, "series motion: no video has 2 values of it; give longer videos")
    assert not out.exists()


def test_runs_that_predict_no_symbols(tmp_path: Path, features: Features) -> None:
    run = train(features, tmp_path / "run", small_config("composite", steps=1), **ON_CPU).folder
    one_line(["symbols", features.path, "-o", tmp_path / "out", "--from", run], 3, "does not predict symbols")
