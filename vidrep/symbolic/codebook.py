"""The letters of a set of series: what each stands for, from values to letters, and back.

Shapes: n values of a series, P pieces, K letters. Within a codebook values are standardized by one mean and one
deviation, those of all series that it was fitted to, so that a letter means the same in every video (as in joint ABBA,
Chen 2023, arXiv 2401.00109); in ABBA each series has its own.
"""

import math
import string
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, InputError
from .abba import Floats, aggregate, compress, series_of_pieces, whole_lengths

# Floats whose deviation is below this fraction of their mean are constant: features are stored in single precision.
_CONSTANT = 1e-6
LETTERS = string.ascii_lowercase + string.ascii_uppercase


@dataclass(frozen=True, kw_only=True)
class SymbolSettings:
    """How series become letters.

    series: a name of `vidrep.symbolic.series`. tolerance: of pieces, in standard deviations of the series. alpha: how
    far a piece may be from the first of its group, in standard deviations of the lengths and increments.

    Raises ConfigError for a tolerance or an alpha that is not above 0.
    """

    series: str = "motion"
    tolerance: float = 0.1
    alpha: float = 0.5

    def __post_init__(self) -> None:
        for name in ("tolerance", "alpha"):
            if not 0 < getattr(self, name) < math.inf:
                raise ConfigError(f"{name} {getattr(self, name)}: give a number above 0, such as 0.1")


@dataclass(frozen=True, kw_only=True)
class SeriesSource:
    """The features that series were read from: how they were made, and their frames.

    fitted_to: the hash of the videos that the series itself was fitted to, or of the weights that predict its frames;
    '' for one that needs neither.
    """

    extractor: dict[str, Any] = field(default_factory=dict)
    frame_shape: list[int] = field(default_factory=list)
    dtype: str = ""
    fitted_to: str = ""


@dataclass(frozen=True, kw_only=True)
class Codebook:
    """What letters stand for.

    mean, std: of the values. piece_std: the deviations of the lengths and of the increments of the pieces. centers:
    (length in time steps, increment in `std`) of each letter, the most frequent one first. source: what it is for.
    """

    settings: SymbolSettings
    mean: float
    std: float
    piece_std: tuple[float, float]
    centers: tuple[tuple[float, float], ...]
    source: SeriesSource = field(default_factory=SeriesSource)

    @classmethod
    def fit(cls, every: Sequence[Floats], settings: SymbolSettings, source: SeriesSource | None = None) -> "Codebook":
        """Find the letters of series, (n,) each: the means of the groups of all their pieces.

        Raises InputError if the values of all series are the same, ConfigError for more letters than the alphabet has.
        """
        values = np.concatenate([np.zeros(0), *every])
        if not any(len(one) > 1 for one in every):
            raise InputError(f"series {settings.series}: no video has 2 values of it; give longer videos")
        mean, std = float(values.mean()), float(values.std())
        if std <= _CONSTANT * abs(mean):
            raise InputError(
                f"series {settings.series}: constant, {mean:.6g} in all {len(every)} videos, so that no piece of it "
                "differs from another; give another --series"
            )
        pieces = np.concatenate([compress((one - mean) / std, settings.tolerance) for one in every])
        lengths_std, increments_std = (float(deviation) or 1.0 for deviation in pieces.std(axis=0))
        groups = aggregate(pieces / (lengths_std, increments_std), settings.alpha, most=len(LETTERS))
        if groups is None:
            raise ConfigError(
                f"alpha {settings.alpha:g}: {len(pieces):,} pieces make more groups than there are letters, "
                f"{len(LETTERS)}; give a larger alpha or tolerance"
            )
        order = np.argsort(-np.bincount(groups), kind="stable")
        centers = [pieces[groups == group].mean(axis=0) for group in order]
        return cls(
            settings=settings,
            mean=mean,
            std=std,
            piece_std=(lengths_std, increments_std),
            centers=tuple((float(length), float(increment)) for length, increment in centers),
            source=source or SeriesSource(),
        )

    @property
    def letters(self) -> str:
        """The K letters."""
        return LETTERS[: len(self.centers)]

    def pieces(self, values: Floats) -> Floats:
        """Compress a series, (n,), to pieces, (P, 2), with increments in `std`."""
        return compress((values - self.mean) / self.std, self.settings.tolerance)

    def symbols(self, pieces: Floats) -> str:
        """Return the letter of each piece: that of the nearest center, for new videos as for those it was fitted to."""
        differences = (pieces[:, None] - np.array(self.centers)) / self.piece_std
        return "".join(self.letters[nearest] for nearest in np.linalg.norm(differences, axis=2).argmin(axis=1))

    def values(self, symbols: str, start: float) -> Floats:
        """Return the series that letters stand for, from a first value on, in the series' own units.

        Raises ValueError for a letter that is not of this codebook.
        """
        return self.values_of_pieces(self._centers_of(symbols), start)

    def num_steps(self, symbols: str) -> int:
        """Return how many time steps letters stand for: the series that `values` returns has one value more."""
        return int(self._centers_of(symbols)[:, 0].sum())

    def values_of_pieces(self, pieces: Floats, start: float) -> Floats:
        """Return the series of pieces of whole lengths, from a first value on, in the series' own units."""
        return series_of_pieces(pieces, (start - self.mean) / self.std) * self.std + self.mean

    def numbers(self, symbols: str) -> NDArray[np.int64]:
        """Return the position of each letter in the alphabet, (P,); raises ValueError for one that is not in it."""
        return np.array([self.letters.index(letter) for letter in symbols], dtype=np.int64)

    def one_hot(self, symbols: str) -> NDArray[np.uint8]:
        """Return letters as pixels are stored, (P, K): 255 for the letter, 0 for all others."""
        return np.eye(len(self.letters), dtype=np.uint8)[self.numbers(symbols)] * np.uint8(255)

    def _centers_of(self, symbols: str) -> Floats:
        """Return the pieces that letters stand for, (P, 2), of whole lengths."""
        return whole_lengths(np.array(self.centers)[self.numbers(symbols)])

    def to_json(self) -> dict[str, Any]:
        """Return everything, JSON-like; centers by letter."""
        return asdict(self) | {"centers": dict(zip(self.letters, map(list, self.centers), strict=True))}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Codebook":
        """Return a codebook from what `to_json` returned; raises InputError if it is no such thing."""
        try:
            by_letter = content["centers"]  # in any order: a feature file sorts them
            return cls(
                settings=SymbolSettings(**content["settings"]),
                mean=float(content["mean"]),
                std=float(content["std"]),
                piece_std=_pair(content["piece_std"]),
                centers=tuple(_pair(by_letter[letter]) for letter in LETTERS[: len(by_letter)]),
                source=SeriesSource(**content["source"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"no codebook of `vidrep symbols` ({error})") from error


def _pair(values: Sequence[float]) -> tuple[float, float]:
    length, increment = values
    return float(length), float(increment)
