"""What a random split, which divides groups, would leak."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...sequences.split import split_videos
from .data_set import DataSet

TEST_FRACTION = 0.2
"""Of each label's videos: that of finetune where there is no test split."""

_NUM_DRAWS = 20


@dataclass(frozen=True)
class RandomSplit:
    """What random splits would do, on average over 20 of them: test videos, and those beside a training video of their
    group.
    """

    num_test: float
    num_beside: float


def random_split(data: DataSet) -> RandomSplit | None:
    """Split labeled videos at random as if none had a group; None if no named group has two of them."""
    labeled = [number for number, label in enumerate(data.labels) if label] or list(range(len(data)))
    keys, labels, groups = ([column[number] for number in labeled] for column in (data.keys, data.labels, data.groups))
    shared = {group for group in data.named_groups if groups.count(group) > 1}
    if not shared:
        return None
    draws = [_draw(keys, labels, groups, seed) for seed in range(_NUM_DRAWS)]
    num_test, num_beside = np.mean(draws, axis=0)
    return RandomSplit(float(num_test), float(num_beside))


def _draw(keys: Sequence[str], labels: Sequence[str], groups: Sequence[str], seed: int) -> tuple[int, int]:
    split = split_videos(
        keys, labels, [""] * len(keys), validation_fraction=0.0, test_fraction=TEST_FRACTION, seed=seed
    )
    learned = {groups[number] for number in split.train}
    return len(split.test), sum(groups[number] in learned for number in split.test)
