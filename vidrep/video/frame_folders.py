"""Folders of frames and still images, read with OpenCV.

An image that is damaged or cut short is lost, not concealed: OpenCV gives nothing for it. Damage within a JPEG whose
end is in place can go unnoticed.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from ..errors import VideoError
from .numbered_images import NumberedImages, numbered_images
from .reading import DecodeReport, Frame, Header, summarize
from .sampling import FrameChooser, Sampling

try:
    import cv2
except ImportError as error:  # opencv-python needs system libraries that bare servers lack
    raise VideoError(
        f"images are read with OpenCV, which cannot be loaded ({error}); install libgl1 and libglib2.0-0, or "
        "opencv-python-headless"
    ) from error


class FrameFolderReader:
    """Reads the images of a folder as a video, or one still image; see `vidrep.video.reading`.

    path: a folder as `vidrep.video.numbered_images` describes it, or an image.
    frame_rate: images a second; the time of an image is its number, counted from the first one's, over that.
    on_image: called for every image that is read.

    Images are shown as OpenCV turns them by their EXIF orientation. Gray becomes RGB, 16 bits become the higher 8,
    alpha is dropped. Images that the sampling leaves out are not read.
    """

    def __init__(self, path: Path, frame_rate: float, on_image: Callable[[], None]) -> None:
        self._path, self._frame_rate, self._on_image = path, frame_rate, on_image
        self._problems: list[str] = []
        self._first: tuple[int, int] | None = None
        self._num_other_sizes = self._num_given = 0
        self._example = self._why_none = ""

    def __enter__(self) -> Self:
        cv2.setNumThreads(1)  # workers are the parallelism
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        is_still = not self._path.is_dir()
        still = NumberedImages(self._path.parent, ((0, self._path.name),))
        self._folder = still if is_still else numbered_images(self._path)
        self._fps = 0.0 if is_still else self._frame_rate
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def header(self) -> Header:
        """Return the number of images and their rate."""
        return Header(len(self._folder.images), self._fps)

    def frames(self, sampling: Sampling) -> Iterator[Frame]:
        """Read the images that are kept, by increasing number."""
        chooser = FrameChooser(sampling)
        first = self._folder.images[0][0]
        for number, name in self._folder.images:
            seconds = (number - first) / self._frame_rate
            if chooser.keeps(seconds) and (rgb := self._read(name)) is not None:
                self._num_given += 1
                yield Frame(rgb, seconds)
            if chooser.is_full:
                break
        self._why_none = chooser.why_none

    def _read(self, name: str) -> NDArray[np.uint8] | None:
        """Return an image, (H, W, 3) RGB, or None if it cannot be read."""
        self._on_image()
        try:
            content = np.frombuffer((self._folder.folder / name).read_bytes(), dtype=np.uint8)
            # Its type says that it is never None.
            bgr: NDArray[np.generic] | None = cv2.imdecode(content, cv2.IMREAD_COLOR) if content.size else None
        except (OSError, cv2.error) as error:
            reason = getattr(error, "strerror", None) or "OpenCV does not take it"
            self._problems.append(f"{name!r} cannot be read ({reason})")
            return None
        if bgr is None:
            self._problems.append(f"{name!r} is damaged, cut short or of an unknown kind")
            return None
        self._note_size(name, bgr.shape[0], bgr.shape[1])
        rgb: NDArray[np.uint8] = cv2.cvtColor(bgr.astype(np.uint8, copy=False), cv2.COLOR_BGR2RGB).astype(
            np.uint8, copy=False
        )
        return rgb

    def _note_size(self, name: str, height: int, width: int) -> None:
        self._first = self._first or (height, width)
        if (height, width) != self._first:
            self._num_other_sizes += 1
            self._example = self._example or f"{name!r} of {width}x{height}"

    def report(self) -> DecodeReport:
        """Report on the images that were read: partial if one could not be, ok with a message for gaps and sizes."""
        return summarize(
            problems=self._problems,
            num_given=self._num_given,
            fps=self._fps,
            num_frames_from_header=len(self._folder.images),
            notes=list(self._notes()),
            why_none=self._why_none,
        )

    def _notes(self) -> Iterator[str]:
        (first, _), (last, _) = self._folder.images[0], self._folder.images[-1]
        if self._folder.num_missing:
            yield f"{self._folder.num_missing} of the numbers {first} to {last} are missing, and their time stays empty"
        if self._first and self._num_other_sizes:
            height, width = self._first
            yield f"{self._num_other_sizes} images are not {width}x{height} as the first, such as {self._example}"
