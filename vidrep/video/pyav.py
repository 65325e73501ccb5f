"""The first decoder: FFmpeg through PyAV, packet by packet, so that one bad packet loses one packet."""

import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import av
import av.logging
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from ..errors import VideoError
from .containers import damage_of_container
from .geometry import pixel_aspect, square_pixel_size
from .reading import DecodeReport, Frame, Header, summarize
from .sampling import FrameChooser, Sampling

# Damage that FFmpeg conceals shows in its log alone. PyAV passes the log to `Capture` only from this level on.
_SERIOUS = av.logging.ERROR
av.logging.set_level(_SERIOUS)
# Otherwise a message about one video is left out for the next one that is damaged in the same way.
av.logging.set_skip_repeated(False)
logging.getLogger("libav").setLevel(logging.CRITICAL)

# The matrices (AVColorSpace) that swscale has; it refuses frames tagged with another one, or with a reserved number.
_MATRICES = {0, 1, 2, 4, 5, 6, 7, 9}
_NO_MATRIX = 2

# Containers whose header counts the packets one by one, so that fewer packets mean a cut file.
_CONTAINERS_WITH_AN_INDEX = ("mov", "mp4", "avi")


class PyAvReader:
    """Reads one video with PyAV; see `vidrep.video.reading`."""

    def __init__(self, path: Path, on_packet: Callable[[], None]) -> None:
        self._path, self._on_packet = path, on_packet
        self._stack = ExitStack()
        self._problems: list[str] = []
        self._num_packets = self._num_decoded = self._num_given = 0
        self._stopped_early = False
        self._why_none = ""

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            capture = cast(AbstractContextManager[list[tuple[int, str, str]]], av.logging.Capture(local=True))
            self._log = stack.enter_context(capture)
            try:
                # FFmpeg takes "a:b.mp4" for a protocol unless the path is absolute; playlists may name no address.
                container = av.open(
                    str(self._path.absolute()), metadata_errors="replace", options={"protocol_whitelist": "file"}
                )
            except (av.error.FFmpegError, OSError, ValueError) as error:
                raise VideoError(f"not a video that FFmpeg can open: {_reason(error)}") from error
            self._container: InputContainer = stack.enter_context(container)
            moving = [stream for stream in self._container.streams.video if not _is_cover(stream)]
            if not moving:
                kinds = sorted({stream.type for stream in self._container.streams} - {"video"})
                raise VideoError(f"it has no video stream (only {', '.join(kinds) or 'nothing'})")
            self._stream = moving[0]
            if self._stream.codec_context is None:
                raise VideoError("its video is in a codec that FFmpeg does not know; convert it to H.264, for example")
            # One thread a decoder: workers are the parallelism, and the log stays on this thread.
            self._stream.codec_context.thread_count = 1
            self._stream.codec_context.thread_type = "NONE"
            if self._stream.codec_context.name == "hevc":
                # Some streams carry a checksum of every picture, which is compared on request alone.
                self._stream.codec_context.options = {"err_detect": "crccheck"}
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def frames(self, sampling: Sampling) -> Iterator[Frame]:
        """Decode once, from the beginning, and yield the frames that are kept."""
        chooser = FrameChooser(sampling)
        to_rgb = _ToRgb(pixel_aspect(self._stream.sample_aspect_ratio))
        clock = _Clock(
            self._fps,
            has_presentation_times="avi" not in self._formats,
            # Below 0 only sound begins, which a player leaves out.
            first_seconds=max(0, self._container.start_time or 0) / av.time_base,
        )
        for packet in self._packets():
            for decoded in self._decode(packet):
                seconds = clock.seconds(decoded)
                if chooser.keeps(seconds) and (rgb := self._converted(decoded, to_rgb)) is not None:
                    self._num_given += 1
                    yield Frame(rgb, seconds)
                if chooser.is_full:
                    self._stopped_early = True
                    break
            if self._stopped_early:
                break
        self._why_none = chooser.why_none

    def _converted(self, frame: VideoFrame, to_rgb: "_ToRgb") -> NDArray[np.uint8] | None:
        try:
            return to_rgb.convert(frame)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            self._problems.append(f"a frame could not be converted to RGB: {_reason(error)}")
            return None

    def _packets(self) -> Iterator["Packet[VideoStream]"]:
        """Demux; the last packet is empty and flushes the decoder, after the damaged end of a file too."""
        packets = self._container.demux(self._stream)
        try:
            for packet in packets:
                self._on_packet()
                if packet.size:
                    self._num_packets += 1
                    if packet.is_corrupt:
                        self._problems.append(f"packet {self._num_packets} is marked as corrupt")
                yield packet
        except (av.error.FFmpegError, OSError) as error:
            self._problems.append(f"reading stopped: {_reason(error)}")
            flush = cast("Packet[VideoStream]", Packet())
            flush.stream = self._stream
            yield flush

    def _decode(self, packet: "Packet[VideoStream]") -> list[VideoFrame]:
        try:
            decoded = [frame for frame in packet.decode() if isinstance(frame, VideoFrame)]
        except av.error.EOFError:
            return []
        except (av.error.FFmpegError, ValueError) as error:
            self._problems.append(f"packet {self._num_packets} could not be decoded: {_reason(error)}")
            return []
        for number, frame in enumerate(decoded, start=self._num_decoded + 1):
            if frame.is_corrupt:
                self._problems.append(f"frame {number} is damaged")
        self._num_decoded += len(decoded)
        return decoded

    def header(self) -> Header:
        """Return what is in the header; where it counts no frames, their number follows from its duration."""
        seconds = (self._container.duration or 0) / av.time_base
        return Header(self._stream.frames or round(seconds * self._fps), self._fps)

    @property
    def _fps(self) -> float:
        rate = self._stream.average_rate or self._stream.guessed_rate
        return float(rate) if rate else 0.0

    @property
    def _formats(self) -> list[str]:
        return self._container.format.name.split(",")

    def report(self) -> DecodeReport:
        """Report on the video, after its frames were read."""
        logged = [f"{name}: {' '.join(text.split())}" for level, name, text in self._log if level <= _SERIOUS]
        promised = self._stream.frames
        has_index = any(name in _CONTAINERS_WITH_AN_INDEX for name in self._formats)
        # An edit list hides frames that the header counts: they are not in the index.
        expected = min(promised, len(self._stream.index_entries)) if "mov" in self._formats else promised
        missing = ""
        if has_index and not self._stopped_early and self._num_packets < expected:
            missing = f"cut short: {self._num_packets} of the {expected} frames that the header promises are there"
        elif not self._stopped_early:
            missing = damage_of_container(self._path, self._on_packet)
        return summarize(
            problems=self._problems + logged,
            num_given=self._num_given,
            fps=self._fps,
            num_frames_from_header=promised,
            missing=missing,
            why_none=self._why_none,
        )


class _Clock:
    """Computes when a decoded frame is shown, in seconds from the beginning of the file, as players count.

    MPEG-TS and the like begin at any time: `first_seconds`, known to a microsecond. AVI stores no presentation times:
    FFmpeg guesses them, and with B-frames guesses them out of order. There the time follows from the order of decoding,
    counted from the first frame.
    """

    def __init__(self, fps: float, *, has_presentation_times: bool, first_seconds: float) -> None:
        self._first_seconds = first_seconds
        self._seconds_per_frame = 1.0 / fps if fps else 0.0
        self._has_presentation_times = has_presentation_times
        self._first_dts: int | None = None
        self._last_seconds = -self._seconds_per_frame

    def seconds(self, frame: VideoFrame) -> float:
        """Return the time of the next frame; one that has none follows the last at the average frame rate."""
        seconds = self._last_seconds + self._seconds_per_frame
        if self._has_presentation_times:
            if frame.time is not None:
                seconds = round(frame.time - self._first_seconds, 6) if self._first_seconds else frame.time
        elif frame.dts is not None and frame.time_base is not None:
            self._first_dts = frame.dts if self._first_dts is None else self._first_dts
            seconds = float((frame.dts - self._first_dts) * frame.time_base)
        self._last_seconds = seconds
        return seconds


class _ToRgb:
    """Converts the frames of one video to upright RGB with square pixels.

    Colors are those that the frame's tags mean: its matrix (BT.601, BT.709, BT.2020) and its range, limited or full.
    A frame without a matrix is taken for BT.601 whatever its size, as FFmpeg and OpenCV do. Alpha is dropped: what
    shows is what the encoder kept under the transparent parts, as in a player without alpha. High dynamic range
    is not mapped to standard.
    """

    def __init__(self, aspect: float) -> None:
        self._aspect = aspect
        # Kept from frame to frame and on one thread: setting up its threads anew would take 3 ms a frame.
        self._reformatter = VideoReformatter()

    def convert(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """Convert to (H, W, 3) RGB and turn as the container asks, so that up is up."""
        quarter_turns = round(frame.rotation / 90) % 4
        height, width = square_pixel_size(frame.height, frame.width, aspect=self._aspect)
        if frame.colorspace not in _MATRICES:
            frame.colorspace = _NO_MATRIX
        rgb = self._reformatter.reformat(frame, width=width, height=height, format="rgb24", threads=1)
        return np.ascontiguousarray(np.rot90(rgb.to_ndarray().astype(np.uint8, copy=False), quarter_turns))


def _is_cover(stream: VideoStream) -> bool:
    """Whether a stream is the picture of an album, or a thumbnail."""
    return bool(stream.disposition & Disposition.attached_pic)


def _reason(error: Exception) -> str:
    """Return FFmpeg's message without the number and the path."""
    return str(getattr(error, "strerror", None) or error)
