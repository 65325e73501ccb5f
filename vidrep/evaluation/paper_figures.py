"""The figures of Srivastava, Mansimov, Salakhutdinov: Unsupervised Learning of Video Representations using LSTMs, 2015.

Those that copies of the paper and papers that cite it agree on are confirmed; the others are recalled.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Figure:
    """A figure of the paper, and whether it is confirmed."""

    value: float
    is_confirmed: bool = False

    def __str__(self) -> str:
        return f"{self.value:.1f}" if self.is_confirmed else f"{self.value:.1f} (recalled)"


@dataclass(frozen=True, kw_only=True)
class PaperModel:
    """A variant of the model: what tables call it, its objectives, and whether the decoder of each is conditional.

    nats: of frames 11 to 20 of Moving MNIST with two digits, free running. patches: squared error of predicted patches
    of 32x32 pixels, a frame.
    """

    name: str
    conditional: Mapping[str, bool]
    nats: Figure | None = None
    patches: Figure | None = None


MODELS = (
    PaperModel(name="autoencoder", conditional={"reconstruction": False}),
    PaperModel(name="future predictor", conditional={"future": False}, nats=Figure(350.2), patches=Figure(225.2)),
    PaperModel(
        name="composite",
        conditional={"reconstruction": False, "future": False},
        nats=Figure(344.9),
        patches=Figure(210.7),
    ),
    PaperModel(
        name="conditional future predictor", conditional={"future": True}, nats=Figure(343.5), patches=Figure(221.3)
    ),
    PaperModel(
        name="composite, conditional future decoder",
        conditional={"reconstruction": False, "future": True},
        nats=Figure(341.2, is_confirmed=True),
        patches=Figure(208.1),
    ),
    PaperModel(
        name="composite, both decoders conditional (released configs)",
        conditional={"reconstruction": True, "future": True},
    ),
)
"""The paper's variants in its order, between an autoencoder and the model of its released configs."""

RELEASED_LOG = {"future": 345.5, "reconstruction": 212.6}
"""Nats a frame on training data at step 17,700, in a public log of an earlier release: one layer, unconditional."""


@dataclass(frozen=True, kw_only=True)
class PaperActions:
    """Accuracies on a data set of actions, in percent, from percepts of RGB frames, and the sizes of its splits.

    num_videos: {split number: (training, test) videos of the official lists}.
    """

    single_frame: Figure
    lstm: Figure
    composite: Figure
    num_videos: Mapping[int, tuple[int, int]] = field(repr=False)


ACTIONS = {
    "ucf101": PaperActions(
        single_frame=Figure(72.2),
        lstm=Figure(74.5),
        composite=Figure(75.8, is_confirmed=True),
        num_videos={1: (9537, 3783), 2: (9586, 3734), 3: (9624, 3696)},
    ),
    "hmdb51": PaperActions(
        single_frame=Figure(40.1),
        lstm=Figure(42.8),
        composite=Figure(44.1),
        num_videos=dict.fromkeys((1, 2, 3), (3570, 1530)),
    ),
}
"""By the name of the data set."""
