"""One extraction as the command line does it, in a process that can be killed, starved and hit at any file operation.

python driver.py CLIPS OUTPUT [--fault NAME --at K] [--log FILE] [--file-size BYTES] [--width D] [--pause SECONDS]
                 [--workers N]

It counts the operations that change what lies in the output's folder, and at number K it is killed, half way through
if it is a write, or gets an OSError. Nothing of this is known to the code that runs: `os` itself is what is replaced.
"""

import argparse
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from faults import FAULTS, Faults

from vidrep.errors import OutputError
from vidrep.extraction import parts
from vidrep.extraction.extract import extract
from vidrep.extraction.extractors.extractor import Extractor
from vidrep.extraction.preparation import Preparation
from vidrep.registry import EXTRACTORS
from vidrep.video.sources import find_videos

VIDEOS_PER_PART = 3


class Native(Preparation):
    """Frames as they are: the clips have the right size, and workers need not wait for torch."""

    def load(self) -> None:
        """Import nothing."""


@EXTRACTORS.register("corners")
class Corners(Extractor):
    """Features without a network: a frame's corner in few pixels, repeated up to `width` values.

    pause: seconds that a batch takes.
    """

    @dataclass(frozen=True, kw_only=True)
    class Settings:
        width: int = 64
        """Values of a feature."""

    dtype = "float16"
    batch_size = 4

    def __init__(self, *, pause: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.preparation = Native(side=16)
        self.frame_shape, self._pause = (self.options.width,), pause

    def encode(self, batch: "np.ndarray[Any, np.dtype[np.uint8]]") -> "np.ndarray[Any, Any]":
        time.sleep(self._pause)
        flat = batch[:, ::4, ::4].reshape(len(batch), -1)
        return np.resize(flat.T, (self.frame_shape[0], len(batch))).T.astype(self.dtype) / 255


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def extract_all(clips: Path, output: Path, *, width: int, pause: float, workers: int) -> None:
    def build() -> Corners:
        say("begins")  # the lock is taken
        return Corners(width=width, pause=pause)

    parts.PART_MAX_VIDEOS = VIDEOS_PER_PART
    extract(find_videos([clips]), output, build, workers=workers)


def main() -> int:
    began = time.monotonic()
    parser = argparse.ArgumentParser()
    parser.add_argument("clips", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--fault", choices=FAULTS)
    parser.add_argument("--at", type=int, default=0)
    parser.add_argument("--log", type=Path)
    parser.add_argument("--file-size", type=int)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--pause", type=float, default=0.0, help="seconds that the network takes for a batch")
    parser.add_argument("--workers", type=int, default=0)
    given = parser.parse_args()
    if given.file_size is not None:
        import resource  # not on Windows

        resource.setrlimit(resource.RLIMIT_FSIZE, (given.file_size, resource.RLIM_INFINITY))
    if given.fault or given.log:
        Faults(given.output.parent, fault=given.fault, at=given.at, log=given.log)
    try:
        extract_all(given.clips, given.output, width=given.width, pause=given.pause, workers=given.workers)
    except OutputError as error:
        sys.stderr.write(f"{error}\n")
        say(f"{time.monotonic() - began:.3f} s")
        return error.exit_code
    say(f"{time.monotonic() - began:.3f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
