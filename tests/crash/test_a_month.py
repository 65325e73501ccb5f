"""A month with one folder: files move, classes are renamed, folders come and go; killed at each act, and run again."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vidrep.extraction import decoding
from vidrep.extraction.extract import extract
from vidrep.extraction.extractors.patches import PatchExtractor
from vidrep.features.annotations import Annotation
from vidrep.features.store import Features, open_features
from vidrep.video.decoders import open_video
from vidrep.video.sources import find_videos
from vidrep.video.writing import write_h264

DRIVER = Path(__file__).with_name("driver.py")


def film(path: Path, seed: int) -> None:
    """Write a clip of 5 frames that no other seed gives."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 4, 4, 3), dtype=np.uint8)
    write_h264(path, coarse.repeat(4, axis=1).repeat(4, axis=2), frames_per_second=5)


def film_all(folder: Path) -> None:
    """Write three clips of each of two classes."""
    for number in range(6):
        film(folder / "clips" / ("left", "right")[number % 2] / f"{number}.mp4", number)


# ---- the acts, each on the folder that holds clips/ and perhaps more/


def move_three(folder: Path) -> None:
    for number in (0, 2, 4):
        (folder / "clips" / "left" / f"{number}.mp4").rename(folder / "clips" / "right" / f"moved{number}.mp4")
    film(folder / "clips" / "left" / "new.mp4", 99)


def rename_class(folder: Path) -> None:
    (folder / "clips" / "right").rename(folder / "clips" / "east")


def add_twenty(folder: Path) -> None:
    for number in range(20):
        film(folder / "clips" / ("left", "up")[number % 2] / f"more{number:02}.mp4", 100 + number)


def add_root(folder: Path) -> None:
    for number in range(3):
        film(folder / "more" / "left" / f"{number}.mp4", 200 + number)


def delete_one(folder: Path) -> None:
    (folder / "clips" / "left" / "new.mp4").rename(folder / "kept.mp4")


def restore_it(folder: Path) -> None:
    (folder / "kept.mp4").rename(folder / "clips" / "left" / "new.mp4")


def add_without_label(folder: Path) -> None:
    for number in range(3):
        film(folder / "clips" / f"free{number}.mp4", 300 + number)


ACTS: list[Callable[[Path], None]] = [
    move_three,
    rename_class,
    add_twenty,
    add_root,
    delete_one,
    restore_it,
    add_without_label,
]
KNOWN = {"move_three": 1, "add_twenty": 20, "add_root": 3, "add_without_label": 3}  # how many are new


def roots(folder: Path) -> list[Path]:
    return [one for one in (folder / "clips", folder / "more") if one.is_dir()]


def run(folder: Path, output: Path, labels: dict[str, str] | None = None, *, prune: bool = False) -> None:
    annotations = {key: Annotation(label, None) for key, label in (labels or {}).items()}
    sources = find_videos(roots(folder))
    extract(sources, output, PatchExtractor(size=4), annotations=annotations, prune=prune, workers=0)


def labels_on_disk(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(root).as_posix(): path.parent.name if path.parent != root else ""
        for root in roots(folder)
        for path in root.rglob("*.mp4")
    }


def rows_by_content(features: Features) -> dict[str, NDArray[np.generic]]:
    return {row.source_sha256: features.rows(index).copy() for index, row in enumerate(features.videos)}


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every file that is decoded."""
    opened: list[Path] = []

    def opening(path: Path, **options: object) -> object:
        opened.append(path)
        return open_video(path, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(decoding, "open_video", opening)
    return opened


def test_every_act_keeps_rows_and_labels_and_decodes_nothing_known(tmp_path: Path, decoded: list[Path]) -> None:
    film_all(tmp_path)
    output = tmp_path / "f.h5"
    run(tmp_path, output)
    known = rows_by_content(open_features(output))
    for act in ACTS:
        act(tmp_path)
        decoded.clear()
        run(tmp_path, output)
        features = open_features(output)
        assert len(decoded) == KNOWN.get(act.__name__, 0), act.__name__
        assert {row.path: row.label for row in features.videos} == labels_on_disk(tmp_path), act.__name__
        contents = [row.source_sha256 for row in features.videos]
        assert len(set(contents)) == len(contents)
        stored = rows_by_content(open_features(output, as_stored=True))
        assert all(np.array_equal(stored[content], rows) for content, rows in known.items()), "a row was lost"
        known |= stored
    decoded.clear()
    corrected = labels_on_disk(tmp_path) | {"left/more00.mp4": "up"}
    run(tmp_path, output, corrected)
    assert open_features(output).videos[open_features(output).index("left/more00.mp4")].label == "up"
    delete_one(tmp_path)
    run(tmp_path, output, corrected, prune=True)
    assert decoded == []
    del corrected["left/new.mp4"]
    run(tmp_path, tmp_path / "fresh.h5", corrected)
    assert output.read_bytes() == (tmp_path / "fresh.h5").read_bytes()


def drive(folder: Path, *words: object) -> int:
    command = [sys.executable, DRIVER, folder / "clips", folder / "out" / "f.h5", *words]
    return subprocess.run([str(word) for word in command], capture_output=True, check=False).returncode


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize(
    "act",
    [
        move_three,
        *(pytest.param(act, marks=pytest.mark.slow) for act in ACTS if act not in (move_three, add_root)),
    ],
    ids=lambda act: act.__name__,
)
def test_killed_during_an_act_and_run_again_it_gives_the_same_bytes(
    tmp_path: Path, act: Callable[[Path], None]
) -> None:
    film_all(tmp_path)
    (tmp_path / "out").mkdir()
    assert drive(tmp_path) == 0
    for before in ACTS[: ACTS.index(act)]:
        before(tmp_path)
        assert before is add_root or drive(tmp_path) == 0
    shutil.copytree(tmp_path / "out", tmp_path / "before")
    act(tmp_path)
    assert drive(tmp_path, "--log", tmp_path / "operations") == 0
    expected = (tmp_path / "out" / "f.h5").read_bytes()
    num_operations = len((tmp_path / "operations").read_text().splitlines())
    assert num_operations > 3
    for at in sorted({1, num_operations // 3, num_operations // 2, num_operations - 1}):
        shutil.rmtree(tmp_path / "out")
        shutil.copytree(tmp_path / "before", tmp_path / "out")
        assert drive(tmp_path, "--fault", "SIGKILL", "--at", at) == -signal.SIGKILL
        assert drive(tmp_path) == 0
        assert (tmp_path / "out" / "f.h5").read_bytes() == expected, f"killed at operation {at} of {num_operations}"
