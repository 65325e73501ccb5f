"""The guide's first section is run line by line, and prints what the guide shows but for figures and choices."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

GUIDE = Path(__file__).parents[2] / "docs" / "guide.md"
SECTION = "## From a folder to a verdict"
_CHOICES = (
    (r"(better|worse) than the best|not shown to differ from the best", "VERDICT the best"),
    (r"(?<=best baseline, ).*", "NAME"),
    (r"(?<=\.mp4: )[a-z-]+", "LABEL"),
    (r"-?\+?[0-9][0-9.,]*( [a-z]?B\b| min [0-9]+ s| s\b)?", "#"),
    (r" +", " "),
)


def transcript() -> list[tuple[str, list[str]]]:
    """Return the section's commands, each with the lines that the guide shows below it."""
    section = GUIDE.read_text(encoding="utf-8").split(SECTION)[1].split("\n## ")[0]
    block = section.split("```")[1].strip().splitlines()
    acts: list[tuple[str, list[str]]] = []
    for line in block:
        if line.startswith("$ "):
            acts.append((line[2:], []))
        elif line.strip() not in ("", "..."):
            acts[-1][1].append(line)
    return acts


def without_figures(line: str) -> str:
    """Return a line without what another machine, or another load of it, prints otherwise."""
    for pattern, replacement in _CHOICES:
        line = re.sub(pattern, replacement, line)
    return line.strip()


def test_figures_and_choices_are_all_that_is_left_out() -> None:
    assert without_figures("f: 240 videos; 28 s (1,172 frames/s)") == "f: # videos; # (# frames/s)"
    assert without_figures("a/b-0001.mp4: counter-clockwise, 0.61") == "a/b#mp#: LABEL, #"


@pytest.mark.slow
def test_from_a_folder_to_a_verdict(tmp_path: Path) -> None:
    acts = transcript()
    assert sum(command.startswith("vidrep ") for command, _ in acts) == 5
    assert sum(len(shown) for _, shown in acts) > 10
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for command, shown in acts:
        ran = subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path,
            env={**os.environ, "PATH": path},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout
        printed = [without_figures(line) for line in ran.stdout.splitlines()]
        for line in shown:
            assert without_figures(line) in printed, f"{command}: {line}\n{ran.stdout}"
