"""A study killed at random moments, alone and with workers, goes on to the same bytes."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_features import circles, features_of, pretrain_config

from vidrep.features.store import Features
from vidrep.training.pretrain import train

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc says which processes are left")

FILES = ("study.json", "table.md", "table.csv", "curves.png")
SCRIPT = """
import sys
import vidrep
if __name__ == "__main__":
    folder, output, workers = sys.argv[1:]
    short = {"encoder.hidden_size": 5, "selection.least_steps": 30, "selection.most_steps": 30}
    vidrep.study(
        f"{folder}/features.h5",
        output,
        runs=[f"{folder}/pre"],
        config=vidrep.load_recipe(vidrep.FinetuneConfig, changes=short),
        shots=[1],
        draws=4,
        device="cpu",
        workers=int(workers),
    )
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Features, a pretraining, and a study of them that nothing disturbs."""
    folder = tmp_path_factory.mktemp("study")
    train(split_features(folder), folder / "pre", pretrain_config(steps=2), device="cpu")
    (folder / "script.py").write_text(SCRIPT)
    require_good_end(started(folder, folder / "undisturbed", workers=1))
    return folder


def split_features(folder: Path) -> Features:
    videos = circles(8)
    return features_of(folder, videos, {key: "test" if int(Path(key).stem) > 3 else "train" for key in videos})


def started(folder: Path, output: Path, *, workers: int) -> subprocess.Popen[str]:
    words = [sys.executable, str(folder / "script.py"), str(folder), str(output), str(workers)]
    return subprocess.Popen(words, stderr=subprocess.PIPE, text=True)


def require_good_end(process: subprocess.Popen[str]) -> None:
    _, message = process.communicate(timeout=200)
    assert process.returncode == 0, message


def contents(study: Path) -> dict[str, bytes]:
    files = [*(study / name for name in FILES), *(study / "cells").iterdir()]
    return {path.name: path.read_bytes() for path in files}


def kill_after_a_cell(folder: Path, output: Path, *, workers: int, delay: float) -> None:
    """Kill a study some time after it has finished one more cell, unless it has no more to do and ends well."""
    cells = output / "cells"
    before = set(cells.glob("*.json"))
    process = started(folder, output, workers=workers)
    while set(cells.glob("*.json")) <= before:
        if process.poll() is not None:
            require_good_end(process)
            return
        time.sleep(0.01)
    time.sleep(delay)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    require_no_worker_of(output)


def require_no_worker_of(output: Path) -> None:
    """Within a few seconds nothing trains in the folder any more."""
    for _ in range(100):
        if not any(str(output) in link for link in open_files()):
            return
        time.sleep(0.1)
    raise AssertionError("a worker outlives its study")


def open_files() -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            found.append(str(path.readlink()))
        except OSError:
            continue
    return found


@pytest.mark.slow
def test_killed_once_and_run_again_it_is_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    kill_after_a_cell(folder, tmp_path / "study", workers=1, delay=0.0)
    require_good_end(started(folder, tmp_path / "study", workers=1))
    assert contents(tmp_path / "study") == contents(folder / "undisturbed")
    assert sorted(path.name for path in (tmp_path / "study").iterdir()) == sorted(["cells", *FILES])


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_killed_again_and_again_it_is_the_same_bytes(folder: Path, tmp_path: Path, workers: int) -> None:
    delays = random.Random(workers)
    for _ in range(3):
        kill_after_a_cell(folder, tmp_path / "study", workers=workers, delay=delays.uniform(0, 0.3))
    require_good_end(started(folder, tmp_path / "study", workers=workers))
    assert contents(tmp_path / "study") == contents(folder / "undisturbed")
