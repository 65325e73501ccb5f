"""The application and its commands."""

from collections.abc import Callable
from typing import Annotated

import typer

from vidrep import __version__

from .annotations import annotations_command
from .check import check_command
from .compare import compare_command
from .console import replace_what_cannot_be_encoded
from .demo import demo_command
from .evaluate import evaluate_command
from .export_features import export_features_command
from .extract import app as extract_app
from .finetune import finetune_command
from .group import CONTEXT_SETTINGS, VidrepGroup, add_command
from .import_ import import_command
from .info import info_command
from .predict import predict_command
from .recipes import recipes_command
from .reproduce import reproduce_command
from .sample import sample_command
from .study import study_command
from .symbols import symbols_command
from .train import train_command

app = typer.Typer(
    cls=VidrepGroup,
    help="Turn a folder of videos into features, learn from them without labels, classify with few.",
    no_args_is_help=True,
    context_settings=CONTEXT_SETTINGS,
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
        bool,
        typer.Option("--version", "-V", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Turn a folder of videos into features, learn from them without labels, classify with few."""


_COMMANDS: dict[str, Callable[..., None]] = {
    "import": import_command,
    "export-features": export_features_command,
    "check": check_command,
    "annotations": annotations_command,
    "train": train_command,
    "finetune": finetune_command,
    "evaluate": evaluate_command,
    "compare": compare_command,
    "study": study_command,
    "predict": predict_command,
    "symbols": symbols_command,
    "info": info_command,
    "recipes": recipes_command,
    "sample": sample_command,
    "demo": demo_command,
    "reproduce": reproduce_command,
}
app.add_typer(extract_app, name="extract")
for _name, _command in _COMMANDS.items():
    add_command(app, _name, _command)


def main() -> None:
    """Run the application: the console script."""
    replace_what_cannot_be_encoded()
    app()
