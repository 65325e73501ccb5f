"""What extraction records of how features were made, and which features a model takes for the same."""

from dataclasses import asdict
from typing import Protocol

from ..errors import FeatureFileError
from ..features.settings import Settings, settings_difference
from ..features.store import Features
from ..registry import EXTRACTORS
from ..video.sampling import Sampling
from .extractors.extractor import Extractor

EXTRACTION_SETTINGS = frozenset({"sampling", "video_stream", "placed_by"})
"""Recorded settings that are no extractor's: how frames are got."""


def settings_to_record(extractor: Extractor, *, sampling: Sampling, video_stream: int | None = None) -> Settings:
    """Return the settings that a feature file records."""
    return {
        **extractor.settings,
        "sampling": asdict(sampling),
        **({} if video_stream is None else {"video_stream": video_stream}),
    }


class TrainedOn(Protocol):
    """What a model records of the features that it was trained on."""

    @property
    def extractor(self) -> Settings:
        """Their settings."""

    @property
    def frame_shape(self) -> list[int]:
        """Of a frame."""

    @property
    def dtype(self) -> str:
        """Of its values."""


def require_same_features(features: Features, trained_on: TrainedOn) -> None:
    """Raise FeatureFileError, with the difference, unless features are like those that a model was trained on.

    How frames were got may differ, and what the extractor declares in its `free_settings`. Features of no registered
    extractor, such as imported ones, are compared by shape and type alone, but for letters: those of another codebook
    stand for something else.
    """
    settings = trained_on.extractor
    want, got = (tuple(trained_on.frame_shape), trained_on.dtype), (features.frame_shape, features.dtype)
    if want != got:
        raise FeatureFileError(
            f"{features.path}: frames of {got[0]} {got[1]}; the run was trained on {want[0]} {want[1]}"
        )
    every = (settings.get("kind"), features.settings.get("kind"))
    kinds = [str(kind) for kind in every if kind in EXTRACTORS]
    if (kinds or "symbols" in every) and (difference := _difference(features.settings, settings, kinds)):
        raise FeatureFileError(
            f"{features.path}: made with other settings than the features that the run was trained on: {difference}"
        )


def _difference(found: Settings, wanted: Settings, kinds: list[str]) -> str:
    if not settings_difference(found, wanted, free=EXTRACTION_SETTINGS):
        return ""  # without importing an extractor, and with it perhaps its library
    free = EXTRACTION_SETTINGS.union(*(EXTRACTORS[kind].free_settings for kind in kinds))
    return settings_difference(found, wanted, free=free)
