"""`vidrep info`: what is in a file or folder of ours."""

from pathlib import Path
from typing import Annotated

import typer

from . import console
from .completion import run_folders
from .help import input_option
from .layout import fields
from .options import AsJson, PluginOptions


def info_command(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH",
            help="A feature file, a folder of parts, or a run.",
            show_default=False,
            autocompletion=run_folders,
        ),
    ],
    plugins: PluginOptions,
    verify: Annotated[bool, input_option("--verify", help="Check the checksum of every video's rows.")] = False,
    as_json: AsJson = False,
) -> None:
    """Describe a feature file or a run folder."""
    from vidrep.inference.info import info

    description = info(path, verify=verify)
    typer.echo(console.as_json(description) if as_json else fields(description))
