"""What the commands that measure a run print: metrics with baselines beside them."""

from typing import TYPE_CHECKING

from .layout import table

if TYPE_CHECKING:
    from vidrep.evaluation.classification import ClassificationEvaluation
    from vidrep.evaluation.prediction import PredictionEvaluation
    from vidrep.evaluation.probe import ProbeResult
    from vidrep.metrics.classification import Accuracy
    from vidrep.metrics.paired import PairedDifference
    from vidrep.metrics.prediction import PredictionMetrics
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
_TIME_STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500)


def prediction_report(result: "PredictionEvaluation") -> str:
    """Describe how well a pretrained model predicts."""
    metrics = result.metrics
    head = (
        f"{result.num_videos:,} {result.which}, {metrics.num_windows:,} windows of {metrics.num_context} context and "
        f"{metrics.num_future} future frames, free running{_left_out(result.num_left_out)}"
    )
    probe = "" if result.probe is None else probe_table(result.probe)
    return "\n".join(filter(None, (head, prediction_table(metrics), time_step_table(metrics), probe)))


def classification_report(result: "ClassificationEvaluation") -> str:
    """Describe how well a classifier does, with the baselines below it."""
    of_lstm = {"video": result.per_video, "window": result.per_window}
    if result.shuffled:  # baselines read frames in their order, so that nothing is to be compared
        rows = [_accuracy_row(f"LSTM, frames in shuffled order, per {of}", one) for of, one in of_lstm.items()]
        rows += [_accuracy_row(f"{name}, per video", accuracy) for name, accuracy in result.baselines.items()]
        head = ["", "accuracy", "+-", "balanced"]
    else:
        first = {} if result.predictor == "LSTM" else {f"predictor: {result.predictor}, per video": result.predicted}
        named = first | {f"LSTM, per {of}": one for of, one in of_lstm.items()}
        rows = [[*_accuracy_row(name, accuracy), "", ""] for name, accuracy in named.items()]
        rows += [
            [*_accuracy_row(f"{name}, per video", accuracy), *_difference_cells(result.differences[name])]
            for name, accuracy in result.baselines.items()
        ]
        head = ["", "accuracy", "+-", "balanced", f"{_short(result.predictor)} better by", "95 % interval"]
    return (
        f"{result.num_videos} {result.which}, {result.num_windows} windows, {len(result.classes)} classes"
        f"{_left_out(result.num_left_out)}\n" + table(head, rows)
    )


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
    metrics = (accuracy.accuracy, accuracy.standard_error, accuracy.balanced_accuracy)
    return [name, *(f"{metric:.3f}" for metric in metrics)]


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
        ["per video", "classifier", "in folds", "accuracy", "+-", "balanced"], rows
    )


def _left_out(count: int) -> str:
    return f" ({count} left out: the run was trained on them)" if count else ""


def prediction_table(metrics: "PredictionMetrics", *, details: bool = True) -> str:
    """Lay out means over frames: a row for each decoder and loss, a column for each predictor.

    Without details there is one loss a decoder, in the units of the features, and a line that explains it.
    """
    if not details and metrics.by_objective:
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
