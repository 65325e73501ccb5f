"""Windows of Moving MNIST that are made when they are asked for, each from the few numbers that were drawn for it.

Shapes: T time, B batch, N digits of a sequence, S pixels along a side of a frame, D = S*S, W windows.
"""

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..devices import to_device
from .mnist import DIGIT_SIDE
from .moving_mnist import MovingMnist, step_rng


class GeneratedWindows:
    """A fixed number of sequences, those that `extract moving-mnist` writes with the same `stream_rng`; a WindowSet."""

    def __init__(self, generator: MovingMnist, num_windows: int, rng: np.random.Generator) -> None:
        self.length = generator.config.num_frames
        self._generator, self._draws = generator, generator.draw(num_windows, rng)

    def __len__(self) -> int:
        return len(self._draws)

    def gather(self, indices: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return some windows, (T, B, D) uint8."""
        return _flat(self._generator.render(self._draws[indices]))


def draws_of_step(generator: MovingMnist, batch_size: int, *, seed: int, step: int) -> NDArray[np.float64]:
    """Draw what makes the batch of an optimizer step, (B, N, 4): a pure function of (seed, step)."""
    return generator.draw(batch_size, step_rng(seed, step))


class Renderer(Protocol):
    """Makes the sequences that were drawn, on one device."""

    def render(self, draws: NDArray[np.float64]) -> Tensor:
        """Return sequences, (T, B, D) uint8, of draws (B, N, 4): the same to the bit on every device."""


def renderer_on(generator: MovingMnist, device: torch.device) -> Renderer:
    """Choose where frames are made: on a GPU if that is the device, else by NumPy, which a CPU is faster with."""
    return DeviceRenderer(generator, device) if device.type == "cuda" else HostRenderer(generator, device)


class HostRenderer:
    """Frames made by `MovingMnist.render`, and copied to a device."""

    def __init__(self, generator: MovingMnist, device: torch.device) -> None:
        self._generator, self._device = generator, device

    def render(self, draws: NDArray[np.float64]) -> Tensor:
        """Return sequences, (T, B, D) uint8, of draws (B, N, 4)."""
        return to_device(_flat(self._generator.render(draws)), self._device)


class DeviceRenderer:
    """Frames made on a device that the digits lie on; the ways that digits go are found on the host, being few numbers.

    A digit with its rows padded to the frame's width, and black before and after it, holds every frame that it can be
    in: one stretch of S*S pixels each, which begins the later, the nearer the digit is to the top left. So all frames
    of a digit are one look-up of T*B stretches, and the digits of a sequence meet in a maximum.
    """

    def __init__(self, generator: MovingMnist, device: torch.device) -> None:
        self._generator, self._device = generator, device
        self._digits = torch.from_numpy(generator.digits).to(device)

    def render(self, draws: NDArray[np.float64]) -> Tensor:
        """Return sequences, (T, B, D) uint8, of draws (B, N, 4); nothing waits for the device."""
        side = self._generator.config.canvas
        before, num_pixels = (side - DIGIT_SIDE) * (side + 1), side**2  # the farthest from the top left, and a frame
        choices, positions = self._generator.place(draws)
        strips = self._digits.new_zeros(*choices.T.shape, before + num_pixels)
        starts = before - side * positions[..., 0] - positions[..., 1]
        starts += strips.shape[-1] * np.arange(len(draws))[:, np.newaxis]
        # Both in one copy: what is copied is little, and every copy takes its time.
        both = np.concatenate([choices[np.newaxis], starts]).transpose(2, 0, 1)
        sent = to_device(np.ascontiguousarray(both), self._device)
        inked = strips[..., before : before + DIGIT_SIDE * side].view(*choices.T.shape, DIGIT_SIDE, side)
        inked[..., :DIGIT_SIDE] = self._digits[sent[:, 0]]
        frames = None
        for strip, start in zip(strips.unbind(), sent[:, 1:].unbind(), strict=True):
            one_digit = strip.flatten().unfold(0, num_pixels, 1)[start]
            frames = one_digit if frames is None else torch.maximum(frames, one_digit, out=frames)
        assert frames is not None
        return frames


def _flat(sequences: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return sequences.reshape(*sequences.shape[:2], -1)
