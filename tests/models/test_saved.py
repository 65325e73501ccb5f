"""Models on disk: exactly what was saved, or one line that gives the reason."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from vidrep.errors import ConfigError, InputError
from vidrep.models.description import ModelDescription, read_description
from vidrep.models.pretrained import PretrainedEncoder, PretrainedEncoders
from vidrep.models.saved import TrainedModel, hash_of_weights, load_model, save_model

ENCODER = {
    "cell": "lstm",
    "hidden_size": 4,
    "num_layers": 2,
    "dropout": 0.1,
    "initialization": "orthogonal",
    "uniform_scale": 0.01,
}
CELL = {"peepholes": True, "activation": "tanh", "forget_bias": 1.0}
PRETRAINING = ModelDescription(
    kind="pretraining",
    frame_shape=[2, 3],
    dtype="uint8",
    likelihood="bernoulli",
    extractor={"kind": "patches", "size": 2},
    transforms={},
    encoder=ENCODER,
    cell=CELL,
    objectives={
        "reconstruction": {"weight": 1.0, "conditional": False},
        "future": {"weight": 0.5, "conditional": True},
    },
    windows={"context": 3, "num_future": 2, "num_reconstructed": 2, "stride": 1},
)
CLASSIFIER = ModelDescription(
    kind="classifier",
    frame_shape=[6],
    dtype="float32",
    likelihood="gaussian",
    extractor={"kind": "import", "source": "x"},
    transforms={"standardize": {}, "pca": {"size": 5}},
    encoder=ENCODER | {"num_layers": 1},
    cell=CELL | {"peepholes": False},
    windows={"length": 3, "stride": 1},
    head={"name": "every_step", "settings": {}, "dropout": 0.5, "transfer": "frozen"},
    classes=["jümp", "run"],
    class_counts=[3, 4],
)


@pytest.fixture(params=[PRETRAINING, CLASSIFIER], ids=["pretraining", "classifier"])
def description(request: pytest.FixtureRequest) -> ModelDescription:
    chosen: ModelDescription = request.param
    return chosen


def saved(folder: Path, description: ModelDescription) -> dict[str, torch.Tensor]:
    """Save a model in which nothing has its initial value; return its state."""
    torch.manual_seed(3)
    state = {name: torch.rand_like(value) for name, value in TrainedModel.build(description).state_dict().items()}
    save_model(folder, description, state)
    return state


def test_a_model_comes_back_exactly_and_ready_for_use(tmp_path: Path, description: ModelDescription) -> None:
    state = saved(tmp_path, description)
    model, found = load_model(tmp_path)
    assert found == description
    assert model.state_dict().keys() == state.keys()
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert not any(module.training for module in model.modules())
    assert {value.device.type for value in model.state_dict().values()} == {"cpu"}
    assert list(model.inputs.transforms) == list(description.transforms)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.json", "model.safetensors"]


def test_a_loaded_model_computes_what_the_saved_one_did(tmp_path: Path, description: ModelDescription) -> None:
    state = saved(tmp_path, description)
    before = TrainedModel.build(description)
    before.load_state_dict(state)
    after, _ = load_model(tmp_path)
    frames = torch.rand(5, 2, 6)
    for one, other in zip(
        before.eval().network.encoder(before.inputs(frames)), after.network.encoder(after.inputs(frames)), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def test_loading_draws_no_random_number(tmp_path: Path, description: ModelDescription) -> None:
    saved(tmp_path, description)
    before = torch.get_rng_state()
    load_model(tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


def test_weights_of_another_type_are_read_in_float32(tmp_path: Path) -> None:
    state = saved(tmp_path, CLASSIFIER)
    save_model(tmp_path, CLASSIFIER, {name: value.half() for name, value in state.items()})
    model, _ = load_model(tmp_path)
    for name, value in model.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, state[name].half().float())


def one_line(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_model(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    assert "no such run folder" in one_line(tmp_path / "none")
    assert "no model.json" in one_line(tmp_path)


Edit = Callable[[Any], Any]


def edited(**changes: Any) -> Edit:
    return lambda content: content | changes


def without(key: str) -> Edit:
    return lambda content: {name: value for name, value in content.items() if name != key}


def edit_description(folder: Path, edit: Edit) -> None:
    path = folder / "model.json"
    path.write_text(json.dumps(edit(json.loads(path.read_text(encoding="utf-8")))), encoding="utf-8")


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda content: "no mapping", "not a model description"),
        (lambda content: {}, "it lacks 'format'"),
        (without("encoder"), "'encoder'"),
        (edited(format="other"), "other version 2; this vidrep reads vidrep-model version 2"),
        (edited(version=1), "vidrep-model version 1; this vidrep reads vidrep-model version 2; train the run again"),
        (edited(surprise=1), "surprise"),
        (edited(kind="tree"), "kind 'tree'; known are pretraining, classifier"),
        (edited(kind=["classifier"]), "not a model description"),
        (edited(windows={"length": 3}), "windows of a classifier have length, stride"),
        (edited(windows=[]), "not a model description"),
        (edited(likelihood="odd"), "likelihood 'odd'"),
        (edited(frame_shape=[0, 4]), "frames of shape [0, 4]"),
        (edited(frame_shape=["x"]), "not a model description"),
        (edited(classes=["run"]), "classes and class_counts do not agree"),
        (edited(encoder={}), "describes no model that can be built"),
        (edited(encoder=CLASSIFIER.encoder | {"depth": 3}), "describes no model that can be built"),
        (edited(encoder=CLASSIFIER.encoder | {"hidden_size": "four"}), "describes no model that can be built"),
        (edited(encoder=CLASSIFIER.encoder | {"hidden_size": -1}), "describes no model that can be built"),
        (edited(head={"name": "every_step"}), "describes no model that can be built"),
        (edited(frame_shape=[7]), "size mismatch for inputs.mean"),
        (edited(encoder=CLASSIFIER.encoder | {"hidden_size": 5}), "size mismatch for network.encoder.cells.0"),
        (edited(encoder=CLASSIFIER.encoder | {"num_layers": 2}), "Missing key(s)"),
        (edited(cell=CLASSIFIER.cell | {"peepholes": True}), "Missing key(s)"),
        (edited(transforms={"standardize": {}}), "Unexpected key(s)"),
    ],
)
def test_damaged_and_foreign_descriptions_are_refused(tmp_path: Path, edit: Edit, message: str) -> None:
    saved(tmp_path, CLASSIFIER)
    edit_description(tmp_path, edit)
    assert message in one_line(tmp_path)


@pytest.mark.parametrize(
    ("description", "edit", "message"),
    [
        (CLASSIFIER, edited(encoder=ENCODER | {"cell": "lstn"}), "cell 'lstn' is not registered"),
        (CLASSIFIER, edited(head=CLASSIFIER.head | {"name": "all"}), "head 'all' is not registered"),
        (CLASSIFIER, edited(transforms={"pcb": {}}), "transform 'pcb' is not registered"),
        (CLASSIFIER, edited(transforms={"pca": {"size": 7}}), "transform.pca.size is 7"),
        (CLASSIFIER, edited(cell=CELL | {"surprise": 1}), "unknown key cell.lstm.surprise"),
        (PRETRAINING, edited(objectives={"futur": {}}), "objective 'futur' is not registered"),
        (PRETRAINING, edited(objectives={"future": {"weight": -1}}), "objective.future.weight is -1"),
    ],
)
def test_names_that_are_not_registered_and_their_settings_are_named(
    tmp_path: Path, description: ModelDescription, edit: Edit, message: str
) -> None:
    saved(tmp_path, description)
    edit_description(tmp_path, edit)
    with pytest.raises(ConfigError) as caught:
        load_model(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'model.json'}: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


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
    weights, renamed = load_file(path), "network.head.projection.bias"
    save_file({"extra" if name == renamed else name: value for name, value in weights.items()}, path)
    message = one_line(tmp_path)
    assert renamed in message
    assert "extra" in message
    path.unlink()
    assert "cannot be loaded" in one_line(tmp_path)


def test_a_description_is_read_without_its_weights(tmp_path: Path) -> None:
    saved(tmp_path, CLASSIFIER)
    (tmp_path / "model.safetensors").unlink()
    assert read_description(tmp_path) == CLASSIFIER


def test_classes_come_composed(tmp_path: Path) -> None:
    saved(tmp_path, replace(CLASSIFIER, classes=["cafe\u0301", "run"]))
    assert read_description(tmp_path).classes == ["caf\u00e9", "run"]


def test_the_hash_is_of_names_shapes_and_values() -> None:
    weights = {"a": torch.arange(6.0), "b": torch.ones(2, 3)}
    found = hash_of_weights(weights)
    assert len(found) == 64
    assert hash_of_weights(dict(reversed(weights.items()))) == found
    others = [
        weights | {"a": torch.arange(6.0) + 1e-6},
        weights | {"a": torch.arange(6.0).view(2, 3)},
        {"a": weights["a"], "c": weights["b"]},
        {"a": weights["a"]},
    ]
    assert len({found, *map(hash_of_weights, others)}) == 5


def test_a_pretrained_encoder_keeps_what_a_fine_tuning_needs_wherever_it_lies(tmp_path: Path) -> None:
    state = saved(tmp_path / "run", PRETRAINING)
    (pretrained,) = PretrainedEncoders.load([tmp_path / "run"]).parts
    assert pretrained.weights.keys() == {name for name in state if name.startswith(("inputs.", "network.encoder."))}
    pretrained.save(tmp_path / "kept")
    again = PretrainedEncoder.load(tmp_path / "kept")
    assert (again.sha256, again.description) == (pretrained.sha256, PRETRAINING)

    model = TrainedModel.build(replace(CLASSIFIER, encoder=PRETRAINING.encoder, cell=CELL, transforms={}))
    PretrainedEncoders([again]).give_weights_to(model.network.encoder)
    for name, value in model.network.encoder.state_dict().items():
        assert torch.equal(value, state[f"network.encoder.{name}"])
    assert torch.equal(again.inputs().mean, state["inputs.mean"])
