"""Checks of a data set: `vidrep check`."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ...errors import ConfigError, InputError
from ...features.annotations import Annotation, annotate
from ...features.groups import GroupRule
from ...features.store import Features, opened
from ...progress import Progress, ProgressListener, ignore_progress
from .data_set import DataSet
from .findings import Finding, require_findings_path, write_findings
from .frame_values import FrameValues, read_frames, value_findings
from .near_duplicates import NearPair, near_duplicates, nearest_shares_group
from .random_split import RandomSplit, random_split
from .signatures import FEWEST_VIDEOS, signatures
from .table_findings import same_content, table_findings

WINDOW = 16
"""Frames of a window unless another number is given."""


@dataclass(frozen=True, kw_only=True)
class DataCheck:
    """What was found in some features.

    findings: problems first. num_videos, num_frames: a video counts once, its crops do not. class_counts: {label:
    {split: videos}}, '' for none. num_groups: that are named. num_compared: distinct videos that were searched for near
    duplicates, 0 if they are too few. split: what a random split would leak, None without named groups. shares_group:
    how often the nearest video of a video's label is of its group, shares_by_chance: how often it would be by chance;
    None without such groups.
    """

    path: str
    findings: list[Finding]
    num_videos: int
    num_frames: int
    class_counts: dict[str, dict[str, int]]
    num_groups: int
    num_compared: int
    split: RandomSplit | None
    shares_group: float | None
    shares_by_chance: float | None

    @property
    def problems(self) -> list[Finding]:
        """What makes figures untrustworthy, or ends a training, until it is mended."""
        return [one for one in self.findings if one.is_problem]

    @property
    def remarks(self) -> list[Finding]:
        """What is worth knowing, and may be as it should be."""
        return [one for one in self.findings if not one.is_problem]

    def to_json(self) -> dict[str, Any]:
        """Return everything, JSON-like."""
        return asdict(self) | {"findings": [one.to_json() for one in self.findings]}


def check(
    features: Features | Path | str,
    *,
    annotations: Mapping[str, Annotation] | None = None,
    group_pattern: str | None = None,
    group_blocks: int | None = None,
    window: int = WINDOW,
    table: Path | str | None = None,
    on_progress: ProgressListener = ignore_progress,
) -> DataCheck:
    """Look for what would make figures of these features untrustworthy: leaks between splits, duplicates, oddities.

    annotations, group_pattern, group_blocks: labels, splits and groups in place of the file's, as everywhere. window:
    frames that a model reads at once; shorter videos are named. table: a CSV file of all videos that findings are
    about.

    All frames are read twice, in blocks. Near duplicates are found by `near_duplicates`: across splits, or without
    splits among all videos, but not within a group. With fewer than 16 distinct videos none are looked for.

    Raises InputError without videos, ConfigError for a window of less than one frame, FeatureFileError and LabelError
    for what cannot be read, OutputError if the table cannot be written.
    """
    if window < 1:
        raise ConfigError(f"a window of {window} frames; give 1 or more")
    path = None if table is None else Path(table)
    if path is not None:
        require_findings_path(path)
    features = opened(features)
    if not len(features):
        raise InputError(f"{features.path}: holds no video; extract or import some first")
    data = DataSet(features, annotate(features, annotations, GroupRule(group_pattern, group_blocks)))
    values = read_frames(data, lambda done: on_progress(Progress(done=done, total=len(data), unit="videos")))
    compared = _distinct(data, values)
    found = [*table_findings(data, window), *value_findings(data, values)]
    split, shares = random_split(data), None
    if len(compared) >= FEWEST_VIDEOS:
        described = signatures(data, values, compared)
        groups, labels = ([column[number] for number in compared] for column in (data.groups, data.labels))
        splits = [data.splits[number] for number in compared] if data.has_splits else None
        found += _near_findings(data, compared, near_duplicates(described, groups, splits))
        shares = nearest_shares_group(described, labels, groups) if split else None
    else:
        compared = []
    result = DataCheck(
        path=str(features.path),
        findings=sorted(found, key=lambda one: not one.is_problem),
        num_videos=len(data),
        num_frames=sum(data.lengths),
        class_counts=_class_counts(data),
        num_groups=len(data.named_groups),
        num_compared=len(compared),
        split=split,
        shares_group=None if shares is None else shares[0],
        shares_by_chance=None if shares is None else shares[1],
    )
    if path is not None:
        write_findings(path, result.findings)
    return result


def _distinct(data: DataSet, values: FrameValues) -> list[int]:
    """Return the videos that are searched for near duplicates: one of each content, with frames, all finite."""
    left_out = {number for _, *others in same_content(data) for number in others} | set(values.not_finite)
    return [number for number in range(len(data)) if number not in left_out and data.lengths[number]]


def _near_findings(data: DataSet, compared: list[int], pairs: list[NearPair]) -> Iterator[Finding]:
    if not pairs:
        return
    videos = []
    for pair in pairs:
        numbers = compared[pair.video], compared[pair.other]
        first, second = sorted(numbers, key=lambda number: data.splits[number] != "test")
        videos.append(
            data.flagged(first, other=second, detail=f"{pair.ratio:.3f} of the distance to the next nearest video")
        )
    num_contradicting = sum(one.label != one.other_label for one in videos if one.label and one.other_label)
    differing = f"; {num_contradicting} pairs have two labels" if num_contradicting else ""
    if data.has_splits:
        yield Finding(
            kind="near duplicates across splits",
            is_problem=True,
            what=f"{len(pairs)} pairs of videos of different splits are much nearer to each other than to any third "
            f"one{differing}",
            remedy="watch them (--csv FILE lists all); copies belong in one split, clips of one recording in one group",
            videos=videos,
        )
    else:
        yield Finding(
            kind="near duplicates",
            is_problem=False,
            what=f"{len(pairs)} pairs of videos are much nearer to each other than to any third one{differing}; a "
            "random split may part them",
            remedy="watch them (--csv FILE lists all); give copies, and clips of one recording, one group",
            videos=videos,
        )


def _class_counts(data: DataSet) -> dict[str, dict[str, int]]:
    counts = Counter(zip(data.labels, data.splits, strict=True))
    splits = [name for name in ("train", "validation", "test", "") if name in data.splits]
    return {label: {split: counts[label, split] for split in splits} for label in sorted(set(data.labels))}
