"""Forecasts of series of videos: an LSTM of letters (`vidrep symbols`) against an LSTM of the values themselves.

VIDREP_DATA=... OMP_NUM_THREADS=1 python benchmarks/symbols.py [FOLDER]      writes docs/results/symbols.md

By docs/results/symbols-protocol.md. FOLDER keeps the feature files and runs; by default they are removed.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from recording import ROOT, facts, real_data

import vidrep
from vidrep.features.store import Features, open_features
from vidrep.features.table import VideoRow
from vidrep.features.writer import writing_features
from vidrep.models.objectives.frame_objective import FrameObjective
from vidrep.models.pretraining import PretrainingNetwork
from vidrep.symbolic.forecast import SymbolForecaster
from vidrep.symbolic.series import Series, read_series
from vidrep.synthetic.samples import SampleConfig

HORIZON, SEEDS = 13, range(5)
TOLERANCE = 0.05
COMMON = {"encoder.hidden_size": 50, "training.steps": 300, "optimizer.learning_rate": 5e-3}
RAW = {
    "objectives": ["future"],
    "objective.future.conditional": True,
    "windows.context": 16,
    "windows.num_future": HORIZON,
    "windows.stride": 4,
    "training.validation_fraction": 0.2,
    "training.validate_every": 50,
}
ON_CPU: dict[str, Any] = {"device": "cpu", "threads": 1}

Forecast = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""From the values so far to the HORIZON values that come."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A model of one seed: how long it took to train, and what it forecasts for each test video, (V, HORIZON)."""

    seconds: float
    forecasts: NDArray[np.float64]


def main() -> None:
    """Run everything and write the page."""
    with tempfile.TemporaryDirectory(prefix="vidrep-symbols-") as scratch:
        folder = Path(sys.argv[1] if len(sys.argv) > 1 else scratch)
        tennis, sample = tennis_features(folder), sample_features(folder)
        parts = [
            part(folder / "tennis-component", "tennis7, component:1", tennis, "component:1", alpha=0.5),
            part(folder / "tennis-motion", "tennis7, motion", tennis, "motion", alpha=0.5),
            part(folder / "sample-component", "sample, component:1", sample, "component:1", alpha=1.0),
        ]
    page = ROOT / "docs" / "results" / "symbols.md"
    head = (
        "# Forecasts: symbols against an LSTM of values\n\n"
        f"{facts()}\nMade by `python benchmarks/symbols.py`, one thread, by the [protocol](symbols-protocol.md).\n"
    )
    page.write_text("\n".join([head, *parts]).rstrip() + "\n", encoding="utf-8")


def tennis_features(folder: Path) -> Features:
    """Patches of the clips of tennis7, with the splits of its lists."""
    source, output = real_data() / "tennis7", folder / "tennis.h5"
    if not output.exists():
        splits = vidrep.read_annotations(splits=source)
        vidrep.extract(vidrep.find_videos([source]), output, vidrep.PatchExtractor(size=16), annotations=splits)
    return open_features(output)


def sample_features(folder: Path) -> Features:
    """Patches of long sample videos."""
    clips, output = folder / "clips", folder / "sample.h5"
    if not output.exists():
        vidrep.sample(clips, SampleConfig(videos_per_class=8, num_frames=200, frame_size=32))
        labels = vidrep.read_annotations(labels=[clips / "labels.csv"])
        vidrep.extract(vidrep.find_videos([clips]), output, vidrep.PatchExtractor(size=16), annotations=labels)
    return open_features(output)


def part(folder: Path, title: str, features: Features, name: str, *, alpha: float) -> str:
    """Train and measure all models on one series; return a Markdown section."""
    every = read_series(features, name)
    train = write_series(folder / "train.h5", features, [one for one in every if _split(features, one) == "train"])
    test = [one.values for one in every if _split(features, one) == "test" and len(one.values) > HORIZON + 1]
    values = np.concatenate(list(train), dtype=np.float64)
    settings = vidrep.SymbolSettings(series="column:0", tolerance=TOLERANCE, alpha=alpha)
    found = vidrep.symbols(train, folder / "symbols", settings, overwrite=True)
    true = np.stack([one[-HORIZON:] for one in test])
    context = [one[:-HORIZON] for one in test]
    models = {"letters": letters_model(folder), "values": values_model(folder, train)}
    trained = {kind: [model(seed, context) for seed in SEEDS] for kind, model in models.items()}
    persistence = np.stack([np.repeat(one[-1], HORIZON) for one in context])
    rows = [
        *(_row(f"LSTM of {kind}", runs, true, values.std()) for kind, runs in trained.items()),
        _trivial("persistence", persistence, true, values.std()),
        _trivial("mean of the training videos", np.full_like(true, values.mean()), true, values.std()),
    ]
    return "\n".join(
        [
            f"## {title}\n",
            f"{len(found.videos)} training videos, {found.num_values:,} values in {found.num_pieces:,} pieces of "
            f"{len(found.codebook.letters)} letters, off by {found.pieces_error:.3f} as pieces and "
            f"{found.symbols_error:.3f} as letters; {len(test)} test videos, the last {HORIZON} values of each.\n",
            "| | RMSE | each seed | MAE | spread over seeds | training, s |\n|---|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _split(features: Features, series: Series) -> str:
    return features.videos[series.video].split


def write_series(path: Path, features: Features, every: Sequence[Series]) -> Features:
    """Write series as a feature file of frames of one value."""
    with writing_features(
        path,
        settings={"kind": "series"},
        versions={},
        num_rows=sum(len(one.values) for one in every),
        frame_shape=(1,),
        dtype="float32",
    ) as writer:
        for one in every:
            writer.append(one.values.astype(np.float32)[:, None], one.seconds)
            writer.end_video(VideoRow(features.videos[one.video].path))
    return open_features(path)


def letters_model(folder: Path) -> Callable[[int, Sequence[NDArray[np.float64]]], Trained]:
    """Return what trains an LSTM of letters."""

    def run(seed: int, context: Sequence[NDArray[np.float64]]) -> Trained:
        config = vidrep.load_recipe(vidrep.PretrainConfig, "symbols", changes=COMMON | {"training.seed": seed})
        output = folder / f"letters{seed}"
        seconds = _seconds(
            lambda: vidrep.train(folder / "symbols/symbols.h5", output, config, overwrite=True, **ON_CPU)
        )
        forecaster = SymbolForecaster.load(output)
        book = forecaster.codebook
        texts = [book.symbols(book.pieces(one)) for one in context]
        forecasts = [
            forecaster.forecast(text, float(one[-1]), HORIZON) for text, one in zip(texts, context, strict=True)
        ]
        return Trained(seconds=seconds, forecasts=np.stack(forecasts))

    return run


def values_model(folder: Path, train: Features) -> Callable[[int, Sequence[NDArray[np.float64]]], Trained]:
    """Return what trains an LSTM of values: the future decoder, teacher-forced in training, running free here."""

    def run(seed: int, context: Sequence[NDArray[np.float64]]) -> Trained:
        config = vidrep.load_recipe(vidrep.PretrainConfig, changes=COMMON | RAW | {"training.seed": seed})
        output = folder / f"values{seed}"
        seconds = _seconds(lambda: vidrep.train(train, output, config, overwrite=True, **ON_CPU))
        return Trained(seconds=seconds, forecasts=np.stack([_forecast_values(output, one) for one in context]))

    return run


@torch.inference_mode()
def _forecast_values(run: Path, context: NDArray[np.float64]) -> NDArray[np.float64]:
    model, _ = vidrep.load_model(run)
    network = model.network
    assert isinstance(network, PretrainingNetwork)
    future = network.objectives["future"]
    assert isinstance(future, FrameObjective)
    frames = model.inputs(torch.from_numpy(context.astype(np.float32))[:, None, None])
    predicted = model.inputs.inverse(future.predict(network.encode(frames).state, HORIZON))
    values: NDArray[np.float64] = predicted[:, 0, 0].double().numpy()
    return values


def _seconds(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def _row(name: str, runs: Sequence[Trained], true: NDArray[np.float64], std: float) -> str:
    """Lay out the errors in standard deviations; the spread is that of the forecasts of a value over the seeds."""
    errors = [(one.forecasts - true) / std for one in runs]
    rmse = [float(np.sqrt(np.square(error).mean())) for error in errors]
    mae = np.mean([np.abs(error).mean() for error in errors])
    spread = np.std([one.forecasts for one in runs], axis=0).mean() / std
    seconds = [one.seconds for one in runs]
    return (
        f"| {name} | {np.mean(rmse):.3f} +- {np.std(rmse, ddof=1):.3f} | {', '.join(f'{one:.3f}' for one in rmse)} | "
        f"{mae:.3f} | {spread:.3f} | {np.mean(seconds):.1f} +- {np.std(seconds, ddof=1):.1f} |"
    )


def _trivial(name: str, forecasts: NDArray[np.float64], true: NDArray[np.float64], std: float) -> str:
    error = (forecasts - true) / std
    return f"| {name} | {np.sqrt(np.square(error).mean()):.3f} | | {np.abs(error).mean():.3f} | | |"


if __name__ == "__main__":
    main()
