"""Pixels as features: every frame made small, whole, its center, or squares cut out of it, gray or in color, uint8."""

import math

import numpy as np
from numpy.typing import NDArray

from ...errors import ConfigError
from ...features.store import Settings
from ..preparation import Preparation

MAX_SIZE = 2048
"""Larger patches would be whole videos in memory."""


# There is nothing to compute: a batch only has to be large enough that handing it on costs little.
_BATCH_BYTES = 1 << 20


class PatchExtractor:
    """Makes patches of size x size pixels, (size, size) gray or (size, size, 3) RGB, uint8.

    size: pixels along each side. region, color, resize, crops, grid, seed: see `Preparation`.

    Raises ConfigError for an impossible size, or what else cannot be.
    """

    dtype = "uint8"
    network_device = ""

    def __init__(
        self,
        *,
        size: int = 32,
        region: str = "frame",
        color: bool = False,
        resize: str = "exact",
        crops: int = 0,
        grid: int = 1,
        seed: int = 0,
    ) -> None:
        if not 1 <= size <= MAX_SIZE:
            raise ConfigError(f"size {size}: give the pixels along a side, 1 to {MAX_SIZE}")
        if grid > 1 and size * grid > MAX_SIZE:
            raise ConfigError(f"grid {grid} of size {size}: give cells that make at most {MAX_SIZE} pixels a side")
        self.preparation = Preparation(
            side=size, region=region, color=color, resize=resize, crops=crops, grid=grid, seed=seed
        )
        self.frame_shape = self.preparation.view_shape
        self.batch_size = max(1, min(64, _BATCH_BYTES // math.prod(self.preparation.shape)))
        self.settings: Settings = {
            "kind": "patches",
            "size": size,
            "region": region,
            "color": color,
            "resize": resize,
            **({"crops": crops, "seed": seed} if crops else {}),
            **({"grid": grid} if grid > 1 else {}),
        }

    def encode(self, views: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the patches as they are."""
        return views
