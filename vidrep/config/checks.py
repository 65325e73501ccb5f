"""Checked settings: frozen dataclasses whose fields declare what they take.

    @dataclass(frozen=True, kw_only=True)
    class MySettings(Settings):
        size: Annotated[int, Range(at_least=1)] = 32
        mode: Literal["fast", "exact"] = "exact"

The type and the range of every field are checked at construction, in Python and in a recipe alike.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from ..errors import ConfigError

_LARGEST_FLOAT = 1e30
_TYPE_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


@dataclass(frozen=True, kw_only=True)
class Range:
    """The numbers that a field takes."""

    at_least: float | None = None
    above: float | None = None
    below: float | None = None
    at_most: float | None = None

    def __contains__(self, value: float) -> bool:
        return (
            (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
            and (self.at_most is None or value <= self.at_most)
        )

    def __str__(self) -> str:
        bounds = {"at least": self.at_least, "above": self.above, "below": self.below, "at most": self.at_most}
        return " and ".join(f"{word} {bound:g}" for word, bound in bounds.items() if bound is not None)


class Settings:
    """Base of settings: checks every field when an instance is made.

    Raises ConfigError, naming the field, for a value of another type, outside its range or not among its choices.
    """

    def __post_init__(self) -> None:
        for name, kind in field_types(type(self)).items():
            object.__setattr__(self, name, checked(getattr(self, name), kind, name))


@dataclass(frozen=True, kw_only=True)
class NoSettings(Settings):
    """Nothing can be set."""


def field_types(settings: type[Any]) -> dict[str, Any]:
    """Return the types of a dataclass' fields, with their ranges."""
    hints = get_type_hints(settings, include_extras=True)
    return {one.name: hints[one.name] for one in fields(settings)}


def checked(value: Any, kind: Any, key: str) -> Any:
    """Return a value as its field holds it: a whole number where a float is wanted becomes one, a list a tuple."""
    choices = list(_choices(kind))
    for choice in choices:
        fits, result = _fitted(value, choice)
        if fits:
            return result
    allowed = " or ".join(dict.fromkeys(map(_in_words, choices)))
    raise ConfigError(f"{key} is {value!r}; it takes {allowed}")


def _choices(kind: Any) -> Iterator[Any]:
    if get_origin(kind) in (Union, UnionType):
        for one in get_args(kind):
            yield from _choices(one)
    else:
        yield kind


def _fitted(value: Any, kind: Any) -> tuple[bool, Any]:
    """Return whether a value fits one alternative of a type, and the value to hold."""
    origin = get_origin(kind)
    if origin is Annotated:
        plain, *limits = get_args(kind)
        fits, value = _fitted(value, plain)
        return fits and all(value in limit for limit in limits if isinstance(limit, Range)), value
    if origin is Literal:
        return any(type(value) is type(one) and value == one for one in get_args(kind)), value
    if origin is tuple:
        element = get_args(kind)[0]
        is_list = isinstance(value, list | tuple) and all(_fitted(one, element)[0] for one in value)
        return is_list, tuple(value) if is_list else value
    if origin is Mapping:
        return isinstance(value, Mapping), value
    if kind is float and type(value) in (int, float):
        fits = abs(value) <= _LARGEST_FLOAT  # which NaN is not
        return fits, float(value) if fits else value
    if kind in _TYPE_NAMES:
        return type(value) is kind, value
    return not (isinstance(kind, type) and is_dataclass(kind)) or isinstance(value, kind), value


def _in_words(kind: Any) -> str:
    origin = get_origin(kind)
    if origin is Annotated:
        plain, *limits = get_args(kind)
        return " ".join([_in_words(plain), *(str(limit) for limit in limits if isinstance(limit, Range))])
    if origin is Literal:
        return " or ".join(map(repr, get_args(kind)))
    if origin is tuple:
        element = get_args(kind)[0]
        return "a list of names" if element is str else f"a list of {_in_words(element)}"
    if origin is Mapping:
        return "a section of settings"
    return _TYPE_NAMES.get(kind, f"settings of type {getattr(kind, '__name__', kind)}")


def require(condition: bool, message: str) -> None:
    """Raise ConfigError with a message unless a condition holds."""
    if not condition:
        raise ConfigError(message)
