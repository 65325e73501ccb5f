"""How well a composite model reconstructs and predicts windows, with trivial predictions beside it.

Shapes: T frames seen, F frames predicted, B batch, D values of a frame.
"""

from collections import defaultdict
from dataclasses import dataclass

import torch
from torch import Tensor

from ..models.composite import CompositeModel
from ..models.losses import bernoulli_nats, entropy_floor, squared_error
from ..models.saved import ScaledModel
from ..sequences.windows import Windows

BATCH_SIZE = 64


@dataclass(frozen=True, kw_only=True)
class PredictionFigures:
    """Costs per frame, averaged over all frames of all windows, free running.

    costs: decoder ("reconstruction", "future") -> cost -> predictor -> figure. Costs are
        "squared_error", summed over a frame's values, in original units (uint8 pixels divided by 255);
        "squared_error_standardised", the same in units of the training part's standard deviation, for real values;
        "nats", Bernoulli cross-entropy summed over a frame's values, for values in [0, 1].
    Predictors are "model", "mean frame" (of the training part), "last frame" (the last one seen), "zeros", and
    "entropy floor", which no prediction of such frames can go below.
    """

    num_windows: int
    seen: int
    predicted: int
    costs: dict[str, dict[str, dict[str, float]]]


@torch.inference_mode()
def prediction_figures(
    model: ScaledModel, windows: Windows, *, seen: int, predicted: int, device: torch.device
) -> PredictionFigures:
    """Measure a composite model on windows of `seen + predicted` frames."""
    composite = model.model
    if not isinstance(composite, CompositeModel):
        raise TypeError(f"a {type(composite).__name__} makes no predictions")
    model.to(device).eval()
    totals: defaultdict[tuple[str, str, str], float] = defaultdict(float)
    num_frames: defaultdict[str, int] = defaultdict(int)
    for indices in windows.batches(BATCH_SIZE):
        stored = torch.from_numpy(windows.gather(indices)).to(device)
        original = model.scaler.original(stored)
        prediction = composite(model.scaler(stored)[:seen], predicted)
        for decoder, emitted, truth in (
            ("reconstruction", prediction.reconstruction, original[:seen]),
            ("future", prediction.future, original[seen:]),
        ):
            if emitted is None:
                continue
            num_frames[decoder] += truth.shape[0] * truth.shape[1]
            guesses = {
                "model": model.scaler.to_original(composite.frames(emitted)),
                "mean frame": model.scaler.mean.expand_as(truth),
                "last frame": original[seen - 1].expand_as(truth),
                "zeros": torch.zeros_like(truth),
            }
            for (cost, predictor), total in _total_costs(guesses, truth, model).items():
                totals[decoder, cost, predictor] += total
    costs: dict[str, dict[str, dict[str, float]]] = {}
    for (decoder, cost, predictor), total in totals.items():
        costs.setdefault(decoder, {}).setdefault(cost, {})[predictor] = total / num_frames[decoder]
    return PredictionFigures(num_windows=len(windows), seen=seen, predicted=predicted, costs=costs)


def _total_costs(guesses: dict[str, Tensor], truth: Tensor, model: ScaledModel) -> dict[tuple[str, str], float]:
    """Sum the costs of all frames: {(cost, predictor): total}."""
    totals = {("squared_error", name): float(squared_error(guess, truth).sum()) for name, guess in guesses.items()}
    if model.scaler.values == "probability":
        for name in ("model", "mean frame"):
            totals["nats", name] = float(bernoulli_nats(guesses[name], truth).sum())
        totals["nats", "entropy floor"] = float(entropy_floor(truth).sum())
    else:
        for name, guess in guesses.items():
            error = squared_error(guess / model.scaler.std, truth / model.scaler.std)
            totals["squared_error_standardised", name] = float(error.sum())
    return totals
