"""`vidrep train`: pretraining without labels."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import console
from .options import (
    BatchSize,
    Device,
    Features,
    Labels,
    Overwrite,
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

if TYPE_CHECKING:
    from vidrep.training.prediction import PredictionFigures

_COSTS = {
    "nats": "nats/frame",
    "squared_error": "squared error/frame, original units",
    "squared_error_standardised": "squared error/frame, standardised",
}


def train_command(
    features: Features,
    output: Annotated[Path, typer.Option("--output", "-o", help="The run folder.", show_default=False)],
    recipe: Recipe = None,
    settings: Set = None,
    steps: Steps = None,
    batch_size: BatchSize = None,
    seed: Seed = None,
    labels: Labels = None,
    splits: Splits = None,
    split_number: SplitNumber = 1,
    device: Device = "auto",
    threads: Threads = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Learn without labels: reconstruct the past, predict the future. Videos of split "test" are not touched."""
    from vidrep.config import PretrainConfig, load_recipe

    changes = recipe_changes(settings, steps=steps, batch_size=batch_size, seed=seed)
    config = load_recipe(PretrainConfig, recipe, changes=changes)

    from vidrep.features.listings import read_labelling
    from vidrep.features.store import open_features
    from vidrep.training.pretrain import pretrain

    console.show_log(quiet=quiet)
    listed = read_labelling(labels=labels, splits=splits, number=split_number)
    with console.progress_bar("train", quiet=quiet) as listen:
        result = pretrain(
            open_features(features),
            output,
            config,
            device=device,
            threads=threads,
            listed=listed,
            resume=resume,
            overwrite=overwrite,
            on_progress=listen,
        )
    if quiet:
        return
    outcome = result.outcome
    early = ", stopped early" if outcome.stopped_early else ""
    typer.echo(
        f"{result.folder}: {outcome.steps} steps in {console.duration(outcome.seconds)}{early}; the best weights are "
        f"those of step {outcome.best_step}; {result.num_parameters:,} parameters, {result.num_train_videos} videos"
    )
    typer.echo(f"on {result.num_validation_videos} held-apart videos, {result.validation.num_windows} windows:")
    typer.echo(prediction_table(result.validation))


def prediction_table(figures: "PredictionFigures") -> str:
    """Lay out costs per frame: a row a decoder and cost, a column a predictor."""
    predictors = ["model", "mean frame", "last frame", "zeros", "entropy floor"]
    rows = [
        [f"{decoder}, {_COSTS[cost]}"] + [f"{by[name]:.2f}" if name in by else "-" for name in predictors]
        for decoder, costs in figures.costs.items()
        for cost, by in costs.items()
    ]
    return console.table(["mean over frames", *predictors], rows)
