"""Findings of the table of videos alone: labels, splits, groups, exact duplicates and lengths."""

from collections import Counter, defaultdict
from collections.abc import Iterator

import numpy as np

from ...errors import LabelError, some_names
from ...features.annotations import require_distinct_classes
from ...metrics.intervals import LEAST_TEST_VIDEOS
from .data_set import DataSet
from .findings import Finding, FlaggedVideo

_FAR_OUT = 3.0  # interquartile ranges beyond the upper quartile: Tukey 1977, Exploratory Data Analysis, section 2D


def table_findings(data: DataSet, window: int) -> Iterator[Finding]:
    """Yield all findings that need no features; window: frames that a model reads at once."""
    yield from _exact_duplicates(data)
    yield from _divided_groups(data)
    yield from _labels(data)
    yield from _classes(data)
    yield from _splits(data)
    yield from _lengths(data, window)


def same_content(data: DataSet) -> list[list[int]]:
    """Return the videos that have the same rows of features, by the checksum of these, in sets of two or more."""
    by_content: defaultdict[str, list[int]] = defaultdict(list)
    for number, row in enumerate(data.rows):
        if data.lengths[number]:
            by_content[data.features.videos[row].checksum].append(number)
    return [members for members in by_content.values() if len(members) > 1]


def _exact_duplicates(data: DataSet) -> Iterator[Finding]:
    across: list[FlaggedVideo] = []
    within: list[FlaggedVideo] = []
    contradicting: list[FlaggedVideo] = []
    for first, *others in same_content(data):
        for number in others:
            # The pair that tells most: with another split, if the set of equal videos has one.
            parted = next((one for one in [first, *others] if _are_parted(data, one, number)), None)
            pair = data.flagged(number, other=first if parted is None else parted)
            (within if parted is None else across).append(pair)
            if data.labels[number] and data.labels[first] and data.labels[number] != data.labels[first]:
                contradicting.append(data.flagged(number, other=first))
    if across:
        yield Finding(
            kind="exact duplicates across splits",
            is_problem=True,
            what=f"{len(across)} videos have the same frames as one of another split",
            remedy="keep one of each, or put both into one split (--labels with a column split)",
            videos=across,
        )
    if contradicting:
        yield Finding(
            kind="contradicting labels",
            is_problem=True,
            what=f"{len(contradicting)} videos have the same frames as one with another label",
            remedy="correct one of the two labels",
            videos=contradicting,
        )
    if within:
        where = "of their split" if data.has_splits else "of another name, which a random split may part"
        yield Finding(
            kind="exact duplicates",
            is_problem=False,
            what=f"{len(within)} videos have the same frames as another one {where}",
            remedy="remove them, since they count twice, or give both one group (--labels with a column group)",
            videos=within,
        )


def _are_parted(data: DataSet, first: int, second: int) -> bool:
    one, other = data.splits[first], data.splits[second]
    return bool(one and other and one != other)


def _divided_groups(data: DataSet) -> Iterator[Finding]:
    divided = {
        group: members
        for group, members in data.named_groups.items()
        if len({data.splits[number] for number in members} - {""}) > 1
    }
    if divided:
        tested = [number for members in divided.values() for number in members if data.splits[number] == "test"]
        num_test = data.splits.count("test")
        yield Finding(
            kind="groups across splits",
            is_problem=True,
            what=f"{len(divided)} of {len(data.named_groups)} groups are in several splits: {some_names(divided)}; "
            f"{len(tested)} of {num_test} test videos have a video of their group outside the test split",
            remedy="put each group into one split; without splits in --labels, finetune makes them of whole groups",
            videos=[data.flagged(number) for members in divided.values() for number in members],
        )


def _labels(data: DataSet) -> Iterator[Finding]:
    without = [number for number, label in enumerate(data.labels) if not label]
    if len(without) == len(data):
        yield Finding(
            kind="no labels",
            is_problem=False,
            what="no video has a label",
            remedy="train and embed need none; for finetune give --labels FILE",
        )
    elif without:
        yield Finding(
            kind="videos without label",
            is_problem=False,
            what=f"{len(without)} of {len(data)} videos have no label",
            remedy="train uses them, finetune and evaluate leave them out; --labels FILE gives them one",
            videos=data.all_flagged(without),
        )
    try:
        require_distinct_classes(label for label in data.labels if label)
    except LabelError as error:
        what, _, remedy = str(error).partition("; ")
        yield Finding(kind="labels that look alike", is_problem=True, what=what, remedy=remedy)


def _classes(data: DataSet) -> Iterator[Finding]:
    pairs = Counter(zip(data.labels, data.splits, strict=True))
    classes = sorted({label for label in data.labels if label})
    if data.has_splits:
        unlearned = [one for one in classes if pairs[one, "test"] and not pairs[one, "train"]]
        if unlearned:
            yield Finding(
                kind="classes without training videos",
                is_problem=True,
                what=f"{len(unlearned)} classes have test videos and no training video: {some_names(unlearned)}",
                remedy="move some of their groups to split train, or remove their test videos",
                videos=[
                    data.flagged(number)
                    for number, label in enumerate(data.labels)
                    if label in unlearned and data.splits[number] == "test"
                ],
            )
        rare = {one: pairs[one, "test"] for one in classes if pairs[one, "test"] < LEAST_TEST_VIDEOS}
        if rare and data.splits.count("test"):
            yield Finding(
                kind="classes with few test videos",
                is_problem=False,
                what=f"{len(rare)} of {len(classes)} classes have fewer than {LEAST_TEST_VIDEOS} test videos: "
                f"{some_names(f'{name} {count}' for name, count in rare.items())}",
                remedy="do not report these classes alone; finetune --folds tests every labeled video once",
            )
    alone = [one for one in classes if data.labels.count(one) == 1]
    if alone:
        yield Finding(
            kind="classes of one video",
            is_problem=False,
            what=f"{len(alone)} of {len(classes)} classes have a single video: {some_names(alone)}",
            remedy="add videos, or merge these classes: one video cannot both train and test",
        )


def _splits(data: DataSet) -> Iterator[Finding]:
    without = [number for number, split in enumerate(data.splits) if not split]
    if without and data.has_splits:
        yield Finding(
            kind="videos without split",
            is_problem=False,
            what=f"{len(without)} of {len(data)} videos have no split, and others have one",
            remedy="they are left out by train and finetune; name their split in --labels or --splits",
            videos=data.all_flagged(without),
        )


def _lengths(data: DataSet, window: int) -> Iterator[Finding]:
    lengths = np.array(data.lengths)
    empty = np.flatnonzero(lengths == 0).tolist()
    if empty:
        yield Finding(
            kind="videos without frames",
            is_problem=False,
            what=f"{len(empty)} videos have no frame",
            remedy="every command leaves them out; extract them again if their files are sound",
            videos=data.all_flagged(empty),
        )
    single = np.flatnonzero(lengths == 1).tolist()
    if single:
        yield Finding(
            kind="videos of one frame",
            is_problem=False,
            what=f"{len(single)} videos have one frame, without any motion",
            remedy="remove still images, or sample more frames (--fps, --every of extract)",
            videos=data.all_flagged(single),
        )
    short = np.flatnonzero((lengths > 1) & (lengths < window)).tolist()
    if short:
        yield Finding(
            kind="videos shorter than a window",
            is_problem=False,
            what=f"{len(short)} of {len(data)} videos have fewer frames than a window of {window}",
            remedy="train does not read them, finetune and predict pad them; a shorter window reads them whole",
            videos=[data.flagged(number, detail=f"{lengths[number]} frames") for number in short],
        )
    if len(lengths):
        quartiles = np.quantile(lengths, [0.25, 0.75])
        limit = quartiles[1] + _FAR_OUT * max(quartiles[1] - quartiles[0], 1)
        long = np.flatnonzero(lengths > limit).tolist()
        if long:
            yield Finding(
                kind="extreme lengths",
                is_problem=False,
                what=f"{len(long)} videos have more than {limit:,.0f} frames, where half of all have "
                f"{quartiles[0]:,.0f} to {quartiles[1]:,.0f}; the longest has {lengths.max():,}",
                remedy="they give most of the windows; cut them, or bound them with --max-frames of extract",
                videos=[data.flagged(number, detail=f"{lengths[number]} frames") for number in long],
            )
