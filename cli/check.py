"""`vidrep check`: what would make figures of some features untrustworthy."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import console
from .help import input_option, output_option
from .layout import table
from .options import AsJson, CommonOptions, Features, GroupedAnnotationOptions
from .problems import EXIT_PROBLEMS
from .progress import progress_bar

if TYPE_CHECKING:
    from vidrep.evaluation.data_check.check import DataCheck
    from vidrep.evaluation.data_check.findings import Finding, FlaggedVideo

_MOST_VIDEOS, _MOST_CLASSES = 3, 30


def check_command(
    features: Features,
    annotations: GroupedAnnotationOptions,
    common: CommonOptions,
    window: Annotated[
        int | None, input_option("--window", min=1, help="Frames that a model reads at once; default: 16.")
    ] = None,
    csv: Annotated[
        Path | None,
        output_option("--csv", metavar="FILE", help="A CSV file of all videos that something was found about."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Find leaks between splits, duplicates and oddities, before anything is learned.

    The exit code is 9 if there is a problem, and 0 if there are none, or only remarks.
    """
    from vidrep.evaluation.data_check.check import WINDOW, check

    console.show_log(quiet=common.quiet)
    with progress_bar("check", quiet=common.quiet or as_json) as on_progress:
        result = check(
            features,
            annotations=annotations.read() or None,
            group_pattern=annotations.group,
            group_blocks=annotations.group_blocks,
            window=WINDOW if window is None else window,
            table=csv,
            on_progress=on_progress,
        )
    if as_json:
        typer.echo(console.as_json(result.to_json()))
    else:
        console.show_summary(_summary(result), above=_report(result), quiet=common.quiet)
    if result.problems:
        raise typer.Exit(EXIT_PROBLEMS)


def _report(result: "DataCheck") -> str:
    findings = [_described(one) for one in result.findings] or ["nothing found"]
    return "\n\n".join([*findings, *filter(None, [_split_lines(result), _counts(result)])]) + "\n"


def _described(finding: "Finding") -> str:
    head = "PROBLEM" if finding.is_problem else "remark"
    lines = [f"{head}: {finding.kind}", f"  {finding.what}", f"  -> {finding.remedy}"]
    lines += [f"     {_video(one)}" for one in finding.videos[:_MOST_VIDEOS]]
    more = len(finding.videos) - _MOST_VIDEOS
    return "\n".join([*lines, *([f"     and {more} more; --csv FILE lists all"] if more > 0 else [])])


def _video(one: "FlaggedVideo") -> str:
    text = _placed(one.video, one.split, one.label)
    other = f" and {_placed(one.other, one.other_split, one.other_label)}" if one.other else ""
    group = f", group {one.group}" if one.group and not one.other else ""
    return f"{text}{other}{group}{f': {one.detail}' if one.detail else ''}"


def _placed(video: str, split: str, label: str) -> str:
    facts = ", ".join(filter(None, (split, label)))
    return f"{video} ({facts})" if facts else video


def _split_lines(result: "DataCheck") -> str:
    if result.split is None:
        return ""
    from vidrep.evaluation.data_check.random_split import TEST_FRACTION

    lines = [
        f"A random split ({TEST_FRACTION:.0%} of each label's videos; mean of 20) would put "
        f"{result.split.num_beside:.0f} of {result.split.num_test:.0f} test videos beside a training video of their "
        "group."
    ]
    if result.shares_group is not None and result.shares_by_chance is not None:
        lines.append(
            f"Of {result.shares_group:.0%} of the videos, the nearest one of their label is of their group; by chance "
            f"it would be of {result.shares_by_chance:.0%}."
        )
    return "\n".join(lines)


def _counts(result: "DataCheck") -> str:
    """Lay out the videos of each class in each split."""
    counts = result.class_counts
    splits = list(next(iter(counts.values())))
    shown = dict(sorted(counts.items(), key=lambda one: -sum(one[1].values()))[:_MOST_CLASSES])
    rows = [[label or "no label", *(str(count) for count in of.values())] for label, of in sorted(shown.items())]
    total = ["all", *(str(sum(of[split] for of in counts.values())) for split in splits)]
    head = ["class", *(split or ("no split" if len(splits) > 1 else "videos") for split in splits)]
    more = [f"the {len(shown)} largest of {len(counts)} classes; --json has all"] if len(shown) < len(counts) else []
    return "\n".join([table(head, [*rows, total]), *more])


def _summary(result: "DataCheck") -> str:
    groups = f", {result.num_groups} groups" if result.num_groups else ""
    searched = "" if result.num_compared else "; too few distinct videos to look for near duplicates"
    return (
        f"{result.path}: {result.num_videos} videos, {result.num_frames} frames{groups}: "
        f"{_counted(result.problems, 'problem')}, {_counted(result.remarks, 'remark')}{searched}"
    )


def _counted(found: "Sequence[Finding]", noun: str) -> str:
    return f"{len(found) or 'no'} {noun}{'' if len(found) == 1 else 's'}"
