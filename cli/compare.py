"""`vidrep compare`: runs beside each other, on the same videos."""

from pathlib import Path
from typing import Annotated

import typer

from . import completion, console
from .console import show_log
from .help import labels_option
from .options import AsJson, CommonOptions, Device, GroupedAnnotationOptions, Threads
from .progress import progress_bar
from .tables import comparison_report


def compare_command(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN_A RUN_B... FEATURES",
            help="Run folders, and last a feature file or a folder of parts.",
            show_default=False,
            autocompletion=completion.run_folders,
        ),
    ],
    annotations: GroupedAnnotationOptions,
    common: CommonOptions,
    split: Annotated[
        str | None,
        labels_option(
            "--split",
            help="train, validation or test; default: test, or what no run was trained on.",
            autocompletion=completion.splits,
        ),
    ] = None,
    as_json: AsJson = False,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Compare runs with the first one, on the same videos.

    Classifiers are compared by their accuracy, pretrainings by the squared error of what they predict.
    """
    from vidrep.errors import ConfigError

    *runs, features = paths
    if len(runs) < 2:
        raise ConfigError(
            f"{len(runs) + 1} paths: give two runs or more, and last the features that they are compared on"
        )

    from vidrep.evaluation.compare import compare
    from vidrep.features.store import open_features

    show_log(quiet=common.quiet)
    with progress_bar("compare", quiet=common.quiet or as_json) as on_progress:
        result = compare(
            runs,
            open_features(features),
            split=split,
            annotations=annotations.read() or None,
            group_pattern=annotations.group,
            group_blocks=annotations.group_blocks,
            device=device,
            threads=threads,
            on_progress=on_progress,
        )
    typer.echo(console.as_json(result.to_json()) if as_json else comparison_report(result))
