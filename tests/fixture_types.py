"""Types of the fixtures that are functions: what makes clips, videos, frames and feature files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

MakeClip = Callable[..., Path]
MakeVideo = Callable[..., Path]
MakeFrames = Callable[..., NDArray[np.uint8]]
PacketsOf = Callable[[Path], list[tuple[int, int]]]
MakeFeatureFile = Callable[..., dict[str, NDArray[Any]]]
