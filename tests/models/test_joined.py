"""Several encoders side by side: each does what it does alone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from small_features import Videos, circles, features_of, finetune_config, pretrain_config
from small_networks import lstm_spec, random, randomized

from vidrep.config.doors import settings_of_names
from vidrep.config.settings import ClassifierSettings, EncoderSettings, PretrainWindows
from vidrep.errors import ConfigError
from vidrep.features.store import Features
from vidrep.metrics.representations import FrozenEncoder
from vidrep.models.encoder import Encoder
from vidrep.models.inputs import InputTransforms
from vidrep.models.joined import JoinedEncoder, JoinedInputs
from vidrep.models.pretrained import PretrainedEncoders
from vidrep.models.saved import load_model
from vidrep.models.state import State, to_dict
from vidrep.training.finetune import finetune
from vidrep.training.pretrain import train

T, B, D = 4, 3, 6


def encoders() -> list[Encoder]:
    return [
        randomized(Encoder(D, lstm_spec(hidden_size=5, num_layers=2))),
        randomized(Encoder(2, lstm_spec(hidden_size=3, peepholes=True))),
    ]


def tensors(state: State) -> list[torch.Tensor]:
    return list(to_dict(state).values())


def test_outputs_and_states_are_those_of_each_encoder_on_its_share() -> None:
    parts, inputs = encoders(), random(T, B, D + 2)
    joined = JoinedEncoder(parts)
    assert joined.hidden_size == 8
    outputs, state = joined(inputs)
    alone = [part(share.contiguous()) for part, share in zip(parts, torch.split(inputs, [D, 2], dim=-1), strict=True)]
    assert torch.equal(outputs, torch.cat([one for one, _ in alone], dim=-1))
    again, last = joined(inputs, state)
    goes_on = [
        part(share.contiguous(), before)
        for part, share, (_, before) in zip(parts, torch.split(inputs, [D, 2], dim=-1), alone, strict=True)
    ]
    assert torch.equal(again, torch.cat([one for one, _ in goes_on], dim=-1)) and not torch.equal(again, outputs)
    for found, (_, expected) in zip(last, goes_on, strict=True):
        assert all(torch.equal(one, other) for one, other in zip(tensors(found), tensors(expected), strict=True))
    started, _ = joined(inputs, joined.initial_state(B, torch.device("cpu")))
    torch.testing.assert_close(started, outputs)


def fitted(*names: str) -> InputTransforms:
    given: dict[str, Any] = {name: {"size": 2} if name == "pca" else {} for name in names}
    inputs = InputTransforms(D, settings_of_names("transform", names, given))
    inputs.fit(lambda: iter([random(9, D).float() + 3]))
    return inputs


def test_inputs_stand_side_by_side() -> None:
    parts, stored = [fitted("standardize"), fitted("center_clip", "pca")], random(T, B, D).float()
    joined = JoinedInputs(parts)
    assert (joined.part_sizes, joined.output_size, joined.is_invertible) == ((D, 2), D + 2, False)
    assert torch.equal(joined(stored), torch.cat([part(stored) for part in parts], dim=-1))
    observed = torch.ones(T, B, dtype=torch.bool)
    observed[2:, 1] = False
    assert torch.equal(joined(stored, observed), torch.cat([part(stored, observed) for part in parts], dim=-1))
    assert torch.equal(joined.mean, parts[0].mean) and torch.equal(joined.std, parts[0].std)


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Features:
    return features_of(tmp_path_factory.mktemp("features"), circles(6))


def pretrained(folder: Path, features: Features, *, hidden_size: int = 5, seed: int = 0, **settings: Any) -> Path:
    config = pretrain_config(
        encoder=EncoderSettings(hidden_size=hidden_size), steps=2, validate_every=2, seed=seed, settings=settings
    )
    return train(features, folder, config, device="cpu").folder


@pytest.fixture(scope="module")
def starts(tmp_path_factory: pytest.TempPathFactory, features: Features) -> list[Path]:
    """Return two runs, of different widths, transforms and depth."""
    folder = tmp_path_factory.mktemp("starts")
    other = pretrained(folder / "b", features, hidden_size=3, seed=1, transforms=("center_clip",))
    return [pretrained(folder / "a", features), other]


def test_they_are_saved_and_read_again(tmp_path: Path, starts: list[Path], features: Features) -> None:
    read = PretrainedEncoders.load(starts)
    read.save(tmp_path / "copy")
    copy = PretrainedEncoders.load([tmp_path / "copy"])
    assert (copy.sha256, copy.description) == (read.sha256, read.description)
    assert copy.sha256 not in {part.sha256 for part in copy.parts}
    assert PretrainedEncoders.load(starts[::-1]).sha256 != read.sha256
    assert [part.encoder["hidden_size"] for part in read.description.parts] == [5, 3]
    stored = random(T, B, 4).float()
    one, two = (FrozenEncoder.pretrained(some) for some in (read, copy))
    alone = [FrozenEncoder.pretrained(PretrainedEncoders.load([start])) for start in starts]
    with torch.no_grad():
        outputs = [frozen.encoder(frozen.inputs(stored))[0] for frozen in (one, two, *alone)]
    assert torch.equal(outputs[0], outputs[1])
    assert torch.equal(outputs[0], torch.cat(outputs[2:], dim=-1))


@pytest.mark.parametrize("head", ["logistic", "mean"])
def test_a_classifier_of_joined_encoders_keeps_their_weights(
    tmp_path: Path, starts: list[Path], features: Features, head: str
) -> None:
    config = finetune_config(
        encoder=EncoderSettings(dropout=0.5),
        classifier=ClassifierSettings(head=head, transfer="frozen"),
        steps=2,
        validate_every=2,
    )
    run = finetune(features, tmp_path / "run", config, pretrained=starts, device="cpu").folder
    model, description = load_model(run)
    assert len(description.joined) == 1
    state = model.state_dict()
    for number, start in enumerate(starts):
        weights = PretrainedEncoders.load([start]).parts[0].weights
        for name, value in weights.items():
            there = name.replace("network.encoder.", f"network.encoder.parts.{number}.", 1)
            there = there.replace("inputs.", f"inputs.parts.{number}.", 1) if name.startswith("inputs.") else there
            assert torch.equal(state[there], value), name
    again = finetune(features, tmp_path / "again", config, pretrained=run / "pretrained", device="cpu").folder
    assert (again / "model.safetensors").read_bytes() == (run / "model.safetensors").read_bytes()


def test_a_classifier_of_joined_encoders_is_a_start_itself(
    tmp_path: Path, starts: list[Path], features: Features
) -> None:
    config = finetune_config(
        encoder=EncoderSettings(dropout=0.5),
        classifier=ClassifierSettings(head="mean", transfer="frozen"),
        steps=2,
        validate_every=2,
    )
    run = finetune(features, tmp_path / "run", config, pretrained=starts, device="cpu").folder
    again = finetune(features, tmp_path / "again", config, pretrained=run, device="cpu").folder
    one, two = (load_model(folder)[0].state_dict() for folder in (run, again))
    encoder = [name for name in one if name.startswith(("inputs.", "network.encoder."))]
    assert encoder and all(torch.equal(one[name], two[name]) for name in encoder)


def refusal(*folders: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        PretrainedEncoders.load(folders)
    message = str(caught.value)
    assert "\n" not in message and str(folders[0]) in message and str(folders[1]) in message
    return message


def test_runs_of_different_features_are_refused(tmp_path: Path, starts: list[Path]) -> None:
    wide = features_of(tmp_path / "wide", circles(6, size=6))
    message = refusal(starts[0], pretrained(tmp_path / "c", wide))
    assert "cannot be joined: their frame_shape are [4] and [6]; give runs of the same features and clips" in message
    halves: Videos = {key: frames.astype("float16") for key, frames in circles(6).items()}
    half = features_of(tmp_path / "half", halves)
    assert "cannot be joined: their dtype are float32 and float16" in refusal(
        starts[0], pretrained(tmp_path / "d", half)
    )


def test_runs_of_different_clips_are_refused(tmp_path: Path, starts: list[Path], features: Features) -> None:
    settings = {"objectives": ("contrast",)}
    config = pretrain_config(windows=PretrainWindows(), settings=settings, steps=1, validate_every=1)
    contrast = train(features, tmp_path / "contrast", config, device="cpu").folder
    assert "cannot be joined: their clips are {} and {" in refusal(starts[0], contrast)
    with pytest.raises(ConfigError, match="cannot be joined"):
        finetune(features, tmp_path / "run", finetune_config(), pretrained=[contrast, starts[0]], device="cpu")
    assert not (tmp_path / "run").exists()


def test_objectives_of_one_encoder_are_refused(tmp_path: Path, starts: list[Path], features: Features) -> None:
    config = finetune_config(encoder=EncoderSettings(dropout=0.5), settings={"objectives": ("reconstruction",)})
    with pytest.raises(ConfigError, match="there are 2 to start from; leave objectives out"):
        finetune(features, tmp_path / "run", config, pretrained=starts, device="cpu")


def test_an_ensemble_is_all_of_its_encoders(tmp_path: Path, features: Features) -> None:
    run = finetune(features, tmp_path / "run", finetune_config(ensemble=2, steps=2), device="cpu").folder
    read = PretrainedEncoders.load([run])
    assert [part.folder for part in read.parts] == [run / "members" / "1", run / "members" / "2"]
    assert read.parts[0].sha256 != read.parts[1].sha256
    assert replace(read.description, joined=[]) == read.parts[0].description
