"""Clips joined to matches for the benchmarks: every clip once, its frames unchanged, its segment where they are."""

import importlib
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from vidrep.features.store import Features, open_features
from vidrep.features.table import VideoRow
from vidrep.features.writer import writing_features
from vidrep.segments.reading import read_segments

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
STROKES = ("lob", "serve", "smash")
LENGTH, RATE = 4, 15.0


@pytest.fixture
def joining(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("joining")


@pytest.fixture
def clips(tmp_path: Path) -> Features:
    """Seven clips of each stroke, of which the last two are tests; a frame is the number of its clip and its own."""
    names = [(stroke, number) for stroke in STROKES for number in range(1, 8)]
    path = tmp_path / "clips.h5"
    with writing_features(
        path, settings={"kind": "made"}, versions={}, num_rows=LENGTH * len(names), frame_shape=(2,), dtype="float32"
    ) as writer:
        for index, (stroke, number) in enumerate(names):
            frames = np.stack([np.full(LENGTH, index), np.arange(LENGTH)], axis=1).astype(np.float32)
            writer.append(frames, np.arange(LENGTH) / RATE)
            split = "test" if number > 5 else "train"
            writer.end_video(VideoRow(f"{stroke}/p1_{number:03d}.mp4", label=stroke, split=split, fps=2 * RATE))
    return open_features(path)


def test_every_clip_is_in_one_match_with_its_neighbors_and_its_segment(
    joining: ModuleType, clips: Features, tmp_path: Path
) -> None:
    joining.join(clips, tmp_path / "joined", 0)
    matches, annotations = (
        open_features(tmp_path / "joined" / joining.MATCHES),
        read_segments(tmp_path / "joined" / joining.ANNOTATIONS),
    )
    assert [(row.path, row.split, row.fps) for row in matches.videos] == [
        ("test-02", "test", RATE),
        ("train-01", "train", RATE),
    ]
    joined = []
    for index, row in enumerate(matches.videos):
        frames, times = np.asarray(matches.rows(index)), matches.timestamps(index)
        np.testing.assert_allclose(times, np.arange(len(frames)) / RATE)
        segments = annotations.by_video[row.path]
        assert len(segments) == len(frames) / LENGTH
        for number, one in enumerate(segments):
            clip = frames[LENGTH * number : LENGTH * (number + 1)]
            assert (one.start, one.end) == pytest.approx((LENGTH * number / RATE, LENGTH * (number + 1) / RATE))
            assert clip[:, 1].tolist() == list(range(LENGTH))
            assert clips.videos[int(clip[0, 0])].label == one.label
            assert clips.videos[int(clip[0, 0])].split == row.split
            joined.append(int(clip[0, 0]))
        assert all(before.label != after.label for before, after in pairwise(segments))
    assert sorted(joined) == list(range(len(clips)))


def test_a_seed_decides_the_order_in_rounds(joining: ModuleType) -> None:
    by_stroke = {stroke: [10 * index + number for number in range(6)] for index, stroke in enumerate(STROKES)}
    orders = [list(joining.shuffled(by_stroke, np.random.default_rng(seed))) for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == sorted(number for some in by_stroke.values() for number in some)
    for first in range(0, 18, 3):
        assert {number // 10 for number in orders[0][first : first + 3]} == {0, 1, 2}
