"""`vidrep reproduce`: the paper's tables, as far as the machine allows."""

from pathlib import Path
from typing import Annotated

import typer

from .console import show_log, show_summary
from .help import input_option, output_option, training_option
from .layout import duration
from .options import CommonOptions, Device, Threads
from .origin import origin_of
from .progress import progress_bar
from .stopping import stopping_on_signals


def reproduce_command(
    context: typer.Context,
    common: CommonOptions,
    mnist: Annotated[
        Path,
        input_option("--mnist", metavar="FOLDER", help="A folder with the files of MNIST.", show_default=False),
    ],
    output: Annotated[
        Path, output_option("--output", "-o", metavar="FOLDER", help="For the tables, and all runs behind them.")
    ] = Path("reproduce"),
    patches: Annotated[
        Path | None,
        input_option(
            "--patches",
            metavar="FEATURES",
            help="RGB patches of 32x32 pixels with a split test; default: of generated clips if small, else none.",
        ),
    ] = None,
    whole: Annotated[
        bool | None,
        training_option(
            "--whole/--quick", help="Train the recipes as they are, or small ones; default: whole on CUDA alone."
        ),
    ] = None,
    steps: Annotated[
        int | None, training_option("--steps", min=1, help="Optimizer steps of each training, in place of its own.")
    ] = None,
    seed: Annotated[int, training_option("--seed", min=0, help="Seed of the trainings.")] = 0,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Make the tables of Srivastava et al. 2015 that this machine allows.

    The variants of the model are trained on Moving MNIST and on image patches, and measured beside the paper's figures.
    What is finished is kept: the same command goes on with the rest.
    """
    with stopping_on_signals() as should_stop:
        from vidrep.evaluation.reproduce import TABLES_NAME, reproduce

        show_log(quiet=1)
        with progress_bar("reproduce", quiet=common.quiet) as on_progress:
            result = reproduce(
                output,
                mnist=mnist,
                patches=patches,
                whole=whole,
                steps=steps,
                seed=seed,
                device=device,
                threads=threads,
                should_stop=should_stop,
                on_progress=on_progress,
                origin=origin_of(context, mnist=str(mnist)),
            )
    seconds = sum(row.measured.seconds for row in result.rows)
    summary = f"{output / TABLES_NAME}: {len(result.rows)} trainings, {duration(seconds)} in all"
    show_summary(summary, above=result.tables, quiet=common.quiet)
