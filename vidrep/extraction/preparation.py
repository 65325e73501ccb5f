"""What happens to a frame between decoder and extractor, or feature file: it is resized, cut, made gray.

Decoding workers do it, so a preparation can be pickled. It resizes as torchvision does, bit for bit, without importing
torchvision, which would cost every worker a second.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import ConfigError, VideoError

REGIONS = ("frame", "center")
RESIZES = ("exact", "fast")
INTERPOLATIONS = ("bilinear", "bicubic")

# ITU-R 601 luma, in the digits that torchvision has.
_LUMA = np.array([0.2989, 0.587, 0.114], dtype=np.float32)

# Enough for any camera; a frame of 1 x 5000 pixels whose shorter side is to be 256 would take gigabytes.
_MAX_PIXELS = 1 << 27

Pixels = NDArray[np.uint8]


def check_region(region: str) -> str:
    """Return the region of a frame that is used, "frame" or "center"; raise ConfigError for another."""
    if region not in REGIONS:
        raise ConfigError(f"region {region!r}: allowed are {', '.join(REGIONS)}")
    return region


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """Turns an upright RGB frame of any size, (H, W, 3) uint8, into `shape`.

    side: pixels along each side of what comes out.
    scaled_to: for region "center", the shorter side before the crop; `side` unless given.
    region: "frame" squeezes the whole frame into the square; "center" scales the shorter side and crops the middle.
    color: keep RGB; otherwise gray as ITU-R 601 luma weighs it.
    crops: so many squares of the frame's own pixels, at places that are the same in every frame of a video and random
        over videos, a function of `seed` and the SHA-256 of the video. A frame smaller than a square is enlarged.
    grid: the region in grid x grid cells, each made `side` pixels wide.
    resize: "exact" is torchvision's, antialiased, in floating point; "fast" computes the same in whole numbers, which
        takes half of the time or less, and is off by a level of brightness here and there (bicubic: more, beside
        sharp edges).

    With crops or a grid, one video gives several sequences, named by `crop_names`; a cell of the grid counts as a crop.

    Raises ConfigError for what cannot be.
    """

    side: int
    scaled_to: int = 0
    region: str = "frame"
    color: bool = True
    interpolation: str = "bilinear"
    resize: str = "exact"
    crops: int = 0
    grid: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        check_region(self.region)
        if self.resize not in RESIZES:
            raise ConfigError(f"resize {self.resize!r}: allowed are {', '.join(RESIZES)}")
        if self.interpolation not in INTERPOLATIONS:
            raise ConfigError(f"interpolation {self.interpolation!r}: allowed are {', '.join(INTERPOLATIONS)}")
        if self.crops < 0:
            raise ConfigError(f"crops {self.crops}: give the number of squares to cut out of each video, from 1")
        if self.grid < 1:
            raise ConfigError(f"grid {self.grid}: give the number of cells along each side, from 1")
        if self.crops and self.grid > 1:
            raise ConfigError(f"crops {self.crops} and grid {self.grid}: give one of the two")
        if self.crops and self.region != "frame":
            raise ConfigError(f"crops {self.crops} and region {self.region!r}: crops come from the whole frame")
        whole = self.side * self.grid
        if self.region == "center" and 0 < self.scaled_to < whole:
            raise ConfigError(f"scaled_to {self.scaled_to}: the center of {whole} pixels a side does not fit into it")

    @property
    def crop_names(self) -> tuple[str, ...]:
        """What is added to a video's key for each of its sequences; one empty text if there is but one."""
        if self.crops:
            return tuple(f"#crop-{number}" for number in range(1, self.crops + 1))
        if self.grid > 1:
            numbers = range(1, self.grid + 1)
            return tuple(f"#cell-{row}-{column}" for row in numbers for column in numbers)
        return ("",)

    @property
    def num_crops(self) -> int:
        """How many sequences a video gives: random crops, cells of a grid, or the one region."""
        return len(self.crop_names)

    @property
    def crop_shape(self) -> tuple[int, ...]:
        """The shape of one crop of one frame: (side, side, 3) in color, (side, side) in gray."""
        return (self.side, self.side, 3) if self.color else (self.side, self.side)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one prepared frame: (num_crops, *crop_shape)."""
        return (self.num_crops, *self.crop_shape)

    def target(self, height: int, width: int) -> tuple[int, int]:
        """Return the (height, width) to which a frame is resized before it is cut."""
        whole = self.side * self.grid
        if self.crops:
            if min(height, width) >= self.side:
                return height, width
            return _shorter_side(height, width, self.side)
        if self.region == "center":
            return _shorter_side(height, width, self.scaled_to or whole)
        return whole, whole

    def load(self) -> None:
        """Import what preparing needs, so that the first frame does not wait for it."""
        import torch  # noqa: F401

    def for_video(self, key: str) -> Callable[[Pixels], Pixels]:
        """Return the function that prepares the frames of one video: (H, W, 3) in, `shape` out.

        The function raises VideoError for a frame that would be scaled to an absurd size.
        """
        places = self._places(key)

        def prepare(rgb: Pixels) -> Pixels:
            height, width = self.target(*rgb.shape[:2])
            if height * width > _MAX_PIXELS:
                shape = f"{rgb.shape[0]}x{rgb.shape[1]}"
                raise VideoError(f"frames of {shape} pixels would be scaled to {height}x{width}, which is too large")
            if rgb.shape[:2] != (height, width):
                rgb = resize(rgb, (height, width), self.interpolation, arithmetic=self.resize)
            crops = self._cut(rgb, places)
            return crops if self.color else _gray(crops)

        return prepare

    def _places(self, key: str) -> NDArray[np.float64]:
        """Where the crops of a video lie, (crops, 2) in [0, 1): fractions of the range that they can be moved in."""
        seed = int.from_bytes(hashlib.sha256(f"{self.seed} {key}".encode("utf-8", "surrogateescape")).digest()[:8])
        return np.random.default_rng(seed).random((self.crops, 2))

    def _cut(self, rgb: Pixels, places: NDArray[np.float64]) -> Pixels:
        height, width = rgb.shape[:2]
        side, whole = self.side, self.side * self.grid
        if self.crops:
            tops = (places[:, 0] * (height - side + 1)).astype(int)
            lefts = (places[:, 1] * (width - side + 1)).astype(int)
            return np.stack([rgb[top : top + side, left : left + side] for top, left in zip(tops, lefts, strict=True)])
        # The middle as torchvision rounds it; for region "frame" it is all there is.
        top, left = round((height - whole) / 2), round((width - whole) / 2)
        middle = rgb[top : top + whole, left : left + whole]
        cells = middle.reshape(self.grid, side, self.grid, side, 3).swapaxes(1, 2)
        return np.ascontiguousarray(cells).reshape(-1, side, side, 3)


def _shorter_side(height: int, width: int, wanted: int) -> tuple[int, int]:
    """Scale so that the shorter side is `wanted`; the longer one is cut to whole pixels, as torchvision does."""
    if width <= height:
        return int(wanted * height / width), wanted
    return wanted, int(wanted * width / height)


def resize(rgb: Pixels, size: tuple[int, int], interpolation: str, *, arithmetic: str = "exact") -> Pixels:
    """Resize (H, W, 3) to (*size, 3), antialiased: if "exact", as torchvision does a uint8 tensor, bit for bit."""
    import torch

    image = torch.from_numpy(rgb).permute(2, 0, 1).unsqueeze(0)
    if arithmetic == "exact":
        image = image.to(torch.float32)
    image = torch.nn.functional.interpolate(image, size, mode=interpolation, align_corners=False, antialias=True)
    if arithmetic == "exact":
        if interpolation == "bicubic":  # it overshoots
            image = image.clamp_(0, 255)
        image = image.round_().to(torch.uint8)
    pixels: Pixels = image.squeeze(0).permute(1, 2, 0).contiguous().numpy()
    return pixels


def _gray(rgb: Pixels) -> Pixels:
    """Turn (..., 3) into (...), weighed and cut to whole numbers as torchvision does."""
    red, green, blue = (rgb[..., channel].astype(np.float32) * weight for channel, weight in enumerate(_LUMA))
    gray: NDArray[np.float32] = red + green + blue
    return gray.astype(np.uint8)
