"""The checksum that guards a video's rows in a feature file."""

import hashlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


class RowsChecksum:
    """SHA-256 of a video's features followed by its timestamps, both little-endian, updated in blocks."""

    def __init__(self) -> None:
        self._features, self._timestamps = hashlib.sha256(), list[bytes]()

    def update(self, features: NDArray[np.generic], timestamps: NDArray[np.float64]) -> None:
        """Add the next frames: features (n, ...), timestamps (n,) in seconds."""
        self._features.update(np.ascontiguousarray(features, dtype=features.dtype.newbyteorder("<")).data)
        self._timestamps.append(timestamps.astype("<f8").tobytes())

    def hexdigest(self) -> str:
        """Return the checksum of all frames so far, in hexadecimal."""
        digest = self._features.copy()
        digest.update(b"".join(self._timestamps))
        return digest.hexdigest()


def content_digest(checksums: Iterable[str]) -> str:
    """Return a hash of features as a whole, made of the checksums of their videos' rows, in any order.

    It identifies features cheaply and exactly: it changes with any value and with the set of videos, and not with their
    names and labels.
    """
    return hashlib.sha256("\n".join(sorted(checksums)).encode()).hexdigest()
