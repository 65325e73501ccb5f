"""Rows are mapped when they are first read, from a bounded number of files at a time, and only from the right file."""

import gc
import multiprocessing
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import h5py
import numpy as np
import pytest
from fixture_types import MakeFeatureFile
from numpy.typing import NDArray

from vidrep.errors import FeatureFileError
from vidrep.features.store import open_features

VIDEOS = {"a": ("", "", 4), "b": ("", "", 2), "c": ("", "", 3)}
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="counts open files in /proc")


def num_open_files() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - as plain as can be


def pack(path: Path, **how: Any) -> None:
    """Write a feature file's features anew, in chunks."""
    with h5py.File(path, "r+") as file:
        features = file["features"][:]
        del file["features"]
        file.create_dataset("features", data=features, **how)


def many_parts(folder: Path, number: int, feature_file: MakeFeatureFile) -> None:
    """Copy one part with other keys and rows: quicker than to write each."""
    rows = feature_file(folder / "part-000000.h5", {"video-0000": ("", "", 3)})["video-0000"]
    content = (folder / "part-000000.h5").read_bytes()
    assert content.count(b"video-0000") == 1
    assert content.count(rows.tobytes()) == 1
    for part in range(1, number):
        changed = content.replace(b"video-0000", b"video-%04d" % part)
        changed = changed.replace(rows.tobytes(), np.full_like(rows, part).tobytes())
        (folder / f"part-{part:06d}.h5").write_bytes(changed)


# ---- as few files as possible are open


@on_linux
@pytest.mark.parametrize("packed", [False, True])
def test_opening_leaves_no_file_open_and_reading_a_bounded_number(
    tmp_path: Path,
    feature_file: MakeFeatureFile,
    monkeypatch: pytest.MonkeyPatch,
    packed: bool,
) -> None:
    monkeypatch.setattr("vidrep.features.store._MAX_OPEN_FILES", 3)
    rows: dict[str, NDArray[Any]] = {}
    for number, key in enumerate("abcdefgh"):
        rows |= feature_file(tmp_path / f"part-{number:06d}.h5", {key: ("", "", 2)})
        if packed:
            pack(tmp_path / f"part-{number:06d}.h5", chunks=(1, 3))
    before = num_open_files()
    features = open_features(tmp_path)
    assert num_open_files() == before
    for _ in range(2):
        for index, row in enumerate(features.videos):
            np.testing.assert_array_equal(features.rows(index), rows[row.path])
            assert features.timestamps(index).tolist() == [0, 0.1]
    assert before < num_open_files() <= before + 3
    held = [features.rows(index) for index in range(8)]
    for index, row in enumerate(features.videos):
        np.testing.assert_array_equal(held[index], rows[row.path])
    del features, held
    assert num_open_files() == before


def test_rows_outlive_their_features(tmp_path: Path, feature_file: MakeFeatureFile) -> None:
    rows = feature_file(tmp_path / "f.h5", VIDEOS)
    features = open_features(tmp_path / "f.h5")
    held, times = features.rows(1), features.timestamps(2)
    assert type(held) is type(times) is np.ndarray  # slicing an np.memmap takes several times as long
    assert not held.flags.writeable
    del features
    gc.collect()
    np.testing.assert_array_equal(held, rows["b"])
    assert times.tolist() == [0, 0.1, 0.2]


_READ_ALL = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
import numpy as np
from numpy.typing import NDArray
from typing import Any
from vidrep.features.store import open_features
from vidrep.sequences.windows import sliding_windows
features = open_features(sys.argv[1])
assert len(features) == 1200 and features.num_frames == 3600
for video in range(1, 1200):
    assert (features.rows(video) == video).all()
windows = sliding_windows(features, range(1200), length=2, stride=1)
gathered = windows.gather(np.arange(2, 2400))
assert (gathered == np.arange(2, 2400)[None, :, None] // 2).all()
print("read")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no limit of this kind")
def test_more_parts_than_a_process_can_have_open(tmp_path: Path, feature_file: MakeFeatureFile) -> None:
    many_parts(tmp_path, 1200, feature_file)
    done = subprocess.run([sys.executable, "-c", _READ_ALL, tmp_path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "read\n"), done.stderr


# ---- in other processes


def test_features_go_to_another_process_and_are_mapped_there(tmp_path: Path, feature_file: MakeFeatureFile) -> None:
    rows = feature_file(tmp_path / "part-000001.h5", VIDEOS) | feature_file(
        tmp_path / "part-000002.h5", {"d": ("", "", 5)}
    )
    features = open_features(tmp_path)
    features.rows(0)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        for index, row in enumerate(features.videos):
            np.testing.assert_array_equal(pool.apply(features.rows, (index,)), rows[row.path])


def test_what_is_sent_are_tables_not_rows(tmp_path: Path, feature_file: MakeFeatureFile) -> None:
    feature_file(tmp_path / "f.h5", {"a": ("", "", 100_000)})
    features = open_features(tmp_path / "f.h5")
    features.rows(0)
    assert len(pickle.dumps(features)) < 10_000


# ---- a file that is another now


def vanish(path: Path) -> None:
    path.unlink()


def rewrite(path: Path) -> None:
    content = path.read_bytes()
    os.utime(path, ns=(0, 0))
    path.write_bytes(content)


def replace(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    status = path.stat()
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(path)


def lengthen(path: Path) -> None:
    status = path.stat()
    with path.open("ab") as file:
        file.write(b"more")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("change", [vanish, rewrite, replace, lengthen])
def test_a_file_that_is_not_the_one_that_was_opened(
    tmp_path: Path,
    feature_file: MakeFeatureFile,
    change: Callable[[Path], None],
    packed: bool,
) -> None:
    feature_file(tmp_path / "part-000001.h5", {"a": ("", "", 2)})
    feature_file(tmp_path / "part-000002.h5", {"b": ("", "", 2)})
    if packed:
        pack(tmp_path / "part-000002.h5", chunks=(1, 3))
    features, mapped_before = open_features(tmp_path), open_features(tmp_path)
    held = mapped_before.rows(1)
    change(tmp_path / "part-000002.h5")
    features.rows(0)
    said = "can no longer be read .*No such file" if change is vanish else "the file was changed or replaced after"
    for read in (features.rows, features.timestamps):
        with pytest.raises(FeatureFileError, match=rf"2\.h5: {said}.*; open it again") as caught:
            read(1)
        assert "\n" not in str(caught.value)
    if change is not rewrite:
        np.testing.assert_array_equal(mapped_before.rows(1), held)


# ---- other layouts


@pytest.mark.parametrize(
    "how",
    [
        {"chunks": (2, 3)},
        {"chunks": (4, 2), "compression": "gzip", "shuffle": True, "fletcher32": True},
        {"chunks": (9, 3), "compression": "lzf"},
        {"chunks": (2, 3), "maxshape": (None, 3)},
    ],
    ids=str,
)
def test_files_in_chunks_read_the_same(tmp_path: Path, feature_file: MakeFeatureFile, how: dict[str, Any]) -> None:
    rows = feature_file(tmp_path / "f.h5", VIDEOS)
    pack(tmp_path / "f.h5", **how)
    features = open_features(tmp_path / "f.h5")
    for index, row in enumerate(features.videos):
        np.testing.assert_array_equal(features.rows(index), rows[row.path])
        np.testing.assert_array_equal(features.rows(index, 1, 2), rows[row.path][1:2])
    assert list(features.damaged()) == []


def test_a_file_with_something_in_front(tmp_path: Path, feature_file: MakeFeatureFile) -> None:
    rows = feature_file(tmp_path / "f.h5", VIDEOS)
    with h5py.File(tmp_path / "f.h5") as plain, h5py.File(tmp_path / "u.h5", "w", userblock_size=512) as behind:
        for name in ("features", "timestamps", "videos"):
            plain.copy(name, behind)
        behind.attrs.update(plain.attrs)
    features = open_features(tmp_path / "u.h5")
    np.testing.assert_array_equal(features.rows(2), rows["c"])
    assert list(features.damaged()) == []


def test_no_rows_at_all(tmp_path: Path, feature_file: MakeFeatureFile) -> None:
    feature_file(tmp_path / "f.h5", {"a": ("", "", 0)})
    features = open_features(tmp_path / "f.h5")
    assert features.rows(0).shape == (0, 3)
    assert features.timestamps(0).shape == (0,)
    assert len(features.preload().rows(0)) == 0


def test_a_chunk_that_cannot_be_unpacked(tmp_path: Path, feature_file: MakeFeatureFile) -> None:
    rows = feature_file(tmp_path / "f.h5", VIDEOS)
    pack(tmp_path / "f.h5", chunks=(4, 3), compression="gzip")
    with h5py.File(tmp_path / "f.h5") as file:
        where = file["features"].id.get_chunk_info(1).byte_offset
    with (tmp_path / "f.h5").open("r+b") as file:
        file.seek(where)
        file.write(b"\xff\xff")
    features = open_features(tmp_path / "f.h5")
    np.testing.assert_array_equal(features.rows(0), rows["a"])
    with pytest.raises(
        FeatureFileError, match=r"f\.h5: rows 4 to 6 of /features cannot be read .*; make the file again"
    ):
        features.rows(1)


# ---- in memory


def test_preloaded_features_are_the_same(tmp_path: Path, feature_file: MakeFeatureFile) -> None:
    parts = tmp_path / "parts"
    rows = feature_file(parts / "part-000001.h5", VIDEOS) | feature_file(
        parts / "part-000002.h5", {"b": ("", "", 5), "d": ("", "", 1)}
    )
    features = open_features(parts)
    loaded = features.preload()
    for file in parts.iterdir():
        file.unlink()
    loaded = pickle.loads(pickle.dumps(loaded))
    assert loaded.videos == features.videos
    assert repr(loaded) == repr(features)
    for index, row in enumerate(loaded.videos):
        np.testing.assert_array_equal(loaded.rows(index), rows[row.path])
        np.testing.assert_array_equal(loaded.rows(index, 1, 3), rows[row.path][1:3])
        assert loaded.timestamps(index).tolist() == pytest.approx(np.arange(row.length) / 10)
    assert list(loaded.damaged()) == []


def test_features_that_do_not_fit_into_memory(
    tmp_path: Path, feature_file: MakeFeatureFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    feature_file(tmp_path / "f.h5", VIDEOS)
    features = open_features(tmp_path / "f.h5")

    def no_memory(*_args: object, **_options: object) -> NoReturn:
        raise MemoryError

    monkeypatch.setattr("vidrep.features.store.np.empty", no_memory)
    with pytest.raises(FeatureFileError, match=r"f\.h5: does not fit into memory; read it from the file"):
        features.preload()


def test_the_part_of_a_video_is_known(tmp_path: Path, feature_file: MakeFeatureFile) -> None:
    feature_file(tmp_path / "part-000001.h5", VIDEOS)
    feature_file(tmp_path / "part-000002.h5", {"b": ("", "", 5)})
    features = open_features(tmp_path)
    assert [features.file_of(index).name for index in range(3)] == [
        "part-000001.h5",
        "part-000002.h5",
        "part-000001.h5",
    ]
    assert open_features(Path(tmp_path / "part-000002.h5")).file_of(0) == tmp_path / "part-000002.h5"


def resident_bytes() -> int:
    return 4096 * int(Path("/proc/self/statm").read_text().split()[1])


@pytest.mark.skipif(sys.platform != "linux", reason="asks the Linux kernel")
def test_what_was_read_through_does_not_stay_in_memory(tmp_path: Path, feature_file: MakeFeatureFile) -> None:
    feature_file(tmp_path / "f.h5", {"a": ("", "", 20_000)}, frame_shape=(1024,), dtype="float16")  # 41 MB
    features = open_features(tmp_path / "f.h5")
    before = resident_bytes()
    first = features.rows(0, 0, 2)
    expected = first.copy()
    assert list(features.damaged()) == []
    assert resident_bytes() - before < 25 << 20
    np.testing.assert_array_equal(first, expected)
