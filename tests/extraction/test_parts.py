"""Parts are bounded, numbered, and the only things that are removed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from vidrep.errors import Stopped
from vidrep.extraction import parts
from vidrep.extraction.parts import PartsWriter, Spool, remove_parts
from vidrep.features.parts_folder import MARKER, find_parts
from vidrep.features.store import open_features
from vidrep.features.table import VideoRow


@contextmanager
def writing_in(folder: Path, num_crops: int = 1) -> Iterator[PartsWriter]:
    with PartsWriter(
        folder, settings={}, versions={}, num_crops=num_crops, frame_shape=(4,), dtype="float32"
    ) as writer:
        yield writer


def rows_of(key: str, num_rows: int = 2, num_crops: int = 1) -> NDArray[np.float32]:
    rng = np.random.default_rng(list(key.encode()))
    return rng.random((num_rows, num_crops, 4)).astype(np.float32)


def add(writer: PartsWriter, key: str, num_rows: int = 2, blocks: int = 1) -> NDArray[np.float32]:
    rows = rows_of(key, num_rows)
    spool = writer.new_spool()
    for block, times in zip(np.array_split(rows, blocks), np.array_split(np.arange(num_rows) / 2, blocks), strict=True):
        spool.append(block, times)
    writer.add_video([VideoRow(key)], spool)
    return rows[:, 0]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != MARKER)


def test_a_part_is_published_when_it_has_enough_videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "PART_MAX_VIDEOS", 2)
    expected = {}
    with writing_in(tmp_path) as writer:
        for number, key in enumerate("abcde"):
            expected[key] = add(writer, key, num_rows=number, blocks=max(1, number))
            assert len(find_parts(tmp_path)) == (number + 1) // 2
    assert names(tmp_path) == ["part-000001.h5", "part-000002.h5", "part-000003.h5"]
    features = open_features(tmp_path)
    assert [row.path for row in features.videos] == list("abcde")
    for index, rows in enumerate(expected.values()):
        np.testing.assert_array_equal(features.rows(index), rows)
        np.testing.assert_array_equal(features.timestamps(index), np.arange(len(rows)) / 2)


@pytest.mark.parametrize(("limit", "value"), [("PART_MAX_BYTES", 100), ("PART_MAX_SECONDS", 0.0)])
def test_a_part_is_published_when_it_is_big_or_old_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: float
) -> None:
    monkeypatch.setattr(parts, limit, value)
    with writing_in(tmp_path) as writer:
        rows = add(writer, "a", num_rows=10)
        assert names(tmp_path) == ["part-000001.h5"]
    assert names(tmp_path) == ["part-000001.h5"]
    np.testing.assert_array_equal(open_features(tmp_path).rows(0), rows)


def test_nothing_is_published_of_nothing(tmp_path: Path) -> None:
    with writing_in(tmp_path / "new") as writer:
        writer.new_spool().close()
    assert names(tmp_path / "new") == []


def test_numbers_go_on_and_only_leftovers_of_parts_go(tmp_path: Path) -> None:
    for name in ("part-000007.h5", "part-x.h5", ".part-000008.h5.12.tmp", ".other.tmp", "mine.h5"):
        (tmp_path / name).touch()
    with writing_in(tmp_path) as writer:
        add(writer, "a")
    assert names(tmp_path) == [".other.tmp", "mine.h5", "part-000007.h5", "part-000008.h5", "part-x.h5"]
    remove_parts(tmp_path)
    assert names(tmp_path) == [".other.tmp", "mine.h5", "part-x.h5"]


def test_a_folder_with_nothing_else_goes_with_its_parts(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "part-000001.h5").touch()
    remove_parts(tmp_path / "parts")
    remove_parts(tmp_path / "absent")
    assert names(tmp_path) == []


def test_videos_under_way_do_not_mix(tmp_path: Path) -> None:
    """Several videos are written at once, each with several crops."""
    expected = {key: rows_of(key, num_rows, 2) for key, num_rows in [("a", 5), ("b", 3), ("c", 4)]}
    with writing_in(tmp_path, num_crops=2) as writer:
        spools = {key: writer.new_spool() for key in expected}
        for row in range(5):
            for key, rows in expected.items():
                spools[key].append(rows[row : row + 1], np.arange(len(rows))[row : row + 1] / 4)
        spools.pop("c").close()  # a video that failed
        for key in ("b", "a"):
            writer.add_video([VideoRow(f"{key}#1"), VideoRow(f"{key}#2")], spools[key])
    features = open_features(tmp_path)
    assert [row.path for row in features.videos] == ["a#1", "a#2", "b#1", "b#2"]
    for index, (key, crop) in enumerate([("a", 0), ("a", 1), ("b", 0), ("b", 1)]):
        np.testing.assert_array_equal(features.rows(index), expected[key][:, crop])
        np.testing.assert_array_equal(features.timestamps(index), np.arange(len(expected[key])) / 4)


@pytest.mark.parametrize("limit", [1, 100, 1 << 20])
def test_long_videos_wait_in_a_file_without_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(parts, "_SPOOL_BYTES", limit)
    with writing_in(tmp_path) as writer:
        rows = add(writer, "a", num_rows=50, blocks=7)
        assert names(tmp_path) == []
    assert names(tmp_path) == ["part-000001.h5"]
    features = open_features(tmp_path)
    np.testing.assert_array_equal(features.rows(0), rows)
    np.testing.assert_array_equal(features.timestamps(0), np.arange(50) / 2)


@pytest.mark.parametrize("limit", [1, 100, 1 << 20])
def test_a_spool_gives_back_bounded_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(parts, "_SPOOL_BYTES", limit)
    rows = rows_of("a", 50)
    spool = Spool(tmp_path, (1, 4), np.dtype("<f4"))
    spool.append(rows[:20], np.arange(20.0))
    spool.append(rows[20:], np.arange(20.0, 50.0))
    assert (spool.num_rows, spool.num_bytes) == (50, 50 * 16)
    blocks = list(spool.blocks())
    assert {len(block) for block, _ in blocks} == {{1: 1, 100: 6, 1 << 20: 50}[limit], *([2] if limit == 100 else [])}
    np.testing.assert_array_equal(np.concatenate([block for block, _ in blocks]), rows)
    np.testing.assert_array_equal(np.concatenate([times for _, times in blocks]), np.arange(50.0))
    spool.close()


@pytest.mark.parametrize(("error", "parts_there"), [(Stopped("as asked"), 1), (RuntimeError("a defect"), 0)])
def test_a_stop_keeps_what_is_finished_and_a_defect_does_not(
    tmp_path: Path, error: Exception, parts_there: int
) -> None:
    with pytest.raises(type(error)), writing_in(tmp_path) as writer:
        add(writer, "a")
        under_way = writer.new_spool()  # which nobody closes
        under_way.append(rows_of("b", num_rows=2), np.arange(2.0))
        raise error
    with pytest.raises(ValueError, match="closed file"):
        under_way.append(rows_of("b"), np.arange(2.0))
    assert len(names(tmp_path)) == parts_there
    if parts_there:
        assert [row.path for row in open_features(tmp_path).videos] == ["a"]
