"""`vidrep info`: what is in a file or folder of ours."""

from pathlib import Path
from typing import Annotated, Any

import typer

from . import console
from .completion import run_folders
from .help import input_option
from .layout import fields, table
from .options import AsJson, PluginOptions


def info_command(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH",
            help="A feature file, a folder of parts, a run, or a folder of runs, which are listed beside each other.",
            show_default=False,
            autocompletion=run_folders,
        ),
    ],
    plugins: PluginOptions,
    verify: Annotated[bool, input_option("--verify", help="Check the checksum of every video's rows.")] = False,
    as_json: AsJson = False,
) -> None:
    """Describe a feature file, a run, or all runs in a folder."""
    from vidrep.inference.info import info

    description = info(path, verify=verify)
    if as_json:
        typer.echo(console.as_json(description))
    else:
        typer.echo(_beside_each_other(description["runs"]) if "runs" in description else fields(description))


def _beside_each_other(runs: dict[str, dict[str, Any]]) -> str:
    """Lay out runs, a column each: names of what they have to the left."""
    names = list(dict.fromkeys(name for run in runs.values() for name in run))
    rows = [[name, *(str(run.get(name, "-")) for run in runs.values())] for name in names]
    return table(["", *runs], rows)
