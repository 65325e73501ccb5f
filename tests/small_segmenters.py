"""Small networks that label frames, with random weights, and random frames for them."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vidrep.config.settings import EncoderSettings
from vidrep.metrics.segmentation.frame_network import FrameNetwork
from vidrep.models.description import ModelDescription
from vidrep.models.saved import TrainedModel

D, K = 3, 2
LENGTH, BEFORE, AFTER = 12, 3, 3
Frames = NDArray[np.float32]


def described(
    *transforms: str, bidirectional: bool = False, several_labels: bool = False, after: int | None = None
) -> ModelDescription:
    return ModelDescription(
        kind="segmentation",
        frame_shape=[D],
        dtype="float32",
        likelihood="gaussian",
        extractor={},
        transforms={name: {"size": 2} if name == "pca" else {} for name in transforms},
        encoder=asdict(EncoderSettings(hidden_size=5, bidirectional=bidirectional)),
        cell={},
        windows={"length": LENGTH, "before": BEFORE, "after": AFTER if after is None else after},
        head={
            "several_labels": several_labels,
            "background": "" if several_labels else "rest",
            "dropout": 0.3,
            "input_noise": 0.1,
            "transfer": "init",
            "class_weights": "none",
        },
        classes=["eat", "rest"],
        class_counts=[1, 1],
    )


def network_of(description: ModelDescription) -> FrameNetwork:
    """Return one with random weights whose transforms are fitted to random frames."""
    torch.manual_seed(3)
    model = TrainedModel.build(description)
    model.inputs.fit(lambda: iter([torch.from_numpy(frames_of(50, seed=9))]))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return FrameNetwork(model, description)


CAUSAL = [(), ("differences",), ("standardize", "pca", "differences")]
IN_WINDOWS = [
    described(bidirectional=True),
    described("standardize", "differences", bidirectional=True),
    described("standardize", "center_clip", "pca", "differences", bidirectional=True, several_labels=True),
    described("center_clip"),  # it reads forward, but needs whole windows
]


def frames_of(count: int, seed: int = 0) -> Frames:
    return np.random.default_rng(seed).standard_normal((count, D)).astype(np.float32).cumsum(axis=0) * np.float32(0.3)


def read(network: FrameNetwork, blocks: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
    return np.concatenate([np.zeros((0, K), np.float32), *network.probabilities(iter(blocks))])
