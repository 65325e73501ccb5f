"""A folder is one of parts only if extraction made it one."""

from pathlib import Path

import pytest
from fixture_types import MakeFeatureFile

from vidrep.errors import FeatureFileError
from vidrep.features.parts_folder import MARKER, find_parts, mark
from vidrep.features.store import open_features


def test_files_that_lie_side_by_side_are_not_one_set(tmp_path: Path, feature_file: MakeFeatureFile) -> None:
    feature_file(tmp_path / "train.h5", {"a": ("", "", 2)})
    feature_file(tmp_path / "holdout.h5", {"b": ("", "", 2)})
    with pytest.raises(FeatureFileError, match="a folder, and none of parts that `vidrep extract -o FOLDER`"):
        open_features(tmp_path)


def test_parts_without_a_mark_are_refused_with_the_remedy(tmp_path: Path, feature_file: MakeFeatureFile) -> None:
    feature_file(tmp_path / "part-000001.h5", {"a": ("", "", 2)})
    (tmp_path / MARKER).unlink()
    with pytest.raises(FeatureFileError, match="run the same `vidrep extract` again, which marks it"):
        open_features(tmp_path)
    mark(tmp_path)
    assert len(open_features(tmp_path)) == 1
    (tmp_path / "part-000001.h5").unlink()
    with pytest.raises(FeatureFileError, match="no part in this folder; run the same `vidrep extract` again"):
        open_features(tmp_path)


def test_other_files_in_a_folder_of_parts_are_named_and_not_read(
    tmp_path: Path, feature_file: MakeFeatureFile, caplog: pytest.LogCaptureFixture
) -> None:
    feature_file(tmp_path / "part-000010.h5", {"b": ("", "", 2)})
    feature_file(tmp_path / "part-000009.h5", {"a": ("", "", 2)})
    feature_file(tmp_path / "holdout.h5", {"c": ("", "", 2)})
    assert [row.path for row in open_features(tmp_path).videos] == ["a", "b"]
    assert caplog.messages == [f"{tmp_path}: not read, as these are no parts of it: holdout.h5"]
    assert [part.name for part in find_parts(tmp_path)] == ["part-000009.h5", "part-000010.h5"]
