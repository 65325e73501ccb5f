"""The group that commands belong to: quick help, and errors as one line and an exit code."""

import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from vidrep.errors import OutputError, VidrepError

from .console import note

EXIT_INTERRUPTED = 130


class VidrepGroup(TyperGroup):
    """Turns errors that vidrep raises on purpose into one line on standard error and their exit code."""

    def get_help_option(self, ctx: Any) -> Any:
        """Return --help, off rather than unset where it is not given: Typer would import pydantic (0.1 s) for that."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.default = False
        return option

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except VidrepError as error:
            note(f"vidrep: {' '.join(str(error).split())}")
            raise typer.Exit(error.exit_code) from error
        except BrokenPipeError as error:
            # Whoever read our results has gone, as `head` does; nothing is left to say, at exit neither.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from error
        except OSError as error:
            # What the system refuses (a full disk, no permission) is the user's to mend, not a bug of ours.
            place = f"{error.filename}: " if error.filename else ""
            note(f"vidrep: {place}{error.strerror or error}; what was finished before is kept")
            raise typer.Exit(OutputError.exit_code) from error
        except KeyboardInterrupt as error:
            note("vidrep: interrupted; extract goes on with the same command, train and finetune with --resume too")
            raise typer.Exit(EXIT_INTERRUPTED) from error
