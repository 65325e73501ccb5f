"""Representations are what the encoder makes of each window by itself, averaged over a video's windows."""

import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from small_features import circles, features_of, pretrain_config
from toy_cell import register_toy_cell, toy_spec

from vidrep.config.settings import EncoderSettings
from vidrep.features.store import Features
from vidrep.metrics import representations
from vidrep.metrics.representations import FrozenEncoder, represent
from vidrep.models.description import ModelDescription
from vidrep.models.encoder import Encoder
from vidrep.models.inputs import InputTransforms
from vidrep.models.pretrained import PretrainedEncoders
from vidrep.models.saved import load_model
from vidrep.training.pretrain import train

CPU = torch.device("cpu")


@pytest.fixture
def features(tmp_path: Path) -> Features:
    videos = {key: frames[: 2 + number] for number, (key, frames) in enumerate(sorted(circles(4).items()))}
    return features_of(tmp_path, videos)


def test_they_are_means_over_windows_of_the_top_layers_states(tmp_path: Path, features: Features) -> None:
    encoder = EncoderSettings(hidden_size=5, num_layers=2)
    run = train(features, tmp_path / "run", pretrain_config(encoder=encoder, steps=2), device="cpu").folder
    model, description = load_model(run)
    found = represent(FrozenEncoder.pretrained(PretrainedEncoders.load([run])), features, [7, 0, 4], device=CPU)
    same = represent(
        FrozenEncoder.of(description, model.inputs, model.network.encoder), features, [7, 0, 4], device=CPU
    )
    assert found.keys() == {"last h", "last c", "mean h"}
    for number, video in enumerate([7, 0, 4]):  # of 8, 2 and 6 frames; windows of 3 every 2
        frames = torch.from_numpy(np.array(features.rows(video)))
        last = max(0, len(frames) - 3)
        expected: dict[str, list[torch.Tensor]] = {name: [] for name in found}
        for start in sorted({*range(0, last + 1, 2), last}):
            with torch.no_grad():
                outputs, state = model.network.encoder(model.inputs(frames[start : start + 3, None]))
            expected["last h"].append(outputs[-1, 0])
            expected["last c"].append(state[-1].c[0])
            expected["mean h"].append(outputs[:, 0].mean(dim=0))
        for name, vectors in expected.items():
            np.testing.assert_allclose(found[name].rows[number], torch.stack(vectors).mean(dim=0), atol=1e-6)
            np.testing.assert_array_equal(found[name].rows, same[name].rows)


def test_a_random_encoder_is_the_same_every_time_and_disturbs_no_random_numbers(
    tmp_path: Path, features: Features
) -> None:
    run = train(features, tmp_path / "run", pretrain_config(steps=1), device="cpu").folder
    model, description = load_model(run)
    torch.manual_seed(7)
    first = FrozenEncoder.random(description, model.inputs)
    drawn = torch.rand(1)
    torch.manual_seed(7)
    assert torch.equal(drawn, torch.rand(1))
    second, trained = FrozenEncoder.random(description, model.inputs), model.network.encoder
    for name, value in first.encoder.state_dict().items():
        assert torch.equal(value, second.encoder.state_dict()[name])
    assert not torch.equal(
        first.encoder.state_dict()["cells.0.input_weight"], trained.state_dict()["cells.0.input_weight"]
    )


def test_a_cell_without_c_has_no_last_c(features: Features, monkeypatch: pytest.MonkeyPatch) -> None:
    register_toy_cell(monkeypatch)
    description = ModelDescription(
        kind="classifier",
        frame_shape=[4],
        dtype="float32",
        likelihood="gaussian",
        extractor={},
        transforms={},
        encoder={},
        cell={},
        windows={"length": 3, "stride": 1},
    )
    frozen = FrozenEncoder.of(description, InputTransforms(4, {}), Encoder(4, toy_spec()).requires_grad_(False))
    assert represent(frozen, features, range(8), device=CPU).keys() == {"last h", "mean h"}


def test_many_windows_are_subsampled_and_that_is_told(
    tmp_path: Path, features: Features, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = train(features, tmp_path / "run", pretrain_config(steps=1), device="cpu").folder
    frozen = FrozenEncoder.pretrained(PretrainedEncoders.load([run]))
    monkeypatch.setattr(representations, "MAX_WINDOWS", 4)
    with caplog.at_level(logging.INFO, logger="vidrep"):
        rows = represent(frozen, features, range(8), device=CPU)["last h"]
    assert (len(rows.rows), rows.videos.tolist()) == (4, sorted(rows.videos.tolist()))
    assert "encoded by 4 of their" in caplog.text
