"""How each kind of trained run is measured, by the name that stands in model.json."""

from collections.abc import Callable
from dataclasses import dataclass

from .classification import ClassificationEvaluation, check_classifier, evaluate_classifier, select_labeled
from .prediction import PredictionEvaluation, check_pretraining, evaluate_on_sequences, evaluate_on_windows
from .request import EvaluationOptions, SelectedVideos, TrainedRun

Evaluation = ClassificationEvaluation | PredictionEvaluation


@dataclass(frozen=True, kw_only=True)
class Evaluator:
    """How one kind of run is measured.

    check: raises for options that it does not take. select: leaves out videos that it cannot be measured on.
    """

    check: Callable[[TrainedRun, EvaluationOptions], None]
    select: Callable[[TrainedRun, SelectedVideos], SelectedVideos]
    on_features: Callable[[TrainedRun, SelectedVideos, EvaluationOptions], Evaluation]
    on_sequences: Callable[[TrainedRun, EvaluationOptions], Evaluation]


def _all(run: TrainedRun, selected: SelectedVideos) -> SelectedVideos:
    return selected


def _none(run: TrainedRun, options: EvaluationOptions) -> Evaluation:
    raise AssertionError("`check` has refused sequences")


EVALUATORS = {
    "pretraining": Evaluator(
        check=check_pretraining, select=_all, on_features=evaluate_on_windows, on_sequences=evaluate_on_sequences
    ),
    "classifier": Evaluator(
        check=check_classifier, select=select_labeled, on_features=evaluate_classifier, on_sequences=_none
    ),
}
