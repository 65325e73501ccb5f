"""Annotations with time and the videos that they are of."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..errors import LabelError, nearest_names, some_names
from ..features.annotations import VideoFinder
from .segment import Annotations, Segment, Span

# Containers, players and annotation tools differ in where a video ends.
_TOLERANCE = 0.5


def match_videos(
    annotations: Annotations, lengths: Mapping[str, float], *, paths: Sequence[str] = (), leave_out: bool = False
) -> Annotations:
    """Return annotations under the keys of their videos, with what lies within half a second past an end cut off.

    lengths: where each video ends, seconds, by its key.
    paths: the videos' absolute paths, in the order of the keys, if they have some.
    leave_out: leave out videos that are not there; without it, they are an error.

    A name in the annotations is found as `vidrep.features.annotations.merge` finds it: a key, a path, or an end of one.

    Raises LabelError, naming the file and the row, for a name that is no video, or could be several, and for a segment
    that begins after its video's end or is over more than half a second later.
    """
    keys = list(lengths)
    finder = VideoFinder(keys, paths)
    found: dict[str, str] = {}
    for video, segments in annotations.by_video.items():
        positions = finder.find([video])
        if len(positions) > 1 or (not positions and not leave_out):
            raise LabelError(_place(segments) + _why_not(video, [keys[one] for one in positions], keys))
        if positions:
            found[video] = keys[positions[0]]
    watched: dict[str, list[Span]] = {}
    for video, key in found.items():
        spans = (Span(start, min(end, lengths[key])) for start, end in annotations.watched[video])
        watched.setdefault(key, []).extend(span for span in spans if span.start < span.end)
    those = (one for one in annotations.segments if one.video in found)
    kept = [_within(one, found[one.video], lengths) for one in those]
    splits = {found[video]: split for video, split in annotations.splits.items() if video in found}
    return Annotations.of(kept, watched, splits, annotations.labels)


def _place(segments: Sequence[Segment]) -> str:
    return f"{segments[0].place}: " if segments and segments[0].place else ""


def _why_not(video: str, several: Sequence[str], keys: Sequence[str]) -> str:
    if several:
        return f"{video!r} could be {some_names(map(repr, several))}; write the whole key"
    hint = nearest_names(video, keys, count=1) or f"they are {some_names(map(repr, keys), count=2)}"
    return f"{video!r} is not one of the {len(keys)} videos; {hint}"


def _within(one: Segment, key: str, lengths: Mapping[str, float]) -> Segment:
    length = lengths[key]
    if one.start > length or one.end > length + _TOLERANCE or (one.start == length and not one.is_point):
        raise LabelError(
            f"{one.place or key}: {one.start:g} s to {one.end:g} s lies outside {key!r}, which ends at {length:.3f} s; "
            "correct the times, or give the right video"
        )
    return replace(one, video=key, end=min(one.end, length))
