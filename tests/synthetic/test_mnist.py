import gzip
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest

from vidrep.errors import InputError
from vidrep.synthetic.mnist import MnistSplit, load_digits

DIGITS = np.random.default_rng(7).integers(0, 256, (3, 28, 28), dtype=np.uint8)
HEADER = struct.pack(">4I", 0x803, 3, 28, 28)
WHOLE = HEADER + DIGITS.tobytes()


def put(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize("inner", [".", "MNIST/raw"])
@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("dot", ["-", "."])
@pytest.mark.parametrize(("split", "stem"), [("train", "train"), ("test", "t10k")])
def test_reads_every_usual_spelling(
    tmp_path: Path, split: MnistSplit, stem: str, dot: str, suffix: str, inner: str
) -> None:
    put(tmp_path / inner / f"{stem}-images{dot}idx3-ubyte{suffix}", WHOLE)
    digits = load_digits(tmp_path, split)
    assert digits.dtype == np.uint8
    np.testing.assert_array_equal(digits, DIGITS)
    digits[0] = 0  # torch.from_numpy warns of arrays that cannot be written


def test_parts_are_not_mixed_up(tmp_path: Path) -> None:
    put(tmp_path / "train-images-idx3-ubyte", WHOLE)
    put(tmp_path / "t10k-images-idx3-ubyte", struct.pack(">4I", 0x803, 1, 28, 28) + bytes(784))
    assert len(load_digits(tmp_path, "train")) == 3
    assert len(load_digits(tmp_path, "test")) == 1
    with pytest.raises(ValueError, match="'validation'"):
        load_digits(tmp_path, "validation")  # type: ignore[arg-type]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="absent: no such folder"):
        load_digits(tmp_path / "absent", "train")
    with pytest.raises(InputError, match=r"file: not a folder"):
        load_digits(put(tmp_path / "file", b""), "train")


def test_a_missing_file_is_named_beside_what_is_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"t10k-images-idx3-ubyte\.gz.*it holds nothing"):
        load_digits(tmp_path, "test")
    put(tmp_path / "train-images-idx3-ubyte.gz", WHOLE)
    with pytest.raises(InputError, match=r"no MNIST test images.*holds train-images-idx3-ubyte\.gz"):
        load_digits(tmp_path, "test")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "begins with nothing"),
        (struct.pack(">2I", 0x801, 3) + bytes(3), "begins with 00000801"),
        (HEADER[:10], "10 bytes are less than the header of 16"),
        (WHOLE[:-1], "2351 bytes of pixels, its header promises 2352"),
        (WHOLE + b"x", "2353 bytes of pixels"),
        (struct.pack(">4I", 0x803, 3, 2**31, 2**31), "images of 2147483648x2147483648"),
        (struct.pack(">4I", 0x803, 2**32 - 1, 28, 28), "promises 3367254359280"),
        (struct.pack(">4I", 0x803, 0, 28, 28), "0 images"),
    ],
)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes, message: str, suffix: str) -> None:
    path = put(tmp_path / f"train-images-idx3-ubyte{suffix}", content)
    with pytest.raises(InputError, match=message) as caught:
        load_digits(tmp_path, "train")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "damage",
    [
        lambda packed: packed[:-20],
        lambda packed: b"plain" + packed,
        lambda packed: packed[:200] + bytes(50) + packed[250:],
        lambda packed: packed[:-8] + bytes(8),
    ],
    ids=["cut short", "not gzip", "zeros inside", "wrong checksum"],
)
def test_a_damaged_gzip_is_named(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(damage(gzip.compress(WHOLE)))
    with pytest.raises(InputError, match=r"train-images-idx3-ubyte\.gz: not a whole file"):
        load_digits(tmp_path, "train")


class FakeMnist:
    """Stands for torchvision.datasets.MNIST: as noisy, and it leaves the same files."""

    calls = 0

    def __init__(self, *, root: str, download: bool) -> None:
        assert download
        type(self).calls += 1
        sys.stdout.write("9.91MB [00:00, 20MB/s]\n")
        sys.stderr.write("9.91MB [00:00, 20MB/s]\n")
        for stem in ("train", "t10k"):
            put(Path(root) / "MNIST" / "raw" / f"{stem}-images-idx3-ubyte.gz", WHOLE)


def test_without_a_folder_the_cache_is_filled_once_and_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("torchvision.datasets.MNIST", FakeMnist)
    monkeypatch.setattr(FakeMnist, "calls", 0)
    for split in ("train", "test", "train"):
        np.testing.assert_array_equal(load_digits(None, split), DIGITS)
    assert FakeMnist.calls == 1
    held = sorted(path.name for path in (tmp_path / "vidrep" / "mnist").iterdir())
    assert held == ["t10k-images-idx3-ubyte.gz", "train-images-idx3-ubyte.gz"]
    assert capfd.readouterr() == ("", "")


def test_the_cache_is_in_the_home_folder_unless_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    put(tmp_path / ".cache" / "vidrep" / "mnist" / "t10k-images-idx3-ubyte", WHOLE)
    np.testing.assert_array_equal(load_digits(None, "test"), DIGITS)


@pytest.mark.parametrize(
    "failure",
    [URLError("Name or service not known"), RuntimeError("Error downloading\nTried it, got:\nno"), OSError(28)],
)
def test_a_closed_network_says_which_file_to_put_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    def fail(**_: object) -> None:
        raise failure

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("torchvision.datasets.MNIST", fail)
    with pytest.raises(InputError, match=r"t10k-images-idx3-ubyte\.gz there, or .* --mnist DIR") as caught:
        load_digits(None, "test")
    assert str(tmp_path / "vidrep" / "mnist") in str(caught.value)
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "vidrep" / "mnist").iterdir()) == []
