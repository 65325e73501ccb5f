"""`vidrep study`: methods on the same few labels."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from . import completion, console
from .help import evaluation_option, input_option, output_option, speed_option
from .layout import table
from .options import AsJson, CommonOptions, Device, Features, GroupedAnnotationOptions
from .progress import progress_bar
from .stopping import stopping_on_signals

if TYPE_CHECKING:
    from vidrep.evaluation.study.draws import By, Shots
    from vidrep.evaluation.study.study import StudyResult


def study_command(
    features: Features,
    output: Annotated[
        Path, output_option("--output", "-o", metavar="FOLDER", help="The study's folder.", show_default=False)
    ],
    annotations: GroupedAnnotationOptions,
    common: CommonOptions,
    runs: Annotated[
        list[Path] | None,
        input_option(
            "--from",
            metavar="RUN",
            help="A run of `vidrep train` whose frozen encoders are a method; several are one method each.",
            autocompletion=completion.run_folders,
        ),
    ] = None,
    by: Annotated[
        str,
        evaluation_option(
            "--by",
            help="What has labels or not as a whole: videos, groups, or auto: groups if one has several videos.",
            autocompletion=completion.one_of("auto", "videos", "groups"),
        ),
    ] = "auto",
    shots: Annotated[
        str, evaluation_option("--shots", metavar="K,...", help="How many of each class have labels; all is a k too.")
    ] = "1,2,4,8,16,all",
    draws: Annotated[int, evaluation_option("--draws", min=1, help="Draws of labels for each k.")] = 5,
    seeds: Annotated[int, evaluation_option("--seeds", min=1, help="Seeds of the LSTM from scratch, each draw.")] = 1,
    as_json: AsJson = False,
    budget: Annotated[
        float | None,
        speed_option("--budget", metavar="MINUTES", help="Begin nothing new after that; the same command goes on."),
    ] = None,
    workers: Annotated[int, speed_option("--workers", min=1, help="Processes.")] = 1,
    device: Device = "auto",
    threads: Annotated[int, speed_option("--threads", min=1, help="CPU threads of each process.")] = 1,
) -> None:
    """Compare methods on the same draws of few labels, measured on videos of split "test".

    Stopped or killed, the same command goes on where it was.
    """
    with stopping_on_signals() as should_stop:
        from vidrep.evaluation.study.study import study
        from vidrep.features.store import open_features

        console.show_log(quiet=common.quiet)
        with progress_bar("study", quiet=common.quiet or as_json) as on_progress:
            result = study(
                open_features(features),
                output,
                runs=runs or [],
                annotations=annotations.read(),
                group_pattern=annotations.group,
                group_blocks=annotations.group_blocks,
                by=cast("By | Literal['auto']", by),
                shots=_shots(shots),
                draws=draws,
                seeds=seeds,
                budget_minutes=budget,
                workers=workers,
                device=device,
                threads=threads,
                should_stop=should_stop,
                on_progress=on_progress,
            )
    typer.echo(console.as_json(result.to_json()) if as_json else study_report(result))


def _shots(text: str) -> "list[Shots]":
    from vidrep.errors import ConfigError

    words = [word.strip() for word in text.split(",")]
    if wrong := [word for word in words if word != "all" and not (word.isascii() and word.isdigit())]:
        raise ConfigError(f"--shots {text}: {wrong[0]!r} is neither a number nor all; give some such as 1,2,4,8,16,all")
    return ["all" if word == "all" else int(word) for word in words]


def study_report(result: "StudyResult") -> str:
    """Describe a study: accuracies by method and k, the difference from the LSTM from scratch, and the sentence."""
    every_shots = list(dict.fromkeys(one.shots for one in result.entries))
    by_place = {(one.method, one.shots): one for one in result.entries}
    methods = dict.fromkeys(one.method for one in result.entries)
    head = ["accuracy per test video", *("all" if one == "all" else f"k = {one}" for one in every_shots)]
    rows = [[method, *(f"{by_place[method, one].accuracy:.3f}" for one in every_shots)] for method in methods]
    accuracies = table(head, rows) if rows else ""
    files = f"{result.folder}: table.md, table.csv and curves.png have intervals and differences"
    return "\n".join(filter(None, (result.data, accuracies, result.progress, result.verdict, files)))
