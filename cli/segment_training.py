"""`vidrep finetune --annotations`: what labels every frame of long videos."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vidrep.training.ranks import is_main_process, joined_ranks

from .console import show_log, show_summary
from .help import training_option
from .options import CommonOptions, ComputeOptions, RecipeOptions, RunOptions, SegmentOptions
from .origin import command_line, origin_of, plugin_words
from .progress import progress_bar
from .training import advise_on_data, outcome_text, waiting_text

if TYPE_CHECKING:
    from vidrep.training.history import Start
    from vidrep.training.segmentation import SegmentationResult


@dataclass(frozen=True, kw_only=True)
class SegmentTrainingOptions(SegmentOptions):
    """Annotations with time, and how to learn from them."""

    background: Annotated[
        str | None,
        training_option(
            "--background",
            metavar="NAME",
            help="With --annotations: what time without a label is called; default: it is unknown, unless a file says "
            "what was watched. segmenter.background.",
        ),
    ] = None
    multi_label: Annotated[
        bool,
        training_option(
            "--multi-label", help="With --annotations: several labels may hold at once; segmenter.several_labels."
        ),
    ] = False
    causal: Annotated[
        bool,
        training_option(
            "--causal",
            help="With --annotations: label a moment by what came before it alone; encoder.bidirectional=false.",
        ),
    ] = False

    def changes(self) -> dict[str, Any]:
        """Return the settings that they change."""
        found: dict[str, Any] = {}
        if self.background is not None:
            found["segmenter.background"] = self.background
        if self.multi_label:
            found["segmenter.several_labels"] = True
        if self.causal:
            found["encoder.bidirectional"] = False
        return found

    def require_none(self) -> None:
        """Raise ConfigError if there are options that are for annotations with time, and no such annotations."""
        from vidrep.errors import ConfigError

        are_given = {
            "--background": self.background is not None,
            "--multi-label": self.multi_label,
            "--causal": self.causal,
            "--annotation-rate": self.annotation_rate is not None,
        }
        if given := [name for name, is_given in are_given.items() if is_given]:
            raise ConfigError(f"{', '.join(given)}: for annotations with time; give --annotations FILE")


def train_on_segments(
    options: SegmentTrainingOptions,
    run: RunOptions,
    recipe: RecipeOptions,
    compute: ComputeOptions,
    common: CommonOptions,
    context: typer.Context,
    *,
    start: "Start | None",
    features: Path | None,
    pretrained: list[Path] | None,
    freeze: bool,
    group: str | None,
    refused: Sequence[str],
    should_stop: Callable[[], bool],
) -> None:
    """Train, and print what came of it; refused: options that are for labels of whole videos."""
    from vidrep.config.segmentation import SegmentationConfig
    from vidrep.errors import ConfigError
    from vidrep.features.store import open_features
    from vidrep.training.segmentation import finetune_segments

    if refused:
        raise ConfigError(
            f"{', '.join(refused)}: for labels of whole videos, and --annotations has labels of moments; leave out one "
            "of the two (splits and groups can be columns of the annotations)"
        )
    changes = options.changes() | ({"segmenter.transfer": "frozen"} if freeze else {})
    with joined_ranks() as ranks:
        config = ranks.call_on_rank_zero(lambda: recipe.build(SegmentationConfig, run, **changes))
        given = options.given() | ({} if group is None else {"group": group})
        origin = origin_of(context, **given)
        if start is not None:
            features = features or Path(start.features)
            group = group or start.options.get("group")
        if features is None:
            raise ConfigError("no features: give FEATURES, a feature file that `vidrep extract` made")
        show_log(quiet=common.quiet)
        opened = open_features(features)
        with progress_bar("finetune", quiet=common.quiet) as on_progress:
            result = finetune_segments(
                opened,
                run.output,
                options.read(opened),
                config,
                pretrained=pretrained,
                group_pattern=group,
                device=compute.device,
                precision=compute.precision,
                threads=compute.threads,
                resume=run.resume,
                overwrite=run.overwrite,
                should_stop=should_stop,
                on_progress=on_progress,
                origin=origin,
            )
    if is_main_process():
        evaluates = command_line("evaluate", result.folder, features, *plugin_words(common.plugins))
        names = " and ".join(map(str, pretrained or [])) or "the encoder that the run keeps"
        start_text = "from scratch" if result.from_scratch else f"from {names}"
        show_summary(
            f"{result.folder}: {start_text}, {len(result.labels)} labels, {outcome_text(result.outcome)}; "
            f"{waiting_text(result.outcome.data_share)}",
            below=_next_step(result, evaluates),
            quiet=common.quiet,
        )
        if not common.quiet:
            advise_on_data(result.outcome.data_share)


def _next_step(result: "SegmentationResult", evaluates: str) -> str:
    """Describe what it learned from, what a frame's labels depend on, and how to evaluate it."""
    minutes = {split: seconds / 60 for split, seconds in result.seconds.items()}
    learned = (
        f"{minutes['train']:.1f} annotated minutes of {result.num_videos['train']} videos for training, "
        f"{minutes['validation']:.1f} of {result.num_videos['validation']} for validation"
    )
    if result.learned_from_validation:
        learned += ", and then for training too"
    held_out = f"evaluate on the {result.num_videos['test']} held-out ones: `{evaluates}`"
    if not result.num_videos["test"]:
        held_out = "none is held out: evaluate on videos that took no part"
    unlabeled = f"time without a label is {result.background!r}" if result.background else "no label is background"
    reads = "causal: no later frame counts"
    if result.delay:
        reads = f"a label depends on up to {result.delay} frames after it, too"
    return f"{learned}; {held_out}\n{result.verdict}\n{unlabeled}; {reads}"
