"""What is said of a plug-in that cannot be loaded: one line, with its file and line."""

import sys
from pathlib import Path

import pytest

from vidrep.errors import ConfigError, WeightsError
from vidrep.plugins import load_plugins, loaded_plugins


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\ndef f(:\n", r"SyntaxError in \S+broken_one.py, line 2 "),
        ("\n\nimport no_such_module_here\n", r"ModuleNotFoundError in \S+broken_one.py, line 3 \(No module named"),
        (
            "def f():\n    return 1 / 0\nf()\n",
            r"ZeroDivisionError in \S+broken_one.py, line 2 \(division by zero\); mend",
        ),
    ],
)
def test_where_it_fails(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "broken_one.py"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        load_plugins([str(path)])
    assert str(path) not in loaded_plugins()
    assert "broken_one" not in sys.modules


def test_its_own_refusals_pass_through(tmp_path: Path) -> None:
    path = tmp_path / "refusing.py"
    path.write_text("from vidrep.errors import WeightsError\nraise WeightsError('no weights')\n", encoding="utf-8")
    with pytest.raises(WeightsError, match=r"^no weights$"):
        load_plugins([str(path)])


def test_a_module_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"plug-in 'no_such_module_here': no such module; give a module"):
        load_plugins(["no_such_module_here"])
    with pytest.raises(ConfigError, match=r"plug-in \S+gone.py: no such file"):
        load_plugins([str(tmp_path / "gone.py")])
