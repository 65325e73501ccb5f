"""docs/extending.md shows the plug-in that the tests train with, and the names in its two walks exist."""

import ast
import re
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
PLUGIN = Path(__file__).with_name("toy_plugin.py").read_text(encoding="utf-8")


def test_every_example_stands_in_the_plug_in_that_is_tested() -> None:
    blocks = re.findall(r"```python\n(.*?)\n```", PAGE, flags=re.DOTALL)
    shown = "\n".join(blocks)
    classes = [node.name for node in ast.parse(PLUGIN).body if isinstance(node, ast.ClassDef)]
    assert len(classes) == 5
    for block in blocks:
        if block not in PLUGIN:
            assert "class LeakySettings" in block, block
            exec(compile("from dataclasses import dataclass\n" + block, "extending.md", "exec"), {"__name__": "page"})
    for name in classes:
        assert f"class {name}(" in shown


def test_the_walks_name_files_and_functions_that_exist() -> None:
    walks = PAGE[PAGE.index("## Walk 1") :]
    files = set(re.findall(r"`((?:\w+/)*\w+\.py)`", walks))
    assert len(files) > 10
    assert all((ROOT / "vidrep" / file).is_file() or (ROOT / file).is_file() for file in files), files
    for file, call in re.findall(r"`((?:\w+/)+\w+\.py)`[^`]*?`(\w+(?:\.\w+)?)[(`]", walks):
        if file.startswith("cli/"):
            continue
        found: object = import_module("vidrep." + file.removesuffix(".py").replace("/", "."))
        for part in call.split("."):
            found = getattr(found, part)
