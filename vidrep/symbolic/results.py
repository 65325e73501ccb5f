"""The symbols of videos, and the files that they are written to.

Shapes: n values of a series, P pieces.
"""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..features.store import Features
from ..features.versions import library_versions
from ..features.writer import writing_features
from ..files import remove, write_text
from .abba import Floats
from .codebook import Codebook

SYMBOLS, CODEBOOK, FRAMES = "symbols.csv", "codebook.json", "symbols.h5"
LIKELIHOODS, FORECAST = "likelihoods.csv", "forecast.csv"


@dataclass(frozen=True, kw_only=True)
class VideoSymbols:
    """The symbols of a video.

    seconds, values (n,): its series. pieces (P, 2), symbols: P letters. nats (P - 1,): how unlikely each letter after
    the first is. forecast: the values that come next. Both are empty without a run that predicts symbols.
    """

    video: str
    seconds: Floats = field(repr=False)
    values: Floats = field(repr=False)
    pieces: Floats = field(repr=False)
    symbols: str
    nats: Floats = field(repr=False)
    forecast: Floats = field(repr=False)

    @property
    def bounds(self) -> Floats:
        """Where pieces begin and end, (P + 1,) seconds; (0,) without a piece."""
        ends = np.cumsum(self.pieces[:, 0]).astype(np.int64)
        return self.seconds[np.concatenate([[0], ends])] if self.symbols else np.zeros(0)


@dataclass(frozen=True, kw_only=True)
class Surprise:
    """A piece of a video: from .. to, in seconds, its letter, and how unlikely that is after those before it."""

    video: str
    start: float
    end: float
    symbol: str
    nats: float


@dataclass(frozen=True, kw_only=True)
class Symbols:
    """What was written to `folder`, and how far the series are from what is left of them.

    pieces_error, symbols_error: the root mean square of the differences from the polygons of the pieces and from the
    series that the letters stand for (as far as both go), in standard deviations of the series.
    """

    folder: Path
    codebook: Codebook
    videos: list[VideoSymbols] = field(repr=False)
    pieces_error: float
    symbols_error: float

    @property
    def num_values(self) -> int:
        """Floats of all series."""
        return sum(len(one.values) for one in self.videos)

    @property
    def num_pieces(self) -> int:
        """Letters of all videos."""
        return sum(len(one.symbols) for one in self.videos)

    @property
    def surprises(self) -> list[Surprise]:
        """All pieces after the first of each video, in the order of time, if a run predicts symbols."""
        return [
            Surprise(video=one.video, start=float(start), end=float(end), symbol=symbol, nats=float(nats))
            for one in self.videos
            for start, end, symbol, nats in zip(one.bounds[1:], one.bounds[2:], one.symbols[1:], one.nats, strict=False)
        ]


def write_symbols(found: Symbols, features: Features, *, with_run: bool, with_forecast: bool) -> None:
    """Write the files of `vidrep.symbolic.symbols.symbols`; raises OutputError if one cannot be written."""
    folder, name = found.folder, found.codebook.settings.series
    _write_frames(found, features)
    write_text(folder / CODEBOOK, json.dumps(found.codebook.to_json(), indent=2) + "\n")
    rows = (
        [one.video, name, repr(float(one.values[0])) if len(one.values) else "", one.symbols, _seconds(one.bounds[:-1])]
        for one in found.videos
    )
    _write_table(folder / SYMBOLS, ["video", "series", "first_value", "symbols", "starts"], rows)
    for path, is_wanted in ((folder / LIKELIHOODS, with_run), (folder / FORECAST, with_forecast)):
        if not is_wanted:
            remove(path)  # of an earlier call
    if with_run:
        surprises = (
            [one.video, f"{one.start:.6g}", f"{one.end:.6g}", one.symbol, f"{one.nats:.4f}"] for one in found.surprises
        )
        _write_table(folder / LIKELIHOODS, ["video", "start", "end", "symbol", "nats"], surprises)
    if with_forecast:
        values = (
            [one.video, step, repr(float(value))] for one in found.videos for step, value in enumerate(one.forecast, 1)
        )
        _write_table(folder / FORECAST, ["video", "step", "value"], values)


def _seconds(times: Floats) -> str:
    return " ".join(f"{time:.6g}" for time in times)


def _write_table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([columns, *rows])
    write_text(path, text.getvalue())


def _write_frames(found: Symbols, features: Features) -> None:
    """Write letters as one-hot frames, at the times where pieces begin; videos keep labels, splits and groups."""
    codebook = found.codebook
    with writing_features(
        found.folder / FRAMES,
        settings={"kind": "symbols", "codebook": codebook.to_json()},
        versions=library_versions("numpy"),
        num_rows=found.num_pieces,
        frame_shape=(len(codebook.letters),),
        dtype="uint8",
    ) as writer:
        for one, row in zip(found.videos, features.videos, strict=True):
            if one.symbols:
                writer.append(codebook.one_hot(one.symbols), one.bounds[:-1])
            writer.end_video(replace(row, fps=0.0, num_frames_from_header=0))  # letters have no frame rate
