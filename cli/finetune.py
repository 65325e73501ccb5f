"""`vidrep finetune`: an action classifier."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vidrep.training.ranks import is_main_process, joined_ranks

from .argument_order import require_order
from .completion import run_folders
from .console import show_log, show_summary
from .help import input_option, training_option
from .options import CommonOptions, ComputeOptions, FeaturesIfAny, GroupedAnnotationOptions, RecipeOptions, RunOptions
from .origin import changed_output, command_line, origin_of, plugin_words
from .progress import progress_bar
from .segment_training import SegmentTrainingOptions, train_on_segments
from .stopping import stopping_on_signals
from .tables import few_videos, folds_report, selection_report
from .training import advise_on_data, outcome_text, waiting_text

if TYPE_CHECKING:
    from vidrep.training.finetune import FinetuneResult

_USUAL_FOLDS = 5


def finetune_command(
    context: typer.Context,
    run: RunOptions,
    recipe: RecipeOptions,
    annotations: GroupedAnnotationOptions,
    from_segments: SegmentTrainingOptions,
    compute: ComputeOptions,
    common: CommonOptions,
    features: FeaturesIfAny = None,
    pretrained: Annotated[
        list[Path] | None,
        input_option(
            "--from",
            metavar="RUN",
            help="A run of `vidrep train` to start from, or several, whose outputs stand side by side; default: none.",
            autocompletion=run_folders,
        ),
    ] = None,
    freeze: Annotated[
        bool,
        training_option("--freeze", help="Train the head alone; classifier.transfer=frozen."),
    ] = False,
    auto: Annotated[
        bool | None,
        training_option(
            "--auto/--no-auto",
            help="Choose head, transforms, windows and predictor by cross-validation; selection.enabled.",
            show_default=False,
        ),
    ] = None,
    folds: Annotated[
        int | None,
        training_option(
            "--folds",
            metavar="K",
            min=2,
            help="In place of a test split: test every labeled video, by a classifier of the other folds; test_folds.",
        ),
    ] = None,
    budget: Annotated[
        float | None,
        training_option("--budget", metavar="MINUTES", help="Try fewer candidates if all would take longer."),
    ] = None,
) -> None:
    """Learn to classify from labeled videos, or, with --annotations, to label every moment of long ones.

    It does not read videos of split "test".
    """
    require_order("finetune", FEATURES=features)
    # Several processes join before anything can fail, so that an error of one ends all of them with its message.
    with stopping_on_signals() as should_stop, joined_ranks() as ranks:
        from vidrep.config.settings import FinetuneConfig
        from vidrep.errors import ConfigError

        changes: dict[str, Any] = {"classifier.transfer": "frozen"} if freeze else {}
        if auto is not None:
            changes["selection.enabled"] = auto
        if folds is not None:
            changes["test_folds"] = folds
        # The run is on rank 0.
        start = ranks.call_on_rank_zero(run.first_start)
        from_segments = from_segments.or_those_of(start)
        if from_segments.segments:
            classifies_videos = {
                "--labels": annotations.labels,
                "--splits": annotations.splits,
                "--group-blocks": annotations.group_blocks,
                "--auto": auto,
                "--folds": folds,
                "--budget": budget,
            }
            train_on_segments(
                from_segments,
                run,
                recipe,
                compute,
                common,
                context,
                start=start,
                features=features,
                pretrained=pretrained,
                freeze=freeze,
                group=annotations.group,
                refused=[name for name, value in classifies_videos.items() if value is not None],
                should_stop=should_stop,
            )
            return
        from_segments.require_none()
        config = ranks.call_on_rank_zero(lambda: recipe.build(FinetuneConfig, run, **changes))
        annotations = annotations.or_those_of(start)
        origin = origin_of(context, **annotations.given())
        if start is not None and features is None:
            features = Path(start.features)
        if features is None:
            raise ConfigError("no features: give FEATURES, a feature file that `vidrep extract` made")

        from vidrep.features.store import open_features
        from vidrep.training.finetune import finetune

        show_log(quiet=common.quiet)
        with progress_bar("finetune", quiet=common.quiet) as on_progress:
            result = finetune(
                open_features(features),
                run.output,
                config,
                pretrained=pretrained,
                budget_minutes=budget,
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
                origin=origin,
            )
    if is_main_process():
        # With folds their verdict is the one: it is of videos that nothing was chosen on.
        verdict = result.verdict if result.folds is None else ""
        tried = selection_report(result.selection) if result.selection is not None else verdict
        evaluates = command_line("evaluate", result.folder, features, *plugin_words(common.plugins))
        command = origin.command if start is None else start.command
        below = _next_step(result, evaluates, command)
        show_summary(_summary(result, pretrained), above=tried, below=below, quiet=common.quiet)
        if not common.quiet:
            advise_on_data(result.outcome.data_share)


def _summary(result: "FinetuneResult", pretrained: list[Path] | None) -> str:
    names = " and ".join(map(str, pretrained or [])) or "the encoder that the run keeps"
    start = "from scratch" if result.from_scratch else f"from {names}"
    models = f"{result.num_models} models, the first " if result.num_models > 1 else ""
    return (
        f"{result.folder}: {start}, {len(result.classes)} classes, {models}{outcome_text(result.outcome)}; "
        f"{waiting_text(result.outcome.data_share)}"
    )


def _next_step(result: "FinetuneResult", evaluates: str, command: str) -> str:
    """Describe on which videos it learned, and on which to evaluate it.

    evaluates: the command line that does so. command: the one that began the run.
    """
    held_out = f"evaluate on the {result.num_test_videos} held-out ones: `{evaluates}`"
    if not result.num_test_videos:
        held_out = "none is held out: evaluate on videos that took no part"
    if result.folds is not None:
        held_out = "the folds, below, show how good such classifiers are"
    validation = f", {result.num_validation_videos} for validation" if result.num_validation_videos else ""
    learned = f"{result.num_train_videos} videos for training{validation}; {held_out}"
    overfitting = "" if result.overfitting is None else str(result.overfitting)
    measured = folds_report(result.folds) if result.folds is not None else _advice(result, command)
    return "\n".join(filter(None, (learned, overfitting, measured)))


def _advice(result: "FinetuneResult", command: str) -> str:
    """Return what to do if there are too few videos to measure the run on, "" if there are enough."""
    if result.num_test_videos and not result.rarely_tested:
        return ""
    folds = min(result.most_folds, _USUAL_FOLDS)
    rare = few_videos(result.rarely_tested) if result.rarely_tested else "No video is held out"
    if folds < 2:
        return f"{rare}: label more videos, or more groups of them, to have something to measure it on."
    with_folds = changed_output(command, f"{result.folder}-folds", "--folds", folds)
    return f"{rare}. To test every labeled video once: `{with_folds}`"
