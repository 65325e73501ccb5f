"""How fast features are read: random windows from several layouts, whole files, and opening.

    python benchmarks/feature_file.py [--write] [--megabytes 500]      writes docs/results/feature-file.md

One thread, one process. Every layout holds the same values and is read through once before it is measured, so that all
of it is in the page cache; the layouts take turns, round after round. Takes about two minutes and five times the
megabytes of disk in the folder for temporary files.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from recording import ROOT, facts

from vidrep import open_features
from vidrep.features.store import Features
from vidrep.features.table import VideoRow
from vidrep.features.writer import writing_features
from vidrep.sequences.windows import Windows, sliding_windows

ROUNDS = 5
SECONDS_A_TURN = 0.4
WINDOW, BATCH = 16, 64
FRAMES_A_VIDEO = 250
NUM_PARTS = 100
ROWS_A_CHUNK = 64
BLOCK_BYTES = 16 << 20

Gather = Callable[[NDArray[np.int64]], Any]


def video(number: int, width: int) -> NDArray[np.float16]:
    """Make a video's features, (250, width): half of them zero, as those of most networks are."""
    values = np.random.default_rng(number).standard_normal((FRAMES_A_VIDEO, width), dtype=np.float32)
    return np.maximum(values, 0).astype(np.float16)


def write(path: Path, numbers: range, frames: Callable[[int], NDArray[np.float16]]) -> None:
    """Write some videos as a feature file."""
    first = frames(numbers[0])
    with writing_features(
        path,
        settings={"kind": "benchmark"},
        versions={},
        num_rows=len(numbers) * len(first),
        frame_shape=first.shape[1:],
        dtype="float16",
    ) as writer:
        for number in numbers:
            writer.append(frames(number), np.arange(len(first)) / 10)
            writer.end_video(VideoRow(f"{number:06d}.mp4"))


def write_layouts(folder: Path, num_videos: int, width: int) -> None:
    """Write the same videos in every layout."""

    def frames(number: int) -> NDArray[np.float16]:
        return video(number, width)

    write(folder / "one.h5", range(num_videos), frames)
    for part, numbers in enumerate(np.array_split(np.arange(num_videos), NUM_PARTS)):
        write(folder / "parts" / f"part-{part:06d}.h5", range(numbers[0], numbers[-1] + 1), frames)
    rows = open_features(folder / "one.h5").file_rows(0)[:]
    with h5py.File(folder / "others.h5", "w") as file:
        file.create_dataset("chunks", data=rows, chunks=(ROWS_A_CHUNK, width))
        file.create_dataset("gzip", data=rows, chunks=(ROWS_A_CHUNK, width), compression="gzip", compression_opts=1)
        for number in range(num_videos):
            file[f"videos/{number}"] = rows[number * FRAMES_A_VIDEO : (number + 1) * FRAMES_A_VIDEO]


def slicing(windows: Windows, dataset: h5py.Dataset) -> Gather:
    """Gather by one slice of a dataset a window."""
    firsts = windows.features.first_rows[windows.videos] + windows.starts

    def gather(indices: NDArray[np.int64]) -> NDArray[np.float16]:
        out = np.empty((WINDOW, len(indices), *dataset.shape[1:]), dtype=np.float16)
        for column, first in enumerate(firsts[indices].tolist()):
            out[:, column] = dataset[first : first + WINDOW]
        return out

    return gather


def slicing_videos(windows: Windows, group: h5py.Group) -> Gather:
    """Gather by one slice of a video's own dataset a window."""

    def gather(indices: NDArray[np.int64]) -> NDArray[np.float16]:
        out = np.empty((WINDOW, len(indices), windows.features.frame_size), dtype=np.float16)
        for column, index in enumerate(indices):
            start = windows.starts[index]
            out[:, column] = group[f"{windows.videos[index]}"][start : start + WINDOW]
        return out

    return gather


def all_windows(features: Features) -> Windows:
    """Cut every window that there is."""
    return sliding_windows(features, range(len(features)), length=WINDOW, stride=1)


def windows_a_second(gather: Gather, num_windows: int, seed: int) -> float:
    """Gather random batches for a turn's time."""
    rng = np.random.default_rng(seed)
    batches = [rng.integers(0, num_windows, BATCH) for _ in range(1000)]
    began, count = time.perf_counter(), 0
    while (taken := time.perf_counter() - began) < SECONDS_A_TURN:
        gather(batches[count % len(batches)])
        count += 1
    return count * BATCH / taken


def measure_windows(folder: Path, num_videos: int, width: int) -> Iterator[str]:
    """Yield a table's rows: random windows a second of every layout."""
    write_layouts(folder, num_videos, width)
    one, parts = all_windows(open_features(folder / "one.h5")), all_windows(open_features(folder / "parts"))
    loaded = all_windows(one.features.preload())
    with h5py.File(folder / "one.h5") as plain, h5py.File(folder / "others.h5") as others:
        ways: dict[str, Gather] = {
            "**feature file, `Windows.gather`**": one.gather,
            f"**folder of {NUM_PARTS} parts, `Windows.gather`**": parts.gather,
            "**preloaded, `Windows.gather`**": loaded.gather,
            "h5py, contiguous": slicing(one, plain["features"]),
            f"h5py, chunks of {ROWS_A_CHUNK} rows": slicing(one, others["chunks"]),
            "h5py, one dataset a video": slicing_videos(one, others["videos"]),
            f"h5py, chunks of {ROWS_A_CHUNK} rows, gzip": slicing(one, others["gzip"]),
        }
        found: dict[str, list[float]] = {name: [] for name in ways}
        some = np.arange(0, len(one), len(one) // BATCH)[:BATCH]
        expected = one.gather(some)
        for gather in ways.values():
            np.testing.assert_array_equal(gather(some), expected)
        for path in folder.rglob("*.h5"):
            read_through(path)
        for seed in range(ROUNDS):
            for name, gather in ways.items():
                found[name].append(windows_a_second(gather, len(one), seed))
    for name, rates in found.items():
        yield f"| {width} | {name} | {statistics.median(rates):,.0f} | {min(rates):,.0f} to {max(rates):,.0f} |"


def read_through(path: Path) -> int:
    """Read a file as it is; return its bytes."""
    buffer, total = memoryview(bytearray(BLOCK_BYTES)), 0
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            total += count
    return total


def copy_blocks(path: Path) -> int:
    """Open a feature file and copy all of its rows, block by block; return their bytes."""
    features, total = open_features(path), 0
    for index in range(len(features)):
        for rows, _ in features.blocks(index):
            total += np.array(rows).nbytes
    return total


def forget(path: Path) -> None:
    """Let the system drop a file from the page cache."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def measure_sequential(path: Path) -> Iterator[str]:
    """Yield a table's rows: megabytes a second of the whole file, from the page cache and from the disk."""
    ways = {"`Features.blocks`, copied": copy_blocks, "plain `read()` of the same file": read_through}
    for state in ("warm", "cold") if hasattr(os, "posix_fadvise") else ("warm",):
        found: dict[str, list[float]] = {name: [] for name in ways}
        for _ in range(ROUNDS):
            for name, way in ways.items():
                if state == "cold":
                    forget(path)
                began = time.perf_counter()
                num_bytes = way(path)
                found[name].append(num_bytes / 1e6 / (time.perf_counter() - began))
        for name, rates in found.items():
            yield f"| {state} | {name} | {statistics.median(rates):,.0f} | {min(rates):,.0f} to {max(rates):,.0f} |"


def measure_opening(folder: Path) -> Iterator[str]:
    """Yield a table's rows: seconds to open files and folders of so many videos."""

    def frames(number: int) -> NDArray[np.float16]:
        return np.full((2, 8), number % 100, dtype=np.float16)

    write(folder / "100.h5", range(100), frames)
    write(folder / "10000.h5", range(10_000), frames)
    for part in range(1200):
        write(folder / "1200" / f"part-{part:06d}.h5", range(part * 50, part * 50 + 50), frames)
    (folder / "100 parts").mkdir()
    for path in sorted((folder / "1200").iterdir())[:100]:
        (folder / "100 parts" / path.name).symlink_to(path)
    ways = {
        "a file of 100 videos": folder / "100.h5",
        "a file of 10,000 videos": folder / "10000.h5",
        "100 parts, 5,000 videos": folder / "100 parts",
        "1,200 parts, 60,000 videos": folder / "1200",
    }
    found: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, path in ways.items():
            began = time.perf_counter()
            open_features(path)
            found[name].append(time.perf_counter() - began)
    for name, seconds in found.items():
        yield f"| {name} | {statistics.median(seconds):.4f} | {min(seconds):.4f} to {max(seconds):.4f} |"


def page(megabytes: int) -> Iterator[str]:
    """Measure everything; yield the lines of the page."""
    yield "# How fast features are read"
    yield ""
    yield f"Made by `python benchmarks/feature_file.py --write --megabytes {megabytes}`; one thread, one process."
    yield ""
    yield facts()
    yield f"## Random windows of {WINDOW} frames, float16, page cache warm"
    yield ""
    yield f"{megabytes} MB, batches of {BATCH}, {ROUNDS} rounds of {SECONDS_A_TURN} s each, layouts interleaved."
    yield ""
    yield "| values a frame | layout | windows/s, median | lowest to highest |"
    yield "|---|---|---|---|"
    with tempfile.TemporaryDirectory(prefix="vidrep-benchmark-") as scratch:
        for width in (512, 4096):
            num_videos = max(NUM_PARTS, int(megabytes * 1e6 / (2 * width * FRAMES_A_VIDEO)))
            yield from measure_windows(Path(scratch) / str(width), num_videos, width)
        yield ""
        yield "## Whole files, one after the other"
        yield ""
        yield f"{ROUNDS} rounds, interleaved; cold: after `posix_fadvise(DONTNEED)`; the disk's cache may hold it."
        yield ""
        yield "| page cache | how | MB/s, median | lowest to highest |"
        yield "|---|---|---|---|"
        yield from measure_sequential(Path(scratch) / "4096" / "one.h5")
        yield ""
        yield "## Opening"
        yield ""
        yield f"Tables and settings are read, rows are not; {ROUNDS} rounds, interleaved, page cache warm."
        yield ""
        yield "| what | seconds, median | lowest to highest |"
        yield "|---|---|---|"
        yield from measure_opening(Path(scratch))


def main() -> None:
    """Print the page, and write it if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write docs/results/feature-file.md")
    parser.add_argument("--megabytes", type=int, default=500, help="size of the features, for each width")
    arguments = parser.parse_args()
    lines = []
    for line in page(arguments.megabytes):
        print(line, flush=True)
        lines.append(line)
    if arguments.write:
        (ROOT / "docs" / "results" / "feature-file.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
