"""`vidrep evaluate`: figures with baselines beside them."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import console
from .options import AsJson, Device, Labels, SplitNumber, Splits, Threads
from .tables import prediction_table, time_step_table

if TYPE_CHECKING:
    from vidrep.evaluation.evaluate import Accuracy, ClassificationEvaluation
    from vidrep.evaluation.prediction import PredictionEvaluation


def evaluate_command(
    run: Annotated[Path, typer.Argument(help="The run folder.", show_default=False)],
    features: Annotated[
        Path | None, typer.Argument(help="A feature file, or a folder of parts.", show_default=False)
    ] = None,
    mnist: Annotated[
        Path | None,
        typer.Option("--mnist", help="In place of features: a folder with MNIST, to make Moving MNIST of test digits."),
    ] = None,
    num_digits: Annotated[
        int | None,
        typer.Option("--num-digits", min=1, help="Digits in a sequence of --mnist; default: the run's own, or 2."),
    ] = None,
    sequences: Annotated[
        int | None, typer.Option("--sequences", min=1, help="Sequences of --mnist; default: 10,000.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Of the sequences of --mnist; default: 1.")] = None,
    predicted: Annotated[
        int | None, typer.Option("--predicted", min=1, help="Frames to predict; default: as many as in training.")
    ] = None,
    filmstrip: Annotated[
        Path | None,
        typer.Option("--filmstrip", help="Draw some windows into this PNG: true frames above the model's."),
    ] = None,
    split: Annotated[
        str | None, typer.Option("--split", help="train, validation or test; default: test, or what was held out.")
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
    """Measure a run on videos that it did not train on, or a pretraining on Moving MNIST of the test digits."""
    from vidrep.errors import ConfigError

    sequence_options = {"num_digits": num_digits, "num_sequences": sequences, "seed": seed}
    generated = {name: value for name, value in sequence_options.items() if value is not None}
    if (features is None) == (mnist is None):
        raise ConfigError("give either FEATURES or --mnist DIR to measure the run on")
    if generated and mnist is None:
        raise ConfigError("--num-digits, --sequences and --seed are for the sequences of --mnist DIR; leave them out")
    if mnist is not None and (labels or splits):
        raise ConfigError("--labels and --splits are for features; sequences of --mnist have none")

    from vidrep.evaluation.evaluate import evaluate
    from vidrep.evaluation.prediction import PredictionEvaluation
    from vidrep.features.annotation_files import read_annotations
    from vidrep.features.store import open_features

    console.show_log()
    with console.progress_bar("evaluate", quiet=as_json) as listen:
        result = evaluate(
            run,
            None if features is None else open_features(features),
            mnist=mnist,
            **generated,
            predicted=predicted,
            split=split,
            annotations=read_annotations(labels=labels, splits=splits, number=split_number),
            shuffle_frames=shuffle_frames,
            filmstrip=filmstrip,
            device=device,
            threads=threads,
            on_progress=listen,
        )
    if as_json:
        typer.echo(json.dumps(asdict(result), indent=2))
    elif isinstance(result, PredictionEvaluation):
        typer.echo(prediction_report(result))
    else:
        typer.echo(classification_report(result))


def prediction_report(result: "PredictionEvaluation") -> str:
    """Say how a pretrained model predicts."""
    metrics = result.metrics
    head = (
        f"{result.num_videos:,} {result.which}, {metrics.num_windows:,} windows of {metrics.seen} frames seen and "
        f"{metrics.predicted} predicted, free running{_left_out(result.num_left_out)}"
    )
    return "\n".join(filter(None, (head, prediction_table(metrics), time_step_table(metrics))))


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
    metrics = (accuracy.accuracy, accuracy.standard_error, accuracy.balanced_accuracy)
    return [name, *(f"{figure:.3f}" for figure in metrics)]


def _left_out(count: int) -> str:
    return f" ({count} left out: the run was trained on them)" if count else ""
