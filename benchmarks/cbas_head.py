"""A peer's head, to compare with: that of CBAS (Perry et al. 2024, bioRxiv 2024.02.23.581778), from its description.

A bidirectional LSTM of 64 units reads 31 frames, each with its first and second differences, and classifies the one in
the middle. As its guide recommends, classes are sampled evenly, and the best of the states that were validated is kept.
Written anew, so its figures are those of the idea: differences of detail from the released program are ours.

Shapes: B windows, W = 31 frames of a window, D values of a frame, K labels, T frames of a video.
"""

import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from vidrep.metrics.segmentation.bouts import UNKNOWN
from vidrep.metrics.segmentation.frame_baselines import LabeledFrames
from vidrep.models.inputs import to_original_units

WINDOW = 31
_REACH = WINDOW // 2
_UNITS = 64
_WINDOWS_AT_ONCE = 512


class CbasHead(nn.Module):
    """Classifies the middle frame of a window."""

    def __init__(self, frame_size: int, num_labels: int) -> None:
        super().__init__()
        self.normalize = nn.BatchNorm1d(3 * frame_size)
        self.lstm = nn.LSTM(3 * frame_size, _UNITS, batch_first=True, bidirectional=True)
        self.classify = nn.Linear(2 * _UNITS, num_labels)

    def forward(self, windows: Tensor) -> Tensor:
        """Classify windows: (B, W + 2, D), with a frame more in front than are read for each difference -> (B, K)."""
        first = windows.diff(dim=1)
        values = torch.cat([windows[:, 2:], first[:, 1:], first.diff(dim=1)], dim=2)
        outputs, _ = self.lstm(self.normalize(values.flatten(0, 1)).unflatten(0, values.shape[:2]))
        logits: Tensor = self.classify(outputs[:, _REACH])
        return logits


@dataclass(frozen=True, eq=False)
class TrainedHead:
    """A trained head, which classifies every frame as the baselines of `frame_baselines` do."""

    head: CbasHead
    several_labels: bool

    @property
    def frames_ahead(self) -> int:
        """See FrameClassifier."""
        return _REACH

    def probabilities(self, blocks: Iterable[NDArray[np.generic]]) -> Iterator[NDArray[np.float64]]:
        """See FrameClassifier; all frames are held in memory."""
        frames = np.concatenate(list(blocks))
        padded = _padded(frames)
        self.head.eval()
        with torch.inference_mode():
            for some in np.array_split(np.arange(len(frames)), -(-len(frames) // _WINDOWS_AT_ONCE)):
                logits = self.head(_windows(padded, some)).double()
                found = logits.sigmoid() if self.several_labels else logits.softmax(dim=1)
                yield np.asarray(found.numpy(), dtype=np.float64)


@dataclass(frozen=True, kw_only=True)
class HeadTraining:
    """How a head is trained: Adam, batches of windows, validated now and then."""

    steps: int = 600
    batch_size: int = 128
    learning_rate: float = 1e-3
    validate_every: int = 50
    num_validated: int = 2000
    """Frames that are validated at most, evenly spread."""


def fit_cbas_head(
    videos: Sequence[LabeledFrames],
    num_labels: int,
    *,
    validation: Sequence[LabeledFrames] = (),
    seed: int,
    training: HeadTraining | None = None,
) -> TrainedHead:
    """Train a head on the known frames of videos; K labels.

    validation: videos whose known frames choose which state is kept; without any it is the last one.
    """
    training = training or HeadTraining()
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    several_labels = videos[0].targets.ndim == 2
    head = CbasHead(int(np.prod(videos[0].frames.shape[1:])), num_labels)
    every = [*videos, *validation]
    frames = [_padded(video.frames) for video in every]
    train, validated = _known(every[: len(videos)], 0), _known(validation, len(videos))
    validated = validated[:: -(-len(validated) // training.num_validated) or 1]
    optimizer = torch.optim.Adam(head.parameters(), lr=training.learning_rate)
    best, kept = np.inf, copy.deepcopy(head.state_dict())
    batches = _balanced_batches(every, train, training.batch_size, rng)
    for step in range(1, training.steps + 1):
        head.train()
        loss = _loss(head, frames, every, next(batches))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no annotation for it
        optimizer.step()
        if step % training.validate_every == 0 or step == training.steps:
            head.eval()
            with torch.inference_mode():
                found = float(_loss(head, frames, every, validated)) if len(validated) else -float(step)
            if found < best:
                best, kept = found, copy.deepcopy(head.state_dict())
    head.load_state_dict(kept)
    return TrainedHead(head, several_labels)


def _padded(frames: NDArray[np.generic]) -> Tensor:
    """Return a video's frames in original units, (T + W + 1, D), as windows around each of them need them."""
    values = to_original_units(torch.from_numpy(np.array(frames).reshape(len(frames), -1)))
    return torch.cat([values[:1].expand(_REACH + 2, -1), values, values[-1:].expand(_REACH, -1)])


def _windows(padded: Tensor, positions: NDArray[np.int64]) -> Tensor:
    """Return the windows around frames, (B, W + 2, D)."""
    return padded[torch.from_numpy(positions[:, None] + np.arange(WINDOW + 2))]


def _known(videos: Sequence[LabeledFrames], first: int) -> NDArray[np.int64]:
    """Return the known frames of videos that are numbered from `first` on, (n, 2): the video's number, the frame's."""
    pairs = [
        np.stack([np.full_like(one.known, first + number), one.known], axis=1) for number, one in enumerate(videos)
    ]
    return np.concatenate([np.zeros((0, 2), dtype=np.int64), *pairs])


def _balanced_batches(
    videos: Sequence[LabeledFrames], frames: NDArray[np.int64], batch_size: int, rng: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """Yield frames, (B, 2), each class as often as any other; of several labels at once, all frames alike."""
    targets = np.stack([videos[video].targets[frame] for video, frame in frames])
    classes = targets if targets.ndim == 1 else np.zeros(len(targets), dtype=np.int64)
    by_class = [np.flatnonzero(classes == one) for one in np.unique(classes)]
    while True:
        drawn = rng.integers(len(by_class), size=batch_size)
        yield frames[[rng.choice(by_class[one]) for one in drawn]]


def _loss(head: CbasHead, frames: Sequence[Tensor], videos: Sequence[LabeledFrames], some: NDArray[np.int64]) -> Tensor:
    """Return the mean cross-entropy of frames, (n, 2), over all labels that are known."""
    losses = []
    for part in np.array_split(some, -(-len(some) // _WINDOWS_AT_ONCE)):
        windows = torch.cat([_windows(frames[video], np.array([frame])) for video, frame in part])
        targets = torch.from_numpy(np.stack([videos[video].targets[frame] for video, frame in part]).astype(np.int64))
        logits = head(windows)
        if targets.ndim == 1:
            losses.append(functional.cross_entropy(logits, targets, reduction="none"))
        else:
            each = functional.binary_cross_entropy_with_logits(logits, targets.clip(0).float(), reduction="none")
            losses.append(each[targets != UNKNOWN])
    return torch.cat(losses).mean()
