"""Every cell, objective and transfer mode goes the whole way: train, resume, finetune, evaluate, predict, what it is.

Cells, objectives and modes are those of the registries and of the settings, so that a new one is here by itself. Quick:
each of them with the defaults of the other two; slow: every cell with every objective and with every transfer mode, and
SETTINGS that change weights or equations.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from small_features import circles, features_of, finetune_config, pretrain_config
from toy_training import KilledError, assert_same, killed_after, tree_of

import vidrep
from vidrep.config.settings import (
    COMPOSITE,
    ClassifierSettings,
    EncoderSettings,
    FinetuneConfig,
    PretrainConfig,
    PretrainWindows,
    Transfer,
    ViewSettings,
)
from vidrep.features.store import Features
from vidrep.models.cells.causal_convolution import FrameReader
from vidrep.models.objectives.anchored import AnchoredSettings
from vidrep.models.objectives.frame_objective import FrameObjectiveSettings
from vidrep.registry import CELLS, OBJECTIVES

# Videos of one number are a group: an objective compares the clips of one.
RUN: dict[str, Any] = {"device": "cpu", "precision": "fp32", "group_pattern": r"/(\d+)"}
LETTERS = ("next_symbol",)


@dataclass(frozen=True)
class Choice:
    """A cell with settings of it and of the encoder, what it learns by, and how a classifier takes it over."""

    cell: str = "lstm"
    objectives: tuple[str, ...] = COMPOSITE
    transfer: Transfer = "init"
    settings: dict[str, Any] = field(default_factory=dict)
    encoder: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        given = [f"{name}={value}" for name, value in (self.encoder | self.settings).items()]
        return " ".join([self.cell, *given, "+".join(self.objectives), self.transfer])

    @property
    def pretraining(self) -> PretrainConfig:
        """Two layers; where there is a decoder with input it is the first one, of cells that need input all of them."""
        encoder = EncoderSettings(cell=self.cell, hidden_size=5, num_layers=2, dropout=0.3, **self.encoder)
        conditional = self.objectives if issubclass(CELLS[self.cell], FrameReader) else self.objectives[:1]
        objectives: dict[str, Any] = {name: {} for name in self.objectives}
        for name in self.objectives:
            if issubclass(OBJECTIVES[name].Settings, FrameObjectiveSettings | AnchoredSettings):
                objectives[name]["conditional"] = name in conditional
            if issubclass(OBJECTIVES[name].Settings, AnchoredSettings):
                objectives[name]["frames"] = 2
        return pretrain_config(
            encoder=encoder,
            windows=self._windows,
            settings={
                "cell": {self.cell: self.settings},
                "objectives": self.objectives,
                "objective": objectives,
                "views": ViewSettings(num_frames=4, clip_seconds=8.0),
            },
            steps=4,
            validate_every=2,
        )

    @property
    def _windows(self) -> PretrainWindows:
        doors = [OBJECTIVES[name] for name in self.objectives]
        reads_windows = not all(one.needs_views for one in doors)
        num_future = 2 if any(one.needs_future for one in doors) else 0
        return PretrainWindows(context=4 if reads_windows else 0, num_future=num_future, stride=2)

    @property
    def finetuning(self) -> FinetuneConfig:
        """The encoder's settings come from the pretrained run."""
        classifier = ClassifierSettings(transfer=self.transfer)
        return finetune_config(encoder=EncoderSettings(dropout=0.3), classifier=classifier, steps=4, validate_every=2)

    @property
    def is_possible(self) -> bool:
        """Whether it is none of what is refused, each by a test elsewhere: of a bidirectional encoder."""
        needs_forward = self.transfer == "collocation" or any(
            OBJECTIVES[name].reads_anchors_alone or name in LETTERS for name in self.objectives
        )
        return not (needs_forward and self.encoder.get("bidirectional"))


CHOICES = [
    *(Choice(name) for name in sorted(CELLS._built_in)),
    Choice(encoder={"bidirectional": True}),
    *(Choice(objectives=(name,)) for name in sorted(OBJECTIVES._built_in)),
    *(Choice(transfer=mode) for mode in get_args(Transfer) if mode != "init"),
]
SETTINGS = [
    Choice(settings={"peepholes": True}),
    Choice(settings={"peepholes": ["forget", "output"], "coupled": True, "activation": "softsign"}),
    Choice(settings={"stable": True}),
    Choice("rnn", settings={"activation": "relu"}),
    Choice("rnn", settings={"spectral_norm": 0.9}),
    Choice("gru", settings={"reset": "before"}, encoder={"bidirectional": True}),
]


def pairs() -> Iterator[Choice]:
    """Yield every cell with every objective and every transfer mode, but for what CHOICES has."""
    for cell in CHOICES[: len(CELLS._built_in) + 1]:
        others = [
            *(replace(cell, objectives=(name,)) for name in sorted(OBJECTIVES._built_in)),
            *(replace(cell, transfer=mode) for mode in get_args(Transfer)),
        ]
        yield from (one for one in others if one not in CHOICES and one.is_possible)


@pytest.fixture(scope="module")
def every_features(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Features]:
    """Videos of 8 frames and one of 3, whose windows are padded: real values, and one-hot letters."""
    videos = circles(5)
    videos["left/01.npy"] = videos["left/01.npy"][:3]
    splits = {key: "test" if "00" in key else "train" for key in videos}
    letters = {key: np.eye(4, dtype=np.uint8)[frames.argmax(axis=1)] * np.uint8(255) for key, frames in videos.items()}
    return {
        name: features_of(tmp_path_factory.mktemp(name), of_name, splits)
        for name, of_name in {"values": videos, "letters": letters}.items()
    }


@pytest.mark.parametrize(
    "choice", [*CHOICES, *(pytest.param(one, marks=pytest.mark.slow) for one in [*SETTINGS, *pairs()])], ids=str
)
def test_the_whole_way(choice: Choice, every_features: dict[str, Features], tmp_path: Path) -> None:
    features = every_features["letters" if choice.objectives == LETTERS else "values"]
    pretrained, run = tmp_path / "pretrained", tmp_path / "run"
    vidrep.train(features, pretrained, choice.pretraining, **RUN)
    with pytest.raises(KilledError):
        vidrep.train(features, tmp_path / "killed", choice.pretraining, **RUN, on_progress=killed_after(2))
    vidrep.train(features, tmp_path / "killed", None, **RUN, resume=True)
    assert_same(tree_of(tmp_path / "killed"), tree_of(pretrained))

    vidrep.finetune(features, run, choice.finetuning, pretrained=pretrained, **RUN)
    with pytest.raises(KilledError):
        vidrep.finetune(
            features, tmp_path / "stopped", choice.finetuning, pretrained=pretrained, **RUN, on_progress=killed_after(2)
        )
    vidrep.finetune(features, tmp_path / "stopped", None, **RUN, resume=True)
    assert_same(tree_of(tmp_path / "stopped"), tree_of(run))

    for folder in (pretrained, run):
        assert vidrep.evaluate(folder, features, device="cpu").num_videos == 2
    found = vidrep.predict(run, [features.path], device="cpu").videos
    assert len(found) == len(features)
    for one in found:
        assert sum(one.probabilities.values()) == pytest.approx(1, abs=1e-6)
    of_run = vidrep.info(run)
    assert (of_run["encoder.cell"], of_run["head.transfer"]) == (choice.cell, choice.transfer)
