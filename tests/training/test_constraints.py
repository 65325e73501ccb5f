"""A training keeps the constraints of all cells, of encoder and decoders, after every step, and logs them."""

from pathlib import Path
from typing import Any

import pytest
from small_features import circles, features_of, pretrain_config

import vidrep
from vidrep.config.settings import EncoderSettings, OptimizerSettings
from vidrep.features.store import Features
from vidrep.training import loop
from vidrep.training.constraints import Constraints
from vidrep.training.run_metrics import read_metrics

STEPS = 6
BOUNDS: dict[str, dict[str, float]] = {
    "rnn": {"spectral_norm": 0.99},
    "lstm": {
        "input_gate_norm": 1 - 0.64,
        "forget_gate_norm": (1 - 0.64) ** 2,
        "candidate_norm": (1 - 0.64) / 4,
        "output_gate_norm": 1 - 0.64,
        "largest_forget": 0.64,
        "contraction": 1.0,
    },
}
CELLS = {
    f"network.{stack}.cells.{layer}"
    for stack in ("encoder", "objectives.reconstruction.decoder.stack", "objectives.future.decoder.stack")
    for layer in (0, 1)
}


@pytest.fixture
def features(tmp_path: Path) -> Features:
    return features_of(tmp_path, circles())


def run(features: Features, output: Path, cell: str, settings: dict[str, Any]) -> list[dict[str, Any]]:
    config = pretrain_config(
        encoder=EncoderSettings(cell=cell, hidden_size=5, num_layers=2),
        settings={"cell": {cell: settings}, "objective": {"reconstruction": {"conditional": True}}},
        optimizer=OptimizerSettings(name="sgd", learning_rate=1.0),
        steps=STEPS,
        validate_every=3,
    )
    vidrep.train(features, output, config, device="cpu", precision="fp32")
    return read_metrics(output)


@pytest.mark.parametrize(("cell", "settings"), [("rnn", {"spectral_norm": 0.99}), ("lstm", {"stable": True})])
def test_bounds_hold_after_every_step(
    cell: str, settings: dict[str, Any], features: Features, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    after_steps = []

    class Recorded(Constraints):
        def project(self) -> None:
            super().project()
            after_steps.append(self.metrics()["bounded"])

    monkeypatch.setattr(loop, "Constraints", Recorded)
    lines = run(features, tmp_path / "run", cell, settings)
    assert len(after_steps) == 1 + STEPS  # and of the initial weights
    for bounded in after_steps:
        assert bounded.keys() == {f"{name}.{quantity}" for name in CELLS for quantity in BOUNDS[cell]}
        for name, value in bounded.items():
            assert value < BOUNDS[cell][name.rpartition(".")[2]]
    assert [line["bounded"] for line in lines] == after_steps[3::3]
    # The bounds were reached: the steps alone would have left them behind.
    assert max(value / BOUNDS[cell][name.rpartition(".")[2]] for name, value in after_steps[-1].items()) > 0.999


def test_without_constraints_nothing_is_logged_of_them(features: Features, tmp_path: Path) -> None:
    assert all("bounded" not in line for line in run(features, tmp_path / "run", "rnn", {}))
