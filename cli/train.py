"""`vidrep train`: pretraining without labels."""

from pathlib import Path
from typing import Annotated

import typer

from vidrep.training.ranks import is_main_process, joined_ranks

from . import console
from .options import (
    BatchSize,
    Device,
    Labels,
    Overwrite,
    Precision,
    Quiet,
    Recipe,
    Resume,
    Seed,
    Set,
    SplitNumber,
    Splits,
    Steps,
    Threads,
    recipe_changes,
)
from .stopping import stopping_on_signals
from .tables import prediction_table


def train_command(
    features: Annotated[
        Path | None, typer.Argument(help="A feature file, or a folder of parts.", show_default=False)
    ] = None,
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="The run folder.", show_default=False)],
    mnist: Annotated[
        Path | None,
        typer.Option("--mnist", help="In place of features: a folder with MNIST, to make Moving MNIST of without end."),
    ] = None,
    recipe: Recipe = None,
    settings: Set = None,
    steps: Steps = None,
    batch_size: BatchSize = None,
    seed: Seed = None,
    labels: Labels = None,
    splits: Splits = None,
    split_number: SplitNumber = 1,
    device: Device = "auto",
    precision: Precision = "auto",
    threads: Threads = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Learn without labels: reconstruct the past, predict the future. Videos of split "test" are not touched."""
    # Of several processes each hears from now on why another one fails.
    with stopping_on_signals() as should_stop, joined_ranks():
        from vidrep.config import PretrainConfig, load_recipe

        changes = recipe_changes(settings, steps=steps, batch_size=batch_size, seed=seed)
        config = load_recipe(PretrainConfig, recipe, changes=changes)

        from vidrep.features.annotation_files import read_annotations
        from vidrep.features.store import open_features
        from vidrep.machine import tune_malloc
        from vidrep.training.pretrain import pretrain

        console.show_log(quiet=quiet)
        tune_malloc()
        annotations = read_annotations(labels=labels, splits=splits, number=split_number)
        with console.progress_bar("train", quiet=quiet) as listen:
            result = pretrain(
                None if features is None else open_features(features),
                output,
                config,
                mnist=mnist,
                device=device,
                precision=precision,
                threads=threads,
                annotations=annotations,
                resume=resume,
                overwrite=overwrite,
                should_stop=should_stop,
                on_progress=listen,
            )
    if quiet or not is_main_process():
        return
    outcome = result.outcome
    early = ", stopped early" if outcome.stopped_early else ""
    videos = f", {result.num_train_videos} videos" if features else ""
    typer.echo(
        f"{result.folder}: {outcome.steps} steps in {console.duration(outcome.seconds)}{early}; the best weights are "
        f"those of step {outcome.best_step}; {result.num_parameters:,} parameters{videos}; "
        f"{console.waiting(outcome.data_share)}"
    )
    console.advise_on_data(outcome.data_share)
    what = f"{result.num_validation_videos} held-out videos" if features else "sequences of held-out digits"
    typer.echo(f"on {what}, {result.validation.num_windows} windows, free running:")
    typer.echo(prediction_table(result.validation))
