"""`vidrep recipes`: the recipes that come with vidrep."""

import json

import typer

from .layout import fields
from .options import AsJson

_COMMANDS = {"pretrain": "train", "finetune": "finetune"}


def recipes_command(as_json: AsJson = False) -> None:
    """List the recipes for --recipe, with a line on each."""
    from vidrep.config.reader import list_recipes

    recipes = {_COMMANDS[kind]: lines for kind, lines in list_recipes().items()}
    if as_json:
        typer.echo(json.dumps(recipes, indent=2))
        return
    for command, lines in recipes.items():
        typer.echo(f"vidrep {command} --recipe NAME")
        typer.echo(fields({f"  {name}": line for name, line in lines.items()}))
