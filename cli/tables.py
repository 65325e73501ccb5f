"""What the commands that measure a run print: metrics with baselines beside them."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .layout import table

if TYPE_CHECKING:
    from vidrep.evaluation.classification import ClassificationEvaluation
    from vidrep.evaluation.compare import Comparison
    from vidrep.evaluation.prediction import PredictionEvaluation
    from vidrep.evaluation.probe import ProbeResult
    from vidrep.metrics.classification import Accuracy
    from vidrep.metrics.confusion import ClassMetrics
    from vidrep.metrics.paired import PairedDifference
    from vidrep.metrics.prediction import PredictionMetrics
    from vidrep.training.nested_validation import FoldsResult
    from vidrep.training.selection import Selection

_LOSSES = {
    "nats": "nats/frame",
    "squared_error": "squared error/frame, original units",
    "squared_error_standardized": "squared error/frame, standardized",
    "squared_error_transformed": "squared error/frame, transformed",
    "absolute_error": "absolute error/frame, original units",
    "ssim": "SSIM, data range 1, higher is better",
    "psnr": "PSNR in dB, data range 1, higher is better",
}
_PREDICTORS = ("model", "model, teacher-forced", "mean frame", "persistence", "zeros", "entropy floor")
_PLAIN_LOSS, _PLAIN_PREDICTORS = "squared_error", ("model", "mean frame", "persistence")
_PLAIN_WORDS = (
    "Lower is better: the model beside the mean of all training frames, and the last frame repeated (persistence); "
    "--details has the rest."
)
_DECIMALS = {"ssim": 4}
# Of long predictions, the table has these time steps and the last one.
_MOST_TIME_STEPS = 10
# Of more classes than that, the table has those few that are predicted worst.
_MOST_CLASSES, _FEWEST_CLASSES = 30, 20
_MOST_MISTAKES, _MOST_NAMES = 10, 10
# Of the value of a setting.
_MOST_LETTERS = 40
_TIME_STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500)


def prediction_report(result: "PredictionEvaluation") -> str:
    """Describe how well a pretrained model predicts."""
    metrics = result.metrics
    head = (
        f"{result.num_videos:,} {result.which}, {metrics.num_windows:,} windows of {metrics.num_context} context and "
        f"{metrics.num_future} future frames, free running{_left_out(result.num_left_out)}"
    )
    probe = "" if result.probe is None else probe_table(result.probe)
    parts = (
        head,
        prediction_table(metrics),
        time_step_table(metrics),
        probe,
        result.verdict,
        _line(result.overfitting),
    )
    return "\n".join(filter(None, parts))


def classification_report(result: "ClassificationEvaluation") -> str:
    """Describe how well a classifier does, with the baselines below it."""
    from vidrep.metrics.intervals import LEAST_TEST_VIDEOS

    of_lstm = {"video": result.per_video, "window": result.per_window}
    if result.shuffled:  # baselines read frames in their order, so that nothing is to be compared
        rows = [_accuracy_row(f"LSTM, frames in shuffled order, per {of}", one) for of, one in of_lstm.items()]
        rows += [_accuracy_row(f"{name}, per video", accuracy) for name, accuracy in result.baselines.items()]
        head = ["", "accuracy", "95 % interval", "balanced"]
    else:
        first = {} if result.predictor == "LSTM" else {f"predictor: {result.predictor}, per video": result.predicted}
        named = first | {f"LSTM, per {of}": one for of, one in of_lstm.items()}
        rows = [[*_accuracy_row(name, accuracy), "", ""] for name, accuracy in named.items()]
        rows += [
            [*_accuracy_row(f"{name}, per video", accuracy), *_difference_cells(result.differences[name])]
            for name, accuracy in result.baselines.items()
        ]
        head = ["", "accuracy", "95 % interval", "balanced", f"{_short(result.predictor)} better by", "95 % interval"]
    support = {one.name: one.support for one in result.by_class}
    rare = few_videos({name: count for name, count in support.items() if count < LEAST_TEST_VIDEOS})
    summary = "\n".join(
        [
            f"{result.num_videos} {result.which}, {result.num_windows} windows, {len(result.classes)} classes"
            f"{_left_out(result.num_left_out)}",
            table(head, rows),
            *_without_interval(result.predicted),
            *([f"{rare}. `finetune` with --folds tests every labeled video once."] if rare else []),
        ]
    )
    if result.shuffled:
        return summary
    verdict = "\n".join([*filter(None, (result.verdict, _line(result.overfitting))), calibration_line(result)])
    return "\n\n".join((summary, class_table(result.by_class), _mistakes_table(result), verdict))


def calibration_line(result: "ClassificationEvaluation") -> str:
    """Say how well the probabilities of what predicts agree with its accuracy."""
    found = result.calibration
    after = found.after
    if not found.is_fitted:
        error, loss = f"{after.expected_calibration_error:.3f}", f"{after.log_loss:.3f}"
        return f"calibration error {error}, log loss {loss} nats; no temperature was fitted"
    temperatures = {"of the LSTM": found.temperature, "of the whole": found.final_temperature}
    named = ", ".join(f"{value:.2f} {of}" for of, value in temperatures.items() if value != 1)
    return (
        f"calibration error {found.before.expected_calibration_error:.3f} before and "
        f"{after.expected_calibration_error:.3f} after the temperature ({named}); log loss {found.before.log_loss:.3f} "
        f"and {after.log_loss:.3f} nats"
    )


def few_videos(counts: Mapping[str, int]) -> str:
    """Say which classes have too few test videos, by their counts; "" if none has."""
    from vidrep.metrics.intervals import LEAST_TEST_VIDEOS

    named = ", ".join(f"{name} {count}" for name, count in counts.items())
    return f"Too few videos to measure some classes on (fewer than {LEAST_TEST_VIDEOS}): {named}" if counts else ""


def _without_interval(accuracy: "Accuracy") -> list[str]:
    """Return a line that says why there is no interval, none if there is one."""
    from vidrep.metrics.intervals import LEAST_GROUPS

    if accuracy.low is not None:
        return []
    groups = f"{accuracy.num_groups} group{'s' if accuracy.num_groups > 1 else ''}"
    return [f"no intervals: the videos are in {groups}, and fewer than {LEAST_GROUPS} show too little"]


def folds_report(result: "FoldsResult") -> str:
    """Describe how good classifiers are on videos that they did not learn from, each video tested once."""
    predictors = Counter(result.predictors)
    chosen = ", ".join(f"{name} in {count}" for name, count in predictors.most_common())
    rows = [[*_accuracy_row("what predicts", result.predicted), "", ""]]
    rows += [
        [*_accuracy_row(name, accuracy), *_difference_cells(result.differences[name])]
        for name, accuracy in result.baselines.items()
    ]
    head = [f"{len(result.by_fold)} folds, per video", "accuracy", "95 % interval", "balanced"]
    by_fold = ", ".join(f"{accuracy:.3f}" for accuracy in result.by_fold)
    return "\n".join(
        [
            table([*head, "what predicts better by", "95 % interval"], rows),
            *_without_interval(result.predicted),
            f"what predicts: {chosen} of the folds; fold by fold: {by_fold}",
            result.verdict,
        ]
    )


def class_table(classes: "Sequence[ClassMetrics]") -> str:
    """Lay out how well each class is predicted, a row for each; of many classes those of the lowest F1."""
    shown = list(classes)
    if len(shown) > _MOST_CLASSES:
        shown = sorted(classes, key=lambda one: math.inf if one.f1 is None else one.f1)[:_FEWEST_CLASSES]
    rows = [
        [
            one.name,
            str(one.support),
            *("-" if value is None else f"{value:.3f}" for value in (one.precision, one.recall, one.f1)),
            f"{one.confused_with} ({one.num_confused})" if one.confused_with else "-",
        ]
        for one in shown
    ]
    head = ["class", "videos", "precision", "recall", "F1", "most confused with"]
    notes = (
        [f"the {len(shown)} of {len(classes)} classes with the lowest F1; --json has all"]
        if len(shown) < len(classes)
        else []
    )
    never = [f"{one.name} ({one.support})" for one in classes if one.support and not one.predictions]
    absent = [one.name for one in classes if not one.support]
    notes += [f"never predicted, with the number of their videos: {_names(never)}"] if never else []
    notes += [f"classes without a video here: {_names(absent)}"] if absent else []
    return "\n".join([table(head, rows), *notes])


def comparison_report(result: "Comparison") -> str:
    """Describe runs beside each other: their scores, the settings that differ, and a sentence."""
    runs = [one.run for one in result.runs]
    scores = [
        [
            one.run,
            one.predictor,
            f"{one.score:.3f}",
            *(["", ""] if one.better is None else _difference_cells(one.better)),
        ]
        for one in result.runs
    ]
    head = ["", "predictor", result.measure, f"better than {runs[0]} by", "95 % interval"]
    settings = [[key, *(_shortened(value) for value in of_runs)] for key, of_runs in result.settings.items()]
    parts = (
        f"{result.num_videos} {result.which}{_left_out(result.num_left_out, 'a run')}\n{table(head, scores)}",
        table(["settings that differ", *runs], settings) if settings else "the settings are the same",
        result.verdict,
    )
    return "\n\n".join(parts)


def _shortened(text: str) -> str:
    return text if len(text) <= _MOST_LETTERS else f"{text[: _MOST_LETTERS - 3]}..."


def _names(names: Sequence[str]) -> str:
    from vidrep.errors import some_names

    return some_names(names, count=_MOST_NAMES)


def _mistakes_table(result: "ClassificationEvaluation") -> str:
    """Lay out the worst mistakes, "no mistakes" if there is none."""
    mistakes = result.mistakes
    if not mistakes:
        return "no mistakes"
    shown = mistakes[:_MOST_MISTAKES]
    rows = [
        [one.path or one.video, one.true, one.predicted, f"{one.probability:.3f}", f"{one.probability_of_true:.3f}"]
        for one in shown
    ]
    head = ["worst mistakes", "true", "predicted", "probability", "of the true class"]
    more = [f"and {len(mistakes) - len(shown)} more; --errors FILE.csv has all"] if len(mistakes) > len(shown) else []
    return "\n".join([table(head, rows), *more])


def _line(value: object | None) -> str:
    return "" if value is None else str(value)


def _short(predictor: str) -> str:
    return predictor if predictor == "LSTM" else "predictor"


def selection_report(result: "Selection") -> str:
    """Describe what cross-validation tried, the best first, and what it chose."""
    rows = [
        [one.name, one.setting, f"{one.accuracy:.3f}", f"{one.log_loss:.3f}", *_better_cells(one.better)]
        for one in result.tried
    ]
    head = ["cross-validated", "setting", "accuracy", "log loss", "chosen better by", "95 % interval"]
    tables = [table(head, rows)] if rows else []
    return "\n".join([*tables, result.verdict])


def _better_cells(better: "PairedDifference | None") -> list[str]:
    return ["chosen", ""] if better is None else _difference_cells(better)


def _accuracy_row(name: str, accuracy: "Accuracy") -> list[str]:
    interval = "-" if accuracy.low is None else f"{accuracy.low:.3f} to {accuracy.high:.3f}"
    return [name, f"{accuracy.accuracy:.3f}", interval, f"{accuracy.balanced_accuracy:.3f}"]


def _difference_cells(paired: "PairedDifference") -> list[str]:
    interval = "-" if paired.low is None else f"{paired.low:+.3f} to {paired.high:+.3f}"
    return [f"{paired.difference:+.3f}", interval]


def probe_table(result: "ProbeResult") -> str:
    """Lay out accuracies per video of classifiers on representations: a row for each of both."""
    rows = [
        [
            f"{one.encoder}, {one.reads}" if one.encoder else one.reads,
            one.kind if one.setting_name is None else f"{one.kind}, {one.setting_name} = {one.setting:g}",
            "-" if one.validation_accuracy is None else f"{one.validation_accuracy:.3f}",
            *_accuracy_row("", one.accuracy)[1:],
        ]
        for one in result.rows
    ]
    head = f"classifiers fitted to {result.num_train_videos} labeled videos, measured on {result.num_videos}"
    return f"{head}, {len(result.classes)} classes\n" + table(
        ["per video", "classifier", "in folds", "accuracy", "95 % interval", "balanced"], rows
    )


def _left_out(count: int, who: str = "the run") -> str:
    return f" ({count} left out: {who} was trained on them)" if count else ""


def prediction_table(metrics: "PredictionMetrics", *, details: bool = True) -> str:
    """Lay out means over frames: a row for each decoder and loss, a column for each predictor.

    Without details there is one loss a decoder, in the units of the features, and a line that explains it; but all
    behind transforms without an inverse, which leave none in these units.
    """
    every = metrics.by_objective.values()
    if not details and every and all(_PLAIN_LOSS in losses for losses in every):
        return f"{_plain_table(metrics)}\n{_PLAIN_WORDS}"
    present = {name for losses in metrics.by_objective.values() for by in losses.values() for name in by}
    predictors = [name for name in _PREDICTORS if name in present]
    rows = [
        [f"{decoder}, {_LOSSES[loss]}"] + [_number(loss, by[name].mean) if name in by else "-" for name in predictors]
        for decoder, losses in metrics.by_objective.items()
        for loss, by in losses.items()
    ]
    losses = [f"{name}, validation loss  {loss:.4f}" for name, loss in metrics.objective_losses.items()]
    tables = [table(["mean over frames", *predictors], rows)] if rows else []
    return "\n".join([*tables, *losses])


def _plain_table(metrics: "PredictionMetrics") -> str:
    rows = [
        [decoder, *(_number(_PLAIN_LOSS, losses[_PLAIN_LOSS][name].mean) for name in _PLAIN_PREDICTORS)]
        for decoder, losses in metrics.by_objective.items()
    ]
    return table([_LOSSES[_PLAIN_LOSS], *_PLAIN_PREDICTORS], rows)


def time_step_table(metrics: "PredictionMetrics") -> str:
    """Lay out the model's losses time step by time step of the future, a row for each; '' if it predicts nothing."""
    losses = metrics.by_objective.get("future")
    if losses is None:
        return ""
    steps = _time_steps(metrics.num_future)
    rows = [
        [_LOSSES[loss], *(_number(loss, by["model"].per_time_step[step - 1]) for step in steps)]
        for loss, by in losses.items()
    ]
    return table(["model, at future time step", *map(str, steps)], rows)


def _time_steps(num_steps: int) -> list[int]:
    if num_steps <= _MOST_TIME_STEPS:
        return list(range(1, num_steps + 1))
    return [step for step in _TIME_STEPS if step < num_steps] + [num_steps]


def _number(loss: str, value: float) -> str:
    return f"{value:.{_DECIMALS.get(loss, 2)}f}"
