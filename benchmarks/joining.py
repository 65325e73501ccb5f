"""Clips joined to untrimmed matches, as features: what is known of a clip is then a segment of a match."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from vidrep.features.store import Features
from vidrep.features.table import VideoRow
from vidrep.features.writer import writing_features
from vidrep.segments.segment import Annotations, Segment, Span
from vidrep.segments.writing import write_segments

MATCHES, ANNOTATIONS = "matches.h5", "annotations.csv"
NUMBERS_IN_A_MATCH = 5
"""Clips of each stroke in a match: neighboring numbers, which share player and court."""

Clips = Mapping[str, Sequence[int]]


def join(clips: Features, output: Path, seed: int) -> None:
    """Write matches.h5 and annotations.csv of clips in an order drawn anew."""
    rng = np.random.default_rng(seed)
    rate = round(1 / float(np.median(np.diff(clips.timestamps(0)))), 3)
    matches = dict(sorted(by_match(clips).items()))
    segments, watched, splits = [], {}, {}
    output.mkdir()
    with writing_features(
        output / MATCHES,
        settings={**clips.settings, "joined": seed},
        versions=clips.versions,
        num_rows=clips.num_frames,
        frame_shape=clips.frame_shape,
        dtype=clips.dtype,
    ) as writer:
        for match, by_stroke in matches.items():
            num_before = 0
            for clip in shuffled(by_stroke, rng):
                frames = clips.rows(clip)
                writer.append(frames, (num_before + np.arange(len(frames))) / rate)
                start, num_before = num_before, num_before + len(frames)
                segments.append(Segment(match, start / rate, num_before / rate, clips.videos[clip].label))
            splits[match] = match.partition("-")[0]
            watched[match] = [Span(0.0, num_before / rate)]
            writer.end_video(VideoRow(match, split=splits[match], fps=rate))
    write_segments(Annotations.of(segments, watched, splits), output / ANNOTATIONS)


def by_match(clips: Features) -> dict[str, dict[str, list[int]]]:
    """Return the clips of each stroke in each match, "train-01" and so on, of one split and neighboring numbers."""
    found: dict[str, dict[str, list[int]]] = {}
    for index, row in enumerate(clips.videos):
        number = int(re.findall(r"\d+", Path(row.path).stem)[-1])
        match = f"{row.split}-{(number - 1) // NUMBERS_IN_A_MATCH + 1:02d}"
        found.setdefault(match, {}).setdefault(row.label, []).append(index)
    return found


def shuffled(by_stroke: Clips, rng: np.random.Generator) -> Iterator[int]:
    """Yield clips in rounds of all strokes, each in an order of its own, no stroke twice in a row."""
    of_stroke = {stroke: rng.permutation(some).tolist() for stroke, some in sorted(by_stroke.items())}
    last = ""
    while any(of_stroke.values()):
        left = [stroke for stroke, some in of_stroke.items() if some]
        order = rng.permutation(left).tolist()
        if order[0] == last and len(order) > 1:
            order.append(order.pop(0))
        for stroke in order:
            yield of_stroke[stroke].pop()
        last = order[-1]
