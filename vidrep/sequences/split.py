"""Which videos train, validate and test: whole videos, never windows, so that no part leaks into another."""

import hashlib
import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import InputError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class VideoSplit:
    """Indices of the videos of each part, ascending."""

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
    """Divide videos into parts.

    Videos whose split is train, validation or test go there; if any names a split, those without one are left out. If
    none does, `test_fraction` of each label's videos are held out. If no split is called validation,
    `validation_fraction` of each label's training videos are. Which ones, depends on the seed and on keys, not on the
    order: adding a video moves none of another label, and at most one of its own. The last video of a label stays in
    training.

    groups: videos of one group and label stay together, as several crops of one source must; every video is a group of
        its own if that is None.

    Raises InputError if nothing is left to train on.
    """
    groups = keys if groups is None else groups
    everything = list(range(len(keys)))
    if any(splits):
        parts = {name: [i for i in everything if splits[i] == name] for name in ("train", "validation", "test")}
        left_out = len(keys) - sum(len(part) for part in parts.values())
        if left_out:
            _log.warning("%d videos have no split and are left out, since others have one", left_out)
    else:
        train, test = _hold_out(everything, keys, labels, groups, test_fraction, f"{seed} test")
        parts = {"train": train, "validation": [], "test": test}
    if not parts["validation"]:
        train, validation = _hold_out(parts["train"], keys, labels, groups, validation_fraction, f"{seed} validation")
        parts |= {"train": train, "validation": validation}
    if not parts["train"]:
        raise InputError("no video to train on: none has the split 'train'; give --labels or --splits")
    return VideoSplit(**parts)


def _hold_out(
    videos: Sequence[int], keys: Sequence[str], labels: Sequence[str], groups: Sequence[str], fraction: float, salt: str
) -> tuple[list[int], list[int]]:
    """Divide videos into those that stay and, of each label, about `fraction` of its groups that are held out."""
    by_label: defaultdict[str, defaultdict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for video in videos:
        by_label[labels[video]][groups[video]].append(video)

    def rank(members: Sequence[int]) -> bytes:
        return hashlib.sha256(f"{salt} {min(keys[video] for video in members)}".encode()).digest()

    apart: list[int] = []
    for members_by_group in by_label.values():
        ranked = sorted(members_by_group.values(), key=rank)
        count = round(fraction * len(ranked))
        if fraction and not count and len(ranked) > 1:
            count = 1
        apart += [video for members in ranked[: min(count, len(ranked) - 1)] for video in members]
    return sorted(set(videos) - set(apart)), sorted(apart)
