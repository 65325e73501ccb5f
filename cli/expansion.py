"""Commands that take groups of options: a group is a dataclass whose fields are the options."""

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, is_dataclass
from inspect import Parameter, Signature
from typing import Any


def expanded(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command with each parameter that is a group replaced by the options of that group.

    Typer reads the new signature; `command` itself is called with the groups, built from their options' values.
    """
    declared = inspect.signature(command).parameters.values()
    groups: dict[str, Any] = {one.name: one.annotation for one in declared if is_dataclass(one.annotation)}
    parameters = [option for one in declared for option in _options(one)]

    @functools.wraps(command)
    def call(**values: Any) -> None:
        built = {
            name: group(**{one.name: values.pop(one.name) for one in fields(group)}) for name, group in groups.items()
        }
        command(**built, **values)

    call.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {one.name: one.annotation for one in parameters}
    return call


def _options(declared: Parameter) -> Iterator[Parameter]:
    if not is_dataclass(declared.annotation):
        yield declared.replace(kind=Parameter.KEYWORD_ONLY)
        return
    for one in fields(declared.annotation):
        default = Parameter.empty if one.default is MISSING else one.default
        yield Parameter(one.name, Parameter.KEYWORD_ONLY, annotation=one.type, default=default)
