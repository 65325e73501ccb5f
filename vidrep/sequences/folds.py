"""Folds for cross-validation: whole groups, of as even sizes and shares of labels as groups allow."""

import logging
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import LabelError, some_names
from .split import balance, count_labels, ranked_groups

_log = logging.getLogger(__name__)
# A fold that holds all videos of a label that others could hold too is worse than any imbalance.
_WHOLE_LABEL = 1e3


class Fold(NamedTuple):
    """Indices of the videos to fit on and of those to validate on, ascending."""

    train: list[int]
    validation: list[int]


def grouped_folds(labels: Sequence[str], groups: Sequence[str], num_folds: int, seed: int) -> list[Fold]:
    """Divide videos into folds of whole groups; each fold in turn validates what is fitted on the others.

    labels, groups: of each video, all named. Every label's videos, and all videos, are spread over the folds as evenly
    as whole groups allow; which groups go together depends on the seed and on names, not on the order of the videos.

    There are fewer folds than asked for where there are fewer groups: count them. A label whose videos are all in one
    group cannot be validated: they train in all folds but their group's, and are in no validation part; that is logged.
    A fold without a video to validate, or with fewer than two labels to fit on, is left out.

    Raises LabelError if no fold is left, as for a single group, or one group a label.
    """
    if num_folds < 2:
        raise ValueError(f"{num_folds} folds; give 2 or more")
    everything = range(len(labels))
    ranked = ranked_groups(everything, groups, groups, f"{seed} folds")
    num_parts = min(num_folds, len(ranked))
    part_of = _parts(count_labels(ranked, labels), num_parts) if num_parts > 1 else np.zeros(num_parts, dtype=np.int64)
    folds = [
        _fold([video for members, at in zip(ranked, part_of, strict=True) if at == part for video in members], labels)
        for part in range(num_parts)
    ]
    folds = [fold for fold in folds if fold.validation and len({labels[video] for video in fold.train}) > 1]
    if not folds:
        raise LabelError(
            f"{len(labels)} videos with {len(set(labels))} labels in {len(ranked)} groups cannot be cross-validated: "
            "that takes two or more labels, and one that is in two or more groups; give more labeled groups"
        )
    validated = {labels[video] for fold in folds for video in fold.validation}
    if missing := sorted(set(labels) - validated):
        _log.warning("labels that cross-validation cannot validate, being in one group each: %s", some_names(missing))
    return folds


def require_groups(labels: Sequence[str], groups: Sequence[str], num_folds: int) -> None:
    """Raise LabelError, naming them, if labels are in fewer groups than there are folds, so that some cannot have each.

    labels, groups: of each video, all named.
    """
    groups_of: dict[str, set[str]] = {}
    for label, group in zip(labels, groups, strict=True):
        groups_of.setdefault(label, set()).add(group)
    few = {label: len(some) for label, some in sorted(groups_of.items()) if len(some) < num_folds}
    if not few:
        return
    fewest = min(few.values())
    advice = f"give {fewest} folds at most, or" if fewest > 1 else "give"
    there = some_names(f"{label} in {count}" for label, count in few.items())
    raise LabelError(
        f"{num_folds} folds, but labels are in fewer groups than that: {there}; {advice} more groups of these labels"
    )


def _parts(num_videos: NDArray[np.int64], num_parts: int) -> NDArray[np.int64]:
    """Distribute groups, (G, K) videos of each label, over parts: (G,)."""
    totals = num_videos.sum(axis=0)
    can_be_shared = (num_videos > 0).sum(axis=0) > 1

    def distance(held: NDArray[np.int64]) -> NDArray[np.float64]:
        of_labels = np.square(held / totals - 1 / num_parts).sum(axis=1)
        of_all = np.square(held.sum(axis=1) / totals.sum() - 1 / num_parts)
        whole = ((held == totals) & can_be_shared).sum(axis=1)
        distances: NDArray[np.float64] = of_labels + of_all + _WHOLE_LABEL * whole
        return distances

    return balance(num_videos, num_parts, distance)


def _fold(held_out: Sequence[int], labels: Sequence[str]) -> Fold:
    """Return the fold that validates on videos, but for those whose label no other video has."""
    train = sorted(set(range(len(labels))) - set(held_out))
    trained = {labels[video] for video in train}
    return Fold(train, sorted(video for video in held_out if labels[video] in trained))
