"""Settings of cells in recipes: lists of gates go there and back, and what a cell contradicts is one line."""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from vidrep.config.reader import from_mapping, load_recipe, parse_change, to_mapping
from vidrep.config.settings import PretrainConfig
from vidrep.errors import ConfigError
from vidrep.models.cells.lstm import LSTMSettings


@pytest.mark.parametrize(
    ("written", "held"),
    [("true", True), ("false", False), ('["output"]', ("output",)), ('["input", "forget"]', ("input", "forget"))],
)
def test_peepholes_are_a_switch_or_a_list_of_gates(tmp_path: Path, written: str, held: Any) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(f'kind = "pretrain"\n[cell.lstm]\npeepholes = {written}\n', encoding="utf-8")
    config = load_recipe(PretrainConfig, recipe)
    assert config.cell["lstm"] == LSTMSettings(peepholes=held)
    tree = to_mapping(config)
    assert tree["cell"]["lstm"]["peepholes"] == tomllib.loads(f"value = {written}")["value"]
    assert from_mapping(PretrainConfig, tree, where="again") == config
    key, value = parse_change(f"cell.lstm.peepholes={written}")
    assert load_recipe(PretrainConfig, changes={key: value}).cell == config.cell


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"encoder.cell": "gru", "cell.gru.peepholes": True},
            "unknown key cell.gru.peepholes; known are reset",
        ),
        (
            {"encoder.cell": "gru", "cell.lstm.peepholes": True},
            "cell.lstm has settings, but cell 'lstm' is not in use; in use: gru",
        ),
        (
            {"encoder.cell": "irnn", "cell.irnn.activation": "tanh"},
            "unknown key cell.irnn.activation; known are scale, spectral_norm",
        ),
        (
            {"encoder.cell": "irnn", "cell.irnn.scale": 0},
            "cell.irnn.scale is 0; it takes a number above 0",
        ),
        (
            {"encoder.cell": "irnn", "cell.irnn.spectral_norm": 0.9},
            "cell.irnn.spectral_norm is 0.9, but an IRNN starts as the identity, whose norm is 1, to add up what it "
            "reads; take encoder.cell = 'rnn' with cell.rnn.activation = 'relu' to bound it",
        ),
        (
            {"encoder.cell": "rnn", "cell.rnn.spectral_norm": 1},
            "cell.rnn.spectral_norm is 1; it takes a number at least 0 and below 1",
        ),
        (
            {"cell.lstm.stable": True, "cell.lstm.peepholes": True},
            "cell.lstm.stable is true, but peepholes is True, for which no conditions of stability are known; leave "
            "one of the two out",
        ),
        (
            {"cell.lstm.stable": True, "cell.lstm.activation": "relu"},
            "cell.lstm.stable is true, but activation is 'relu', for which no conditions of stability are known; "
            "leave one of the two out",
        ),
        (
            {"cell.lstm.input_bound": 2},
            "cell.lstm.input_bound is 2, but stable is false; set stable = true too, or leave it out",
        ),
        (
            {"cell.lstm.coupled": True, "cell.lstm.peepholes": ["input"]},
            "cell.lstm.peepholes lists the input gate, but coupled gates have none; leave one of the two out",
        ),
        (
            {"cell.lstm.peepholes": "output"},
            "cell.lstm.peepholes is 'output'; it takes true or false or a list of 'input' or 'forget' or 'output'",
        ),
        (
            {"encoder.bidirectional": "yes"},
            "encoder.bidirectional is 'yes'; it takes true or false",
        ),
    ],
)
def test_what_a_cell_contradicts_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_recipe(PretrainConfig, changes=changes)
    assert str(caught.value) == f"the settings: {message}"
