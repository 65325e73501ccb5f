"""The docs describe what is there: the names, commands, options, codes and pages in them exist."""

import ast
import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

import vidrep
from vidrep import errors
from vidrep_cli.main import app
from vidrep_cli.problems import EXIT_PROBLEMS, EXIT_SOME_FAILED

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
        command: Any = get_command(app)
        rest = words[1:]
        while rest and rest[0] in getattr(command, "commands", {}):
            command = command.commands[rest[0]]
            rest = rest[1:]
        if command.name == "extract" and rest:  # a plug-in's: the shared options, those of its own by --set
            command, rest = command.commands["patches"], rest[1:]
        known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
        known |= {"-h", "--help", "--set"}
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
        assert inspect.getdoc(getattr(vidrep, name)), name
        assert f"`{name}`" in page, f"{name} is not in docs/python.md"
    with pytest.raises(AttributeError):
        _ = vidrep.no_such_name


def test_public_names_have_types() -> None:
    """What type checkers read agrees with what is imported on first use, name by name."""
    tree = ast.parse((ROOT / "vidrep" / "__init__.py").read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    typed = {
        alias.asname or alias.name: f"vidrep.{statement.module}:{alias.name}"
        for statement in block.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    assert sorted([*typed, "__version__"]) == sorted(vidrep.__all__)
    for name, place in typed.items():
        module, _, own_name = place.partition(":")
        assert getattr(vidrep, name) is getattr(importlib.import_module(module), own_name), name


def test_every_command_is_a_function_of_the_same_name() -> None:
    commands = set(get_command(app).commands) - {"demo"}  # type: ignore[attr-defined]
    names = {
        "annotations": "write_segments",
        "export-features": "export_features",
        "import": "import_features",
        "recipes": "list_recipes",
    }
    assert {names.get(name, name) for name in commands} <= set(vidrep.__all__)


def test_exit_codes_in_the_docs_are_those_of_the_errors() -> None:
    page = (ROOT / "docs" / "exit-codes.md").read_text(encoding="utf-8")
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", page, flags=re.MULTILINE)}
    raised = {error.exit_code for error in all_errors()}
    assert raised == {2, 3, 5, 6, 7, 8, 130}
    assert documented == raised | {0, 1, EXIT_SOME_FAILED, EXIT_PROBLEMS}


def all_errors() -> set[type[errors.VidrepError]]:
    """Return all classes of the tree but its root, which nothing raises."""
    found, tree = set(), [errors.VidrepError]
    while tree:
        below = tree.pop().__subclasses__()
        found |= set(below)
        tree += below
    return found


def test_every_error_stands_in_the_tree_with_its_exit_code() -> None:
    assert errors.__doc__
    codes = {int(code) for code in re.findall(r"exit code (\d+)", errors.__doc__)}
    assert codes == {error.exit_code for error in all_errors()}
    for error in all_errors():
        assert f"── {error.__name__} " in errors.__doc__


LINK = re.compile(r"\]\(([^)#:\s]+)\)|(?<![\w/.(])((?:docs|data|benchmarks|tests|vidrep)/[\w./-]+\.(?:md|py|toml))")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_and_files_that_a_page_names_exist(page: Path) -> None:
    """Links are relative to the page; paths in the text, to the root."""
    for link, path in LINK.findall(page.read_text(encoding="utf-8")):
        if path and page.name == "log.md":  # history: what it names may have moved since
            continue
        where = page.parent / link if link else ROOT / path
        assert where.exists(), f"{page.name}: {link or path}"


def test_the_pages_name_pages() -> None:
    assert sum(len(LINK.findall(page.read_text(encoding="utf-8"))) for page in PAGES) > 40


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
