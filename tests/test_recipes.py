"""The shipped recipes of the paper and of its released code are what their headers say."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from small_features import write_mnist

import vidrep.recipes
from vidrep.config.reader import load_recipe, recipe_names, to_mapping
from vidrep.config.settings import PretrainConfig
from vidrep.models.saved import load_model
from vidrep.training.pretrain import train

PAPER = [name for name in recipe_names("pretrain") if name.startswith("srivastava-")]
RELEASED = [name for name in recipe_names("pretrain") if name.startswith("released-")]


def settings(name: str) -> dict[str, Any]:
    return flat(to_mapping(load_recipe(PretrainConfig, name)))


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        leaves |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key: value}
    return leaves


def differences(one: str, other: str) -> dict[str, tuple[Any, Any]]:
    before, after = settings(one), settings(other)
    return {key: (before.get(key), after.get(key)) for key in before | after if before.get(key) != after.get(key)}


def test_there_is_a_released_recipe_for_every_pretraining_config_that_was_released() -> None:
    assert RELEASED == ["released-mnist-1layer", "released-mnist-2layer", "released-patches"]
    assert [f"srivastava-{name}" for name in (
        "mnist-1layer", "mnist-2layer", "mnist-conditional", "patches", "percepts",
    )] == PAPER  # fmt: skip


@pytest.mark.parametrize("layers", ["1layer", "2layer"])
def test_the_released_mnist_configs_condition_both_decoders_and_go_on(layers: str) -> None:
    assert differences(f"srivastava-mnist-{layers}", f"released-mnist-{layers}") == {
        "objective.reconstruction.conditional": (False, True),
        "objective.future.conditional": (False, True),
        "training.steps": (100_000, 10_000_000),
        "training.validate_every": (1_000, 500),
    }


def test_the_released_patches_are_shorter_and_not_standardized() -> None:
    assert differences("srivastava-patches", "released-patches") == {
        "transforms": (["standardize"], []),
        "encoder.num_layers": (2, 1),
        "objective.reconstruction.conditional": (False, True),
        "windows.context": (16, 10),
        "windows.num_future": (13, 10),
        "windows.stride": (8, 20),
        "training.validate_every": (1_000, 500),
    }


@pytest.mark.parametrize("name", PAPER + RELEASED)
def test_what_the_paper_and_its_code_share(name: str) -> None:
    found = settings(name)
    shared = {
        "training.precision": "fp32",
        "optimizer.name": "srivastava",
        "optimizer.decay_peepholes": True,
        "optimizer.momentum": 0.9,
        "optimizer.clip_velocity": 1e-4,
        "optimizer.clip_norm": 0,
        "optimizer.reduction": "sum",
        "optimizer.lr_schedule": "step",
        "optimizer.lr_step": 10_000,
        "optimizer.lr_gamma": 0.9,
        "optimizer.warmup_steps": 0,
        "encoder.hidden_size": 2048,
        "encoder.initialization": "uniform",
        "encoder.uniform_scale": 0.01,
        "cell.lstm.peepholes": True,
        "cell.lstm.forget_bias": 0.0,
        "decoder.init_output_bias": False,
    }
    assert {key: found[key] for key in shared} == shared
    # Half the squared error with a rate of 1e-4 and a decay of 1e-4 is the whole one with half and twice of them.
    factor = 2 if found["likelihood"] == "gaussian" else 1
    assert (found["optimizer.learning_rate"], found["optimizer.weight_decay"]) == (1e-4 / factor, 1e-4 * factor)
    assert found["training.batch_size"] == (100 if name.endswith("patches") else 80)


def test_no_header_gives_the_papers_variants_for_the_released_codes() -> None:
    folder = Path(vidrep.recipes.__path__[0])
    for name in PAPER:
        assert "as in the paper" in (folder / f"{name}.toml").read_text(encoding="utf-8")
    for name in RELEASED:
        text = (folder / f"{name}.toml").read_text(encoding="utf-8")
        assert "as configured in the released code" in text
        assert "29407a8" in text


@pytest.mark.slow
def test_a_released_recipe_trains_small(tmp_path: Path) -> None:
    changes = {
        "encoder.hidden_size": 4,
        "moving_mnist.canvas": 28,
        "training.steps": 1,
        "training.batch_size": 2,
    }
    config = load_recipe(PretrainConfig, "released-mnist-2layer", changes=changes)
    run = train(None, tmp_path / "run", config, mnist=write_mnist(tmp_path / "mnist"), device="cpu").folder
    model, description = load_model(run)
    assert {name: one["conditional"] for name, one in description.objectives.items()} == {
        "reconstruction": True,
        "future": True,
    }
    assert "network.encoder.cells.1.peepholes" in dict(model.named_parameters())
