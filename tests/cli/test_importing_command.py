"""`vidrep import` says what it took and what not, in bounded lines."""

import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from running import one_line, vidrep

from vidrep.errors import LONGEST_MESSAGE
from vidrep_cli.console import note


def test_streams_are_chosen_and_links_followed(tmp_path: Path) -> None:
    (tmp_path / "arrays").mkdir()
    (tmp_path / "linked").mkdir()
    (tmp_path / "arrays/walk").symlink_to(tmp_path / "linked")
    with h5py.File(tmp_path / "linked/a.H5", "w") as file:
        file["rgb"], file["flow"], file["fps"] = np.zeros((4, 3)), np.ones((4, 3)), 2.0
    source, output = tmp_path / "arrays", tmp_path / "out.h5"
    one_line(["import", source, "-o", output], 3, "(1 symbolic links left out); there must be one a video")
    one_line(["import", source, "-o", output, "--follow-links"], 3, "(flow, rgb); there must be one; --array NAME")
    code, stdout, stderr = vidrep("import", source, "-o", output, "--follow-links", "--array", "flow")
    assert code == 0, stderr
    assert stdout == f"{output}: 1 videos, 4 frames of 3 float32\n"


def test_every_line_is_bounded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with h5py.File(tmp_path / "in.h5", "w") as file:
        file["features"] = np.zeros((1, 2, 3))
        for number in range(20):
            file["x" * 60_000 + str(number)] = np.zeros(2)
    code, _, stderr = vidrep("import", tmp_path / "in.h5", "-o", tmp_path / "out.h5")
    assert code == 0, stderr
    assert "warning: " in stderr
    assert "20 other arrays are left out: xxx" in stderr
    assert max(map(len, stderr.splitlines())) <= LONGEST_MESSAGE
    note("y" * 10_000)
    assert len(capsys.readouterr().err) == LONGEST_MESSAGE + len(os.linesep)
