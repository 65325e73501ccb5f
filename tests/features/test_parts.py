"""Parts are bounded, numbered, and the only things that are removed."""

from contextlib import contextmanager

import numpy as np
import pytest

from vidrep.features import parts
from vidrep.features.parts import PartsWriter, find_parts, remove_parts
from vidrep.features.store import open_features
from vidrep.features.table import VideoRow


@contextmanager
def writing_in(folder):
    with PartsWriter(folder, settings={}, versions={}, frame_shape=(4,), dtype="float32") as writer:
        yield writer


def add(writer, key, num_rows=2, blocks=1):
    rows = np.random.default_rng(list(key.encode())).random((num_rows, 4)).astype(np.float32)
    for block, times in zip(np.array_split(rows, blocks), np.array_split(np.arange(num_rows) / 2, blocks), strict=True):
        writer.append(block, times)
    writer.end_video(VideoRow.new(key))
    return rows


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_part_is_published_when_it_has_enough_videos(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "PART_MAX_VIDEOS", 2)
    expected = {}
    with writing_in(tmp_path) as writer:
        for number, key in enumerate("abcde"):
            expected[key] = add(writer, key, num_rows=number, blocks=max(1, number))
            assert len(find_parts(tmp_path)) == (number + 1) // 2
        writer.publish()
    assert names(tmp_path) == ["part-000001.h5", "part-000002.h5", "part-000003.h5"]
    features = open_features(tmp_path)
    assert [row.path for row in features.videos] == list("abcde")
    for index, rows in enumerate(expected.values()):
        np.testing.assert_array_equal(features.rows(index), rows)
        np.testing.assert_array_equal(features.timestamps(index), np.arange(len(rows)) / 2)


@pytest.mark.parametrize(("limit", "value"), [("PART_MAX_BYTES", 100), ("PART_MAX_SECONDS", 0.0)])
def test_a_part_is_published_when_it_is_big_or_old_enough(tmp_path, monkeypatch, limit, value):
    monkeypatch.setattr(parts, limit, value)
    with writing_in(tmp_path) as writer:
        rows = add(writer, "a", num_rows=10)
    assert names(tmp_path) == ["part-000001.h5"]
    np.testing.assert_array_equal(open_features(tmp_path).rows(0), rows)


def test_nothing_is_published_of_nothing(tmp_path):
    with writing_in(tmp_path / "new") as writer:
        writer.publish()
    assert names(tmp_path / "new") == []


def test_numbers_go_on_and_only_leftovers_of_parts_go(tmp_path):
    for name in ("part-000007.h5", "part-x.h5", ".part-000008.h5.12.tmp", ".other.tmp", "mine.h5"):
        (tmp_path / name).touch()
    with writing_in(tmp_path) as writer:
        add(writer, "a")
        writer.publish()
    assert names(tmp_path) == [".other.tmp", "mine.h5", "part-000007.h5", "part-000008.h5", "part-x.h5"]
    remove_parts(tmp_path)
    assert names(tmp_path) == [".other.tmp", "mine.h5", "part-x.h5"]


def test_a_folder_with_nothing_else_goes_with_its_parts(tmp_path):
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "part-000001.h5").touch()
    remove_parts(tmp_path / "parts")
    remove_parts(tmp_path / "absent")
    assert names(tmp_path) == []
