"""Small feature files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixture_types import MakeFeatureFile
from numpy.typing import NDArray

from vidrep.features.parts_folder import mark
from vidrep.features.table import VideoRow
from vidrep.features.writer import writing_features

SETTINGS = {"kind": "test", "size": 2}


def write_feature_file(
    path: Path,
    videos: dict[str, tuple[str, str, int]],
    *,
    settings: dict[str, Any] | None = None,
    dtype: str = "float16",
    frame_shape: tuple[int, ...] = (3,),
) -> dict[str, NDArray[Any]]:
    """Write {key: (label, split, number of frames)}; values are drawn from a seed made of the key. Return the rows."""
    rows = {}
    if path.name.startswith("part-"):
        path.parent.mkdir(exist_ok=True)
        mark(path.parent)
    for key, (_, _, length) in videos.items():
        rng = np.random.default_rng(list(key.encode()))
        rows[key] = (rng.random((length, *frame_shape)) * 100).astype(dtype)
    with writing_features(
        path,
        settings=SETTINGS if settings is None else settings,
        versions={"vidrep": "0"},
        num_rows=sum(map(len, rows.values())),
        frame_shape=frame_shape,
        dtype=dtype,
    ) as writer:
        for key, (label, split, length) in videos.items():
            writer.append(rows[key], np.arange(length) / 10)
            writer.end_video(VideoRow(key, label=label, split=split, fps=10.0))
    return rows


@pytest.fixture
def feature_file() -> MakeFeatureFile:
    return write_feature_file
