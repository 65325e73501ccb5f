"""How tests run a command, and what they expect of one that fails."""

from typer.main import get_command
from typer.testing import CliRunner

from vidrep_cli.main import app


def vidrep(*arguments: object) -> tuple[int, str, str]:
    """Run a command in this process; return its exit code, standard output and standard error."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def one_line(arguments: list[object], code: int, *words: str) -> None:
    """Assert that a command fails with this exit code and one line that holds these words."""
    got_code, _, stderr = vidrep(*arguments)
    lines = [line for line in stderr.splitlines() if line.startswith("vidrep: ")]
    assert got_code == code, stderr
    assert len(lines) == 1, stderr
    assert "Traceback" not in stderr
    for word in words:
        assert word in lines[0], lines[0]


def all_commands() -> list[tuple[str, ...]]:
    """Return the words of every command, groups included."""
    found: list[tuple[str, ...]] = [()]
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        found.append((name,))
        found += [(name, sub) for sub in getattr(command, "commands", {})]
    return found
