"""docs/extending.md shows the plug-in that the tests train with, and the names in its two walks exist."""

import ast
import json
import re
from importlib import import_module
from pathlib import Path

import pytest
from small_features import circles, features_of, training_settings

import vidrep
from vidrep.config.settings import EncoderSettings, PretrainConfig
from vidrep.registry import OBJECTIVES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
PLUGIN = Path(__file__).with_name("toy_plugin.py").read_text(encoding="utf-8")


def test_every_example_stands_in_the_plug_in_that_is_tested() -> None:
    blocks = re.findall(r"```python\n(.*?)\n```", PAGE, flags=re.DOTALL)
    shown = "\n".join(blocks)
    classes = [node.name for node in ast.parse(PLUGIN).body if isinstance(node, ast.ClassDef)]
    assert len(classes) == 5
    for block in blocks:
        if block not in PLUGIN and block != block_with("class Spread"):
            assert "class LeakySettings" in block, block
            exec(compile("from dataclasses import dataclass\n" + block, "extending.md", "exec"), {"__name__": "page"})
    for name in classes:
        assert f"class {name}(" in shown


def block_with(text: str) -> str:
    blocks: list[str] = re.findall(r"```python\n(.*?)\n```", PAGE, flags=re.DOTALL)
    (block,) = (one for one in blocks if text in one)
    return block


def test_the_objective_of_views_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OBJECTIVES, "_registered", dict(OBJECTIVES._registered))
    exec(compile(block_with("class Spread"), "extending.md", "exec"), {"__name__": "page"})
    config = PretrainConfig(
        objectives=("spread",),
        encoder=EncoderSettings(hidden_size=8),
        training=training_settings(steps=30, batch_size=8, validate_every=10, patience=0),
    )
    result = vidrep.train(features_of(tmp_path, circles(10)), tmp_path / "run", config, device="cpu")
    losses = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert losses[-1]["train"]["spread"] < losses[0]["train"]["spread"]
    assert result.validation.objective_losses.keys() == {"spread"}


def test_the_walks_name_files_and_functions_that_exist() -> None:
    walks = PAGE[PAGE.index("## Walk 1") :]
    files = set(re.findall(r"`((?:\w+/)*\w+\.py)`", walks))
    assert len(files) > 10
    assert all((ROOT / "vidrep" / file).is_file() or (ROOT / file).is_file() for file in files), files
    for file, call in re.findall(r"`((?:\w+/)+\w+\.py)`[^`]*?`(\w+(?:\.\w+)?)[(`]", walks):
        if file.startswith("cli/"):
            continue
        found: object = import_module("vidrep." + file.removesuffix(".py").replace("/", "."))
        for part in call.split("."):
            found = getattr(found, part)
