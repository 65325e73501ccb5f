"""How well a composite model reconstructs and predicts windows, with trivial predictions beside it.

Shapes: T frames seen, F frames predicted, N frames that a decoder emits, B batch, D values of a frame, P predictors.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..models.composite import CompositeModel, Prediction, to_frames
from ..models.saved import ScaledModel
from ..progress import Progress, ProgressListener, ignore_progress
from ..sequences.windows import WindowSet, batches_of
from ..viewing.filmstrip import FilmRow
from .frame_metrics import absolute_error, bernoulli_nats, entropy_floor, squared_error
from .image_metrics import has_ssim, psnr, ssim

# Windows that are decoded at once, and values of their frames at most.
_MOST_WINDOWS, _MOST_VALUES = 64, 1 << 24

MODEL, TEACHER_FORCED = "model", "model, teacher-forced"
ENTROPY_FLOOR = "entropy floor"

# Values of a predictor's frames that are measured at once: few enough for the processor's cache. With whole batches,
# the figures of 64 x 64 pixels took two and a half times as long on one core. A GPU has to be told and waited for anew
# for each of them, so there a time step of a whole batch is measured at once.
_PIECE_VALUES, _PIECE_VALUES_ON_CUDA = 1 << 16, 1 << 22


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A figure per frame, averaged over all windows.

    mean: over all time steps. per_time_step: of each of a decoder's N frames, in natural order of time.
    """

    mean: float
    per_time_step: list[float]


@dataclass(frozen=True, kw_only=True)
class PredictionMetrics:
    """What reconstructed and predicted frames cost.

    num_windows: that were measured. seen, reconstructed, predicted: frames of each.
    costs: decoder ("reconstruction", "future") -> cost -> predictor -> figures. Costs, in original units (uint8 pixels
        divided by 255), are
        "squared_error" and "absolute_error", summed over a frame's values (in the literature of Moving MNIST, MSE and
        MAE);
        "squared_error_standardized", in units of the training part's standard deviation, for real values;
        "nats", Bernoulli cross-entropy summed over a frame's values, for values in [0, 1]: see `bernoulli_nats`;
        "ssim" and "psnr" with a data range of 1, of which more is better, for images: uint8 frames (H, W) or (H, W, C).
    Predictors are "model", free running; "model, teacher-forced", which is told the true frame before each that it
        emits, for decoders that are conditional; "mean frame" (of the training part); "persistence" (the last one
        seen); "zeros"; and for nats "entropy floor", which no prediction of such frames can go below.
    """

    num_windows: int
    seen: int
    reconstructed: int
    predicted: int
    costs: dict[str, dict[str, dict[str, Curve]]]


def prediction_metrics(
    model: ScaledModel,
    windows: WindowSet,
    *,
    seen: int,
    predicted: int,
    reconstructed: int | None = None,
    frame_shape: tuple[int, ...],
    device: torch.device,
    on_progress: ProgressListener = ignore_progress,
) -> PredictionMetrics:
    """Measure a composite model on windows of `seen + predicted` frames.

    predicted: may be another number than in training. reconstructed: of the persistences seen; None for all of them.
    """
    decoding = _Decoding(model.to(device).eval(), windows, seen, predicted, reconstructed, device)
    measures = _measures(model, frame_shape, decoding.dtype)
    sums: dict[_Key, NDArray[np.float64]] = {}  # of each time step, over all windows
    for indices in batches_of(windows, windows_at_once(windows.length, model.scaler.mean.numel())):
        for decoded in decoding.batch(indices):
            for key, total in _totals(decoded, measures).items():
                sums[key] = sums[key] + total if key in sums else total
        on_progress(Progress(done=int(indices[-1]) + 1, total=len(windows), unit="windows"))
    costs: defaultdict[str, dict[str, dict[str, Curve]]] = defaultdict(dict)
    for (decoder, cost, predictor), total in sums.items():
        steps = total / len(windows)
        curve = Curve(mean=float(steps.mean()), per_time_step=steps.tolist())
        costs[decoder].setdefault(cost, {})[predictor] = curve
    return PredictionMetrics(
        num_windows=len(windows),
        seen=seen,
        reconstructed=decoding.num_reconstructed,
        predicted=predicted,
        costs=dict(costs),
    )


def windows_at_once(length: int, frame_size: int) -> int:
    """Return how many windows are decoded at once where nothing is learned: fewer if they or their frames are large."""
    return max(1, min(_MOST_WINDOWS, _MOST_VALUES // (length * frame_size)))


def filmstrip_rows(
    model: ScaledModel,
    windows: WindowSet,
    *,
    seen: int,
    predicted: int,
    reconstructed: int | None = None,
    frame_shape: tuple[int, ...],
    device: torch.device,
    num_windows: int = 4,
) -> list[list[FilmRow]]:
    """Return a strip for each of a few windows, evenly spread: the true frames, and below them the model's.

    The model's are the reconstruction, then the prediction, free running; what lies beyond [0, 1] is clipped.
    For uint8 frames of a shape that `write_filmstrip` shows.
    """
    chosen = np.linspace(0, len(windows) - 1, min(num_windows, len(windows))).astype(np.int64)
    decoding = _Decoding(model.to(device).eval(), windows, seen, predicted, reconstructed, device)
    truth = windows.gather(chosen).astype(np.uint8, copy=False)
    decoded = decoding.batch(chosen)
    made = np.concatenate([_pixels(one.guesses[MODEL]) for one in decoded])
    return [
        [
            FilmRow(truth[:, window].reshape(-1, *frame_shape)),
            FilmRow(made[:, window].reshape(-1, *frame_shape), start=decoded[0].start),
        ]
        for window in range(len(chosen))
    ]


def _pixels(frames: Tensor) -> NDArray[np.uint8]:
    pixels: NDArray[np.uint8] = (frames.clamp(0, 1) * 255).round().byte().cpu().numpy()
    return pixels


class _Decoded(NamedTuple):
    """What a decoder should emit, truth (N, B, D), and each predictor's guess of it, (N, B, D), in original units.

    start: the place of the first of these frames in their window.
    """

    decoder: str
    start: int
    truth: Tensor
    guesses: dict[str, Tensor]


@dataclass(frozen=True)
class _Decoding:
    """A composite model, windows of `seen + predicted` frames, and how many of those seen are to be reconstructed."""

    model: ScaledModel
    windows: WindowSet
    seen: int
    predicted: int
    reconstructed: int | None
    device: torch.device

    def __post_init__(self) -> None:
        if not isinstance(self.model.model, CompositeModel):
            raise TypeError(f"a {type(self.model.model).__name__} makes no predictions")
        if self.windows.length != self.seen + self.predicted:
            raise ValueError(
                f"windows of {self.windows.length} frames, expected {self.seen} seen and {self.predicted} predicted"
            )

    @property
    def num_reconstructed(self) -> int:
        return self.seen if self.reconstructed is None else self.reconstructed

    @property
    def dtype(self) -> np.dtype[np.generic]:
        return self.windows.gather(np.zeros(1, np.int64)).dtype

    @torch.inference_mode()
    def batch(self, indices: NDArray[np.int64]) -> list[_Decoded]:
        """Return what each decoder of the model makes of some windows."""
        stored = torch.from_numpy(self.windows.gather(indices)).to(self.device)
        original, frames = self.model.scaler.original(stored), self.model.scaler(stored)
        free, forced = self._predictions(frames)
        start = self.seen - self.num_reconstructed
        parts = {"reconstruction": (start, self.seen), "future": (self.seen, self.windows.length)}
        return [
            _Decoded(decoder, start, original[start:stop], self._guesses(original, start, stop, emitted, told))
            for (decoder, (start, stop)), emitted, told in zip(parts.items(), free, forced, strict=True)
            if emitted is not None
        ]

    def _predictions(self, frames: Tensor) -> tuple[Prediction, Prediction]:
        """Run the decoders free, and teacher-forced those that are conditional."""
        composite = self.model.model
        assert isinstance(composite, CompositeModel)
        decode = partial(
            composite.decode,
            composite.encode(frames[: self.seen]),
            num_reconstructed=self.num_reconstructed,
            num_predicted=self.predicted,
        )
        decoders = (composite.reconstruction_decoder, composite.future_decoder)
        conditional = [decoder is not None and decoder.conditional for decoder in decoders]
        if not any(conditional):
            return decode(), Prediction(None, None)
        forced = decode(seen=frames[: self.seen], coming=frames[self.seen :])
        return decode(), Prediction(*(one if told else None for one, told in zip(forced, conditional, strict=True)))

    def _guesses(
        self, original: Tensor, start: int, stop: int, emitted: Tensor, told: Tensor | None
    ) -> dict[str, Tensor]:
        """Return each predictor's guess of the frames from `start` to `stop` of windows, (T + F, B, D)."""
        guesses = {MODEL: self._frames(emitted)}
        if told is not None:
            guesses[TEACHER_FORCED] = self._frames(told)
        trivial = {
            "mean frame": self.model.scaler.mean,
            "persistence": original[self.seen - 1],
            "zeros": original.new_zeros(()),
        }
        return guesses | {name: frame.expand_as(original[start:stop]) for name, frame in trivial.items()}

    def _frames(self, emitted: Tensor) -> Tensor:
        return self.model.scaler.to_original(to_frames(emitted, self.model.scaler.values))


_Key = tuple[str, str, str]
"""Decoder, cost, predictor."""

_Measure = Callable[[Tensor, Tensor], Tensor]
"""From predicted and true frames, (P, B, D) twice, to a figure of each, (P, B)."""


def _measures(model: ScaledModel, frame_shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> dict[str, _Measure]:
    """Return the measures that such frames have."""
    measures: dict[str, _Measure] = {"squared_error": squared_error, "absolute_error": absolute_error}
    if model.scaler.values == "probability":
        measures = {"nats": bernoulli_nats} | measures
    else:
        std = model.scaler.std
        measures["squared_error_standardized"] = lambda guess, truth: squared_error(guess / std, truth / std)
    if dtype == np.uint8 and len(frame_shape) in (2, 3):
        if has_ssim(frame_shape):
            measures["ssim"] = partial(ssim, frame_shape=frame_shape)
        measures["psnr"] = psnr
    return measures


@torch.inference_mode()
def _totals(decoded: _Decoded, measures: dict[str, _Measure]) -> dict[_Key, NDArray[np.float64]]:
    """Sum the figures of each time step's frames over the windows of a batch: (N,) each."""
    names, num_steps = list(decoded.guesses), len(decoded.truth)
    totals: defaultdict[_Key, NDArray[np.float64]] = defaultdict(lambda: np.zeros(num_steps))
    piece_values = _PIECE_VALUES_ON_CUDA if decoded.truth.is_cuda else _PIECE_VALUES
    size = max(1, piece_values // decoded.truth.shape[-1])
    for step, frames in enumerate(decoded.truth):
        for start in range(0, len(frames), size):
            piece = slice(start, start + size)
            stacked = torch.stack([guess[step, piece] for guess in decoded.guesses.values()])
            truth = frames[None, piece]
            for cost, measure in measures.items():
                metrics = measure(stacked, truth.expand_as(stacked)).sum(dim=1).tolist()
                for name, figure in zip(names, metrics, strict=True):
                    totals[decoded.decoder, cost, name][step] += figure
            if "nats" in measures:
                totals[decoded.decoder, "nats", ENTROPY_FLOOR][step] += float(entropy_floor(truth).sum())
    return totals
