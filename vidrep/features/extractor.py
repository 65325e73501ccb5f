"""What turns frames into features: the interface that every kind of extractor has."""

from importlib.metadata import PackageNotFoundError, version
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .. import __version__
from ..errors import ConfigError
from .store import Settings


class Extractor(Protocol):
    """Turns upright RGB frames into feature vectors or small images, in two steps.

    `prepare` works on one frame of any size and belongs to the decoding side; `encode` works on batches of one fixed
    shape, so that a frame's feature does not depend on what else is in its batch.

    settings: everything that the features depend on, JSON-like; `build_extractor` makes an equal extractor of it.
    frame_shape, dtype: of one frame's features. batch_size: B, the frames of every batch, the last one padded.
    """

    settings: Settings
    frame_shape: tuple[int, ...]
    dtype: str
    batch_size: int
    prepared_shape: tuple[int, ...]

    def prepare(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Turn a frame, (H, W, 3), into `prepared_shape`."""

    def encode(self, batch: NDArray[np.uint8]) -> NDArray[Any]:
        """Turn (B, *prepared_shape) into features, (B, *frame_shape)."""


REGIONS = ("frame", "centre")


def check_region(region: str) -> str:
    """Return the region of a frame that an extractor looks at, "frame" or "centre"; raise ConfigError for another."""
    if region not in REGIONS:
        raise ConfigError(f"region {region!r}: allowed are {', '.join(REGIONS)}")
    return region


def library_versions(*packages: str) -> dict[str, str]:
    """Return the versions of vidrep and of `packages`, for the record; a package that is not installed is left out."""
    versions = {"vidrep": __version__}
    for package in packages:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions
