"""`vidrep evaluate`: figures with baselines beside them."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import console
from .options import AsJson, Device, Features, Labels, SplitNumber, Splits, Threads
from .train import prediction_table

if TYPE_CHECKING:
    from vidrep.evaluation.evaluate import Accuracy, ClassificationEvaluation, PredictionEvaluation


def evaluate_command(
    run: Annotated[Path, typer.Argument(help="The run folder.", show_default=False)],
    features: Features,
    split: Annotated[
        str | None, typer.Option("--split", help="train, validation or test; default: test, or what was held apart.")
    ] = None,
    shuffle_frames: Annotated[
        bool, typer.Option("--shuffle-frames", help="Put frames into random order first, to see what order tells.")
    ] = False,
    labels: Labels = None,
    splits: Splits = None,
    split_number: SplitNumber = 1,
    device: Device = "auto",
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Measure a run on videos that it did not train on."""
    from vidrep.evaluation.evaluate import PredictionEvaluation, evaluate
    from vidrep.features.listings import read_labelling
    from vidrep.features.store import open_features

    console.show_log()
    listed = read_labelling(labels=labels, splits=splits, number=split_number)
    result = evaluate(
        run,
        open_features(features),
        split=split,
        listed=listed,
        shuffle_frames=shuffle_frames,
        device=device,
        threads=threads,
    )
    if as_json:
        typer.echo(json.dumps(asdict(result), indent=2))
    elif isinstance(result, PredictionEvaluation):
        typer.echo(prediction_report(result))
    else:
        typer.echo(classification_report(result))


def prediction_report(result: "PredictionEvaluation") -> str:
    """Say how a pretrained model predicts."""
    figures = result.figures
    return (
        f"{result.num_videos} {result.which}, {figures.num_windows} windows of {figures.seen} frames seen and "
        f"{figures.predicted} predicted, free running{_left_out(result.num_left_out)}\n{prediction_table(figures)}"
    )


def classification_report(result: "ClassificationEvaluation") -> str:
    """Say how a classifier does, with the baselines below it."""
    lstm = "LSTM, frames in shuffled order" if result.shuffled else "LSTM"
    rows = [
        _row(f"{lstm}, per video", result.per_video),
        _row(f"{lstm}, per window", result.per_window),
        *(_row(f"{name}, per video", accuracy) for name, accuracy in result.baselines.items()),
    ]
    return (
        f"{result.num_videos} {result.which}, {result.num_windows} windows, {len(result.classes)} classes"
        f"{_left_out(result.num_left_out)}\n" + console.table(["", "accuracy", "+-", "balanced"], rows)
    )


def _row(name: str, accuracy: "Accuracy") -> list[str]:
    figures = (accuracy.accuracy, accuracy.standard_error, accuracy.balanced_accuracy)
    return [name, *(f"{figure:.3f}" for figure in figures)]


def _left_out(count: int) -> str:
    return f" ({count} left out: the run was trained on them)" if count else ""
