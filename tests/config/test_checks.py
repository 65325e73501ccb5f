"""Checked settings: types, ranges and choices, at construction in Python and in a recipe alike."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pytest

from vidrep.config.checks import Range, Settings, checked
from vidrep.config.doors import make_settings, settings_of_names
from vidrep.errors import ConfigError
from vidrep.models.cells.lstm import LSTMSettings
from vidrep.models.objectives.frame_objective import FrameObjectiveSettings


@dataclass(frozen=True, kw_only=True)
class Example(Settings):
    count: Annotated[int, Range(at_least=1)] = 3
    length: Annotated[int, Range(at_least=0, below=2**63)] | Literal["auto"] = "auto"
    rate: Annotated[float, Range(above=0, below=1)] = 0.5
    size: float = 1.0
    is_on: bool = False
    mode: Literal["fast", "exact"] = "exact"
    name: str = "x"
    names: tuple[str, ...] | Literal["auto"] = "auto"
    section: Mapping[str, Any] = field(default_factory=dict)


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("count", 0, "a whole number at least 1"),
        ("count", "3", "a whole number at least 1"),
        ("count", 3.0, "a whole number at least 1"),
        ("count", True, "a whole number at least 1"),
        ("length", -1, "a whole number at least 0 and below 9.22337e+18 or 'auto'"),
        ("length", 2**63, "a whole number at least 0 and below 9.22337e+18 or 'auto'"),
        ("length", "atuo", "a whole number at least 0 and below 9.22337e+18 or 'auto'"),
        ("rate", 0, "a number above 0 and below 1"),
        ("rate", 1.0, "a number above 0 and below 1"),
        ("rate", float("nan"), "a number above 0 and below 1"),
        ("size", float("inf"), "a number"),
        ("size", float("nan"), "a number"),
        ("size", True, "a number"),
        ("size", "large", "a number"),
        ("is_on", 1, "true or false"),
        ("mode", "slow", "'fast' or 'exact'"),
        ("mode", ["fast"], "'fast' or 'exact'"),
        ("name", 3, "text"),
        ("names", "a", "a list of names or 'auto'"),
        ("names", ["a", 1], "a list of names or 'auto'"),
        ("section", 3, "a section of settings"),
    ],
)
def test_what_a_field_does_not_take_is_refused_with_what_it_takes(key: str, value: Any, allowed: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Example(**{key: value})
    assert str(caught.value) == f"{key} is {value!r}; it takes {allowed}"


def test_a_number_too_large_for_a_float_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"size is 10+; it takes a number"):
        Example(size=10**400)


def test_a_whole_number_becomes_a_float_and_a_list_a_tuple() -> None:
    values: dict[str, Any] = {"size": 5, "names": ["a", "b"], "length": 4}
    example = Example(**values)
    assert (example.size, example.names, example.length) == (5.0, ("a", "b"), 4)
    assert type(example.size) is float
    assert checked(2, Annotated[float, Range(at_least=2)], "x") == 2.0


def test_settings_of_names_are_complete_and_in_the_order_of_the_names() -> None:
    settings = settings_of_names("objective", ["future", "reconstruction"], {"future": {"conditional": True}})
    assert list(settings.items()) == [
        ("future", FrameObjectiveSettings(conditional=True)),
        ("reconstruction", FrameObjectiveSettings()),
    ]
    given = LSTMSettings(peepholes=True)
    assert settings_of_names("cell", ["lstm"], {"lstm": given})["lstm"] is given


@pytest.mark.parametrize(
    ("section", "names", "given", "message"),
    [
        ("cell", ["lstn"], {}, "cell 'lstn' is not registered; did you mean 'lstm'?"),
        ("objective", ["futur"], {}, "objective 'futur' is not registered; did you mean 'future'?"),
        ("transform", ["standardise"], {}, "transform 'standardise' is not registered; did you mean 'standardize'?"),
        ("head", ["every_stp"], {}, "head 'every_stp' is not registered; did you mean 'every_step'?"),
        ("head", ["zzz"], {}, "head 'zzz' is not registered; known are attention, every_step, "),
        ("objective", ["future", "future"], {}, "objective future, future: a name stands there twice"),
        ("cell", ["lstm"], {"gru": {"x": 1}}, "cell.gru has settings, but cell 'gru' is not in use; in use: lstm"),
        ("transform", [], {"pca": {"size": 2}}, "transform 'pca' is not in use; in use: none"),
        ("cell", ["lstm"], {"lstm": {"peephole": True}}, "unknown key cell.lstm.peephole; did you mean 'peepholes'?"),
        ("cell", ["lstm"], {"lstm": {"size": 3}}, "unknown key cell.lstm.size; known are peepholes, activation, "),
        ("cell", ["lstm"], {"lstm": 3}, "cell.lstm is 3; it takes a section of settings"),
        ("cell", ["lstm"], {"lstm": {"peepholes": 1}}, "cell.lstm.peepholes is 1; it takes true or false"),
        ("cell", ["lstm"], {"lstm": FrameObjectiveSettings()}, "cell.lstm is FrameObjectiveSettings("),
        ("head", ["every_step"], {"every_step": {"x": 1}}, "unknown key head.every_step.x; it has no settings"),
    ],
)
def test_settings_that_belong_to_no_name_are_refused(
    section: str, names: list[str], given: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        settings_of_names(section, names, given)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@dataclass(frozen=True)
class PlainSettings:
    """Settings as a plug-in may declare them, without a base."""

    size: Annotated[int, Range(at_least=2)] = 4


def test_a_plain_dataclass_is_checked_too() -> None:
    assert make_settings(PlainSettings, {"size": 5}, "cell.mine") == PlainSettings(size=5)
    with pytest.raises(ConfigError, match=r"^cell\.mine\.size is 1; it takes a whole number at least 2$"):
        make_settings(PlainSettings, {"size": 1}, "cell.mine")
