"""Reads videos by FFmpeg, through PyAV: packet by packet, so that one bad packet loses one packet."""

import logging
import math
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import av
import av.logging
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.sidedata.sidedata import SideData
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream
from numpy.typing import NDArray

from ..errors import VideoError
from .clock import JUMP_SECONDS, Clock, frame_rate
from .containers import damage_of_container, num_empty_chunks
from .geometry import pixel_aspect, square_pixel_size, upright
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

# Where two recordings are joined, one of so many packets before it is marked as corrupt (seen: the second last one).
_MARKED_AT_JOINT = 4

# So many packets tell how large and how far apart all are, about.
_NUM_ESTIMATING = 200

# Containers whose header counts the packets one by one, so that fewer packets mean a cut file.
_CONTAINERS_WITH_AN_INDEX = ("mov", "mp4", "avi")


class PyAvReader:
    """Reads one video with PyAV; see `vidrep.video.reading`.

    container, stream: FFmpeg's, once it is open. moving_streams: its video streams without pictures of albums.
    rate: frames a second by the header, 0.0 if that does not tell.
    """

    def __init__(self, path: Path, stream: int | None, on_packet: Callable[[], None]) -> None:
        self._path, self._wanted_stream, self._on_packet = path, stream, on_packet
        self._stack = ExitStack()
        self._problems: list[str] = []
        self._notes: list[str] = []
        self._num_packets = self._num_decoded = self._num_given = 0
        self._corrupt_packets: list[int] = []
        self._last_dts: int | None = None
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
            self.container: InputContainer = stack.enter_context(container)
            self.stream = self._choose_stream()
            if self.stream.codec_context is None:
                raise VideoError("its video is in a codec that FFmpeg does not know; convert it to H.264, for example")
            # One thread a decoder: workers are the parallelism, and the log stays on this thread.
            self.stream.codec_context.thread_count = 1
            self.stream.codec_context.thread_type = "NONE"
            if self.stream.codec_context.name == "hevc":
                # Some streams carry a checksum of every picture, which is compared on request alone.
                self.stream.codec_context.options = {"err_detect": "crccheck"}
            self.rate = frame_rate(self.stream)
            self._jump = JUMP_SECONDS / self.stream.time_base if self.stream.time_base else math.inf
            self._clock = Clock(
                self.rate,
                has_presentation_times="avi" not in self._formats,
                # Below 0 only sound begins, which a player leaves out.
                first_seconds=max(0, self.container.start_time or 0) / av.time_base,
            )
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def _choose_stream(self) -> VideoStream:
        self.moving_streams = [stream for stream in self.container.streams.video if not _is_cover(stream)]
        moving = self.moving_streams
        if not moving:
            kinds = sorted({stream.type for stream in self.container.streams} - {"video"})
            raise VideoError(f"it has no video stream (only {', '.join(kinds) or 'nothing'})")
        wanted = self._wanted_stream
        if wanted is not None and wanted >= len(moving):
            raise VideoError(f"it has no video stream {wanted}: it has {len(moving)}, counted from 0")
        best = self.container.streams.best("video")
        indices = [stream.index for stream in moving]
        if wanted is None:
            wanted = indices.index(best.index) if best is not None and best.index in indices else 0
        if len(moving) > 1:
            self._notes.append(
                f"of its {len(moving)} video streams number {wanted} is taken, counted from 0; "
                "--video-stream takes another"
            )
        return moving[wanted]

    def frames(self, sampling: Sampling) -> Iterator[Frame]:
        """Decode once, from the beginning, and yield the frames that are kept."""
        chooser = FrameChooser(sampling)
        to_rgb = _ToRgb(pixel_aspect(self.stream.sample_aspect_ratio))
        for packet in self._packets():
            for decoded in self._decode(packet):
                seconds = self._clock.seconds(decoded)
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
        packets = self.container.demux(self.stream)
        try:
            for packet in packets:
                self._on_packet()
                if packet.size:
                    self._num_packets += 1
                    if packet.is_corrupt:
                        self._corrupt_packets.append(self._num_packets)
                    self._notice_joint(packet)
                yield packet
        except (av.error.FFmpegError, OSError) as error:
            self._problems.append(f"reading stopped: {_reason(error)}")
            flush = cast("Packet[VideoStream]", Packet())
            flush.stream = self.stream
            yield flush

    def _notice_joint(self, packet: "Packet[VideoStream]") -> None:
        """Take nothing for damage that marks the joint of two recordings: their packets' numbers do not go on."""
        dts = packet.dts
        if dts is None:
            return
        if self._last_dts is not None and dts < self._last_dts - self._jump:
            self._corrupt_packets = [
                number for number in self._corrupt_packets if number < self._num_packets - _MARKED_AT_JOINT
            ]
        self._last_dts = dts

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
        """Return what is in the header, or else follows from it: a duration and a rate give the number of frames.

        What it does not tell is estimated from the sizes and times of the first packets.
        """
        seconds = (self.container.duration or 0) / av.time_base
        num_frames = self.stream.frames or round(seconds * self.rate)
        return Header(num_frames, self.rate) if num_frames and self.rate else self._estimate(num_frames)

    def _estimate(self, num_frames: int) -> Header:
        num_bytes, times = 0, list[float]()
        for packet in self.container.demux():
            num_bytes += packet.size
            if packet.stream_index == self.stream.index and packet.size:
                times.append(float(packet.dts * packet.time_base) if packet.dts is not None else 0.0)
            if len(times) == _NUM_ESTIMATING:
                num_frames = num_frames or round(len(times) * self._path.stat().st_size / num_bytes)
                break
        span = max(times, default=0.0) - min(times, default=0.0)
        return Header(num_frames or len(times), self.rate or ((len(times) - 1) / span if span else 0.0))

    @property
    def _formats(self) -> list[str]:
        return self.container.format.name.split(",")

    def report(self) -> DecodeReport:
        """Report on the video, after its frames were read."""
        logged = [f"{name}: {' '.join(text.split())}" for level, name, text in self._log if level <= _SERIOUS]
        promised = self.stream.frames
        has_index = any(name in _CONTAINERS_WITH_AN_INDEX for name in self._formats)
        # An edit list hides frames that the header counts: they are not in the index.
        expected = min(promised, len(self.stream.index_entries)) if "mov" in self._formats else promised
        num_there = self._num_packets
        if "avi" in self._formats and num_there < expected:
            num_there += num_empty_chunks(self._path, self.stream.index)  # where a frame is shown once more
        missing = ""
        if has_index and not self._stopped_early and num_there < expected:
            missing = f"cut short: {num_there} of the {expected} frames that the header promises are there"
        elif not self._stopped_early:
            missing = damage_of_container(self._path, self._on_packet)
        return summarize(
            problems=[f"packet {number} is marked as corrupt" for number in self._corrupt_packets]
            + self._problems
            + logged,
            notes=self._notes + self._clock.notes,
            num_given=self._num_given,
            fps=self.rate or self._clock.measured_rate,
            num_frames_from_header=promised,
            missing=missing,
            why_none=self._why_none,
        )


class _ToRgb:
    """Converts the frames of one video to upright RGB with square pixels.

    Colors are those that the frame's tags mean: its matrix (BT.601, BT.709, BT.2020) and its range, limited or full.
    A frame without a matrix is taken for BT.601 whatever its size, as FFmpeg does. Alpha is dropped: what
    shows is what the encoder kept under the transparent parts, as in a player without alpha. High dynamic range
    is not mapped to standard.
    """

    def __init__(self, aspect: float) -> None:
        self._aspect = aspect
        # Kept from frame to frame and on one thread: setting up its threads anew would take 3 ms a frame.
        self._reformatter = VideoReformatter()
        self._rotation: int | None = None
        self._matrix: Sequence[int] | None = None

    def convert(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """Convert to (H, W, 3) RGB and turn as the container asks, so that up is up."""
        height, width = square_pixel_size(frame.height, frame.width, aspect=self._aspect)
        if frame.colorspace not in _MATRICES:
            frame.colorspace = _NO_MATRIX
        rgb = self._reformatter.reformat(frame, width=width, height=height, format="rgb24", threads=1)
        pixels = rgb.to_ndarray().astype(np.uint8, copy=False)
        # It takes time to look for, and changes with a key frame at most.
        if frame.key_frame or frame.rotation != self._rotation:
            self._rotation, self._matrix = frame.rotation, display_matrix(frame)
        return np.ascontiguousarray(pixels) if self._matrix is None else upright(pixels, self._matrix)


def display_matrix(frame: VideoFrame) -> Sequence[int] | None:
    """Return how a frame is to be turned and mirrored, as `vidrep.video.geometry.upright` takes it; None if not."""
    stored = frame.side_data.get("DISPLAYMATRIX")
    return None if stored is None else array("i", bytes(cast(SideData, stored)))


def _is_cover(stream: VideoStream) -> bool:
    """Whether a stream is the picture of an album, or a thumbnail."""
    return bool(stream.disposition & Disposition.attached_pic)


def _reason(error: Exception) -> str:
    """Return FFmpeg's message without the number and the path."""
    return str(getattr(error, "strerror", None) or error)
