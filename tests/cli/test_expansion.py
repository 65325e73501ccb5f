"""Groups of options become the options of a command."""

import inspect
from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from vidrep_cli.expansion import expanded


@dataclass(frozen=True, kw_only=True)
class Size:
    width: Annotated[int, typer.Option("--width", help="Width.")]
    height: Annotated[int, typer.Option("--height", help="Height.")] = 2

    @property
    def area(self) -> int:
        return self.width * self.height


def test_a_command_gets_its_groups_built() -> None:
    def declared(name: str, size: Size, loud: bool = False) -> None:
        """Print."""
        typer.echo(f"{name} {size.area} {loud}")

    command = expanded(declared)
    parameters = inspect.signature(command).parameters
    assert list(parameters) == ["name", "width", "height", "loud"]
    assert command.__doc__ == "Print."
    app = typer.Typer(rich_markup_mode=None)
    app.command()(command)
    assert CliRunner().invoke(app, ["x", "--width", "3"]).stdout == "x 6 False\n"
    assert CliRunner().invoke(app, ["x", "--width", "3", "--height", "5", "--loud"]).stdout == "x 15 True\n"
    assert CliRunner().invoke(app, ["x"]).exit_code == 2  # width has no default


def test_two_groups_cannot_have_an_option_of_the_same_name() -> None:
    def command(size: Size, other: Size) -> None:
        """Print."""

    with pytest.raises(ValueError, match="duplicate parameter name: 'width'"):
        expanded(command)
