"""The groups and commands of the application: quick help under headings, and errors as one line and an exit code."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any

import typer
from typer.core import TyperCommand, TyperGroup

from vidrep.errors import OutputError, VidrepError

from .console import note
from .expansion import expanded
from .help import write_parameters
from .origin import WORDS
from .refusals import remedy

EXIT_INTERRUPTED = 130
_WHOLE_SENTENCE = 1000
CONTEXT_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class VidrepCommand(TyperCommand):
    """A command whose help has its options under headings."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments and options."""
        write_parameters(ctx, formatter)


class VidrepGroup(TyperGroup):
    """Turns errors that vidrep raises on purpose into one line on standard error and their exit code."""

    def get_params(self, ctx: Any) -> Any:
        """Return the options, with flags off rather than unset: for None, Typer would import pydantic (0.1 s)."""
        params = super().get_params(ctx)
        for option in params:
            if getattr(option, "is_flag", False) and option.default is None:
                option.default = False
        return params

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the commands in the order of use, in which they were added; groups come first."""
        return sorted(self.commands, key=lambda name: not isinstance(self.commands[name], TyperGroup))

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write each command with the whole first sentence of its help."""
        texts = {
            name: self.commands[name].get_short_help_str(limit=_WHOLE_SENTENCE) for name in self.list_commands(ctx)
        }
        with formatter.section("Commands"):
            formatter.write_dl(list(texts.items()))

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write commands, then options."""
        self.format_commands(ctx, formatter)
        write_parameters(ctx, formatter)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the command line."""
        words = ctx.meta.setdefault(WORDS, tuple(args))
        with _errors_as_exit_codes(words):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        with _errors_as_exit_codes(ctx.meta[WORDS]):
            return super().invoke(ctx)


@contextmanager
def _errors_as_exit_codes(words: Sequence[str]) -> Iterator[None]:
    """Print an error that the user can act on as one line, and exit with its code; a bug of ours passes through.

    words: of the command line.
    """
    try:
        yield
    except VidrepError as error:
        note(f"vidrep: {' '.join(str(error).split())}")
        raise typer.Exit(error.exit_code) from error
    except BrokenPipeError as error:
        # The reader of our results has ended, as `head` does.
        _discard(sys.stdout)
        raise typer.Exit(0) from error
    except OSError as error:
        if (advice := remedy(error, words)) is None:
            raise
        if error.filename is None:
            _discard(sys.stdout)  # it may be what cannot be written, and is flushed again at exit
        place = f"{os.fsdecode(error.filename)}: " if error.filename else ""
        note(f"vidrep: {place}{error.strerror}; {advice}")
        raise typer.Exit(OutputError.exit_code) from error
    except KeyboardInterrupt as error:
        note("vidrep: interrupted; extract goes on with the same command, train and finetune with --resume too")
        raise typer.Exit(EXIT_INTERRUPTED) from error


def _discard(stream: IO[str]) -> None:
    """Send what a stream still holds, and gets from now on, nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def add_command(app: typer.Typer, name: str, command: Callable[..., None]) -> None:
    """Add a command, whose parameters may be groups of options, to an application."""
    app.command(name, cls=VidrepCommand)(expanded(command))
