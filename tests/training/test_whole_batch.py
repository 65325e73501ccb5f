"""An objective whose loss is of a batch as a whole: it gets the whole batch, or the training is refused."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_features import circles, features_of, pretrain_config, training_settings
from toy_training import KilledError, assert_same, killed_after, toy_description, tree_of

from vidrep.config.settings import PretrainConfig, PretrainWindows
from vidrep.errors import ConfigError
from vidrep.features.store import Features
from vidrep.models.objectives.objective import Encoded, Loss, ModelSpec, Objective, Window
from vidrep.models.saved import TrainedModel
from vidrep.registry import OBJECTIVES
from vidrep.training.collectives import Ranks
from vidrep.training.pretrain import train
from vidrep.training.task import Task, TaskData


class Spread(Objective):
    """Videos are to lie apart: a loss between all windows of a batch."""

    needs_whole_batch = True
    batch_sizes: list[int] = []  # noqa: RUF012 - of all instances

    def __init__(self, settings: Any, spec: ModelSpec) -> None:
        super().__init__(settings, spec)
        self.projection = torch.nn.Linear(spec.stack.hidden_size, 3)

    def forward(self, encoded: Encoded, window: Window) -> Loss:
        assert window.video is not None and window.group is not None
        assert len(window.video) == len(window.group) == encoded.outputs.shape[1]
        self.batch_sizes.append(encoded.outputs.shape[1])
        ends = self.projection(encoded.outputs[-1])
        others = window.video[:, None] != window.video
        return Loss((-torch.cdist(ends, ends).square() * others).exp().sum())


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(OBJECTIVES._registered, "spread", Spread)
    monkeypatch.setattr(Spread, "batch_sizes", [])


@pytest.fixture
def features(tmp_path: Path) -> Features:
    return features_of(tmp_path, circles())


def config_of(*objectives: str, **training: Any) -> PretrainConfig:
    num_future = 2 if "future" in objectives else 0
    windows = PretrainWindows(context=3, num_future=num_future, stride=2)
    return pretrain_config(windows=windows, settings={"objectives": objectives}, **training)


def test_it_gets_the_whole_batch_and_is_trained_beside_others(tmp_path: Path, features: Features) -> None:
    config = config_of("spread", "future", batch_size=6)
    result = train(features, tmp_path / "run", config, device="cpu")
    assert Spread.batch_sizes.count(6) >= 10
    for line in (tmp_path / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines():
        for split in ("train", "validation"):
            losses = json.loads(line)[split]
            assert losses["loss"] == pytest.approx(losses["spread"] + losses["future"], rel=1e-6)
    assert result.validation.by_objective.keys() == {"future"}
    assert result.validation.objective_losses.keys() == {"spread"}


def test_it_is_resumed_to_the_same_bits(tmp_path: Path, features: Features) -> None:
    config = config_of("spread")
    train(features, tmp_path / "whole", config, device="cpu")
    with pytest.raises(KilledError):
        train(features, tmp_path / "run", config, device="cpu", on_progress=killed_after(7))
    train(features, tmp_path / "run", config, device="cpu", resume=True)
    assert_same(tree_of(tmp_path / "run"), tree_of(tmp_path / "whole"))


def test_it_is_refused_with_micro_batches(tmp_path: Path, features: Features) -> None:
    message = r"^training\.gradient_accumulation is 2, but spread needs the whole batch at once; set it to 1$"
    with pytest.raises(ConfigError, match=message):
        train(features, tmp_path / "run", config_of("future", "spread", gradient_accumulation=2), device="cpu")
    assert not (tmp_path / "run").exists()


class TwoRanks(Ranks):
    size = 2


def test_it_is_refused_with_several_processes() -> None:
    description = replace(
        toy_description(),
        kind="pretraining",
        windows={"context": 3, "num_future": 0, "num_reconstructed": 0, "stride": 2},
        objectives={"spread": {}},
        head={},
        classes=[],
        class_counts=[],
    )
    no_data: Any = None
    data = TaskData(batches=no_data, batch_size=4, window_length=3, validation=no_data)
    with pytest.raises(
        ConfigError, match=r"^2 processes share each batch, but spread needs the whole batch at once; start one"
    ):
        Task(
            TrainedModel.build(description),
            description,
            data,
            training_settings(),
            reduction="mean",
            device=torch.device("cpu"),
            ranks=TwoRanks(),
        )
