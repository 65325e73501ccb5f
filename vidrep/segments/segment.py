"""The one form in memory of annotations with time: segments, what time was watched, and the videos' splits."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from ..errors import LabelError


@dataclass(frozen=True, order=True)
class Segment:
    """A label that holds from `start` to `end` in a video.

    video: its name, as `vidrep.features.annotations.merge` finds it: a key, a path or an end of either.
    start, end: seconds in the video, 0 <= start <= end; both are one time for a point event. At `end` it is over.
    subject: who does it, '' if that is not said. group: what must not span splits, '' if that is not said.
    place: the file and the row, for messages.
    """

    video: str
    start: float
    end: float
    label: str
    subject: str = ""
    group: str = ""
    place: str = field(default="", compare=False, kw_only=True)

    @property
    def is_point(self) -> bool:
        """Whether it is an event without a duration."""
        return self.start == self.end


class Span(NamedTuple):
    """Seconds of a video, start <= end."""

    start: float
    end: float


@dataclass(frozen=True)
class Annotations:
    """Segments of videos, and what their files say besides.

    segments: sorted by video, start, end, label, subject and group.
    watched: of each video that is named, the spans, sorted and apart, in which every occurrence of a label is marked:
        time in them without a segment is background. All other time is unknown. () where the files do not say.
    splits: of the videos for which a file names one.
    labels: all names of labels, sorted, also of those that never occur, where a file names such.
    """

    segments: tuple[Segment, ...] = ()
    watched: Mapping[str, tuple[Span, ...]] = field(default_factory=dict)
    splits: Mapping[str, str] = field(default_factory=dict)
    labels: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        segments: Iterable[Segment],
        watched: Mapping[str, Sequence[Span]] | None = None,
        splits: Mapping[str, str] | None = None,
        labels: Iterable[str] = (),
    ) -> "Annotations":
        """Return annotations in the order and with the joined spans that the class promises."""
        every = tuple(sorted(segments))
        spans = {one.video: () for one in every} | dict(watched or {})
        return cls(
            every,
            {video: joined(spans[video]) for video in sorted(spans)},
            dict(sorted((splits or {}).items())),
            tuple(sorted({*labels, *(one.label for one in every)})),
        )

    @property
    def videos(self) -> list[str]:
        """The names of all videos, those without a segment among them, sorted."""
        return list(self.watched)

    @cached_property
    def by_video(self) -> Mapping[str, tuple[Segment, ...]]:
        """The segments of each video, in their order."""
        found: dict[str, list[Segment]] = {video: [] for video in self.watched}
        for one in self.segments:
            found[one.video].append(one)
        return {video: tuple(segments) for video, segments in found.items()}

    def of_video(self, video: str) -> "Annotations":
        """Return what there is of one video; all names of labels stay."""
        splits = {name: split for name, split in self.splits.items() if name == video}
        return Annotations(self.by_video[video], {video: self.watched[video]}, splits, self.labels)


def joined(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Return spans sorted, with those joined that overlap or touch, and without empty ones."""
    result: list[Span] = []
    for start, end in sorted(spans):
        if result and start <= result[-1].end:
            result[-1] = Span(result[-1].start, max(end, result[-1].end))
        elif start < end:
            result.append(Span(start, end))
    return tuple(result)


def without(spans: Iterable[Span], taken: Iterable[Span]) -> tuple[Span, ...]:
    """Return what of spans lies outside of those that are taken, sorted and apart."""
    result: list[Span] = []
    holes = joined(taken)
    for start, end in joined(spans):
        for hole in holes:
            if start < hole.start < end:
                result.append(Span(start, hole.start))
            if hole.start < end:
                start = max(start, hole.end)
        if start < end:
            result.append(Span(start, end))
    return tuple(result)


def watched_until(spans: Sequence[Span]) -> float | None:
    """Return where watched time ends if it is one span from the video's beginning on; else None."""
    return spans[0].end if len(spans) == 1 and spans[0].start == 0 else None


def combined(several: Sequence[Annotations]) -> Annotations:
    """Return the union of annotations; raises LabelError for a video with two splits."""
    watched: dict[str, list[Span]] = defaultdict(list)
    splits: dict[str, str] = {}
    for one in several:
        for video, spans in one.watched.items():
            watched[video].extend(spans)
        for video, split in one.splits.items():
            if (other := splits.setdefault(video, split)) != split:
                raise LabelError(f"{video!r} is in the splits {other!r} and {split!r}; keep one of them")
    segments = [segment for one in several for segment in one.segments]
    return Annotations.of(segments, watched, splits, [label for one in several for label in one.labels])


def find_overlaps(annotations: Annotations) -> list[tuple[Segment, Segment]]:
    """Return pairs of segments of one video that share time: each segment with the one before it that ends last.

    A point event shares time with a segment that it lies in, its start included, and with a point at the same time.
    """
    pairs = []
    for segments in annotations.by_video.values():
        last: Segment | None = None
        for one in segments:
            if last is not None and (one.start < last.end or one.start == last.start):
                pairs.append((last, one))
            if last is None or one.end > last.end:
                last = one
    return pairs
