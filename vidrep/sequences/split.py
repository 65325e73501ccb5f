"""Which videos train, validate and test: whole videos and whole groups, never windows, so that no split leaks."""

import hashlib
import logging
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

_log = logging.getLogger(__name__)
# A smaller gain in balance may be rounding, and come again and again.
_ROUNDING = 1e-12


@dataclass(frozen=True, kw_only=True)
class VideoSplit:
    """Indices of the videos of each split, ascending."""

    train: list[int]
    validation: list[int]
    test: list[int]


def split_videos(
    keys: Sequence[str],
    labels: Sequence[str],
    splits: Sequence[str],
    *,
    groups: Sequence[str] | None = None,
    validation_fraction: float,
    test_fraction: float,
    seed: int,
) -> VideoSplit:
    """Divide videos into splits, never a group.

    Videos whose split is train, validation or test go there; if any names a split, those without one are left out. If
    none does, `test_fraction` of each label's groups are held out. If no split is named validation,
    `validation_fraction` of each label's training groups are. The choice depends on the seed and on keys, not on the
    order of the videos. The last group of a label stays in training.

    If every group has one label, adding a video moves none of another label, and at most one group of its own. If a
    group has several labels, as a person who performs every action, the fractions are of each label's videos, and
    are met as closely as whole groups allow.

    groups: a name for each video; every video is a group of its own if that is None. Named splits may divide a group:
        that is logged.

    Raises InputError if nothing is left to train on.
    """
    groups = keys if groups is None else groups
    everything = list(range(len(keys)))
    if any(splits):
        chosen = {name: [i for i in everything if splits[i] == name] for name in ("train", "validation", "test")}
        num_left_out = len(keys) - sum(map(len, chosen.values()))
        if num_left_out:
            _log.warning("%d videos have no split and are left out, since others have one", num_left_out)
        _report_divided_groups(keys, groups, chosen)
    else:
        train, test = _hold_out(everything, keys, labels, groups, test_fraction, f"{seed} test")
        chosen = {"train": train, "validation": [], "test": test}
    if not chosen["validation"]:
        train, validation = _hold_out(chosen["train"], keys, labels, groups, validation_fraction, f"{seed} validation")
        chosen |= {"train": train, "validation": validation}
    if not chosen["train"]:
        raise InputError(
            "no video to train on: none has the split 'train'; name other splits with --splits, or in a column of "
            "--labels or --annotations"
        )
    return VideoSplit(**chosen)


def _report_divided_groups(keys: Sequence[str], groups: Sequence[str], chosen: dict[str, list[int]]) -> None:
    """Log one warning if named splits divide groups, with an example."""
    first_videos: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for split, videos in chosen.items():
        for video in videos:
            first_videos[groups[video]].setdefault(split, keys[video])
    divided = {group: places for group, places in first_videos.items() if len(places) > 1}
    if divided:
        group, places = next(iter(divided.items()))
        where = " and ".join(f"{split} ({key})" for split, key in places.items())
        _log.warning("the given splits divide %d groups, and are kept: group %r is in %s", len(divided), group, where)


def _hold_out(
    videos: Sequence[int], keys: Sequence[str], labels: Sequence[str], groups: Sequence[str], fraction: float, salt: str
) -> tuple[list[int], list[int]]:
    """Divide videos into those that stay and, of each label, about `fraction` that are held out, in whole groups."""
    ranked = ranked_groups(videos, keys, groups, salt)
    group_labels = [{labels[video] for video in members} for members in ranked]
    if all(len(names) == 1 for names in group_labels):
        chosen = _first_of_each_label([names.pop() for names in group_labels], fraction)
    else:
        chosen = _balanced(count_labels(ranked, labels), fraction)
    held_out = [video for number in chosen for video in ranked[number]]
    return sorted(set(videos) - set(held_out)), sorted(held_out)


def ranked_groups(videos: Sequence[int], keys: Sequence[str], groups: Sequence[str], salt: str) -> list[list[int]]:
    """Return the videos of each group, the groups in an order that depends on the salt and on the keys alone."""
    by_group: defaultdict[str, list[int]] = defaultdict(list)
    for video in videos:
        by_group[groups[video]].append(video)

    def rank(members: Sequence[int]) -> bytes:
        return hashlib.sha256(f"{salt} {min(keys[video] for video in members)}".encode()).digest()

    return sorted(by_group.values(), key=rank)


def _first_of_each_label(group_labels: Sequence[str], fraction: float) -> list[int]:
    """Choose a fraction of each label's groups, the first ones: at least one of two or more, and never all."""
    by_label: defaultdict[str, list[int]] = defaultdict(list)
    for number, label in enumerate(group_labels):
        by_label[label].append(number)
    chosen: list[int] = []
    for numbers in by_label.values():
        count = max(round(fraction * len(numbers)), 1 if fraction else 0)
        chosen += numbers[: min(count, len(numbers) - 1)]
    return chosen


def count_labels(groups: Sequence[Sequence[int]], labels: Sequence[str]) -> NDArray[np.int64]:
    """Count the videos of each of K labels in each of G groups: (G, K), labels sorted."""
    names = sorted({labels[video] for members in groups for video in members})
    column = {name: number for number, name in enumerate(names)}
    num_videos = np.zeros((len(groups), len(names)), dtype=np.int64)
    for number, members in enumerate(groups):
        np.add.at(num_videos[number], [column[labels[video]] for video in members], 1)
    return num_videos


def _balanced(num_videos: NDArray[np.int64], fraction: float) -> list[int]:
    """Choose groups that together hold about a fraction of each label's videos: one or more if training can spare it.

    num_videos: (G, K), of each label in each group. Training keeps a video of each label.
    """
    totals = num_videos.sum(axis=0)

    def distance(held: NDArray[np.int64]) -> NDArray[np.float64]:
        distances: NDArray[np.float64] = np.square(held / totals - [[1 - fraction], [fraction]]).sum(axis=1)
        distances[1] = distances[1] if (held[1] < totals).all() else math.inf
        return distances

    if fraction == 0:
        return []
    is_chosen = balance(num_videos, 2, distance) == 1
    if not is_chosen.any():  # the smallest choice is more than wanted
        distances = [distance(np.stack([totals - of_group, of_group]))[1] for of_group in num_videos]
        is_chosen[np.argmin(distances)] = min(distances) < math.inf
    return np.flatnonzero(is_chosen).tolist()


def balance(
    num_videos: NDArray[np.int64], num_parts: int, distance: Callable[[NDArray[np.int64]], NDArray[np.float64]]
) -> NDArray[np.int64]:
    """Distribute groups over P parts so that the sum of the parts' distances is small: return each group's part, (G,).

    num_videos: (G, K), of each label in each group. distance: from what the parts hold, (P, K), to what each is from
    what it should hold, (P,).

    All groups start in the first part. Each group in turn moves where that lowers the sum most, until no group does:
    the first ones have the best choice.
    """
    part_of = np.zeros(len(num_videos), dtype=np.int64)
    held = np.zeros((num_parts, num_videos.shape[1]), dtype=np.int64)
    held[0] = num_videos.sum(axis=0)
    has_changed = True
    while has_changed:
        has_changed = False
        for number, of_group in enumerate(num_videos):
            without = held.copy()
            without[part_of[number]] -= of_group
            before, after = distance(without), distance(without + of_group)
            gains = after - before  # of each part, if the group were there
            best = int(np.argmin(gains))
            if gains[best] < gains[part_of[number]] - _ROUNDING:
                part_of[number], has_changed = best, True
                held = without
                held[best] += of_group
    return part_of
