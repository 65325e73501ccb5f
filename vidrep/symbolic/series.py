"""A series of each video, of one value a frame.

| name | the value of a frame |
|---|---|
| motion | the mean squared difference from the frame before, in the features' own units; the first frame has none |
| column:N | the N-th value of the frame, from 0 |
| component:N | the N-th principal component of the frames of all videos, from 1 |
| surprise:RUN | by how much a pretrained run is off: `NextFramePredictor`; the first frames have none |

Shapes: T frames, n values of a series, D values of a frame.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import ConfigError
from ..features.store import Features
from ..models.inputs import InputTransforms, to_original_units
from ..models.transforms.pca import PCASettings
from ..training.preparation import frames_of
from .abba import Floats
from .codebook import SeriesSource
from .surprise import NextFramePredictor, weights_digest

_NAME = re.compile(r"motion|(?P<kind>column|component):(?P<number>\d{1,9})|surprise:(?P<run>.+)")
_FrameValues = Callable[[Tensor], Floats]
"""From a block of frames, (n, D), in original units to the values of a series."""


@dataclass(frozen=True, kw_only=True)
class Series:
    """A series of a video: seconds, values (n,), the times in the source video and the values.

    video: the index in the features.
    """

    video: int
    seconds: Floats = field(repr=False)
    values: Floats = field(repr=False)


def read_series(features: Features, name: str) -> list[Series]:
    """Return the series of every video.

    Raises ConfigError for a name that is none, or a value that frames lack, and for a run as `NextFramePredictor.load`.
    """
    values_of = _reader(features, name)
    every = []
    for video in range(len(features)):
        values = values_of(video)
        seconds = features.timestamps(video)
        every.append(Series(video=video, seconds=seconds[len(seconds) - len(values) :].copy(), values=values))
    return every


def source_of(features: Features, name: str) -> SeriesSource:
    """Return what a series is read from; raises as `read_series`."""
    return SeriesSource(
        extractor=features.settings,
        frame_shape=list(features.frame_shape),
        dtype=features.dtype,
        fitted_to=_fitted_to(features, _parsed(name)),
    )


def _fitted_to(features: Features, name: re.Match[str]) -> str:
    if name["run"] is not None:
        return weights_digest(Path(name["run"]))
    checksums = " ".join(sorted(row.checksum for row in features.videos))
    return hashlib.sha256(checksums.encode()).hexdigest() if name["kind"] == "component" else ""


def _parsed(name: str) -> re.Match[str]:
    match = _NAME.fullmatch(name)
    if match is None:
        raise ConfigError(
            f"series {name!r}: give motion, column:N (from 0), component:N (from 1) or surprise:RUN (a pretrained run)"
        )
    return match


def _blocks(features: Features, video: int, *, overlap: bool) -> Iterator[Tensor]:
    """Yield the frames of a video in blocks, (n, D), in original units; with overlap, each after the first begins with
    the last frame of the block before."""
    last: Tensor | None = None
    for block in frames_of(features, [video])():
        frames = to_original_units(block)
        yield torch.cat([last, frames]) if overlap and last is not None else frames
        last = frames[-1:]


def _reader(features: Features, name: str) -> Callable[[int], Floats]:
    """Return what gives the values of a video."""
    match = _parsed(name)
    if match["run"] is not None:
        return partial(NextFramePredictor.load(Path(match["run"]), features).errors, features)
    values_of = _motion if match["kind"] is None else _number_reader(features, match["kind"], int(match["number"]))

    def read(video: int) -> Floats:
        blocks = [values_of(block) for block in _blocks(features, video, overlap=values_of is _motion)]
        return np.concatenate([np.zeros(0), *blocks])

    return read


def _motion(frames: Tensor) -> Floats:
    values: Floats = frames.double().diff(dim=0).square().mean(dim=1).numpy()
    return values


def _number_reader(features: Features, kind: str, number: int) -> _FrameValues:
    """Return what reads a column or a component."""
    size = features.frame_size
    first = 0 if kind == "column" else 1
    if not first <= number < size + first:
        raise ConfigError(
            f"series {kind}:{number}: frames of {features.path} have {size} values; give {first} to {size - 1 + first}"
        )
    if kind == "column":
        return lambda frames: frames[:, number].double().numpy()
    inputs = InputTransforms(size, {"pca": PCASettings(size=number)})
    inputs.fit(frames_of(features, range(len(features))))
    return lambda frames: inputs(frames.unsqueeze(1))[:, 0, -1].double().numpy()
