"""Weights are had from files strictly, and what does not fit is said in one line."""

from collections.abc import Callable
from pathlib import Path
from typing import NoReturn
from urllib.error import URLError

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torchvision import models

from vidrep.errors import WeightsError
from vidrep.extraction.extractors.weights import fit_state, load_network, read_state, sha256_of_state


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    """Random weights of squeezenet1_1, other than those of `none`."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        return {name: value.clone() for name, value in models.squeezenet1_1(weights=None).state_dict().items()}


def saved(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def refusal(model: str, weights: str | Path) -> str:
    with pytest.raises(WeightsError) as caught:
        load_network(model, str(weights))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_random_weights_are_always_the_same() -> None:
    before = torch.get_rng_state()
    first, origin = load_network("squeezenet1_1", "none")
    torch.manual_seed(99)
    second, _ = load_network("squeezenet1_1", "none")
    assert origin == "random, seed 0"
    assert sha256_of_state(first.state_dict()) == sha256_of_state(second.state_dict())
    torch.set_rng_state(before)


def test_any_file_of_the_same_weights_has_the_same_hash(tmp_path: Path, state: dict[str, Tensor]) -> None:
    save_file(state, tmp_path / "a.safetensors")
    files = [
        tmp_path / "a.safetensors",
        saved(tmp_path / "a.pth", state),
        saved(tmp_path / "b.pt", {"state_dict": state, "epoch": 3}),
        saved(tmp_path / "c.pth", {"model": {f"module.{name}": value for name, value in state.items()}}),
    ]
    networks = [load_network("squeezenet1_1", str(file)) for file in files]
    assert {origin for _, origin in networks} == {"file"}
    hashes = {sha256_of_state(network.state_dict()) for network, _ in networks}
    assert hashes == {sha256_of_state(state)}


def test_a_hash_depends_on_names_shapes_types_and_values() -> None:
    base = {"a": torch.arange(6.0), "n": torch.tensor(3)}
    others = [
        {"b": torch.arange(6.0), "n": torch.tensor(3)},
        {"a": torch.arange(6.0).reshape(2, 3), "n": torch.tensor(3)},
        {"a": torch.arange(6.0).double(), "n": torch.tensor(3)},
        {"a": torch.arange(1.0, 7.0), "n": torch.tensor(3)},
        {"a": torch.arange(6.0), "n": torch.tensor(4)},
    ]
    assert len({sha256_of_state(one) for one in [base, *others]}) == 6
    assert sha256_of_state(base) == sha256_of_state(dict(reversed(base.items())))


def test_unknown_models_are_answered_with_near_names() -> None:
    assert "no classification model 'resnet19'; did you mean 'resnet18'" in refusal("resnet19", "none")
    assert "list_models()` names them all" in refusal("zzzz", "none")
    assert "no classification model 'fcn_resnet50'" in refusal("fcn_resnet50", "none")


def test_weights_of_another_model_are_named(tmp_path: Path, state: dict[str, Tensor]) -> None:
    path = saved(tmp_path / "a.pth", state)
    message = refusal("resnet18", path)
    assert f"do not fit resnet18 from {path}: missing conv1.weight, bn1.weight" in message
    assert "; unexpected features.0.weight, " in message
    assert "more; give the weights of this very model" in message
    some = {name: value for name, value in state.items() if name != "features.0.bias"}
    assert "missing features.0.bias; give" in refusal("squeezenet1_1", saved(tmp_path / "b.pth", some))
    assert "unexpected extra; give" in refusal(
        "squeezenet1_1", saved(tmp_path / "c.pth", {**state, "extra": state["features.0.bias"]})
    )
    assert "missing" in refusal("squeezenet1_1", saved(tmp_path / "d.pth", {}))


def test_a_shape_that_differs_is_named(tmp_path: Path, state: dict[str, Tensor]) -> None:
    path = saved(tmp_path / "a.pth", {**state, "classifier.1.bias": torch.zeros(10)})
    assert "classifier.1.bias has shape (10,), the model (1000,)" in refusal("squeezenet1_1", path)
    with pytest.raises(WeightsError, match="weights do not fit it: weight has shape"):
        fit_state(torch.nn.Linear(2, 3, bias=False), {"weight": torch.zeros(2, 2)}, what="it")


class Evil:
    def __reduce__(self) -> tuple[Callable[..., None], tuple[str]]:
        return print, ("this must not run",)


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".safetensors"])
def test_what_is_no_file_of_weights(tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no such file; --weights takes DEFAULT, none or a file" in refusal("squeezenet1_1", tmp_path / f"a{suffix}")
    for content in (b"", b"text that is no weights", bytes(1000)):
        (tmp_path / f"a{suffix}").write_bytes(content)
        assert "not a state dictionary that can be read safely" in refusal("squeezenet1_1", tmp_path / f"a{suffix}")
    assert "no such file" in refusal("squeezenet1_1", tmp_path)


def test_a_file_of_other_things(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for content in ([1, 2], {"a": 1}, {0: torch.zeros(1)}, torch.zeros(3)):
        message = refusal("squeezenet1_1", saved(tmp_path / "a.pth", content))
        assert "it holds no state dictionary (names with tensors)" in message
    message = refusal("squeezenet1_1", saved(tmp_path / "evil.pth", {"a": Evil()}))
    assert "cannot" not in capsys.readouterr().out
    assert "can be read safely" in message
    assert capsys.readouterr().out == ""


def test_state_is_read_without_wrappers(tmp_path: Path) -> None:
    read = read_state(saved(tmp_path / "a.pth", {"state_dict": {"module.a": torch.arange(3)}}))
    assert list(read) == ["a"]
    np.testing.assert_array_equal(read["a"].numpy(), [0, 1, 2])
    wrapped = saved(tmp_path / "b.pth", {"model_state_dict": {"_orig_mod.module.model.b": torch.ones(1)}, "epoch": 1})
    assert list(read_state(wrapped)) == ["b"]
    twice = saved(tmp_path / "c.pth", {"module.a": torch.ones(1), "a": torch.zeros(1)})
    assert "names differ only in module. or model. or _orig_mod.; save one" in refusal("squeezenet1_1", twice)


def test_a_file_that_wraps_itself_is_refused(tmp_path: Path) -> None:
    content: dict[str, object] = {}
    content["model"] = content
    assert "it holds no state dictionary" in refusal("squeezenet1_1", saved(tmp_path / "a.pth", content))


@pytest.mark.parametrize("failure", [URLError("Name or service not known"), RuntimeError("invalid hash"), EOFError()])
def test_a_closed_network_says_which_file_to_put_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def fail(*arguments: object, **options: object) -> NoReturn:
        raise failure

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fail)
    message = refusal("squeezenet1_1", "DEFAULT")
    assert "could not be downloaded" in message
    assert f"put the file squeezenet1_1-b8a52dc0.pth into {tmp_path / 'checkpoints'}, or give --weights FILE" in message


def test_default_weights_are_torchvisions_best(monkeypatch: pytest.MonkeyPatch, state: dict[str, Tensor]) -> None:
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", lambda *arguments, **options: state)
    network, origin = load_network("squeezenet1_1", "DEFAULT")
    assert origin == "SqueezeNet1_1_Weights.IMAGENET1K_V1"
    assert sha256_of_state(network.state_dict()) == sha256_of_state(state)
