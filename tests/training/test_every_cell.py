"""Every registered cell goes the whole way: train, resume, finetune, evaluate, predict, tell what it is.

The cells are those of the registry, so that a new one is here by itself. VARIANTS are settings that change weights or
equations.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from small_features import circles, features_of, finetune_config, pretrain_config
from toy_training import KilledError, assert_same, killed_after, tree_of

import vidrep
from vidrep.config.settings import EncoderSettings, FinetuneConfig, PretrainConfig
from vidrep.features.store import Features
from vidrep.models.cells.causal_convolution import FrameReader
from vidrep.registry import CELLS

RUN: dict[str, Any] = {"device": "cpu", "precision": "fp32"}


@dataclass(frozen=True)
class Model:
    """An encoder and the settings of its cell."""

    cell: str
    settings: dict[str, Any] = field(default_factory=dict)
    encoder: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return " ".join([self.cell, *(f"{name}={value}" for name, value in (self.encoder | self.settings).items())])

    @property
    def pretraining(self) -> PretrainConfig:
        """One conditional decoder, which has input, and one without, if the cell can; two layers."""
        encoder = EncoderSettings(cell=self.cell, hidden_size=5, num_layers=2, dropout=0.3, **self.encoder)
        reads_frames_alone = issubclass(CELLS[self.cell], FrameReader)
        conditional = ["reconstruction", *(["future"] if reads_frames_alone else [])]
        objectives = {name: {"conditional": True} for name in conditional}
        settings = {"cell": {self.cell: self.settings}, "objective": objectives}
        return pretrain_config(encoder=encoder, settings=settings, steps=4, validate_every=2)

    @property
    def finetuning(self) -> FinetuneConfig:
        """The encoder's settings come from the pretrained run."""
        return finetune_config(encoder=EncoderSettings(dropout=0.3), steps=4, validate_every=2)


BUILT_IN = [*(Model(name) for name in sorted(CELLS._built_in)), Model("lstm", encoder={"bidirectional": True})]
VARIANTS = [
    Model("lstm", {"peepholes": True}),
    Model("lstm", {"peepholes": ["forget", "output"], "coupled": True, "activation": "softsign"}),
    Model("lstm", {"stable": True}),
    Model("rnn", {"activation": "relu"}),
    Model("rnn", {"spectral_norm": 0.9}),
    Model("gru", {"reset": "before"}, {"bidirectional": True}),
]
models = pytest.mark.parametrize(
    "model", [*BUILT_IN, *(pytest.param(one, marks=pytest.mark.slow) for one in VARIANTS)], ids=str
)


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Features:
    videos = circles(4)
    return features_of(
        tmp_path_factory.mktemp("features"), videos, {key: "test" if "00" in key else "train" for key in videos}
    )


@models
def test_the_whole_way(model: Model, features: Features, tmp_path: Path) -> None:
    pretrained, run = tmp_path / "pretrained", tmp_path / "run"
    result = vidrep.train(features, pretrained, model.pretraining, **RUN)
    assert result.validation.by_objective.keys() == {"reconstruction", "future"}
    with pytest.raises(KilledError):
        vidrep.train(features, tmp_path / "killed", model.pretraining, **RUN, on_progress=killed_after(2))
    vidrep.train(features, tmp_path / "killed", None, **RUN, resume=True)
    assert_same(tree_of(tmp_path / "killed"), tree_of(pretrained))

    vidrep.finetune(features, run, model.finetuning, pretrained=pretrained, **RUN)
    with pytest.raises(KilledError):
        vidrep.finetune(
            features, tmp_path / "stopped", model.finetuning, pretrained=pretrained, **RUN, on_progress=killed_after(2)
        )
    vidrep.finetune(features, tmp_path / "stopped", None, **RUN, resume=True)
    assert_same(tree_of(tmp_path / "stopped"), tree_of(run))

    for folder in (pretrained, run):
        assert vidrep.evaluate(folder, features, device="cpu").num_videos == 2
    found = vidrep.predict(run, [features.path], device="cpu").videos
    assert len(found) == len(features)
    for one in found:
        assert sum(one.probabilities.values()) == pytest.approx(1, abs=1e-6)
    assert vidrep.info(run)["encoder.cell"] == model.cell
