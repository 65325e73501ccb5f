"""The size and shape of the code: lines, functions, and files that import each other, of commits or of the checkout.

    python benchmarks/structure.py [COMMIT ...]

Prints a Markdown table of vidrep/ and cli/, a column for each commit; without one, of the checkout. A function's lines
are those from its `def` to its last one. Imports inside functions and under TYPE_CHECKING count too.
"""

import argparse
import ast
import io
import statistics
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from recording import ROOT

# Folders, and the packages that they are imported as.
PACKAGES = {"vidrep": "vidrep", "cli": "vidrep_cli"}


@dataclass(frozen=True, kw_only=True)
class Function:
    """A function or method: where it is, and how many lines it has."""

    place: str
    num_lines: int


@dataclass(frozen=True, kw_only=True)
class Structure:
    """What is counted. pairs: of paths of files, each of which imports the other."""

    num_files: int
    num_lines: int
    functions: list[Function]
    pairs: list[tuple[str, str]]


def read_sources(commit: str | None) -> dict[str, str]:
    """Return the Python files of a commit, or of the checkout for None: {path: text}."""
    if commit is None:
        paths = sorted(path for folder in PACKAGES for path in (ROOT / folder).rglob("*.py"))
        return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in paths}
    command = ["git", "archive", "--format=tar", commit, *PACKAGES]
    archive = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    sources = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        for member in files:
            if member.name.endswith(".py") and (file := files.extractfile(member)) is not None:
                sources[member.name] = file.read().decode()
    return sources


def structure_of(sources: Mapping[str, str]) -> Structure:
    """Count."""
    trees = {path: ast.parse(text) for path, text in sources.items()}
    modules = {module_name(path): path for path in sources}
    imported = {path: set(imports_of(tree, path, modules)) for path, tree in trees.items()}
    return Structure(
        num_files=len(sources),
        num_lines=sum(len(text.splitlines()) for text in sources.values()),
        functions=[function for path, tree in trees.items() for function in functions_of(tree, path)],
        pairs=[
            (one, other)
            for one, others in imported.items()
            for other in others
            if one < other and one in imported[other]
        ],
    )


def functions_of(tree: ast.Module, path: str) -> Iterator[Function]:
    """Yield all functions of a file, nested ones too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield Function(place=f"{path}: {node.name}", num_lines=node.end_lineno - node.lineno + 1)


def module_name(path: str) -> str:
    """Return the dotted name that a file is imported by."""
    folder, *names = PurePosixPath(path).with_suffix("").parts
    return ".".join([PACKAGES[folder], *(name for name in names if name != "__init__")])


def imports_of(tree: ast.Module, path: str, modules: Mapping[str, str]) -> Iterator[str]:
    """Yield the paths of our own files that a file imports; modules: {name: path}."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = base_of(node, path)
            names = [(f"{base}.{alias.name}", base) for alias in node.names]
        else:
            continue
        # `from a import b` imports the module a.b if there is one, else a name of the module a.
        found = (name if name in modules else base for name, base in names)
        yield from (modules[name] for name in found if name in modules)


def base_of(node: ast.ImportFrom, path: str) -> str:
    """Return the absolute name of the module after `from`."""
    if node.level == 0:
        return node.module or ""
    package = module_name(path).split(".")
    if not path.endswith("/__init__.py"):
        package = package[:-1]
    package = package[: len(package) - node.level + 1]
    return ".".join([*package, *([node.module] if node.module else [])])


def rows_of(structure: Structure) -> dict[str, str]:
    """Return what the table shows of one commit."""
    longest = max(structure.functions, key=lambda function: function.num_lines)
    pairs = "; ".join(f"{one} and {other}" for one, other in sorted(structure.pairs))
    return {
        "files": f"{structure.num_files}",
        "lines": f"{structure.num_lines:,}",
        "functions": f"{len(structure.functions):,}",
        "median function, lines": f"{statistics.median(function.num_lines for function in structure.functions):g}",
        "longest function, lines": f"{longest.num_lines} ({longest.place})",
        "pairs of files that import each other": f"{len(structure.pairs)}" + (f" ({pairs})" if pairs else ""),
    }


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commits", nargs="*", metavar="COMMIT")
    given = parser.parse_args()
    commits: list[str | None] = given.commits or [None]
    columns = [rows_of(structure_of(read_sources(commit))) for commit in commits]
    print(f"| vidrep/ and cli/ | {' | '.join(commit or 'checkout' for commit in commits)} |")
    print(f"|---|{'---|' * len(commits)}")
    for name in columns[0]:
        print(f"| {name} | {' | '.join(column[name] for column in columns)} |")


if __name__ == "__main__":
    main()
