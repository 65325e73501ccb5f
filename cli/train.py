"""`vidrep train`: pretraining without labels."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vidrep.training.ranks import is_main_process, joined_ranks

from .argument_order import require_order
from .completion import run_folders
from .console import show_log, show_summary
from .help import input_option
from .options import (
    CommonOptions,
    ComputeOptions,
    Details,
    FeaturesIfAny,
    GroupedAnnotationOptions,
    RecipeOptions,
    RunOptions,
)
from .origin import origin_of
from .progress import progress_bar
from .stopping import stopping_on_signals
from .tables import prediction_table
from .training import advise_on_data, outcome_text, waiting_text

if TYPE_CHECKING:
    from vidrep.training.pretrain import PretrainResult


def train_command(
    context: typer.Context,
    run: RunOptions,
    recipe: RecipeOptions,
    annotations: GroupedAnnotationOptions,
    compute: ComputeOptions,
    common: CommonOptions,
    features: FeaturesIfAny = None,
    details: Details = False,
    pretrained: Annotated[
        Path | None,
        input_option(
            "--from",
            metavar="RUN",
            help="A run of `vidrep train` whose model learns on, with its settings, on FEATURES of the same kind.",
            autocompletion=run_folders,
        ),
    ] = None,
    mnist: Annotated[
        Path | None,
        input_option(
            "--mnist",
            metavar="FOLDER",
            help="In place of features: a folder with MNIST; its digits make new Moving MNIST sequences at every step.",
        ),
    ] = None,
) -> None:
    """Learn without labels: reconstruct the past, predict the future, tell clips apart.

    It does not read videos of split "test".
    """
    require_order("train", FEATURES=features)
    # Several processes join before anything can fail, so that an error of one ends all of them with its message.
    with stopping_on_signals() as should_stop, joined_ranks() as ranks:
        from vidrep.config.settings import PretrainConfig

        # The run is on rank 0.
        config = ranks.call_on_rank_zero(lambda: recipe.build(PretrainConfig, run, pretrained))
        start = ranks.call_on_rank_zero(run.first_start)
        annotations = annotations.or_those_of(start)
        if start is not None and features is None and mnist is None:
            features = Path(start.features) if start.features else None
            mnist = Path(start.options["mnist"]) if "mnist" in start.options else None

        from vidrep.features.store import open_features
        from vidrep.training.pretrain import train

        show_log(quiet=common.quiet)
        with progress_bar("train", quiet=common.quiet) as on_progress:
            result = train(
                None if features is None else open_features(features),
                run.output,
                config,
                pretrained=pretrained,
                mnist=mnist,
                device=compute.device,
                precision=compute.precision,
                threads=compute.threads,
                annotations=annotations.read(),
                group_pattern=annotations.group,
                group_blocks=annotations.group_blocks,
                resume=run.resume,
                overwrite=run.overwrite,
                should_stop=should_stop,
                on_progress=on_progress,
                origin=origin_of(context, mnist=mnist and str(mnist), **annotations.given()),
            )
    if is_main_process():
        is_generated = features is None
        tables = _tables(result, is_generated=is_generated, details=details)
        show_summary(_summary(result, is_generated=is_generated), below=tables, quiet=common.quiet)
        if not common.quiet:
            advise_on_data(result.outcome.data_share)


def _summary(result: "PretrainResult", *, is_generated: bool) -> str:
    videos = "" if is_generated else f", {result.num_train_videos} videos, {result.num_labeled_videos} of them labeled"
    models = f"{result.num_models} models, the first: " if result.num_models > 1 else ""
    return (
        f"{result.folder}: {models}{outcome_text(result.outcome)}; {result.num_parameters:,} parameters{videos}; "
        f"{waiting_text(result.outcome.data_share)}"
    )


def _tables(result: "PretrainResult", *, is_generated: bool, details: bool) -> str:
    what = "sequences of held-out digits" if is_generated else f"{result.num_validation_videos} validation videos"
    windows = f", {result.validation.num_windows} windows, free running" if result.validation.by_objective else ""
    overfitting = "" if result.overfitting is None else f"\n{result.overfitting}"
    measured = prediction_table(result.validation, details=details)
    return f"on {what}{windows}:\n{measured}\n{result.verdict}{overfitting}"
