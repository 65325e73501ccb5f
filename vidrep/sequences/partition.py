"""Which videos train, validate and test: whole videos, never windows, so that no part leaks into another."""

import hashlib
import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import InputError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Partition:
    """Indices of the videos of each part, ascending."""

    train: list[int]
    validation: list[int]
    test: list[int]


def partition_videos(
    keys: Sequence[str],
    labels: Sequence[str],
    splits: Sequence[str],
    *,
    validation_fraction: float,
    test_fraction: float,
    seed: int,
) -> Partition:
    """Divide videos into parts.

    Videos whose split is train, validation or test go there; if any names a split, those without one are left out. If
    none does, `test_fraction` of each label's videos are held apart. If no split is called validation,
    `validation_fraction` of each label's training videos are. Which ones, depends on the seed and on keys, not on the
    order: adding a video moves none of another label, and at most one of its own. The last video of a label stays in
    training.

    Raises InputError if nothing is left to train on.
    """
    everything = list(range(len(keys)))
    if any(splits):
        parts = {name: [i for i in everything if splits[i] == name] for name in ("train", "validation", "test")}
        left_out = len(keys) - sum(len(part) for part in parts.values())
        if left_out:
            _log.warning("%d videos have no split and are left out, since others have one", left_out)
    else:
        train, test = _hold_apart(everything, keys, labels, test_fraction, f"{seed} test")
        parts = {"train": train, "validation": [], "test": test}
    if not parts["validation"]:
        train, validation = _hold_apart(parts["train"], keys, labels, validation_fraction, f"{seed} validation")
        parts |= {"train": train, "validation": validation}
    if not parts["train"]:
        raise InputError("no video to train on: none has the split 'train'; give --labels or --splits")
    return Partition(**parts)


def _hold_apart(
    videos: Sequence[int], keys: Sequence[str], labels: Sequence[str], fraction: float, salt: str
) -> tuple[list[int], list[int]]:
    """Divide videos into those that stay and, of each label, about `fraction` that are held apart."""
    by_label: defaultdict[str, list[int]] = defaultdict(list)
    for video in videos:
        by_label[labels[video]].append(video)
    apart: list[int] = []
    for members in by_label.values():
        members.sort(key=lambda video: hashlib.sha256(f"{salt} {keys[video]}".encode()).digest())
        count = round(fraction * len(members))
        if fraction and not count and len(members) > 1:
            count = 1
        apart += members[: min(count, len(members) - 1)]
    return sorted(set(videos) - set(apart)), sorted(apart)
