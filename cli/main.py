"""The application: its commands, and how an error becomes one line and an exit code."""

import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from vidrep import __version__
from vidrep.errors import OutputError, VidrepError

from . import demo, evaluate, extract, finetune, import_, info, predict, sample, train

EXIT_INTERRUPTED = 130


class VidrepGroup(TyperGroup):
    """Turns errors that vidrep raises on purpose into one line on standard error and their exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except VidrepError as error:
            typer.echo(f"vidrep: {' '.join(str(error).split())}", err=True)
            raise typer.Exit(error.exit_code) from error
        except BrokenPipeError as error:
            # Whoever read our output has gone, as `head` does; nothing is left to say, at exit neither.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from error
        except OSError as error:
            # What the system refuses (a full disk, no permission) is the user's to mend, not a bug of ours.
            place = f"{error.filename}: " if error.filename else ""
            typer.echo(f"vidrep: {place}{error.strerror or error}; what was finished before is kept", err=True)
            raise typer.Exit(OutputError.exit_code) from error
        except KeyboardInterrupt as error:
            typer.echo(
                "vidrep: interrupted; extract goes on with the same command, train and finetune with --resume too",
                err=True,
            )
            raise typer.Exit(EXIT_INTERRUPTED) from error


app = typer.Typer(
    cls=VidrepGroup,
    help="Turn a folder of videos into features, learn from them without labels, classify with few.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,  # help drawn by rich takes 0.1 s to import
    pretty_exceptions_show_locals=False,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"vidrep {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Turn a folder of videos into features, learn from them without labels, classify with few."""


app.add_typer(extract.app, name="extract")
app.command("import")(import_.import_command)
app.command("train")(train.train_command)
app.command("finetune")(finetune.finetune_command)
app.command("evaluate")(evaluate.evaluate_command)
app.command("predict")(predict.predict_command)
app.command("info")(info.info_command)
app.command("sample")(sample.sample_command)
app.command("demo")(demo.demo_command)


def main() -> None:
    """Run the application: the console script."""
    app()
