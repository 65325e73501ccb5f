"""A plug-in as a user would write it: the change from one frame to the next."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vidrep.extraction.extractors.extractor import Extractor
from vidrep.extraction.preparation import Preparation
from vidrep.registry import EXTRACTORS


# ---- 25 lines at most
@EXTRACTORS.register("difference")
class Difference(Extractor):
    """Every second frame's difference from the one after it, gray."""

    @dataclass(frozen=True, kw_only=True)
    class Settings:
        size: int = 8
        """Pixels along each side."""

    frames_per_feature, stride = 2, 2
    dtype = "float32"
    batch_size = 3

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.preparation = Preparation(side=self.options.size, color=False)
        self.frame_shape = self.preparation.crop_shape

    def encode(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        return batch[:, 1].astype(np.float32) - batch[:, 0].astype(np.float32)


# ----


class Mirrored(Preparation):
    """A preparation of a plug-in's own, which decoding workers can only have if they load the plug-in."""

    def for_video(self, key: str) -> Any:
        prepare = super().for_video(key)
        return lambda rgb: prepare(rgb)[:, :, ::-1]


@EXTRACTORS.register("mirrored-difference")
class MirroredDifference(Difference):
    """The same of mirrored frames."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.preparation = Mirrored(**vars(self.preparation))
