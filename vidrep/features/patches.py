"""Pixels as features: every frame made small, whole or its centre, grey or in colour, uint8."""

import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.transforms import functional as transforms

from ..errors import ConfigError
from .extractor import check_region
from .store import Settings

MAX_SIZE = 2048
"""Larger patches would be whole videos in memory."""


class PatchExtractor:
    """Makes patches of size x size pixels, (size, size) grey or (size, size, 3) RGB, uint8.

    size: pixels along each side.
    region: "frame" squeezes the whole frame into the square; "centre" scales the shorter side and crops the middle.
    colour: keep RGB; otherwise grey as ITU-R 601 luma weighs it.

    Resizing is torchvision's, bilinear and antialiased. Raises ConfigError for an impossible size or unknown region.
    """

    dtype = "uint8"
    batch_size = 64

    def __init__(self, *, size: int = 32, region: str = "frame", colour: bool = False) -> None:
        if not 1 <= size <= MAX_SIZE:
            raise ConfigError(f"size {size}: give the pixels along a side, 1 to {MAX_SIZE}")
        self._size, self._region, self._colour = size, check_region(region), colour
        self.frame_shape: tuple[int, ...] = (size, size, 3) if colour else (size, size)
        self.prepared_shape: tuple[int, ...] = self.frame_shape
        self.settings: Settings = {"kind": "patches", "size": size, "region": region, "colour": colour}

    def prepare(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Turn a frame, (H, W, 3), into a patch."""
        image = torch.from_numpy(rgb).permute(2, 0, 1)
        if self._region == "centre":
            image = transforms.center_crop(transforms.resize(image, [self._size], antialias=True), [self._size] * 2)
        else:
            image = transforms.resize(image, [self._size] * 2, antialias=True)
        if not self._colour:
            image = transforms.rgb_to_grayscale(image)
        pixels: NDArray[np.uint8] = image.permute(1, 2, 0).contiguous().numpy()
        return pixels.reshape(self.prepared_shape)

    def encode(self, batch: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the patches as they are."""
        return batch
