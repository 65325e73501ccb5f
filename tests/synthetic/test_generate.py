"""Moving MNIST sequences become the videos of a feature file."""

import struct
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from vidrep.errors import ConfigError, InputError, OutputError
from vidrep.features.store import open_features
from vidrep.progress import Progress
from vidrep.synthetic.generate import generate_moving_mnist
from vidrep.synthetic.mnist import MnistSplit
from vidrep.synthetic.moving_mnist import MovingMnist, MovingMnistConfig, stream_rng

DIGITS = np.random.default_rng(3).integers(0, 256, (7, 28, 28), dtype=np.uint8)
CONFIG = MovingMnistConfig(canvas=32, num_frames=4)


@pytest.fixture
def mnist(tmp_path: Path) -> Path:
    folder = tmp_path / "mnist"
    folder.mkdir()
    for stem, digits in {"train": DIGITS, "t10k": DIGITS[:2]}.items():
        header = struct.pack(">4I", 0x803, len(digits), 28, 28)
        (folder / f"{stem}-images-idx3-ubyte").write_bytes(header + digits.tobytes())
    return folder


def test_sequences_are_the_generators(tmp_path: Path, mnist: Path) -> None:
    seen: list[Progress] = []
    features = generate_moving_mnist(
        tmp_path / "f.h5", num_videos=230, mnist=mnist, config=CONFIG, seed=4, on_progress=seen.append
    )
    expected = MovingMnist(DIGITS, CONFIG).generate(230, stream_rng("train", 4)).swapaxes(0, 1)
    assert (len(features), features.frame_shape, features.dtype) == (230, (32, 32), "uint8")
    assert [row.path for row in features.videos] == [f"{number:08d}" for number in range(230)]
    for video in (0, 99, 100, 229):
        np.testing.assert_array_equal(features.rows(video), expected[video])
        assert features.timestamps(video).tolist() == [0, 1, 2, 3]
    assert {(row.label, row.split, row.length, row.fps) for row in features.videos} == {("", "train", 4, 1.0)}
    assert list(features.damaged()) == []
    assert [(one.done, one.total, one.unit) for one in seen] == [
        (100, 230, "sequences"),
        (200, 230, "sequences"),
        (230, 230, "sequences"),
    ]
    assert features.settings == {
        "kind": "moving-mnist", "digits": "train", "num_digits": 2, "canvas": 32, "num_frames": 4, "displacement": 0.1,
        "seed": 4,
    }  # fmt: skip


def test_equal_seeds_make_equal_bytes(tmp_path: Path, mnist: Path) -> None:
    for name, seed in {"a": 1, "b": 1, "c": 2}.items():
        generate_moving_mnist(tmp_path / f"{name}.h5", num_videos=5, mnist=mnist, config=CONFIG, seed=seed)
    a, b, c = ((tmp_path / f"{name}.h5").read_bytes() for name in "abc")
    assert a == b != c


def test_test_digits(tmp_path: Path, mnist: Path) -> None:
    features = generate_moving_mnist(tmp_path / "f.h5", num_videos=3, mnist=mnist, split="test", config=CONFIG)
    expected = MovingMnist(DIGITS[:2], CONFIG).generate(3, np.random.default_rng(0)).swapaxes(0, 1)
    np.testing.assert_array_equal(np.stack([features.rows(video) for video in range(3)]), expected)
    assert {row.split for row in features.videos} == {"test"}


def test_training_and_test_files_of_one_seed_move_on_other_ways(tmp_path: Path) -> None:
    flat = np.full((3, 28, 28), 255, np.uint8)  # what differs then is where digits are
    folder = tmp_path / "flat"
    folder.mkdir()
    for stem in ("train", "t10k"):
        header = struct.pack(">4I", 0x803, 3, 28, 28)
        (folder / f"{stem}-images-idx3-ubyte").write_bytes(header + flat.tobytes())
    config = MovingMnistConfig(canvas=64, num_frames=4)
    train, test = (
        generate_moving_mnist(tmp_path / f"{name}.h5", num_videos=9, mnist=folder, split=name, config=config)
        for name in get_args(MnistSplit)
    )
    assert all((train.rows(video) != test.rows(video)).any() for video in range(9))


def test_what_cannot_be_writes_nothing(tmp_path: Path, mnist: Path) -> None:
    (tmp_path / "there.h5").write_text("as before")
    refused: list[tuple[str, dict[str, Any], type[Exception], str]] = [
        ("f.h5", {"num_videos": 0}, ConfigError, "videos 0: give at least 1"),
        ("f.h5", {"split": "validation"}, ConfigError, "digits 'validation': allowed are train, test"),
        ("f.txt", {}, OutputError, r"ends in \.h5"),
        ("there.h5", {}, OutputError, "exists; give a new name or --overwrite"),
        ("f.h5", {"mnist": tmp_path / "absent"}, InputError, "absent: no such folder"),
    ]
    for output, options, error, message in refused:
        with pytest.raises(error, match=message):
            generate_moving_mnist(tmp_path / output, **{"num_videos": 2, "mnist": mnist, "config": CONFIG, **options})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mnist", "there.h5"]
    assert (tmp_path / "there.h5").read_text() == "as before"
    generate_moving_mnist(tmp_path / "there.h5", num_videos=2, mnist=mnist, config=CONFIG, overwrite=True)
    assert len(open_features(tmp_path / "there.h5")) == 2
