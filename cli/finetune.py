"""`vidrep finetune`: an action classifier."""

from pathlib import Path
from typing import Annotated

import typer

from vidrep.training.ranks import is_main_process, joined_ranks

from . import console
from .options import (
    BatchSize,
    Device,
    Features,
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


def finetune_command(
    features: Features,
    output: Annotated[Path, typer.Option("--output", "-o", help="The run folder.", show_default=False)],
    pretrained: Annotated[
        Path | None, typer.Option("--from", help="A run of `vidrep train` to start from; default: from scratch.")
    ] = None,
    freeze: Annotated[bool, typer.Option("--freeze", help="Train the readout alone; model.freeze.")] = False,
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
    """Learn to classify from labelled videos. Videos of split "test" are not touched."""
    # Of several processes each hears from now on why another one fails.
    with stopping_on_signals() as should_stop, joined_ranks():
        from vidrep.config import FinetuneConfig, load_recipe

        changes = recipe_changes(settings, steps=steps, batch_size=batch_size, seed=seed)
        if freeze:
            changes["model.freeze"] = True
        config = load_recipe(FinetuneConfig, recipe, changes=changes)

        from vidrep.features.annotation_files import read_annotations
        from vidrep.features.store import open_features
        from vidrep.machine import tune_malloc
        from vidrep.training.finetune import finetune

        console.show_log(quiet=quiet)
        tune_malloc()
        annotations = read_annotations(labels=labels, splits=splits, number=split_number)
        with console.progress_bar("finetune", quiet=quiet) as listen:
            result = finetune(
                open_features(features),
                output,
                config,
                pretrained=pretrained,
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
    source = pretrained or config.pretrained
    start = f"from {source}" if source else "from scratch"
    typer.echo(
        f"{result.folder}: {start}, {len(result.classes)} classes, {outcome.steps} steps in "
        f"{console.duration(outcome.seconds)}{early}; the best weights are those of step "
        f"{outcome.best_step}; {console.waiting(outcome.data_share)}"
    )
    console.advise_on_data(outcome.data_share)
    typer.echo(
        f"{result.num_train_videos} videos trained it, {result.num_validation_videos} chose the weights, "
        f"{result.num_test_videos} are held out for `vidrep evaluate {result.folder} {features}`"
    )
