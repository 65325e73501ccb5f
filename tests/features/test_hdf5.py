"""HDF5 files are read under a lock; without one only where the disk has none; an open one is said to be open."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from fixture_types import MakeFeatureFile

from vidrep.errors import FileInUseError, OutputError, VidrepError
from vidrep.extraction import parts
from vidrep.extraction.extract import ExtractSummary, extract
from vidrep.extraction.extractors.patches import PatchExtractor
from vidrep.features.importing import import_features
from vidrep.features.store import open_features
from vidrep.video.sources import find_videos
from vidrep.video.writing import write_h264

fcntl = pytest.importorskip("fcntl", reason="Windows has no flock")

Fail = Callable[[int, str], None]

NO_LOCKS = pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS], ids=errno.errorcode.get)


@pytest.fixture
def fail_locks(monkeypatch: pytest.MonkeyPatch) -> Fail:
    """A function after which shared locks of files whose names hold a text are refused with an error number."""
    real = fcntl.flock

    def fail(number: int, name: str) -> None:
        def flock(descriptor: int, operation: int) -> None:
            if operation & fcntl.LOCK_SH and name in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
                raise OSError(number, os.strerror(number))
            real(descriptor, operation)

        monkeypatch.setattr(fcntl, "flock", flock)

    return fail


needs_proc = pytest.mark.skipif(sys.platform != "linux", reason="names of open files come from /proc")


@pytest.fixture
def ours(tmp_path: Path, feature_file: MakeFeatureFile) -> Path:
    feature_file(tmp_path / "ours.h5", {"a/x.mp4": ("a", "train", 4)})
    return tmp_path / "ours.h5"


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Three clips, each of which becomes a part."""
    (tmp_path / "clips").mkdir()
    for number in range(3):
        frames = np.random.default_rng(number).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
        write_h264(tmp_path / "clips" / f"{number}.mp4", frames, frames_per_second=5)
    return tmp_path / "clips"


def run(clips: Path, output: Path) -> ExtractSummary:
    return extract(find_videos([clips]), output, PatchExtractor(size=8), workers=0)


def chunked(path: Path) -> Path:
    with h5py.File(path, "w") as file:
        file.create_dataset("features", data=np.ones((2, 4, 3), np.float32), chunks=(1, 4, 3), compression="gzip")
    return path


def open_for_writing(path: Path) -> "subprocess.Popen[bytes]":
    """Open a file as a notebook would, in another process, which lives as long as its standard input."""
    script = "import h5py, sys; file = h5py.File(sys.argv[1], 'r+'); print('open', flush=True); sys.stdin.read()"
    process = subprocess.Popen([sys.executable, "-c", script, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"open\n"
    return process


def test_a_file_that_a_notebook_has_open_is_said_to_be_open(ours: Path, tmp_path: Path) -> None:
    foreign = chunked(tmp_path / "foreign.h5")
    before = ours.read_bytes()
    with open_for_writing(ours), open_for_writing(foreign):
        for path, read in ((ours, open_features), (foreign, lambda path: import_features(path, tmp_path / "new.h5"))):
            with pytest.raises(FileInUseError) as caught:
                read(path)
            assert str(caught.value) == (
                f"{path}: open for writing in another program, such as a notebook; close it there, then run the "
                "command again"
            )
    assert ours.read_bytes() == before
    assert len(open_features(ours)) == 1
    assert len(import_features(foreign, tmp_path / "new.h5").features) == 2


def test_readers_do_not_disturb_each_other_and_leave_no_lock(ours: Path, tmp_path: Path) -> None:
    with h5py.File(ours, "r"):
        assert len(open_features(ours)) == 1
    features = open_features(ours)
    assert features.rows(0).shape[0] == 4
    with h5py.File(ours, "r+") as file:  # our reading is over
        file.attrs["note"] = "x"


@needs_proc
@NO_LOCKS
def test_a_disk_without_locks_is_read_without(ours: Path, tmp_path: Path, fail_locks: Fail, number: int) -> None:
    foreign = chunked(tmp_path / "foreign.h5")
    fail_locks(number, ".h5")
    assert len(open_features(ours)) == 1
    assert len(import_features(foreign, tmp_path / "new.h5").features) == 2


@needs_proc
def test_any_other_refusal_is_one(ours: Path, fail_locks: Fail) -> None:
    fail_locks(errno.EIO, "ours.h5")
    with pytest.raises(VidrepError, match=r"ours\.h5: not a readable feature file \(.*Input/output error\)"):
        open_features(ours)


@needs_proc
def test_the_variable_of_hdf5_reads_without_locks(
    ours: Path, fail_locks: Fail, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_locks(errno.EAGAIN, "ours.h5")
    with pytest.raises(FileInUseError):
        open_features(ours)
    monkeypatch.setenv("HDF5_USE_FILE_LOCKING", "FALSE")
    assert len(open_features(ours)) == 1


@needs_proc
@NO_LOCKS
def test_parts_are_read_and_published_without_locks(
    clips: Path, tmp_path: Path, fail_locks: Fail, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(parts, "PART_MAX_VIDEOS", 1)
    run(clips, tmp_path / "expected.h5")
    fail_locks(number, ".h5")
    run(clips, tmp_path / "f.h5")
    assert (tmp_path / "f.h5").read_bytes() == (tmp_path / "expected.h5").read_bytes()
    run(clips, tmp_path / "folder")
    assert run(clips, tmp_path / "folder").num_new == 0


@needs_proc
def test_a_part_that_is_open_elsewhere_loses_nothing(
    clips: Path, tmp_path: Path, fail_locks: Fail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "PART_MAX_VIDEOS", 1)
    output = tmp_path / "f.h5"
    run(clips, tmp_path / "expected.h5")
    real = fcntl.flock
    fail_locks(errno.EAGAIN, "part-000002.h5")
    for attempt in ("while publishing", "before"):  # the second finds the parts and opens them first
        with pytest.raises(OutputError) as caught:
            run(clips, output)
        message = str(caught.value)
        assert "part-000002.h5: open for writing in another program" in message, attempt
        assert message.endswith("then run the command again; what is finished is kept")
        assert "overwrite" not in message and "make it again" not in message
        assert len(list((tmp_path / "f.h5.parts").glob("part-*.h5"))) == 3
    monkeypatch.setattr(fcntl, "flock", real)
    summary = run(clips, output)
    assert summary.num_new == 0
    assert output.read_bytes() == (tmp_path / "expected.h5").read_bytes()
    with open_for_writing(output), pytest.raises(OutputError, match="open for writing in another program"):
        run(clips, output)
    (clips / "0.mp4").unlink()
    assert run(clips, output).changes.missing == ["0.mp4"]
