"""Models on disk: exactly what was saved, or one line that says why not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from vidrep.errors import InputError
from vidrep.models.saved import (
    ModelDescription,
    build_model,
    load_model,
    read_description,
    save_model,
)

COMPOSITE = ModelDescription(
    kind="composite",
    arguments={
        "frame_size": 6,
        "hidden_size": 4,
        "num_layers": 2,
        "reconstruct": True,
        "future": False,
        "dropout": 0.1,
    },
    frame_shape=[2, 3],
    dtype="uint8",
    values="probability",
    extractor={"kind": "patches", "size": 2},
    windows={"seen": 3, "predicted": 2, "stride": 1},
)
CLASSIFIER = ModelDescription(
    kind="classifier",
    arguments={"frame_size": 6, "num_classes": 2, "hidden_size": 4, "num_layers": 1, "dropout": 0.5, "freeze": True},
    frame_shape=[6],
    dtype="float32",
    values="real",
    extractor={"kind": "import", "source": "x"},
    windows={"length": 3, "stride": 1},
    classes=["jümp", "run"],
    class_counts=[3, 4],
)


@pytest.fixture(params=[COMPOSITE, CLASSIFIER], ids=["composite", "classifier"])
def description(request: pytest.FixtureRequest) -> ModelDescription:
    chosen: ModelDescription = request.param
    return chosen


def saved(folder: Path, description: ModelDescription) -> dict[str, torch.Tensor]:
    torch.manual_seed(3)
    state = build_model(description).state_dict()
    state["scaler.mean"] = torch.rand(6)
    save_model(folder, description, state)
    return state


def test_a_model_comes_back_exactly_and_ready_for_use(tmp_path: Path, description: ModelDescription) -> None:
    state = saved(tmp_path, description)
    model, found = load_model(tmp_path)
    assert found == description
    assert model.state_dict().keys() == state.keys()
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert not any(module.training for module in model.modules())
    assert model.scaler.values == description.values
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.json", "model.safetensors"]


def one_line(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_model(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_folder_without_a_model_says_so(tmp_path: Path) -> None:
    assert "no such run folder" in one_line(tmp_path / "none")
    assert "no model.json" in one_line(tmp_path)


def edited(**changes: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda content: content | changes


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda content: "no mapping", "not a model description"),
        (lambda content: {}, "no 'format'"),
        (edited(format="other"), "other version 1; this vidrep reads vidrep-model version 1"),
        (edited(version=2), "vidrep-model version 2; this vidrep reads vidrep-model version 1"),
        (edited(surprise=1), "surprise"),
        (edited(kind="tree"), "not a model description"),
        (edited(windows={"length": 3}), "windows of a classifier have length, stride"),
        (edited(windows=[]), "not a model description"),
        (edited(values="odd"), "values are 'odd'"),
        (edited(frame_shape=[7]), r"frames of [7] and frame_size 6"),
        (edited(frame_shape=["x"]), "not a model description"),
        (edited(classes=["run"]), "do not agree"),
        (edited(arguments={}), "no 'frame_size'"),
        (edited(arguments=CLASSIFIER.arguments | {"depth": 3}), "no model that can be built"),
        (edited(arguments=CLASSIFIER.arguments | {"hidden_size": "four"}), "no model that can be built"),
        (edited(arguments=CLASSIFIER.arguments | {"hidden_size": 5}), "size mismatch for model.encoder"),
        (edited(arguments=CLASSIFIER.arguments | {"num_layers": 2}), "Missing key(s)"),
    ],
)
def test_damaged_and_foreign_descriptions_are_refused(tmp_path: Path, edit: Callable[[Any], Any], said: str) -> None:
    saved(tmp_path, CLASSIFIER)
    path = tmp_path / "model.json"
    path.write_text(json.dumps(edit(json.loads(path.read_text(encoding="utf-8")))), encoding="utf-8")
    assert said in one_line(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe"])
def test_a_description_that_is_no_json_is_refused(tmp_path: Path, content: bytes) -> None:
    saved(tmp_path, CLASSIFIER)
    (tmp_path / "model.json").write_bytes(content)
    assert "model.json: not a model description" in one_line(tmp_path)


def test_damaged_and_foreign_weights_are_refused(tmp_path: Path) -> None:
    saved(tmp_path, CLASSIFIER)
    path = tmp_path / "model.safetensors"
    whole = path.read_bytes()
    for content in (b"", b"no weights at all", whole[:100], whole[:-3]):
        path.write_bytes(content)
        assert "model.safetensors: cannot be loaded" in one_line(tmp_path)
    path.write_bytes(whole)
    weights = load_file(path)
    save_file({"extra" if name == "model.readout.bias" else name: value for name, value in weights.items()}, path)
    message = one_line(tmp_path)
    assert "model.readout.bias" in message
    assert "extra" in message
    path.unlink()
    assert "cannot be loaded" in one_line(tmp_path)


def test_a_description_is_read_without_its_weights(tmp_path: Path) -> None:
    saved(tmp_path, CLASSIFIER)
    (tmp_path / "model.safetensors").unlink()
    assert read_description(tmp_path) == CLASSIFIER
