"""The second decoder: OpenCV. It conceals damage and guesses some times, which is why PyAV is the default."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, VideoError
from .containers import damage_of_container
from .geometry import pixel_aspect, square_pixel_size
from .reading import DecodeReport, Frame, Header, summarize
from .sampling import FrameChooser, Sampling

# Its FFmpeg writes about damage to standard error, where no one can catch it. The variable is read when OpenCV loads.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

try:
    import cv2
except ImportError as error:  # opencv-python needs system libraries that bare servers lack
    raise InputError(
        f"OpenCV cannot be loaded ({error}); install libgl1 and libglib2.0-0, or opencv-python-headless, "
        "or use --decoder pyav"
    ) from error


class OpenCvReader:
    """Reads one video with OpenCV; see `vidrep.video.reading`."""

    def __init__(self, path: Path, on_packet: Callable[[], None]) -> None:
        self._path, self._on_packet = path, on_packet
        self._num_decoded = self._num_given = 0
        self._problems: list[str] = []
        self._stopped_early = False
        self._why_none = ""
        with path.open("rb") as file:
            head = file.read(12)
        self._is_avi = head[:4] == b"RIFF" and head[8:] == b"AVI "

    def __enter__(self) -> Self:
        try:
            str(self._path.absolute()).encode()
        except UnicodeEncodeError as error:  # OpenCV would crash on it
            raise VideoError(
                "its name is not UTF-8, which OpenCV cannot open; rename it or use --decoder pyav"
            ) from error
        cv2.setNumThreads(1)  # one thread a decoder: workers are the parallelism
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        # Rotation is applied by default; the option to ask for it cannot be given on opening.
        self._capture = cv2.VideoCapture(str(self._path.absolute()), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
        if not self._capture.isOpened():
            self._capture.release()
            raise VideoError("not a video that OpenCV can open")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._capture.release()

    def frames(self, sampling: Sampling) -> Iterator[Frame]:
        """Decode once, from the beginning, and yield the frames that are kept."""
        chooser = FrameChooser(sampling)
        while self._capture.grab():
            self._on_packet()
            self._num_decoded += 1
            seconds = self._seconds()
            if chooser.keeps(seconds):
                decoded, bgr = self._capture.retrieve()
                if decoded:
                    self._num_given += 1
                    yield Frame(self._converted(bgr.astype(np.uint8, copy=False)), seconds)
                else:
                    self._problems.append(f"frame {self._num_decoded} could not be converted")
            if chooser.is_full:
                self._stopped_early = True
                break
        self._why_none = chooser.why_none

    def _converted(self, bgr: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Convert a frame, (H, W, 3), that OpenCV has turned, to RGB with square pixels."""
        sar = [self._capture.get(number) for number in (cv2.CAP_PROP_SAR_NUM, cv2.CAP_PROP_SAR_DEN)]
        quarter_turns = round(self._capture.get(cv2.CAP_PROP_ORIENTATION_META) / 90) % 4
        turn = -1 if quarter_turns % 2 else 1  # swaps height and width
        aspect = pixel_aspect(sar[0] / sar[1] if sar[1] else None)
        height, width = square_pixel_size(*bgr.shape[:2][::turn], aspect=aspect)[::turn]
        if (height, width) != bgr.shape[:2]:
            filtering = cv2.INTER_AREA if aspect < 1 else cv2.INTER_LINEAR
            bgr = cv2.resize(bgr, (width, height), interpolation=filtering).astype(np.uint8, copy=False)
        return np.ascontiguousarray(bgr[:, :, ::-1])

    def _seconds(self) -> float:
        """Return the time of the frame that was grabbed last; AVI stores none, and guesses are out of order there."""
        fps = self._capture.get(cv2.CAP_PROP_FPS)
        milliseconds = float(self._capture.get(cv2.CAP_PROP_POS_MSEC))
        if fps > 0 and (self._is_avi or milliseconds == 0):  # raw streams have no times either: 0 for every frame
            return (self._num_decoded - 1) / float(fps)
        return milliseconds / 1000.0

    def header(self) -> Header:
        """Return what is in the header."""
        num_frames, fps = (self._capture.get(what) for what in (cv2.CAP_PROP_FRAME_COUNT, cv2.CAP_PROP_FPS))
        return Header(max(0, int(num_frames)), max(0.0, float(fps)))

    def report(self) -> DecodeReport:
        """Report on the video, after its frames were read; from OpenCV comes only the number of frames."""
        promised = max(0, int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)))
        missing = ""
        if not self._stopped_early and self._num_decoded < promised:
            missing = f"{self._num_decoded} of the {promised} frames that the header promises were decoded"
        elif not self._stopped_early:
            missing = damage_of_container(self._path, self._on_packet)
        return summarize(
            problems=self._problems,
            num_given=self._num_given,
            fps=max(0.0, float(self._capture.get(cv2.CAP_PROP_FPS))),
            num_frames_from_header=promised,
            missing=missing,
            why_none=self._why_none,
        )
