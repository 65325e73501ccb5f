"""Moving MNIST: digits that drift over a black canvas and bounce off its edges, as many sequences as wanted.

Srivastava, Mansimov, Salakhutdinov, "Unsupervised Learning of Video Representations using LSTMs", ICML 2015.

Shapes: T frames of a sequence, B sequences, N digits to choose from, S pixels along a side of the canvas.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ..errors import ConfigError
from .mnist import DIGIT_SIDE

_DRAWS_PER_TRACK = 3  # row, column, direction
Stream = Literal["train", "validation", "test"]
"""What a fixed number of sequences is for."""
# Test sequences are drawn from the seed itself, the others from its children.
_SPAWN_KEYS: dict[Stream, tuple[int, ...]] = {"test": (), "train": (1,), "validation": (2,)}
_STEPS = 1  # the last word of a step's seed: none ends in 0, which numpy would take for an absent word
# Sequences whose frames of one time step are pasted before the next: few enough for them to stay in a core's cache.
_PASTED_TOGETHER = 128


@dataclass(frozen=True, kw_only=True)
class MovingMnistConfig:
    """What sequences to make; the defaults are the paper's. Raises ConfigError for what cannot be."""

    num_digits: int = 2
    """Digits in a sequence."""
    canvas: int = 64
    """Pixels along each side of a frame."""
    num_frames: int = 20
    """Frames in a sequence, seen and future together."""
    displacement: float = 0.1
    """Way per frame, in units of the distance that a digit can go along a side (canvas - 28 pixels)."""

    def __post_init__(self) -> None:
        if self.num_digits < 1:
            raise ConfigError(f"moving MNIST: num_digits is {self.num_digits}, it must be at least 1")
        if self.canvas < DIGIT_SIDE:
            raise ConfigError(f"moving MNIST: canvas is {self.canvas}, it must hold a digit of {DIGIT_SIDE} pixels")
        if self.num_frames < 1:
            raise ConfigError(f"moving MNIST: num_frames is {self.num_frames}, it must be at least 1")
        if not 0 < self.displacement < 1:
            raise ConfigError(f"moving MNIST: displacement is {self.displacement}, it must be above 0 and below 1")


def stream_rng(stream: Stream, seed: int) -> np.random.Generator:
    """Return the random numbers of sequences for training, validation or testing.

    With equal seeds no two streams draw the same, nor a stream and a step's batch: their digits do not move alike.
    """
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=_SPAWN_KEYS[stream]))


def step_rng(seed: int, step: int) -> np.random.Generator:
    """Return the random numbers of the batch of an optimizer step."""
    return np.random.default_rng([seed, step, _STEPS])


class MovingMnist:
    """An endless stream of Moving MNIST sequences made from given digits.

    digits: (N, 28, 28) uint8, as from `load_digits`; train digits for training, test digits for testing.
    Raises ValueError for any other shape or type.
    """

    def __init__(self, digits: NDArray[np.uint8], config: MovingMnistConfig) -> None:
        if digits.dtype != np.uint8 or digits.shape[1:] != (DIGIT_SIDE, DIGIT_SIDE) or len(digits) == 0:
            raise ValueError(f"digits are {digits.dtype} {digits.shape}, expected uint8 (N, 28, 28), N at least 1")
        self.digits = digits
        self.config = config

    def generate(self, num_sequences: int, rng: np.random.Generator) -> NDArray[np.uint8]:
        """Make the next B = num_sequences sequences: (T, B, S, S) uint8, time first, 0 black to 255 ink."""
        return self.render(self.draw(num_sequences, rng))

    def draw(self, num_sequences: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw what makes B = num_sequences sequences: (B, num_digits, 4), a digit's choice, row, column, direction.

        One `rng.random` is all that is drawn. So sequence k depends on the state of `rng` and on k, not on B, and two
        calls draw what one call for both would.
        """
        if num_sequences < 1:
            raise ValueError(f"num_sequences is {num_sequences}, expected at least 1")
        return rng.random((num_sequences, self.config.num_digits, 1 + _DRAWS_PER_TRACK))

    def render(self, draws: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Make the sequences that were drawn, (B, num_digits, 4): (T, B, S, S) uint8.

        Digits are drawn uniformly with replacement; where they overlap, the brighter pixel stands.
        """
        choices, positions = self.place(draws)
        return _paste(self.digits[choices], positions, self.config.canvas)

    def place(self, draws: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Say which digits were drawn, (B, num_digits), and where they lie: top-left pixels (T, B, num_digits, 2)."""
        choices = (len(self.digits) * draws[..., 0]).astype(np.int64)
        positions = _bounce(draws[..., 1:].reshape(-1, _DRAWS_PER_TRACK), self.config)
        return choices, positions.reshape(-1, *choices.shape, 2)


def trajectories(rng: np.random.Generator, num_tracks: int, config: MovingMnistConfig) -> NDArray[np.int64]:
    """Draw the ways of digits: (T, num_tracks, 2) top-left pixels, (row, column), each from 0 to S - 28.

    Draws `rng.random((num_tracks, 3))`: where in the unit square a digit starts, row then column, and its direction
    as a part of a full turn, with velocity displacement * (sin, cos).
    """
    return _bounce(rng.random((num_tracks, _DRAWS_PER_TRACK)), config)


def _bounce(draws: NDArray[np.float64], config: MovingMnistConfig) -> NDArray[np.int64]:
    """Follow tracks that start as drawn, (num_tracks, 3): see `trajectories`.

    Every frame first steps, then clamps to the unit square and turns back what reached its edge, then is recorded.
    """
    position, angle = draws[:, :2].copy(), 2 * np.pi * draws[:, 2]
    velocity = config.displacement * np.stack([np.sin(angle), np.cos(angle)], axis=1)
    way = np.empty((config.num_frames, *position.shape))
    for recorded in way:
        position += velocity
        np.negative(velocity, out=velocity, where=(position <= 0) | (position >= 1))
        np.minimum(np.maximum(position, 0, out=position), 1, out=position)
        recorded[:] = position
    return ((config.canvas - DIGIT_SIDE) * way).astype(np.int64)


def _paste(digits: NDArray[np.uint8], positions: NDArray[np.int64], canvas: int) -> NDArray[np.uint8]:
    """Draw digits, (B, num_digits, 28, 28), with top-left pixels (T, B, num_digits, 2): (T, B, S, S).

    A digit whose rows are padded to the canvas' width lies in one stretch of a flattened frame, wherever it stands,
    and black padding changes nothing under a maximum: one long copy in place of 28 short ones.
    """
    num_frames, num_sequences, num_digits, _ = positions.shape
    frames = np.empty((num_frames, num_sequences, canvas**2), np.uint8)
    stretch = (DIGIT_SIDE - 1) * canvas + DIGIT_SIDE
    stretches = sliding_window_view(frames.reshape(-1), stretch, writeable=True)
    frame_starts = np.arange(0, frames.size, canvas**2).reshape(num_frames, num_sequences, 1)
    starts = frame_starts + canvas * positions[..., 0] + positions[..., 1]
    padded = np.zeros((num_digits, num_sequences, DIGIT_SIDE, canvas), np.uint8)
    padded[..., :DIGIT_SIDE] = digits.swapaxes(0, 1)
    inks = padded.reshape(num_digits, num_sequences, -1)[..., :stretch]
    for first in range(0, num_sequences, _PASTED_TOGETHER):
        block = slice(first, first + _PASTED_TOGETHER)
        # Side by side, since each of them is read once a frame.
        block_inks = np.ascontiguousarray(inks[:, block])
        for block_frames, block_starts in zip(frames[:, block], starts[:, block].swapaxes(1, 2), strict=True):
            block_frames[:] = 0
            for digit, (ink, start) in enumerate(zip(block_inks, block_starts, strict=True)):
                if digit > 0:
                    below = stretches[start]
                    ink = np.maximum(below, ink, out=below)
                stretches[start] = ink
    return frames.reshape(num_frames, num_sequences, canvas, canvas)
