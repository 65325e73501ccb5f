"""What turns frames into features: the interface that every kind of extractor has."""

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..features.store import Settings
from .preparation import Preparation


class Extractor(Protocol):
    """Turns upright RGB frames into feature vectors or small images, in two steps.

    preparation: the first step, on one frame of any size; it belongs to the decoding side.
    settings: everything that the features depend on, JSON-like; `build_extractor` makes an equal extractor of it.
    frame_shape, dtype: of the features of one view of a frame.
    batch_size: B, the frames of every batch, the last one padded, so that a frame's feature does not depend on what
        else is in its batch.
    network_device: where the second step computes, such as "cpu" or "cuda"; '' if there is nothing to compute.
    """

    preparation: Preparation
    settings: Settings
    frame_shape: tuple[int, ...]
    dtype: str
    batch_size: int
    network_device: str

    def encode(self, views: NDArray[np.uint8]) -> NDArray[Any]:
        """Turn (B x views, *preparation.view_shape) into features, (B x views, *frame_shape).

        It may be called from several threads at once.
        """
