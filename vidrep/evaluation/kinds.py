"""How each kind of trained run is measured, by the name that stands in model.json."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from ..features.store import Features
from .classification import ClassificationEvaluation, check_classifier, evaluate_classifier, select_labeled
from .prediction import PredictionEvaluation, check_pretraining, evaluate_on_sequences, evaluate_on_windows
from .request import EvaluationOptions, SelectedVideos, TrainedRun
from .run_labels import lists_of_run, log_other_labels
from .segmentation import (
    SegmentationEvaluation,
    check_segmentation,
    evaluate_segmentation,
    select_annotated,
    with_segments,
)

Evaluation = ClassificationEvaluation | PredictionEvaluation | SegmentationEvaluation


@dataclass(frozen=True, kw_only=True)
class Evaluator:
    """How one kind of run is measured.

    check: raises for options that it does not take. with_lists: returns options with what the run was trained with in
    place of lists that they do not give. select: leaves out videos that it cannot be measured on.
    """

    check: Callable[[TrainedRun, EvaluationOptions], None]
    with_lists: Callable[[TrainedRun, Features, EvaluationOptions], EvaluationOptions]
    select: Callable[[TrainedRun, SelectedVideos], SelectedVideos]
    on_features: Callable[[TrainedRun, SelectedVideos, EvaluationOptions], Evaluation]
    on_sequences: Callable[[TrainedRun, EvaluationOptions], Evaluation]


def _all(run: TrainedRun, selected: SelectedVideos) -> SelectedVideos:
    return selected


def _none(run: TrainedRun, options: EvaluationOptions) -> Evaluation:
    raise AssertionError("`check` has refused sequences")


def _with_lists(run: TrainedRun, features: Features, options: EvaluationOptions) -> EvaluationOptions:
    return options if options.annotations else replace(options, annotations=lists_of_run(run.folder, features))


def _select_labeled(run: TrainedRun, selected: SelectedVideos) -> SelectedVideos:
    log_other_labels(run.folder, selected)
    return select_labeled(run, selected)


EVALUATORS = {
    "pretraining": Evaluator(
        check=check_pretraining,
        with_lists=_with_lists,
        select=_all,
        on_features=evaluate_on_windows,
        on_sequences=evaluate_on_sequences,
    ),
    "classifier": Evaluator(
        check=check_classifier,
        with_lists=_with_lists,
        select=_select_labeled,
        on_features=evaluate_classifier,
        on_sequences=_none,
    ),
    "segmentation": Evaluator(
        check=check_segmentation,
        with_lists=with_segments,
        select=select_annotated,
        on_features=evaluate_segmentation,
        on_sequences=_none,
    ),
}
