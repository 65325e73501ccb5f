"""What both trainings do with features before the first step: check them, divide the videos, measure the values."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import ConfigError, FeatureFileError, InputError
from ..features.checksum import RowsChecksum
from ..features.store import Features
from ..models.output_projection import Values
from ..models.scaling import FrameScaler
from ..sequences.windows import Windows

# A look at held-out videos takes at most this many windows, evenly spread, so that it stays short.
MAX_VALIDATION_WINDOWS = 2048
# What `training.batch_size` 0 comes to where there are windows enough.
DEFAULT_BATCH_SIZE = 64
# Values measured at once: their copies in float64 are to be small beside a step's memory.
_VALUES_AT_ONCE = 1 << 17
# A value that deviates by less than this part of its mean, or of 1, counts as one that never changes.
_CONSTANT = 1e-6


def choose_values(features: Features, values: str) -> Values:
    """Say what frames' values are to the model; "auto" takes uint8 for probabilities.

    Raises FeatureFileError if real features are to be probabilities.
    """
    is_pixels = features.dtype == "uint8"
    if values == "probability" and not is_pixels:
        raise FeatureFileError(
            f'{features.path}: {features.dtype} features are no probabilities in [0, 1]; set values to "real"'
        )
    return "probability" if values == "probability" or (values == "auto" and is_pixels) else "real"


def fit_scaler(features: Features, videos: Sequence[int], values: Values) -> FrameScaler:
    """Measure the mean and standard deviation of each of a frame's D values over all frames of some videos."""
    blocks = (block for video in videos for block, _ in features.blocks(video))
    return fit_scaler_to_frames(blocks, features.frame_size, values)


def fit_scaler_to_frames(blocks: Iterable[NDArray[np.generic]], frame_size: int, values: Values) -> FrameScaler:
    """Measure the mean and standard deviation of each of a frame's D values over stored frames, blocks of (N, ...)."""
    scaler = FrameScaler(frame_size, values)
    # Sums of differences from the first frame: those of large, hardly changing values would drown in rounding.
    origin: NDArray[np.float64] | None = None
    count, total, total_of_squares = 0, np.zeros(frame_size), np.zeros(frame_size)
    rows = max(1, _VALUES_AT_ONCE // frame_size)
    for piece in (block[start : start + rows] for block in blocks for start in range(0, len(block), rows)):
        stored = torch.from_numpy(np.array(piece).reshape(len(piece), -1))
        frames = scaler.original(stored).double().numpy()
        origin = frames[0] if origin is None else origin
        differences = frames - origin
        count += len(frames)
        total += differences.sum(axis=0)
        total_of_squares += np.square(differences).sum(axis=0)
    if origin is None:
        raise ValueError("no frame to fit the scaler on")
    mean = origin + total / count
    std = np.sqrt(np.maximum(total_of_squares / count - (total / count) ** 2, 0))
    std[std < _CONSTANT * np.maximum(1, np.abs(mean))] = 1.0
    scaler.mean.copy_(torch.from_numpy(mean))
    scaler.std.copy_(torch.from_numpy(std))
    return scaler


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


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's random numbers, on the CPU and on `device`, and put their state back afterwards."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def is_lack_of_memory(error: Exception) -> bool:
    """Say whether an error is what Python or torch raise when memory, the CPU's or a GPU's, does not suffice."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate" in str(error)


@contextmanager
def naming_lack_of_memory(batch_size: int = 0) -> Iterator[None]:
    """Turn a lack of memory, on the CPU or a GPU, into a ConfigError that says what takes less.

    batch_size: windows of a step, if they are what takes it; a GPU is said to have room for half of them, for all but
    weights and the optimizer's state grows with them.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_lack_of_memory(error):
            raise
        where, less = "memory", "lower model.hidden_size, model.num_layers or training.batch_size"
        if isinstance(error, torch.OutOfMemoryError) and torch.cuda.is_available():
            free, total = torch.cuda.mem_get_info()
            others = max(0, total - free - torch.cuda.memory_reserved())
            where = f"the GPU's {_gibibytes(total)}, of which {_gibibytes(others)} are not this process's to use"
            half = batch_size // 2
            if half:
                less = f"training.batch_size {half} takes about half; or lower model.hidden_size or model.num_layers"
        raise ConfigError(
            f"the training does not fit into {where}; {less}, or set training.gradient_accumulation or "
            "training.recompute_every"
        ) from error


def _gibibytes(num_bytes: int) -> str:
    return f"{num_bytes / 2**30:.1f} GiB"


def require_windows(windows: Windows, *, name: str, advice: str) -> None:
    """Raise InputError, with some advice, if there is no window; `name` says what kind of videos they are of."""
    if len(windows) == 0:
        longest = max(row.length for row in windows.features.videos)
        raise InputError(
            f"{windows.features.path}: no {name} video has a window of {windows.length} frames, the longest video of "
            f"all has {longest}; {advice}"
        )


def choose_batch_size(num_windows: int, wanted: int) -> int:
    """Return the batch size to use: the wanted one, or for 0 the default's 64, or all windows if there are fewer.

    Raises ConfigError if there are fewer windows than are wanted.
    """
    if wanted > num_windows:
        raise ConfigError(
            f"training.batch_size {wanted}: the training videos have only {num_windows} windows; give at most that "
            "many, or 0 for what fits"
        )
    return wanted or min(DEFAULT_BATCH_SIZE, num_windows)


def subsample(windows: Windows, most: int = MAX_VALIDATION_WINDOWS) -> Windows:
    """Keep at most so many windows, evenly spread."""
    if len(windows) <= most:
        return windows
    kept = np.linspace(0, len(windows) - 1, most).astype(np.int64)
    return Windows(windows.features, windows.length, windows.videos[kept], windows.starts[kept], windows.lengths[kept])
