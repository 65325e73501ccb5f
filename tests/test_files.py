"""Files are published whole or not at all."""

import errno
import hashlib
import os
import re
import shutil
import stat
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vidrep.errors import OutputError
from vidrep.files import (
    make_folder,
    remove,
    remove_folder,
    remove_leftovers,
    replacing,
    sha256_of_file,
    size_in_words,
    write_text,
    writing_file,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    for text in ("first", "second"):
        with replacing(path) as temporary:
            temporary.write_text(text)
            assert not path.exists() or path.read_text() == "first"
        assert path.read_text() == text
    assert names(path.parent) == ["a.txt"]


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("as before")
    with pytest.raises(RuntimeError, match="half way"), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("half way")
    assert path.read_text() == "as before"
    assert names(tmp_path) == ["a.txt"]


def test_a_full_disk_is_an_error_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    path.write_text("as before")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(total=10**9, free=2_500_000))
    message = (
        f"{path}: cannot be written (No space left on device; the disk has 2.5 MB left); "
        "free some space or choose another place; what was there is as it was"
    )
    with pytest.raises(OutputError, match=f"^{re.escape(message)}$"), replacing(path):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(OutputError, match=r"needs 2\.5 MB and the disk has 2\.5 MB left\)"):
        write_text(path, "x" * 2_500_001)
    assert path.read_text() == "as before"
    with pytest.raises(OSError, match="denied") as caught, replacing(path):
        raise OSError(errno.EACCES, "denied")  # of some other file that the block reads
    assert not isinstance(caught.value, OutputError)
    assert names(tmp_path) == ["a.txt"]


def test_a_disk_that_tells_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(total=0, free=0))
    write_text(tmp_path / "a.txt", "text")
    assert (tmp_path / "a.txt").read_text() == "text"


LIMITED = """
import resource, sys
from pathlib import Path
from vidrep.errors import OutputError
from vidrep.files import write_text, writing_file

resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))

def write(path):
    write_text(path, "x" * 30_000)

def reserve(path):
    with writing_file(path, num_bytes=30_000) as file:
        file.reserve(30_000)
        file.write_at(b"x" * 30_000, 0)

for attempt in (write, reserve):
    try:
        attempt(Path(sys.argv[1]))
    except OutputError as error:
        print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of file sizes")
def test_a_limit_of_file_sizes_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("as before")
    found = subprocess.run([sys.executable, "-c", LIMITED, path], capture_output=True, text=True, check=True).stdout
    line = (
        f"{path}: cannot be written (File too large; needs 30.0 kB and files may have 20.0 kB (ulimit -f)); "
        "raise that limit or choose another place; what was there is as it was\n"
    )
    assert found == line * 2
    assert path.read_text() == "as before"
    assert names(tmp_path) == ["a.txt"]


def test_a_folder_that_cannot_be_synced_is_said_after_all_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.fsync

    def fail(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, "Input/output error")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OutputError, match="written, but the disk does not confirm it"):
        write_text(tmp_path / "a.txt", "text")
    assert (tmp_path / "a.txt").read_text() == "text"


def test_what_cannot_be_cleared_away_does_not_hide_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> NoReturn:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "unlink", fail)
    with pytest.raises(RuntimeError, match="the reason"), replacing(tmp_path / "a.txt"):
        raise RuntimeError("the reason")
    for removing in (remove_leftovers, lambda path: remove(next(tmp_path.iterdir()))):
        with pytest.raises(OutputError, match=r"\.a\.txt\..*\.tmp: cannot be removed \(Input/output error\)"):
            removing(tmp_path / "a.txt")
    monkeypatch.undo()
    remove_leftovers(tmp_path / "a.txt")
    assert names(tmp_path) == []


def test_only_leftovers_of_that_very_file_are_removed(tmp_path: Path) -> None:
    others = [".a.txt.12.tmp.txt", ".a.txt.tmp", ".ab.txt.12.tmp", ".b.txt.12.tmp", "a.txt", "a.txt.12.tmp"]
    for name in [*others, ".a.txt.12.tmp", ".a.txt.4194304.tmp"]:
        (tmp_path / name).touch()
    remove_leftovers(tmp_path / "a.txt")
    assert names(tmp_path) == others
    remove_leftovers(tmp_path / "absent" / "a.txt")
    remove(tmp_path / "absent.txt")


def test_only_an_empty_folder_is_removed(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b")
    with pytest.raises(OutputError, match=r"a: cannot be removed \(Directory not empty\)"):
        remove_folder(tmp_path / "a")
    remove_folder(tmp_path / "a" / "b")
    assert names(tmp_path) == ["a"]


def test_writing_at_places_leaves_zeros_between(tmp_path: Path) -> None:
    with writing_file(tmp_path / "a") as file:
        file.reserve(5000)
        file.write_at(b"end", 4000)
        file.write_at(memoryview(b"begin"), 0)
        file.resize(4005)
    assert (tmp_path / "a").read_bytes() == b"begin" + bytes(3995) + b"end" + bytes(2)


@pytest.mark.parametrize(
    ("num_bytes", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (3_400_000, "3.4 MB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (999_949_999, "999.9 MB"),
        (999_950_000, "1.0 GB"),
        (1_234_567_890_123, "1234.6 GB"),
    ],
)
def test_sizes_in_words(num_bytes: int, words: str) -> None:
    assert size_in_words(num_bytes) == words


UNITS = {"B": 1, "kB": 1000, "MB": 1000**2, "GB": 1000**3}
anywhere = st.integers(0, 12).flatmap(lambda digits: st.integers(0, 1000 * 10**digits))
at_a_boundary = st.builds(
    lambda unit, per_hundred_thousand: unit + unit * per_hundred_thousand // 100_000,
    st.sampled_from([1000, 1000**2, 1000**3, 1000**4]),
    st.integers(-20, 20),
)


@settings(derandomize=True, max_examples=500, database=None)
@given(anywhere | at_a_boundary)
def test_a_size_in_words_is_the_size_in_its_largest_unit_to_one_digit(num_bytes: int) -> None:
    number, unit = size_in_words(num_bytes).split(" ")
    error = abs(Fraction(number) * UNITS[unit] - num_bytes)
    assert error <= (Fraction(UNITS[unit], 20) if unit != "B" else 0)
    assert Fraction(number) < 1000 or unit == "GB"
    assert Fraction(number) >= 1 or unit == "B"


@pytest.mark.parametrize("make", ["file in the way", "folder in its place", "long name"])
def test_a_place_that_cannot_be_written_is_an_error_in_one_line(tmp_path: Path, make: str) -> None:
    path = tmp_path / "a.txt"
    if make == "file in the way":
        path.write_text("as before")
        path = path / "b.txt"
    elif make == "folder in its place":
        (path / "inside").mkdir(parents=True)
    else:
        path = tmp_path / ("a" * 300)
    before = names(tmp_path)
    with pytest.raises(OutputError, match="cannot be written"):
        write_text(path, "text")
    assert names(tmp_path) == before


def test_text_is_utf8_with_its_line_ends_and_foreign_bytes_escaped(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "é\r\n\udcff\n")
    assert (tmp_path / "a.txt").read_bytes() == "é\r\n\\xff\n".encode()


@pytest.mark.parametrize("size", [0, 1, 3 << 20])
def test_the_hash_of_a_file(tmp_path: Path, size: int) -> None:
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    (tmp_path / "a").write_bytes(content)
    assert sha256_of_file(tmp_path / "a") == hashlib.sha256(content).hexdigest()
