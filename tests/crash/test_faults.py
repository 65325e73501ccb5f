"""A kill or a failing disk at any file operation: the published file stays whole, and the same command ends well."""

import shutil
import signal
import sys
from pathlib import Path

import pytest
from disturbed_extraction import Extraction, Undisturbed

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc says which file a descriptor is of")

NUM_SHARES = 10


def operations(extraction: Extraction, log: Path) -> list[str]:
    """Run undisturbed; return the file operations, "name path"."""
    assert extraction.run(log=log).code == 0
    return log.read_text(encoding="utf-8").splitlines()


def chosen(number_of_operations: int, share: int | None) -> list[int]:
    """Return a tenth of all operations' numbers, or three of them."""
    if share is None:
        return [number_of_operations * part // 4 for part in (1, 2, 3)]
    return list(range(1 + share, number_of_operations + 1, NUM_SHARES))


shares = pytest.mark.parametrize(
    "share", [None, *(pytest.param(share, marks=pytest.mark.slow) for share in range(NUM_SHARES))]
)


def test_every_change_on_disk_is_seen(extraction: Extraction, undisturbed: Undisturbed, tmp_path: Path) -> None:
    seen = operations(extraction, tmp_path / "log")
    names = {line.split()[0] for line in seen}
    assert names == {"open", "pwrite", "posix_fallocate", "ftruncate", "fsync", "replace", "unlink", "mkdir", "rmdir"}
    published = [number for number, line in enumerate(seen) if line.startswith("replace ")]
    assert len(published) == 5  # four parts and the merged file
    for number in published:
        temporary = Path(seen[number].split(" ", 1)[1])
        assert seen[number - 1] == f"fsync {temporary}"
        assert seen[number + 1] == f"fsync {temporary.parent}"
    extraction.clear()
    assert len(operations(extraction, tmp_path / "log")) == len(seen)


@shares
def test_killed_at_an_operation(
    extraction: Extraction, undisturbed: Undisturbed, tmp_path: Path, share: int | None
) -> None:
    numbers = chosen(len(operations(extraction, tmp_path / "log")), share)
    for number in numbers:
        extraction.clear()
        assert extraction.run(fault="SIGKILL", at=number).code == -signal.SIGKILL
        extraction.require_whole(None, undisturbed.final)
        extraction.finish(undisturbed.final)
    assert len(numbers) >= 3


@shares
def test_a_disk_that_fails_at_an_operation(
    extraction: Extraction, undisturbed: Undisturbed, tmp_path: Path, share: int | None
) -> None:
    before = tmp_path / "earlier.h5"
    extraction.make_earlier()
    shutil.copyfile(extraction.output, before)
    seen = operations(extraction, tmp_path / "log")
    numbers = chosen(len(seen), share)
    for number in numbers:
        extraction.clear()
        shutil.copyfile(before, extraction.output)
        ended = extraction.run(fault=("ENOSPC", "EIO")[number % 2], at=number)
        name, _, path = seen[number - 1].partition(" ")
        if (name, Path(path).name) == ("unlink", ".f.h5.lock"):
            assert (ended.code, ended.errors) == (0, "")  # such a file locks nobody out
        else:
            assert (ended.code, ended.errors.count("\n")) == (5, 1), (seen[number - 1], ended.errors)
            assert str(extraction.output.parent) in ended.errors
            assert not [name for name in extraction.names() if name.startswith(".")]
        extraction.require_whole(undisturbed.earlier, undisturbed.final)
        extraction.finish(undisturbed.final)
    assert len(numbers) >= 3
