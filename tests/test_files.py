"""Files are published whole or not at all."""

import errno
import hashlib

import pytest

from vidrep.errors import OutputError
from vidrep.files import replacing, sha256_of_file, write_text


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_as_a_whole(tmp_path):
    path = tmp_path / "new" / "a.txt"
    for text in ("first", "second"):
        with replacing(path) as temporary:
            temporary.write_text(text)
            assert not path.exists() or path.read_text() == "first"
        assert path.read_text() == text
    assert names(path.parent) == ["a.txt"]


def test_a_failure_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("as before")
    with pytest.raises(RuntimeError, match="half way"), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError("half way")
    assert path.read_text() == "as before"
    assert names(tmp_path) == ["a.txt"]


def test_a_full_disk_is_an_error_in_one_line(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("as before")
    with pytest.raises(OutputError, match=r"a\.txt: cannot be written \(No space left on device\)"), replacing(path):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert path.read_text() == "as before"
    with pytest.raises(OSError, match="denied") as caught, replacing(path):
        raise OSError(errno.EACCES, "denied")  # of some other file that the block reads
    assert not isinstance(caught.value, OutputError)
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("make", ["file in the way", "folder in its place", "long name"])
def test_a_place_that_cannot_be_written_is_an_error_in_one_line(tmp_path, make):
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


def test_text_is_utf8_with_its_line_ends_and_foreign_bytes_escaped(tmp_path):
    write_text(tmp_path / "a.txt", "é\r\n\udcff\n")
    assert (tmp_path / "a.txt").read_bytes() == "é\r\n\\xff\n".encode()


@pytest.mark.parametrize("size", [0, 1, 3 << 20])
def test_the_hash_of_a_file(tmp_path, size):
    content = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    (tmp_path / "a").write_bytes(content)
    assert sha256_of_file(tmp_path / "a") == hashlib.sha256(content).hexdigest()
