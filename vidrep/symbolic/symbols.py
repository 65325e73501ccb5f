"""The series of videos as symbols, written to a folder; with a run that predicts symbols, how likely they are."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import ConfigError, InputError, OutputError, some_names
from ..extraction.compatibility import require_same_features
from ..features.store import Features, opened
from ..locking import locking_output
from ..training.preparation import require_sound
from .abba import Floats
from .codebook import Codebook, SeriesSource, SymbolSettings
from .forecast import SymbolForecaster
from .results import Symbols, VideoSymbols, write_symbols
from .series import Series, read_series, source_of

_log = logging.getLogger(__name__)


def symbols(
    features: Features | Path | str,
    output: Path | str,
    settings: SymbolSettings | None = None,
    *,
    run: Path | str | None = None,
    num_forecast: int = 0,
    overwrite: bool = False,
) -> Symbols:
    """Turn a series of each video into letters, and write them to the folder `output`.

    symbols.csv: video, series, its first value, symbols, and where pieces begin in seconds. codebook.json: what the
    letters stand for. symbols.h5: a feature file whose frames are letters, one-hot, for `train` with recipe symbols.
    run: one so trained, whose letters are taken, and which gives likelihoods.csv: video, start, end, symbol and nats of
        each piece after a video's first. The last piece of a video ends with the video rather than by itself.
    num_forecast: of each video so many values to come, by the run, in forecast.csv.
    settings: None for the defaults, or the run's.

    Raises InputError for series that are constant or too short, FeatureFileError for damaged rows and for features
    unlike those of the run, ConfigError for settings that do not go together, OutputError if the output exists.
    """
    if run is None and num_forecast:
        raise ConfigError(f"forecast {num_forecast}: give the run that predicts symbols with --from")
    if run is not None and settings is not None:
        raise ConfigError("series, tolerance and alpha are those of the run of --from; leave them out")
    if num_forecast < 0:
        raise ConfigError(f"forecast {num_forecast}: give the number of values to come, 0 for none")
    features, folder = opened(features), Path(output)
    forecaster = None if run is None else SymbolForecaster.load(Path(run))
    with locking_output(folder):
        _require_free(folder, overwrite=overwrite)
        require_sound(features, range(len(features)))
        found = _symbols_of(features, folder, settings or SymbolSettings(), forecaster, num_forecast)
        write_symbols(found, features, with_run=forecaster is not None, with_forecast=num_forecast > 0)
    return found


def _require_free(folder: Path, *, overwrite: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file; give the name of a new folder")
    if folder.is_dir() and any(folder.iterdir()) and not overwrite:
        raise OutputError(f"{folder} exists and is not empty; give a new folder, or --overwrite")


def _symbols_of(
    features: Features, folder: Path, settings: SymbolSettings, forecaster: SymbolForecaster | None, num_forecast: int
) -> Symbols:
    name = settings.series if forecaster is None else forecaster.codebook.settings.series
    source = source_of(features, name)
    if forecaster is not None:
        _require_same(features, name, source, forecaster.codebook.source)
    every = read_series(features, name)
    if forecaster is None:
        codebook = Codebook.fit([series.values for series in every], settings, source)
    else:
        codebook = forecaster.codebook
    videos = [_video(features, one, codebook, forecaster, num_forecast) for one in every]
    _report_short(videos)
    squares = sum((_squared_errors(one, codebook) for one in videos if one.symbols), np.zeros((2, 2)))
    errors = np.sqrt(squares[:, 0] / squares[:, 1].clip(min=1)) / codebook.std
    return Symbols(
        folder=folder,
        codebook=codebook,
        videos=videos,
        pieces_error=float(errors[0]),
        symbols_error=float(errors[1]),
    )


def _require_same(features: Features, name: str, source: SeriesSource, wanted: SeriesSource) -> None:
    """Raise FeatureFileError or InputError unless the letters of a run stand for series of such features."""
    require_same_features(features, wanted)
    if source.fitted_to != wanted.fitted_to and name.startswith("surprise"):
        raise InputError(f"series {name}: that run has other weights than those that the letters were made with")
    if source.fitted_to != wanted.fitted_to:
        raise InputError(
            f"{features.path}: series {name} of the run was fitted to other videos, which have other components; use "
            "motion or column:N for new videos"
        )


def _video(
    features: Features, series: Series, codebook: Codebook, forecaster: SymbolForecaster | None, num_forecast: int
) -> VideoSymbols:
    pieces = codebook.pieces(series.values)
    letters, nats, forecast = codebook.symbols(pieces), np.zeros(0), np.zeros(0)
    if forecaster is not None and letters:
        nats = forecaster.nats(letters)
        forecast = forecaster.forecast(letters, float(series.values[-1]), num_forecast)
    return VideoSymbols(
        video=features.videos[series.video].path,
        seconds=series.seconds,
        values=series.values,
        pieces=pieces,
        symbols=letters,
        nats=nats,
        forecast=forecast,
    )


def _squared_errors(one: VideoSymbols, codebook: Codebook) -> Floats:
    """Return the squared error, summed, and the values that it is of, (2, 2): of the pieces, and of the symbols."""
    first = float(one.values[0])
    rows = []
    for restored in (codebook.values_of_pieces(one.pieces, first), codebook.values(one.symbols, first)):
        count = min(len(restored), len(one.values))
        rows.append([float(np.square(restored[:count] - one.values[:count]).sum()), count])
    return np.array(rows)


def _report_short(videos: Sequence[VideoSymbols]) -> None:
    if short := [one.video for one in videos if not one.symbols]:
        names = some_names(short)
        _log.warning("%d of %d videos have fewer than 2 values and no symbols: %s", len(short), len(videos), names)
    if flat := [one.video for one in videos if one.symbols and np.ptp(one.values) == 0]:
        _log.warning("%d of %d videos have a constant series: %s", len(flat), len(videos), some_names(flat))
