"""Mutants of clean clips: every cut is reported, nothing crashes. benchmarks/damaged_videos.py makes the full table."""

import importlib
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parent.parent.parent / "benchmarks"


@pytest.fixture
def damaged_videos(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    monkeypatch.setenv("SVT_LOG", "1")  # put back afterwards: the module sets it
    return importlib.import_module("damaged_videos")


def test_twenty_mutants(damaged_videos: ModuleType, tmp_path: Path) -> None:
    clean, notices = {}, {}
    for codec, kind, path in damaged_videos.mutants(tmp_path, each=1, seed=1):
        outcome = damaged_videos.read_with_vidrep(path)  # raises what is no VideoError
        if kind == "clean":
            assert (outcome.status, len(outcome.frames)) == ("ok", damaged_videos.NUM_FRAMES), outcome.message
            clean[codec] = outcome.frames
        else:
            notices[codec, kind] = (outcome.frames != clean[codec], outcome.is_flagged)
            assert outcome.is_flagged is bool(outcome.message)
    assert len(notices) == 20
    assert all(flagged for (_, kind), (_, flagged) in notices.items() if kind == "truncation")
    assert all(flagged for (codec, _), (_, flagged) in notices.items() if codec == "AV1 (mkv)")
    assert sum(changed for changed, _ in notices.values()) >= 15
    assert sum(flagged for _, flagged in notices.values()) >= 12


@pytest.mark.slow
def test_healthy_videos_among_damaged_ones(damaged_videos: ModuleType, tmp_path: Path) -> None:
    assert len(list(damaged_videos.mutants(tmp_path, each=1, seed=3))) == 25
    said = damaged_videos.extract_among_healthy(tmp_path)  # exits if rows of the clean clips differ
    assert "the 5 clean clips" in said and "exit code 4" in said


@pytest.mark.slow
def test_sixty_mutants_each_read_by_a_process_of_its_own(damaged_videos: ModuleType, tmp_path: Path) -> None:
    tallies, unnoticed = damaged_videos.measure(tmp_path, each=3, seed=2)
    total = sum(tallies.values(), damaged_videos.Tally())
    assert (total.mutants, total.crashes, total.hangs) == (60, 0, 0)
    for (_, kind), tally in tallies.items():
        if kind == "truncation":
            assert tally.flagged + tally.flagged_unchanged == 3
    assert total.flagged >= total.strict >= 30
    assert sum(map(len, unnoticed.values())) == total.changed - total.flagged


def test_a_process_that_crashes_or_hangs_is_counted(
    damaged_videos: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(damaged_videos, "__file__", str(tmp_path / "reader.py"))
    (tmp_path / "reader.py").write_text("import os\nos.abort()\n")
    outcome = damaged_videos.read_in_a_process(tmp_path / "a.mp4", "vidrep")
    assert outcome.status == "crash" and "exit code -6" in outcome.message and outcome.is_flagged
    (tmp_path / "reader.py").write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setattr(damaged_videos, "TIME_OUT_SECONDS", 0.5)
    assert damaged_videos.read_in_a_process(tmp_path / "a.mp4", "vidrep").status == "hang"
