"""The extractor that made a feature file, made again from the settings in it."""

from collections.abc import Sequence
from pathlib import Path

from ..errors import InputError
from ..features.settings import Settings, settings_difference
from ..registry import EXTRACTORS
from ..video.sampling import Sampling
from .compatibility import EXTRACTION_SETTINGS
from .extractors.extractor import Extractor


def build_extractor(
    settings: Settings, *, weights: Path | None = None, near: Sequence[Path] = (), device: str = "auto"
) -> Extractor:
    """Make the extractor that recorded settings describe, with the very same weights.

    weights: the weights file, if it is to be that one. near: folders to search for it, such as the run's.

    Raises InputError if the features were not computed from videos, or if the extractor of this name makes others now;
    WeightsError if the weights are not to be found or are not the same.
    """
    kind = settings.get("kind")
    if not isinstance(kind, str) or kind not in EXTRACTORS:
        raise InputError(
            f"features of kind {kind!r} were not computed from videos by a registered extractor, so vidrep cannot make "
            "them of new videos; make them as you made the first ones, `vidrep import` them and give that file, or if "
            "a plug-in made them, give --plugin MODULE"
        )
    try:
        extractor: Extractor = EXTRACTORS[kind].from_settings(settings, device=device, weights=weights, near=near)
    except (KeyError, TypeError, ValueError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else error
        raise InputError(f"the recorded settings are not those of an extractor {kind!r} ({reason})") from error
    free = EXTRACTION_SETTINGS | extractor.free_settings
    if difference := settings_difference(extractor.settings, settings, free=free):
        raise InputError(f"the extractor {kind!r} does not make such features any more: its {difference}")
    return extractor


def recorded_sampling(settings: Settings) -> Sampling:
    """Return the sampling that recorded settings describe."""
    return Sampling(**settings["sampling"])
