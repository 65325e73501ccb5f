"""What annotations say of the videos in a feature file: bouts, what time is known, and a target for every frame.

Shapes: T frames of a video, K labels.
"""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...errors import LabelError, some_names
from ...features.annotations import VideoFinder
from ...features.store import Features
from ...segments.frame_clock import frame_edges
from ...segments.matching import match_videos
from ...segments.segment import Annotations, Segment, Span, find_overlaps, joined, without
from .bouts import UNKNOWN, Bouts

_log = logging.getLogger(__name__)

BACKGROUND = "background"
"""What time in which nothing happens is called where nobody names it otherwise, as in DeepEthogram's files."""
# Two annotations may share this, seconds, for times are rounded.
_TOUCH = 0.05


@dataclass(frozen=True, eq=False)
class VideoTruth:
    """What is known of one video.

    edges: (T + 1,) seconds. bouts: of the labels but for the background. known: the spans in which targets are known,
    sorted and apart; of several labels those in which all of them are.
    """

    edges: NDArray[np.float64]
    bouts: Bouts
    known: tuple[Span, ...]

    @property
    def seconds(self) -> float:
        """How much is known."""
        return sum(span.end - span.start for span in self.known)


@dataclass(frozen=True, eq=False)
class Truth:
    """What annotations say of videos, which go by their index in the features.

    labels: K names, sorted, with the background, if there is one, as the last. splits, groups: those that the
    annotations name, by index.
    """

    labels: tuple[str, ...]
    background: str | None
    several_labels: bool
    videos: Mapping[int, VideoTruth]
    splits: Mapping[int, str]
    groups: Mapping[int, str]

    def targets(self, video: int) -> NDArray[np.int64]:
        """Return a video's targets, (T,), or (T, K) of several labels; see `FrameTargets`."""
        of_video = self.videos[video]
        edges, bouts = of_video.edges, of_video.bouts
        if not self.several_labels:
            num_labels = len(self.labels) - (self.background is not None)
            labels = bouts.label_of_frames(edges, of_video.known, background=num_labels)
            return labels if self.background is not None else np.where(labels == num_labels, UNKNOWN, labels)
        on = bouts.on_frames(edges, len(self.labels), [Span(-np.inf, np.inf)])
        known = bouts.on_frames(edges, len(self.labels), of_video.known) != UNKNOWN
        return np.where((on == 1) | known, on, UNKNOWN).astype(np.int64)


def read_truth(
    features: Features,
    annotations: Annotations,
    *,
    background: str = "",
    several_labels: bool = False,
    labels: Sequence[str] | None = None,
) -> Truth:
    """Match annotations to the videos of features.

    background: the name of time in the annotated videos that has no label; "" leaves such time unknown, but where the
        annotations say what was watched: there it is BACKGROUND. Segments of the one or the other name are taken as
        what they say.
    several_labels: labels may hold at once; those that are not annotated do not hold where time was watched, or
        anywhere if `background` is given.
    labels: those that a run knows, the background among them; segments of others are left out, which is logged, and
        where one label holds at a time, their time is unknown. None: all that are there.

    Annotations of videos that are not there are left out, which is logged, as are events without a duration.

    Raises LabelError, naming the file and the row, for what does not fit the videos, for labels that overlap where one
    holds at a time, and if nothing is left.
    """
    if not annotations.videos:
        raise LabelError(
            f"{features.path}: there are annotations, but no row of them; annotate some, or give other files"
        )
    ends = {row.path: float(frame_edges(features, index)[-1]) for index, row in enumerate(features.videos)}
    _report_missing(annotations, list(ends))
    matched = match_videos(annotations, ends, leave_out=True)
    if not matched.videos:
        raise LabelError(
            f"{features.path}: none of the annotated videos is in it: {some_names(annotations.videos)}; the videos are "
            f"{some_names(list(ends))}"
        )
    name = background or BACKGROUND
    exclusive = [one for one in matched.segments if not several_labels or one.label == name]
    known = _known(matched, exclusive, ends if background else {})
    segments = _without_points([one for one in matched.segments if one.label != name])
    if labels is not None:
        segments, others = _of_labels(segments, labels)
        if not several_labels:
            known = {video: without(spans, others.get(video, ())) for video, spans in known.items()}
    if not several_labels:
        segments = _apart(Annotations.of(segments))
    names = sorted({one.label for one in segments} if labels is None else {*labels} - {name})
    if not names:
        raise LabelError(
            f"{features.path}: no segment with a duration and a label; annotate some, or give another file"
        )
    by_video = Annotations.of(segments, dict.fromkeys(matched.videos, ())).by_video
    index_of = {row.path: index for index, row in enumerate(features.videos)}
    shows_background = bool(background) or name in matched.labels or any(matched.watched.values())
    has_background = not several_labels and (shows_background if labels is None else name in labels)
    return Truth(
        labels=(*names, *([name] if has_background else [])),
        background=name if has_background else None,
        several_labels=several_labels,
        videos={
            index_of[video]: VideoTruth(
                frame_edges(features, index_of[video]), Bouts.of_segments(by_video[video], names), known[video]
            )
            for video in matched.videos
        },
        splits={index_of[video]: split for video, split in matched.splits.items()},
        groups={index_of[one.video]: one.group for one in matched.segments if one.group},
    )


def _known(
    annotations: Annotations, exclusive: Sequence[Segment], ends: Mapping[str, float]
) -> dict[str, tuple[Span, ...]]:
    """Return when all labels of each video are known: where it was watched, and where one excludes the others.

    exclusive: the segments that do. ends: of videos that count as watched where nothing else is said.
    """
    spans: dict[str, list[Span]] = defaultdict(list)
    for one in exclusive:
        spans[one.video].append(Span(one.start, one.end))
    for video, watched in annotations.watched.items():
        spans[video] += watched or ([Span(0.0, ends[video])] if ends else [])
    return {video: joined(of_video) for video, of_video in spans.items()}


def _report_missing(annotations: Annotations, keys: Sequence[str]) -> None:
    finder = VideoFinder(keys)
    missing = [video for video in annotations.videos if not finder.find([video])]
    if not missing:
        return
    first = annotations.by_video[missing[0]]
    place = f" ({first[0].place})" if first and first[0].place else ""
    _log.warning(
        "%d annotated videos are not among the %d of the features and are left out: %s%s",
        len(missing),
        len(keys),
        some_names(missing),
        place,
    )


def _without_points(segments: Sequence[Segment]) -> list[Segment]:
    points = [one for one in segments if one.is_point]
    if points:
        names = some_names(sorted({one.label for one in points}))
        _log.warning("%d events without a duration are left out, as frames have labels: %s", len(points), names)
    return [one for one in segments if not one.is_point]


def _of_labels(
    segments: Sequence[Segment], labels: Sequence[str]
) -> tuple[list[Segment], Mapping[str, Sequence[Span]]]:
    """Return the segments of some labels, and when, by video, there are others."""
    others = [one for one in segments if one.label not in labels]
    if others:
        names = some_names(sorted({one.label for one in others}))
        _log.warning("%d segments have labels that the run was not trained on and are left out: %s", len(others), names)
    spans: dict[str, list[Span]] = defaultdict(list)
    for one in others:
        spans[one.video].append(Span(one.start, one.end))
    return [one for one in segments if one.label in labels], spans


def _apart(annotations: Annotations) -> list[Segment]:
    """Return segments of which none overlap another label's, as rounded times do a little.

    Raises LabelError if two labels hold at one time by more than that.
    """
    for first, second in find_overlaps(annotations):
        if first.label != second.label and first.end - second.start > _TOUCH:
            places = " and ".join(one.place for one in (first, second) if one.place) or first.video
            raise LabelError(
                f"{places}: {first.label!r} and {second.label!r} overlap from {second.start:g} s on in "
                f"{first.video!r}; correct the times, or let several labels hold at once (--multi-label)"
            )
    apart = []
    for segments in annotations.by_video.values():
        starts: dict[str, float] = {}  # where each label holds next
        for one in reversed(segments):
            of_others = [start for label, start in starts.items() if label != one.label]
            apart.append(replace(one, end=min([one.end, *of_others])))
            starts[one.label] = one.start
    return apart
