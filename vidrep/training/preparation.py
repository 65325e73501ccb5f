"""What both trainings do with features before the first step: check them, choose what is "auto", measure the frames."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from ..config.settings import Likelihood
from ..errors import ConfigError, FeatureFileError, InputError, some_names
from ..features.checksum import RowsChecksum
from ..features.store import Features
from ..models.transforms.pca import PCASettings
from ..sequences.crops import ViewMaker
from ..sequences.windows import VideoWindows

_log = logging.getLogger(__name__)

# A validation takes at most this many windows, evenly spread, so that it stays short.
MAX_VALIDATION_WINDOWS = 2048
# What `training.batch_size` 0 comes to where there are windows enough.
DEFAULT_BATCH_SIZE = 64


def choose_likelihood(features: Features, likelihood: str) -> Likelihood:
    """Return the likelihood of frames; "auto" is "bernoulli" for uint8 features, else "gaussian".

    Raises FeatureFileError if real features are to be "bernoulli".
    """
    is_pixels = features.dtype == "uint8"
    if likelihood == "bernoulli" and not is_pixels:
        raise FeatureFileError(
            f'{features.path}: {features.dtype} features are no probabilities in [0, 1]; set likelihood to "gaussian"'
        )
    return "bernoulli" if likelihood == "bernoulli" or (likelihood == "auto" and is_pixels) else "gaussian"


# Frames that are centered by clip are reduced to so many principal components, unless they are so large that finding
# these takes minutes and gigabytes: both grow with the square of the size and more.
_REDUCED_SIZE, _LARGEST_REDUCED = PCASettings().size, 4096


def centering(frame_size: int) -> tuple[str, ...]:
    """Return the transforms of frames of D = `frame_size` values that are centered by clip."""
    reduces = _REDUCED_SIZE < frame_size <= _LARGEST_REDUCED
    return ("standardize", "center_clip", *(["pca"] if reduces else []))


def choose_transforms(
    transforms: tuple[str, ...] | str, likelihood: Likelihood, *, frame_size: int, centers_clips: bool = False
) -> tuple[str, ...]:
    """Return the names of the input transforms; "auto" is "standardize" for "gaussian" frames, else none.

    centers_clips: whether "auto" is to center frames of D = `frame_size` values by clip too, and to reduce large ones.

    Raises ConfigError for "bernoulli" frames with transforms, which would leave [0, 1].
    """
    if isinstance(transforms, str):
        if likelihood == "bernoulli":
            return ()
        if not centers_clips:
            return ("standardize",)
        return centering(frame_size)
    if transforms and likelihood == "bernoulli":
        raise ConfigError(
            f'transforms {", ".join(transforms)}: frames of likelihood "bernoulli" must stay in [0, 1]; set likelihood '
            'to "gaussian", or transforms to []'
        )
    return transforms


def frames_of(features: Features, videos: Sequence[int]) -> Callable[[], Iterator[Tensor]]:
    """Return what yields the stored frames of some videos in blocks of bounded size, (n, D), at every call."""

    def blocks() -> Iterator[Tensor]:
        for video in videos:
            for block, _ in features.blocks(video):
                # A memory map cannot be written to, which torch warns of: hence the copy.
                yield torch.from_numpy(np.array(block).reshape(len(block), -1))

    return blocks


def require_sound(features: Features, videos: Iterable[int]) -> None:
    """Raise FeatureFileError, naming the video, if some have rows without their checksum or values not finite."""
    for video in videos:
        row, checksum, num_before = features.videos[video], RowsChecksum(), 0
        for block, timestamps in features.blocks(video):
            finite = np.isfinite(block.reshape(len(block), -1)).all(axis=1)
            if not finite.all():
                raise FeatureFileError(
                    f"{features.file_of(video)}: video {row.path!r}, frame {num_before + int(np.argmin(finite))} holds "
                    "values that are not finite; extract it again"
                )
            checksum.update(block, timestamps)
            num_before += len(block)
        if checksum.hexdigest() != row.checksum:
            raise FeatureFileError(
                f"{features.file_of(video)}: the rows of video {row.path!r} are damaged: they do not have their "
                "checksum any more; extract it again"
            )


def require_windows(windows: VideoWindows, *, name: str, advice: str) -> None:
    """Raise InputError, with some advice, if there is no window; name: of what kind of videos they are."""
    if len(windows) == 0:
        longest = max(row.length for row in windows.features.videos)
        raise InputError(
            f"{windows.features.path}: no {name} video has a window of {windows.length} frames, the longest video of "
            f"all has {longest}; {advice}"
        )


def require_several(maker: ViewMaker, *, name: str) -> None:
    """Raise InputError if views cannot be compared, as there is one video; name: of what kind of videos it is."""
    if len(maker.videos) < 2:
        raise InputError(
            f"{maker.windows.features.path}: 1 {name} video, but the views of at least 2 are compared; use more "
            "videos, or objectives that read windows alone, such as --recipe composite"
        )


def report_windows(features: Features, videos: Sequence[int], length: int) -> None:
    """Log how many videos give no window, as they are too short for one; length: 1 where any frame is enough."""
    short = [features.videos[video].path for video in videos if features.videos[video].length < length]
    if short:
        lacking = "have no frame" if length == 1 else f"are shorter than a window of {length} frames"
        names = some_names(short)
        _log.warning("%d of %d videos %s and are left out: %s", len(short), len(videos), lacking, names)


def choose_batch_size(num_windows: int, wanted: int, *, what: str = "windows") -> int:
    """Return the batch size to use: the wanted one, or for 0 the default's 64, or all windows if there are fewer.

    Raises ConfigError if there are fewer windows than are wanted. what: what they are called then.
    """
    if wanted > num_windows:
        raise ConfigError(
            f"training.batch_size {wanted}: there are only {num_windows} training {what}; give at most that many, or "
            "0 for what fits"
        )
    return wanted or min(DEFAULT_BATCH_SIZE, num_windows)


AnyWindows = TypeVar("AnyWindows", bound=VideoWindows)


def subsample(windows: AnyWindows, most: int = MAX_VALIDATION_WINDOWS) -> AnyWindows:
    """Keep at most so many windows, evenly spread."""
    if len(windows) <= most:
        return windows
    return windows.chosen(np.linspace(0, len(windows) - 1, most).astype(np.int64))
