"""The five doors: names, the nearest one, what is refused, and who has a name."""

from typing import Any

import pytest
import torch
from toy_cell import ToyCell

from vidrep.errors import ConfigError
from vidrep.models.cells.cell import Cell
from vidrep.models.cells.lstm import LSTMCell
from vidrep.models.heads.head import Head
from vidrep.models.objectives.future import FuturePrediction
from vidrep.models.objectives.objective import Objective
from vidrep.models.transforms.standardize import Standardize
from vidrep.models.transforms.transform import Transform
from vidrep.registry import CELLS, EXTRACTORS, HEADS, OBJECTIVES, TRANSFORMS, Registry

DOORS = {"cell": CELLS, "objective": OBJECTIVES, "head": HEADS, "transform": TRANSFORMS, "extractor": EXTRACTORS}


@pytest.fixture(autouse=True)
def _registries_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    for registry in DOORS.values():
        monkeypatch.setattr(registry, "_registered", dict(registry._registered))


def test_what_vidrep_itself_registers() -> None:
    assert set(CELLS.names()) >= {"lstm"}
    assert set(OBJECTIVES.names()) >= {"reconstruction", "future"}
    assert set(HEADS.names()) >= {"every_step"}
    assert set(TRANSFORMS.names()) >= {"standardize", "center_clip", "pca"}
    assert set(EXTRACTORS.names()) >= {"patches", "cnn"}
    assert CELLS["lstm"] is LSTMCell and OBJECTIVES["future"] is FuturePrediction
    assert "lstm" in CELLS and "future" not in CELLS


@pytest.mark.parametrize("kind", DOORS)
def test_every_built_in_name_leads_to_a_complete_class_of_its_kind(kind: str) -> None:
    registry = DOORS[kind]
    for name in registry._built_in:
        registry._require_complete(name, registry[name])
        assert registry.name_of(registry[name]) == name


@pytest.mark.parametrize(
    ("kind", "wrong", "nearest"),
    [
        ("cell", "lstn", "lstm"),
        ("objective", "futur", "future"),
        ("head", "every_stp", "every_step"),
        ("transform", "standardise", "standardize"),
        ("extractor", "patch", "patches"),
    ],
)
def test_an_unknown_name_gets_the_nearest_one(kind: str, wrong: str, nearest: str) -> None:
    with pytest.raises(ConfigError) as caught:
        DOORS[kind][wrong]
    message = str(caught.value)
    assert message.startswith(f"{kind} {wrong!r} is not registered; ")
    assert nearest in message.partition(";")[2]
    assert message.endswith("a plug-in's needs --plugin MODULE")
    assert "\n" not in message


def test_a_name_like_no_other_gets_all_names() -> None:
    with pytest.raises(ConfigError, match=r"cell 'qqqq' is not registered; known are .*lstm"):
        CELLS["qqqq"]


def test_a_registered_class_is_found_by_its_name() -> None:
    CELLS.register("toy")(ToyCell)
    assert CELLS["toy"] is ToyCell
    assert "toy" in CELLS and "toy" in CELLS.names()
    assert CELLS.name_of(ToyCell) == "toy"


def test_the_decorator_returns_the_class() -> None:
    @TRANSFORMS.register("shift")
    class Shift(Transform):
        def forward(self, frames: torch.Tensor, observed: torch.Tensor | None = None) -> torch.Tensor:
            return frames + 1

    assert Shift(3, None)(torch.zeros(1)).item() == 1
    assert TRANSFORMS["shift"] is Shift


class NothingCell(Cell):
    pass


class HalfCell(Cell):
    def initial_state(self, batch_size: int, device: torch.device) -> Any:
        return None


class NothingObjective(Objective):
    pass


class NothingHead(Head):
    pass


class NothingTransform(Transform):
    pass


@pytest.mark.parametrize(
    ("registry", "entry", "missing"),
    [
        (CELLS, NothingCell, "forward, initial_state"),
        (CELLS, HalfCell, "forward"),
        (OBJECTIVES, NothingObjective, "forward"),
        (HEADS, NothingHead, "forward"),
        (TRANSFORMS, NothingTransform, "forward"),
    ],
)
def test_a_class_that_lacks_a_method_is_refused_and_the_method_named(
    registry: Registry, entry: type[Any], missing: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        registry.register("mine")(entry)
    assert str(caught.value) == f"{registry.kind} 'mine': {__name__}.{entry.__name__} lacks {missing}"
    assert "mine" not in registry


@pytest.mark.parametrize("entry", [Standardize, dict, torch.nn.LSTM, lambda: None])
def test_a_class_of_another_kind_is_refused(entry: Any) -> None:
    with pytest.raises(ConfigError, match=r"cell 'mine': .* does not derive from vidrep\.models\.cells\.cell\.Cell"):
        CELLS.register("mine")(entry)
    assert "mine" not in CELLS


def test_a_name_has_one_class() -> None:
    CELLS.register("toy")(ToyCell)

    class Other(ToyCell):
        pass

    for name in ("toy", "lstm"):
        with pytest.raises(ConfigError, match=rf"cell '{name}' is registered already; give .*Other another name"):
            CELLS.register(name)(Other)
    assert CELLS["toy"] is ToyCell and CELLS["lstm"] is LSTMCell


def test_a_module_that_is_imported_again_may_register_its_class_again() -> None:
    CELLS.register("toy")(ToyCell)
    again = type("ToyCell", (ToyCell,), {"__module__": ToyCell.__module__, "__qualname__": "ToyCell"})
    CELLS.register("toy")(again)
    assert CELLS["toy"] is again


def test_a_class_without_a_name_has_that_of_its_nearest_ancestor() -> None:
    class Mine(LSTMCell):
        pass

    assert CELLS.name_of(Mine) == "lstm"
    with pytest.raises(ConfigError, match="ToyCell is no registered cell; register it under a name"):
        CELLS.name_of(ToyCell)
