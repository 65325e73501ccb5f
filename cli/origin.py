"""Where a training comes from: what its run records of the command line."""

import shlex
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from vidrep.training.history import Origin

WORDS = "vidrep.words"
"""Under which the context of a command keeps the words of the command line."""


def origin_of(context: typer.Context, **options: Any) -> "Origin":
    """Return what a run records: the command line, and the options that name its data, but those that are None."""
    from vidrep.training.history import Origin

    given = {name: value for name, value in options.items() if value is not None}
    return Origin(command=shlex.join(["vidrep", *context.meta[WORDS]]), options=given)
