"""Pixels as features: every frame made small, whole, its center, or squares cut out of it, gray or in color, uint8."""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import ConfigError
from ..preparation import Preparation
from .extractor import Extractor

MAX_SIZE = 2048
"""Larger patches would be whole videos in memory."""

# There is nothing to compute: a batch only has to be large enough that its overhead is small.
_BATCH_BYTES = 1 << 20


class PatchExtractor(Extractor):
    """Makes patches of size x size pixels, (size, size) gray or (size, size, 3) RGB, uint8.

    Raises ConfigError for an impossible size, or what else cannot be.
    """

    @dataclass(frozen=True, kw_only=True)
    class Settings:
        """What patches are cut out of a frame, and how; see `Preparation`."""

        size: int = 32
        """Pixels along each side."""
        region: str = "frame"
        """"frame" squeezes the whole frame into the square, "center" crops its middle."""
        color: bool = False
        """Keep the colors."""
        resize: str = "exact"
        """"exact" (torchvision's, antialiased) or "fast" (in whole numbers)."""
        crops: int = 0
        """Squares to cut out of each video, at random; 0: none, the whole region is one."""
        grid: int = 1
        """Cells along each side that the region is cut into."""
        seed: int = 0
        """Of the places of crops."""

    options: Settings
    dtype = "uint8"

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        size, grid = self.options.size, self.options.grid
        if not 1 <= size <= MAX_SIZE:
            raise ConfigError(f"size {size}: give the pixels along a side, 1 to {MAX_SIZE}")
        if grid > 1 and size * grid > MAX_SIZE:
            raise ConfigError(f"grid {grid} of size {size}: give cells that make at most {MAX_SIZE} pixels a side")
        preparation = asdict(self.options)
        del preparation["size"]
        self.preparation = Preparation(side=size, **preparation)
        self.frame_shape = self.preparation.crop_shape
        self.batch_size = max(1, min(64, _BATCH_BYTES // math.prod(self.preparation.shape)))

    @property
    def settings(self) -> dict[str, Any]:
        """What a feature file records; settings of crops and cells only where there are some."""
        unused = {"grid"} if self.options.grid == 1 else set()
        unused |= set() if self.options.crops else {"crops", "seed"}
        # Former vidreps placed crops by the name of a video, so that a moved one would have got others.
        placed = {"placed_by": "content"} if self.options.crops else {}
        return {name: value for name, value in super().settings.items() if name not in unused} | placed

    def encode(self, batch: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the patches as they are."""
        return batch
