"""`vidrep evaluate`: metrics with baselines beside them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import completion, console
from .argument_order import require_order
from .help import evaluation_option, input_option, labels_option, output_option
from .options import AsJson, CommonOptions, Device, FeaturesIfAny, GroupedAnnotationOptions, SegmentOptions, Threads
from .progress import progress_bar
from .segmentation_tables import segmentation_report
from .tables import classification_report, prediction_report

if TYPE_CHECKING:
    from vidrep.evaluation.kinds import Evaluation


def evaluate_command(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN", help="The run folder.", show_default=False, autocompletion=completion.run_folders
        ),
    ],
    annotations: GroupedAnnotationOptions,
    segments: SegmentOptions,
    common: CommonOptions,
    features: FeaturesIfAny = None,
    mnist: Annotated[
        Path | None,
        input_option(
            "--mnist",
            metavar="FOLDER",
            help="In place of features: a folder with MNIST, to make Moving MNIST of the test digits.",
        ),
    ] = None,
    num_digits: Annotated[
        int | None,
        input_option("--num-digits", min=1, help="Digits in a sequence of --mnist; default: the run's own, or 2."),
    ] = None,
    sequences: Annotated[
        int | None, input_option("--sequences", min=1, help="Sequences of --mnist; default: 10,000.")
    ] = None,
    seed: Annotated[
        int | None, input_option("--seed", min=0, help="Seed of the sequences of --mnist; default: 1.")
    ] = None,
    num_future: Annotated[
        int | None, evaluation_option("--num-future", min=1, help="Frames to predict; default: as in training.")
    ] = None,
    shuffle_frames: Annotated[
        bool,
        evaluation_option("--shuffle-frames", help="Shuffle the frames of each window, to show what their order adds."),
    ] = False,
    probe: Annotated[
        bool,
        evaluation_option(
            "--probe", help="Show what classifiers, fitted to labels of split train, make of a pretraining's encoder."
        ),
    ] = False,
    split: Annotated[
        str | None,
        labels_option(
            "--split",
            help="train, validation or test; default: test, or what was held out.",
            autocompletion=completion.splits,
        ),
    ] = None,
    filmstrip: Annotated[
        Path | None,
        output_option(
            "--filmstrip", metavar="FILE", help="Draw some windows into this PNG: true frames above the model's."
        ),
    ] = None,
    errors: Annotated[
        Path | None,
        output_option(
            "--errors",
            metavar="FILE",
            help="A CSV file of all mistakes of a classifier, the worst first; of bouts, those missed or wrong.",
        ),
    ] = None,
    predictions: Annotated[
        Path | None,
        output_option(
            "--predictions",
            metavar="FILE",
            help="A CSV file of all that a classifier predicts; of all bouts, true and predicted.",
        ),
    ] = None,
    reliability: Annotated[
        Path | None,
        output_option(
            "--reliability", metavar="FILE", help="Draw how a classifier's confidence agrees with its accuracy: a PNG."
        ),
    ] = None,
    as_json: AsJson = False,
    device: Device = "auto",
    threads: Threads = None,
) -> None:
    """Measure a run on videos that it did not train on.

    A pretraining can be measured on Moving MNIST sequences of the test digits too.
    """
    from vidrep.errors import ConfigError

    require_order("evaluate", RUN=run, FEATURES=features)
    sequence_options: dict[str, Any] = {"num_digits": num_digits, "num_sequences": sequences, "seed": seed}
    generated = {name: value for name, value in sequence_options.items() if value is not None}
    if (features is None) == (mnist is None):
        raise ConfigError("give either FEATURES or --mnist FOLDER to measure the run on")
    if generated and mnist is None:
        raise ConfigError("--num-digits, --sequences and --seed are for --mnist FOLDER; leave them out")
    if mnist is not None and (annotations.are_given or probe):
        raise ConfigError(
            "--labels, --splits, --group, --group-blocks and --probe are for features; sequences of --mnist have no "
            "labels"
        )

    from vidrep.evaluation.evaluate import evaluate
    from vidrep.features.store import open_features

    console.show_log(quiet=common.quiet)
    with progress_bar("evaluate", quiet=common.quiet or as_json) as on_progress:
        opened = None if features is None else open_features(features)
        result = evaluate(
            run,
            opened,
            mnist=mnist,
            **generated,
            num_future=num_future,
            split=split,
            annotations=annotations.read() or None,
            segments=segments.read(opened) if segments.segments and opened is not None else None,
            group_pattern=annotations.group,
            group_blocks=annotations.group_blocks,
            shuffle_frames=shuffle_frames,
            probe=probe,
            filmstrip=filmstrip,
            errors=errors,
            predictions=predictions,
            reliability=reliability,
            device=device,
            threads=threads,
            on_progress=on_progress,
        )
    typer.echo(console.as_json(result.to_json()) if as_json else _report(result))


def _report(result: "Evaluation") -> str:
    from vidrep.evaluation.prediction import PredictionEvaluation
    from vidrep.evaluation.segmentation import SegmentationEvaluation

    if isinstance(result, SegmentationEvaluation):
        return segmentation_report(result)
    return prediction_report(result) if isinstance(result, PredictionEvaluation) else classification_report(result)
