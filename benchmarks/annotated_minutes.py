"""What somebody annotates who has few minutes for many long videos: pieces of them, each watched as a whole."""

from collections.abc import Iterator, Sequence

import numpy as np

from vidrep.segments.segment import Annotations, Segment, Span

PIECE = 20.0
"""Seconds that are annotated at a stretch."""

Pieces = Sequence[tuple[str, Span]]


def drawn_pieces(whole: Annotations, draw: int) -> Iterator[tuple[str, Span]]:
    """Yield pieces of training videos, in an order drawn anew: one of every video, then another one of each, ...

    So what is annotated in fewer minutes is part of what is in more.
    """
    rng = np.random.default_rng(draw)
    videos = rng.permutation([video for video in whole.videos if whole.splits[video] == "train"])
    num_pieces = int(whole.watched[videos[0]][0].end // PIECE)
    orders = {video: rng.permutation(num_pieces) for video in videos}
    for number in range(num_pieces):
        for video in videos:
            start = PIECE * float(orders[video][number])
            yield str(video), Span(start, start + PIECE)


def first_minutes(pieces: Pieces, minutes: float) -> Pieces:
    """Return the first pieces, of so many minutes together."""
    return pieces[: round(60 * minutes / PIECE)]


def annotated(whole: Annotations, pieces: Pieces) -> Annotations:
    """Return what somebody annotated who watched these pieces: segments are cut where a piece ends."""
    watched: dict[str, list[Span]] = {}
    segments = []
    for video, piece in pieces:
        watched.setdefault(video, []).append(piece)
        for one in whole.by_video[video]:
            start, end = max(one.start, piece.start), min(one.end, piece.end)
            if start < end:
                segments.append(Segment(video, start, end, one.label))
    return Annotations.of(segments, watched, dict.fromkeys(watched, "train"), whole.labels)
