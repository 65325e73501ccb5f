"""`vidrep info`: what is in a file or folder of ours."""

import json
from pathlib import Path
from typing import Annotated

import typer

from . import console
from .options import AsJson


def info_command(
    path: Annotated[Path, typer.Argument(help="A feature file, a folder of parts, or a run.", show_default=False)],
    verify: Annotated[bool, typer.Option("--verify", help="Check the checksum of every video's rows.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what is in a feature file or a run folder."""
    from vidrep.inference.info import info

    description = info(path, verify=verify)
    typer.echo(json.dumps(description, indent=2, ensure_ascii=False) if as_json else console.fields(description))
