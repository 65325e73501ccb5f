"""The docs say what is: names, commands, options and codes in them exist."""

import importlib
import re
from pathlib import Path

import pytest
from typer.main import get_command

import vidrep
from vidrep import errors
from vidrep_cli.main import app

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "data" / "README.md"]


def commands_in(page: Path) -> list[list[str]]:
    """Return the words of every `vidrep ...` line in a page."""
    text = page.read_text(encoding="utf-8")
    lines = re.findall(r"^(?:    |\$ |    \$ )(vidrep [^\n#|]*)", text, flags=re.MULTILINE)
    return [line.split() for line in lines]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_options_in_the_docs_exist(page: Path) -> None:
    for words in commands_in(page):
        command, rest = get_command(app), words[1:]
        while rest and rest[0] in getattr(command, "commands", {}):
            command = command.commands[rest[0]]  # type: ignore[attr-defined]
            rest = rest[1:]
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        known |= {"--help", "--version"}
        for word in rest:
            if word.startswith("-") and word != "-":
                assert word.split("=")[0] in known, f"{page.name}: {' '.join(words)}: {word}"


def test_the_docs_show_commands() -> None:
    assert sum(len(commands_in(page)) for page in PAGES) >= 18


def test_public_names_are_there_and_documented() -> None:
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    names = [name for name in vidrep.__all__ if name != "__version__"]
    assert len(names) > 10
    for name in names:
        assert getattr(vidrep, name).__doc__, name
        assert name in page, f"{name} is not in docs/python.md"
    with pytest.raises(AttributeError):
        _ = vidrep.no_such_name


def test_exit_codes_in_the_docs_are_those_of_the_errors() -> None:
    page = (ROOT / "docs" / "exit-codes.md").read_text(encoding="utf-8")
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", page, flags=re.MULTILINE)}
    used = {
        value.exit_code for value in vars(errors).values() if isinstance(value, type) and hasattr(value, "exit_code")
    }
    assert used | {0, 4, 130} == documented


def test_files_named_in_the_tree_of_the_readme_exist() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#:]+)\)", text)
    assert links
    for link in links:
        assert (ROOT / link).exists(), link


def test_python_in_the_docs_parses() -> None:
    blocks = [
        block
        for page in PAGES
        for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    ]
    assert len(blocks) >= 3
    for block in blocks:
        compile(block, "docs", "exec")
        for module in re.findall(r"^import (\w+)", block, flags=re.MULTILINE):
            importlib.import_module(module)
