"""The application and its commands."""

from typing import Annotated

import typer

from vidrep import __version__

from . import demo, evaluate, extract, finetune, import_, info, predict, sample, train
from .group import VidrepGroup

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
