"""Which videos a draw labels: k videos, or k groups, of each class.

Shapes: N videos that may be labeled, K classes.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ...errors import ConfigError, LabelError
from ...sequences.split import ranked_groups
from .videos import StudyVideos

_log = logging.getLogger(__name__)

By = Literal["videos", "groups"]
Shots = int | Literal["all"]
"""k: how many videos, or groups, of each class have labels."""


@dataclass(frozen=True)
class Units:
    """What is labeled or not as a whole: a source video with its crops, or a group of them.

    videos: that may be labeled, (N,), indices of the features. names: (N,) of the unit of each. classes: (N,).
    """

    by: By
    videos: Sequence[int]
    names: Sequence[str]
    classes: NDArray[np.int64]

    @classmethod
    def of(cls, videos: StudyVideos, by: By | Literal["auto"]) -> "Units":
        """Make units of the training videos; "auto" takes groups if one of them holds several source videos.

        Raises ConfigError for another word.
        """
        if by not in ("auto", "videos", "groups"):
            raise ConfigError(f"labels are drawn by {by!r}: allowed are auto, videos and groups")
        rows = videos.features.videos
        sources = [rows[video].source_key for video in videos.train]
        groups = [videos.labeled.annotated.groups[video] for video in videos.train]
        if by == "auto":
            by = "groups" if len(set(groups)) < len(set(sources)) else "videos"
        return cls(by, videos.train, groups if by == "groups" else sources, videos.classes[videos.train])

    def counts(self, num_classes: int) -> NDArray[np.int64]:
        """Count the units of each class, (K,); one of several classes counts for each."""
        pairs = {(name, int(number)) for name, number in zip(self.names, self.classes, strict=True)}
        return np.bincount([number for _, number in pairs], minlength=num_classes).astype(np.int64)

    def drawn(self, shots: Shots, draw: int) -> list[int]:
        """Return the videos that a draw labels, indices of the features, ascending.

        Units come in an order that depends on the draw and their names. One is labeled if any of its classes is in
        fewer than k labeled units so far: every class gets k or more, and larger k label the same videos and more.
        """
        if shots == "all":
            return sorted(self.videos)
        labeled_units = np.zeros(self.classes.max() + 1, dtype=np.int64)
        chosen: list[int] = []
        for members in ranked_groups(range(len(self.videos)), self.names, self.names, f"{draw} study"):
            there = np.unique(self.classes[members])
            if (labeled_units[there] < shots).any():
                labeled_units[there] += 1
                chosen += [self.videos[member] for member in members]
        return sorted(chosen)


def possible_shots(units: Units, wanted: Sequence[Shots], classes: Sequence[str]) -> list[Shots]:
    """Return the k that can be drawn, ascending, "all" last; one that cannot, or is all, is left out, with a line.

    Raises ConfigError for a k below 1, LabelError if none is left.
    """
    for one in wanted:
        if one != "all" and one < 1:
            raise ConfigError(f"{one} labels a class: give 1 or more, or all")
    counts = units.counts(len(classes))
    fewest = int(counts.argmin())
    there = f"class {classes[fewest]!r} has {counts[fewest]} {units.by if counts[fewest] > 1 else units.by[:-1]}"
    kept: list[Shots] = []
    for shots in sorted({one for one in wanted if one != "all"}):
        if shots > counts[fewest]:
            _log.warning("k = %d is left out: %s", shots, there)
        elif "all" in wanted and units.drawn(shots, 0) == units.drawn("all", 0):
            _log.warning("k = %d is left out: it labels everything, as all does", shots)
        else:
            kept.append(shots)
    kept += ["all"] if "all" in wanted else []
    if not kept:
        raise LabelError(
            f"no k of {', '.join(map(str, wanted)) or 'none'} is possible: {there} to be labeled; give a smaller k, or "
            "all"
        )
    return kept
