"""Which media files an observation of BORIS is made of, and where in them a time of the observation lies."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ...errors import LabelError
from ..times import is_time, seconds_of

_PLAYER = re.compile(r"player #(\d+):")
_NOTHING = frozenset({"", "NA", "N/A", "NaN", "nan", "None", "Not found"})
_TOLERANCE = 0.0015  # BORIS writes milliseconds

OBSERVATION, SOURCE, MEDIA_DURATION = "observation_id", "source", "media_duration_(s)"
MEDIA_NAMES = ("media_file_name", "media_file_path", "media_file")
CODING_DURATIONS = ("coding_duration", "observation_duration", "total_duration")
TOTAL_LENGTH = "total_length"


def given(row: Mapping[str, str], *columns: str) -> str:
    """Return the value of the first of these columns that has one, '' if none has; "NA" is none."""
    return next((row[name] for name in columns if row.get(name, "") not in _NOTHING), "")


def _seconds(text: str) -> float | None:
    return seconds_of(text, "", "") if is_time(text) else None


@dataclass(frozen=True)
class Observation:
    """One observation of BORIS, whose time runs through its media files, one after the other.

    videos: the files of the first player; others show the same time.
    durations: of each in seconds, None if the file does not say them.
    coded: the seconds of the observation that were coded, None if the file does not say that.
    """

    videos: Sequence[str]
    durations: Sequence[float] | None
    coded: float | None

    @classmethod
    def of(cls, rows: Sequence[tuple[str, Mapping[str, str]]]) -> "Observation":
        """Return the observation of these rows, (place, values by column).

        Raises LabelError if it has several media files and the file does not say how long they are.
        """
        place, first = rows[0]
        durations = [_seconds(text) for text in _of_first_player(given(first, MEDIA_DURATION)).split(";")]
        source = _of_first_player(given(first, SOURCE))
        videos = [name.strip() for name in source.split(";")] if len(durations) > 1 else [source]
        in_rows = list(dict.fromkeys(name for _, row in rows if (name := given(row, *MEDIA_NAMES))))
        known = [duration for duration in durations if duration is not None]
        if len(known) == len(videos) and all(videos):
            return cls(videos, known, _seconds(given(first, *CODING_DURATIONS)))
        if len(in_rows) > 1:
            raise LabelError(
                f"{place}: the observation {given(first, OBSERVATION)!r} has several media files, and not how long "
                "each is; export it with BORIS 8 or later, with their durations"
            )
        # A live observation has no media: its own name is the video's.
        videos = in_rows or [source or given(first, OBSERVATION)]
        total = _seconds(given(first, TOTAL_LENGTH)) if TOTAL_LENGTH in first else known[0] if known else None
        coded = total if TOTAL_LENGTH in first else _seconds(given(first, *CODING_DURATIONS))
        return cls(videos, None if total is None else [total], coded)

    def pieces(self, start: float, end: float) -> Iterator[tuple[str, float, float]]:
        """Yield (video, start, end) of each media file that a time of the observation lies in."""
        if self.durations is None:
            yield self.videos[0], start, end
            return
        begin = 0.0
        last = len(self.videos) - 1
        for number, (video, duration) in enumerate(zip(self.videos, self.durations, strict=True)):
            first, stop = max(start, begin), end if number == last else min(end, begin + duration)
            is_here = first < stop or (start == end and begin <= start and (start < begin + duration or number == last))
            if is_here:
                yield video, round(first - begin, 6), round(stop - begin, 6)
            begin += duration

    def watched(self, first_event: float, last_event: float) -> tuple[float, float] | None:
        """Return what was watched: all media, or, if less was coded, from the first to the last event; None: unknown.

        first_event, last_event: seconds of the observation.
        """
        if self.coded is None:
            return None
        total = None if self.durations is None else sum(self.durations)
        if total is not None and self.coded >= total - _TOLERANCE:
            return 0.0, total
        return first_event, last_event


def _of_first_player(text: str) -> str:
    """Return what is said of the first player: "a.mp4;b.mp4" of "player #1:a.mp4;b.mp4|player #2:c.mp4"."""
    players = re.split(r"\|(?=player #\d+:)", text)[0] if _PLAYER.match(text) else text.split("|")[0]
    return _PLAYER.sub("", players, count=1).strip()
