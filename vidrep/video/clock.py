"""When the frames of a video are shown, and how many there are a second."""

from av.video.frame import VideoFrame
from av.video.stream import VideoStream

# Two rates of one stream that differ by this factor are not two measurements of it: one of them is a clock's.
_DISAGREEMENT = 1.5
# No container without a count of its frames has so many a second; 1,000 or 90,000 is the resolution of its clock.
_FASTEST = 400
_ASSUMED_RATE = 25.0

# A frame shown so many seconds before the one before it begins another recording. Frames that decoders give out of
# order, as of AVI, lie nearer.
JUMP_SECONDS = 0.5


def frame_rate(stream: VideoStream) -> float:
    """Return a stream's frames a second by its header, 0.0 if that does not tell.

    The average rate is right where the container counts the frames. Elsewhere it may be the resolution of a clock (raw
    DV: 60,000) or made up (raw H.264: 25): FFmpeg's guess, which looks into the stream, is taken if it is far off.
    """
    average, guessed = (float(rate or 0) for rate in (stream.average_rate, stream.guessed_rate))
    if stream.frames and average:
        return average
    disagree = average and guessed and not 1 / _DISAGREEMENT < average / guessed < _DISAGREEMENT
    rate = guessed if disagree or not average else average
    return rate if rate <= _FASTEST else 0.0


class Clock:
    """Computes when a decoded frame is shown, in seconds from the beginning of the file, as players count.

    MPEG-TS and the like begin at any time: `first_seconds`, known to a microsecond. AVI stores no presentation times:
    FFmpeg guesses them, and with B-frames guesses them out of order. There the time follows from the order of decoding,
    counted from the first frame.

    Where two recordings are joined, the clock may jump back. A frame more than half a second before the one before it
    follows that one by the time of a frame, and those after it count on from there. Jumps ahead are gaps, and stay.

    rate: of `frame_rate`; frames without times are 1/25 s apart if it is 0.
    """

    def __init__(self, rate: float, *, has_presentation_times: bool, first_seconds: float) -> None:
        self._first_seconds = first_seconds
        self._seconds_per_frame = 1.0 / (rate or _ASSUMED_RATE)
        self._has_presentation_times = has_presentation_times
        self._first_dts: int | None = None
        self._rate = rate
        self._num_frames = 0
        self._start = self._last = 0.0
        self._shift = 0.0
        self._jumps: list[float] = []
        self._has_times = False

    def seconds(self, frame: VideoFrame) -> float:
        """Return the time of the next frame; one that has none follows the last at the frame rate."""
        stored = self._stored(frame)
        seconds = self._last + self._seconds_per_frame if self._num_frames else 0.0
        if stored is not None:
            self._has_times = True
            if self._num_frames and stored + self._shift < self._last - JUMP_SECONDS:
                self._shift = round(seconds - stored, 6)
                self._jumps.append(seconds)
            seconds = stored + self._shift
        self._start = seconds if not self._num_frames else self._start
        self._num_frames += 1
        self._last = seconds
        return seconds

    @property
    def measured_rate(self) -> float:
        """Frames a second by the times of those seen so far, 0.0 if they do not tell."""
        span = self._last - self._start
        return round((self._num_frames - 1) / span, 3) if self._has_times and span > 0 else 0.0

    @property
    def notes(self) -> list[str]:
        """What a reader of the times should know, a sentence each."""
        notes = []
        if self._jumps:
            more = f" (and {len(self._jumps) - 1} times more)" if len(self._jumps) > 1 else ""
            notes.append(f"its clock jumps back at {self._jumps[0]:g} s{more}; what follows counts on from there")
        if self._num_frames and not self._has_times and not self._rate:
            notes.append(f"it has neither times nor a frame rate; {_ASSUMED_RATE:g} frames a second are assumed")
        return notes

    def _stored(self, frame: VideoFrame) -> float | None:
        if self._has_presentation_times:
            if frame.time is None or not self._first_seconds:
                return frame.time
            return round(frame.time - self._first_seconds, 6)
        if frame.dts is None or frame.time_base is None:
            return None
        self._first_dts = frame.dts if self._first_dts is None else self._first_dts
        return float((frame.dts - self._first_dts) * frame.time_base)
