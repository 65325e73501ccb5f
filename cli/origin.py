"""Command lines: what a run records of its own, and those that we print, which work as they are."""

import shlex
from collections.abc import Iterable, Sequence
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
    return Origin(command=command_line(*context.meta[WORDS]), options=given)


def command_line(*words: object) -> str:
    """Return what a shell takes as `vidrep` with these words."""
    return shlex.join(["vidrep", *map(str, words)])


def plugin_words(plugins: Sequence[str] | None) -> Iterable[str]:
    """Return the options that load plug-ins."""
    return [word for module in plugins or [] for word in ("--plugin", module)]


def changed_output(command: str, output: str, *words: object) -> str:
    """Return a command line with another output, which is not to be replaced, and more words."""
    kept: list[str] = []
    for word in shlex.split(command)[1:]:
        is_value = kept[-1:] in (["-o"], ["--output"])
        is_output = word.startswith("--output=") or (word.startswith("-o") and word != "-o")
        kept += [output] if is_value else ["-o", output] if is_output else [word] * (word != "--overwrite")
    return command_line(*kept, *words)
