"""`--help`: options under headings, in one fixed order.

An option is declared with one of the functions below in place of `typer.Option`; which one decides its heading.
"""

import re
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

_INPUT, _SAMPLING, _FEATURES, _LABELS, _TRAINING, _EVALUATION, _OUTPUT, _SPEED, _OTHER = _HEADINGS = (
    "Input",
    "Sampling",
    "Features",
    "Labels and splits",
    "Training",
    "Evaluation",
    "Output",
    "Speed",
    "Other",
)
input_option = partial(typer.Option, rich_help_panel=_INPUT)
sampling_option = partial(typer.Option, rich_help_panel=_SAMPLING)
features_option = partial(typer.Option, rich_help_panel=_FEATURES)
labels_option = partial(typer.Option, rich_help_panel=_LABELS)
training_option = partial(typer.Option, rich_help_panel=_TRAINING)
evaluation_option = partial(typer.Option, rich_help_panel=_EVALUATION)
output_option = partial(typer.Option, rich_help_panel=_OUTPUT)
speed_option = partial(typer.Option, rich_help_panel=_SPEED)
other_option = partial(typer.Option, rich_help_panel=_OTHER)

# What stands for a value, unless an option names it, in place of Typer's "<int range>".
_VALUES = {"int": "N", "float": "X", "str": "NAME", "path": "PATH"}
_TYPE = re.compile(r"<(int|float|str|path)( range)?>")
# The widest first column; what is longer has its text on the next line.
_MOST_COLUMNS = 30


class _Formatter(Protocol):
    def section(self, name: str) -> Any: ...

    def write_dl(self, rows: "Sequence[tuple[str, str]]", col_max: int = ...) -> None: ...


def write_parameters(context: typer.Context, formatter: _Formatter) -> None:
    """Write a command's arguments, then its options under their headings, with all texts in one column."""
    sections: dict[str, list[tuple[str, str]]] = {"Arguments": [], **{heading: [] for heading in _HEADINGS}}
    for parameter in context.command.get_params(context):
        if (record := parameter.get_help_record(context)) is not None:
            name, text = record
            if parameter.param_type_name == "argument":
                sections["Arguments"].append((name.partition(" <")[0], text))
            else:
                heading = getattr(parameter, "rich_help_panel", None) or _OTHER
                sections[heading].append((_TYPE.sub(lambda match: _VALUES[match[1]], name), text))
    width = min(_MOST_COLUMNS, max(len(name) for records in sections.values() for name, _ in records))
    for heading, records in sections.items():
        if records:
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(width), text) for name, text in records], col_max=_MOST_COLUMNS)
