"""What an extraction would take, before it is begun: frames, disk, time."""

import hashlib
import shutil
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import VideoError
from ..features.store import SUFFIXES
from ..features.table import VideoRow
from ..machine import available_cores, torch_on_one_core, tune_malloc
from ..video.decoders import open_video
from ..video.numbered_images import numbered_images
from ..video.sampling import Sampling
from ..video.sources import VideoSource
from .compatibility import settings_to_record
from .encoding import batch_shape, network_threads, use_one_core
from .events import Decoding
from .extractors.extractor import Extractor, require_complete
from .output import ExtractionOutput
from .placement import known_contents
from .workers import default_workers

# So many headers are read, so many videos and frames of each are tried; more would hardly change the estimate.
_MAX_HEADERS = 200
_MAX_VIDEOS_TRIED = 4
_MAX_FRAMES_TRIED = 48


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What an extraction would take, about.

    num_done: videos that are in the output already, if their files have not changed.
    num_unreadable: of `num_tried` videos whose headers were read, and folders that cannot be searched.
    num_frames: kept, of the videos to do. seconds: the work, without the start.
    output_bytes: of the finished output. needed_bytes: while it is made, parts included. free_bytes: of that disk.
    """

    num_videos: int
    num_done: int
    num_tried: int
    num_unreadable: int
    num_frames: int
    seconds: float
    output_bytes: int
    needed_bytes: int
    free_bytes: int


def estimate(
    sources: Sequence[VideoSource],
    output: Path | str,
    extractor: Extractor,
    *,
    sampling: Sampling | None = None,
    video_stream: int | None = None,
    overwrite: bool = False,
    workers: int | None = None,
    threads: int | None = None,
) -> Estimate:
    """Return what `vidrep.extraction.extract.extract` would take with the same arguments; nothing is changed.

    Frames are counted by the headers of up to 200 videos, spread evenly, and by file sizes for the rest; time is that
    of a few frames of a few videos.

    Raises OutputError if the output was made with other settings, ConfigError for what cannot be.
    """
    tune_malloc()
    require_complete(extractor)
    output, sampling = Path(output).resolve(), sampling or Sampling()
    workers = default_workers(len(sources)) if workers is None else workers
    threads = available_cores() if threads is None else threads
    decoding = Decoding(preparation=extractor.preparation, sampling=sampling, stream=video_stream)
    settings = settings_to_record(extractor, sampling=sampling, video_stream=video_stream)
    rows = ExtractionOutput(output, start_over=overwrite).rows(settings)
    num_folders = sum(bool(source.unreadable) for source in sources)
    sources = [source for source in sources if not source.unreadable]
    crops = extractor.preparation.crop_names
    sizes = [_size(source.path) for source in sources]
    to_do = _to_do(sources, sizes, rows, crops)
    tried = _spread(to_do, _MAX_HEADERS)
    expected = {number: _expected_frames(sources[number], decoding) for number in tried}
    readable = {number: frames for number, frames in expected.items() if frames is not None}
    scale = sum(sizes[number] for number in to_do) / max(1, sum(sizes[number] for number in tried))
    num_frames = round(scale * sum(readable.values()))
    num_features = round(scale * sum(_expected_features(frames, extractor) for frames in readable.values()))
    trials = [sources[number] for number in _spread(sorted(readable), _MAX_VIDEOS_TRIED)]
    seconds_per_frame = _seconds_per_frame(trials, decoding, extractor, workers=workers, threads=threads)
    frame_bytes = int(np.prod(extractor.frame_shape, dtype=np.int64)) * np.dtype(extractor.dtype).itemsize + 8
    new_bytes = num_features * len(crops) * frame_bytes
    output_bytes = new_bytes + sum(row.length for row in rows) * frame_bytes
    return Estimate(
        num_videos=len(sources),
        num_done=len(sources) - len(to_do),
        num_tried=len(tried) + num_folders,
        num_unreadable=len(tried) - len(readable) + num_folders,
        num_frames=num_frames,
        seconds=num_frames * seconds_per_frame + _hash_seconds(sum(sizes), workers=workers),
        output_bytes=output_bytes,
        needed_bytes=new_bytes + (output_bytes if num_frames and output.suffix in SUFFIXES else 0),
        free_bytes=shutil.disk_usage(_existing_folder(output)).free,
    )


def _spread(numbers: Sequence[int], count: int) -> list[int]:
    """Return at most `count` of the numbers, spread evenly."""
    if not numbers:
        return []
    places: list[int] = np.unique(np.linspace(0, len(numbers) - 1, count).round().astype(int)).tolist()
    return [numbers[place] for place in places]


def _to_do(
    sources: Sequence[VideoSource], sizes: Sequence[int], rows: Sequence[VideoRow], crops: Sequence[str]
) -> list[int]:
    """Return the numbers of the sources that are probably not in the output.

    Their content is not read: a file is taken for known if rows at its path are of one of its size, or else rows whose
    own file is not at its path any more, and so may be this one.
    """
    known = known_contents(rows, crops)
    paths = {source.place[1] for source in sources}
    in_place: set[tuple[str, int, float]] = set()
    without_file: set[tuple[int, float]] = set()
    for row in rows:
        if row.source_sha256 in known:
            in_place.add((row.source_key, row.source_size, row.fps))
            if row.source_key not in paths:
                without_file.add((row.source_size, row.fps))
    if_any_rate = {(path, size) for path, size, _ in in_place}, {size for size, _ in without_file}

    def is_done(number: int) -> bool:
        source, size = sources[number], sizes[number]
        if source.frame_rate is None:
            return (source.place[1], size) in if_any_rate[0] or size in if_any_rate[1]
        rate = source.frame_rate
        return (source.place[1], size, rate) in in_place or (size, rate) in without_file

    return [number for number in range(len(sources)) if not is_done(number)]


def _size(path: Path) -> int:
    try:
        if path.is_dir():
            return numbered_images(path).num_bytes()
        return path.stat().st_size
    except (OSError, VideoError):
        return 0


def _existing_folder(path: Path) -> Path:
    return next(folder for folder in path.absolute().parents if folder.is_dir())


def _expected_frames(source: VideoSource, decoding: Decoding) -> float | None:
    try:
        with open_video(source.path, stream=decoding.stream, frame_rate=source.frame_rate) as video:
            header = video.header()
    except VideoError:
        return None
    return decoding.sampling.expected(header.num_frames, header.fps)


def _expected_features(num_frames: float, extractor: Extractor) -> float:
    """Return about how many features so many kept frames of one video give."""
    if extractor.frames_per_feature == extractor.stride == 1:
        return num_frames
    return max(0.0, (num_frames - extractor.frames_per_feature) // extractor.stride + 1)


def _seconds_per_frame(
    sources: Sequence[VideoSource], decoding: Decoding, extractor: Extractor, *, workers: int, threads: int
) -> float:
    """Decode and encode a few frames; stages that share the cores add up, a GPU works beside them."""
    decoding.preparation.load()
    with torch_on_one_core():
        frames, decode_seconds = _try_decoding(sources, decoding)
    if not frames:
        return 0.0
    frame, decode_seconds = frames[-1], decode_seconds / len(frames)
    network_seconds = _seconds_of_a_batch(extractor, frame) / (extractor.batch_size * extractor.stride)
    cores = available_cores()
    decode_seconds /= min(max(1, workers), cores)
    lanes = max(1, network_threads(extractor, threads))
    if extractor.network_device == "cpu":
        return decode_seconds + network_seconds / min(lanes, cores)
    return max(decode_seconds, network_seconds)


def _try_decoding(sources: Sequence[VideoSource], decoding: Decoding) -> tuple[list[NDArray[np.uint8]], float]:
    """Decode the first frames of some videos; return those after each one's first, and the core-seconds they took."""
    sampling = replace(decoding.sampling, start=None, end=None, max_frames=_MAX_FRAMES_TRIED)
    prepared: list[NDArray[np.uint8]] = []
    seconds = 0.0
    for source in sources:
        prepare = decoding.preparation.for_video(source.key)
        try:
            with open_video(source.path, stream=decoding.stream, frame_rate=source.frame_rate) as video:
                frames = video.frames(sampling)
                next(frames, None)  # opening is not what a frame takes
                seconds -= time.thread_time()
                prepared += [prepare(frame.rgb) for frame in frames]
                seconds += time.thread_time()
        except VideoError:
            continue
    return prepared, seconds


def _hash_seconds(num_bytes: int, *, workers: int) -> float:
    """Return how long the SHA-256 of all sources takes, by which done videos are recognized; a slow disk is slower."""
    sample = bytes(1 << 24)
    began = time.perf_counter()
    hashlib.sha256(sample)
    per_byte = (time.perf_counter() - began) / len(sample)
    return num_bytes * per_byte / min(max(1, workers), available_cores())


def _seconds_of_a_batch(extractor: Extractor, frame: NDArray[np.uint8]) -> float:
    shape = batch_shape(extractor)
    crops = frame[None] if extractor.frames_per_feature == 1 else frame[None, :, None]
    batch = np.broadcast_to(crops, shape).reshape(shape[0] * shape[1], *shape[2:])

    def compute() -> float:
        began = time.perf_counter()
        extractor.encode(batch)
        return time.perf_counter() - began

    initializer = use_one_core if extractor.network_device == "cpu" else None
    with ThreadPoolExecutor(1, "vidrep-network", initializer) as thread:
        thread.submit(compute).result()  # warms up
        return thread.submit(compute).result()
