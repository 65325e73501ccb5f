"""Tables of how well a model predicts, for the commands that measure one."""

from typing import TYPE_CHECKING

from . import console

if TYPE_CHECKING:
    from vidrep.metrics.prediction import PredictionMetrics

_COSTS = {
    "nats": "nats/frame",
    "squared_error": "squared error/frame, original units",
    "squared_error_standardized": "squared error/frame, standardized",
    "absolute_error": "absolute error/frame, original units",
    "ssim": "SSIM, data range 1, higher is better",
    "psnr": "PSNR in dB, data range 1, higher is better",
}
_PREDICTORS = ("model", "model, teacher-forced", "mean frame", "persistence", "zeros", "entropy floor")
_DECIMALS = {"ssim": 4}
# Of long predictions, the table has these time steps and the last one.
_MOST_TIME_STEPS = 10
_TIME_STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500)


def prediction_table(metrics: "PredictionMetrics") -> str:
    """Lay out means over frames: a row a decoder and cost, a column a predictor."""
    there = {name for costs in metrics.costs.values() for by in costs.values() for name in by}
    predictors = [name for name in _PREDICTORS if name in there]
    rows = [
        [f"{decoder}, {_COSTS[cost]}"] + [_figure(cost, by[name].mean) if name in by else "-" for name in predictors]
        for decoder, costs in metrics.costs.items()
        for cost, by in costs.items()
    ]
    return console.table(["mean over frames", *predictors], rows)


def time_step_table(metrics: "PredictionMetrics") -> str:
    """Lay out what the model predicts, time step by time step: a row a cost; '' if it predicts nothing."""
    costs = metrics.costs.get("future")
    if costs is None:
        return ""
    steps = _time_steps(metrics.predicted)
    rows = [
        [_COSTS[cost], *(_figure(cost, by["model"].per_time_step[step - 1]) for step in steps)]
        for cost, by in costs.items()
    ]
    return console.table(["model, at future time step", *map(str, steps)], rows)


def _time_steps(num_steps: int) -> list[int]:
    if num_steps <= _MOST_TIME_STEPS:
        return list(range(1, num_steps + 1))
    return [step for step in _TIME_STEPS if step < num_steps] + [num_steps]


def _figure(cost: str, value: float) -> str:
    return f"{value:.{_DECIMALS.get(cost, 2)}f}"
