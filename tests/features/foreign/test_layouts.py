"""Which arrays of an HDF5 file are videos: an array or a group each, one array of all, or refused in one line."""

import tracemalloc
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from vidrep.errors import FeatureFileError, InputError
from vidrep.features.importing import ImportSummary, import_features


def frames(seed: int, length: int = 5, width: int = 4) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random((length, width)).astype(np.float32)


def hdf5(path: Path, arrays: dict[str, Any]) -> Path:
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array
    return path


def imported(tmp_path: Path, arrays: dict[str, Any], **options: Any) -> ImportSummary:
    return import_features(hdf5(tmp_path / "in.h5", arrays), tmp_path / "out.h5", **options)


def refusal(tmp_path: Path, arrays: dict[str, Any], **options: Any) -> str:
    with pytest.raises(FeatureFileError) as caught:
        imported(tmp_path, arrays, **options)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'in.h5'}: ")
    assert "\n" not in message
    assert len(message) < 1000 + 2 * len(str(tmp_path))
    assert not (tmp_path / "out.h5").exists()
    return message


@pytest.mark.parametrize(
    ("paths", "expected", "layout"),
    [
        (["v1", "v2"], {"v1": ("v1", ""), "v2": ("v2", "")}, "an array each"),
        (["walk/v1", "run/v2"], {"walk/v1": ("walk/v1", "walk"), "run/v2": ("run/v2", "run")}, "an array each"),
        (["a/b/c/v"], {"a/b/c/v": ("a/b/c/v", "c")}, "an array each"),
        (["v1/features", "v2/features"], {"v1": ("v1/features", ""), "v2": ("v2/features", "")}, "'features'"),
        (["x/v1/features"], {"x/v1": ("x/v1/features", "x")}, "a group with 'features' each"),
        (["v_1/c3d", "v_2/c3d"], {"v_1": ("v_1/c3d", ""), "v_2": ("v_2/c3d", "")}, "a group with 'c3d' each"),
        (
            [f"{label}/{number}" for label in ("run", "walk") for number in (1, 2, 3)],
            {f"{label}/{number}": (f"{label}/{number}", label) for label in ("run", "walk") for number in (1, 2, 3)},
            "an array each",
        ),
    ],
)
def test_an_array_or_a_group_a_video(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    paths: list[str],
    expected: dict[str, tuple[str, str]],
    layout: str,
) -> None:
    caplog.set_level("INFO", logger="vidrep")
    arrays = {path: frames(seed, length=3 + seed) for seed, path in enumerate(paths)}
    features = imported(tmp_path, arrays).features
    assert {row.path: row.label for row in features.videos} == {key: label for key, (_, label) in expected.items()}
    for key, (path, _) in expected.items():
        np.testing.assert_array_equal(features.rows(features.index(key)), arrays[path])
    assert [layout in message for message in caplog.messages] == [True]


@pytest.mark.parametrize("how", [{}, {"chunks": (2, 2)}, {"chunks": (2, 4), "compression": "gzip"}], ids=str)
def test_what_is_beside_the_features_is_read_or_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, how: dict[str, Any]
) -> None:
    """The file of a video summarization data set, with rates and times."""
    with h5py.File(tmp_path / "in.h5", "w") as file:
        for number in (1, 2):
            group = file.create_group(f"video_{number}")
            group.create_dataset("features", data=frames(number), **how)
            group["picks"] = np.arange(5) * 15
            group["user_summary"] = np.zeros((20, 75), np.float32)
            group["video_name"] = "Jumps"
        file["video_1/fps"] = 25
        file["video_1/timestamps_ms"] = np.arange(5) * 600.0
        file["video_2/timestamps"] = [0.0, 0.5, 1.0, 1.5, 2.5]
    summary = import_features(tmp_path / "in.h5", tmp_path / "out.h5")
    features = summary.features
    assert summary.failures == []
    assert [(row.path, row.fps) for row in features.videos] == [("video_1", 25.0), ("video_2", 0.0)]
    assert features.timestamps(0) == pytest.approx([0, 0.6, 1.2, 1.8, 2.4])
    assert features.timestamps(1).tolist() == [0.0, 0.5, 1.0, 1.5, 2.5]
    np.testing.assert_array_equal(features.rows(1), frames(2))
    source = tmp_path / "in.h5"
    assert caplog.messages == [f"{source}: 6 other arrays are left out: picks, user_summary, video_name"]


def test_a_rate_that_is_given_replaces_times(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="vidrep")
    arrays = {"v/features": frames(0), "v/timestamps": np.arange(5.0), "v/fps": 30.0}
    features = imported(tmp_path, arrays, fps=4).features
    assert features.timestamps(0).tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert features.videos[0].fps == 4
    assert caplog.messages[-1].endswith("the times of 1 videos are by --fps 4")


@pytest.mark.parametrize(
    "times", [np.arange(4.0), np.array([0, 1, 2, 1.5, 3]), np.array([0, 1, 2, 3, np.nan])], ids=str
)
def test_times_that_cannot_be_are_not_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, times: NDArray[np.float64]
) -> None:
    features = imported(tmp_path, {"v/features": frames(0), "v/timestamps": times, "v/fps": 10.0}).features
    assert features.timestamps(0) == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
    assert (
        "times of 1 videos are not taken, as they step back, are not finite, or are not one a frame: v"
        in (caplog.messages[-1])
    )


# ---- what is not clear


STREAMS = {f"{key}/{kind}": frames(seed) for seed, key in enumerate(("v1", "v2")) for kind in ("flow", "rgb")}


def test_several_kinds_of_features_are_chosen_by_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    message = refusal(tmp_path, STREAMS)
    assert "groups hold arrays of the same names; it holds v1/flow (5, 4), v1/rgb (5, 4), v2/flow (5, 4)" in message
    assert "--array NAME takes the array of that name in each group, --array '*' every array as a video" in message
    features = imported(tmp_path, STREAMS, array="rgb").features
    assert caplog.messages == [f"{tmp_path / 'in.h5'}: 2 other arrays are left out: flow"]
    assert [(row.path, row.label) for row in features.videos] == [("v1", ""), ("v2", "")]
    np.testing.assert_array_equal(features.rows(1), STREAMS["v2/rgb"])
    assert features.settings == {"kind": "import", "source": "in.h5", "array": "rgb"}
    features = imported(tmp_path, STREAMS, array="*", overwrite=True).features
    assert [row.path for row in features.videos] == sorted(STREAMS)
    (tmp_path / "out.h5").unlink()
    assert "no array 'audio' of shape" in refusal(tmp_path, STREAMS, array="audio")


def test_one_array_by_its_path(tmp_path: Path) -> None:
    arrays = {"features": frames(0), "labels": ["a", "b"], "train/X": np.stack([frames(1), frames(2)])}
    arrays |= {"train/labels": ["run", "walk"], "test/X": np.stack([frames(3)])}
    assert "no array 'features' of shape (videos, frames, values), or in a group a video" in refusal(tmp_path, arrays)
    features = imported(tmp_path, arrays, array="features").features
    assert [row.path for row in features.videos] == ["in"]
    np.testing.assert_array_equal(features.rows(0), arrays["features"])
    features = imported(tmp_path, arrays, array="train/X", overwrite=True).features
    assert [(row.path, row.label) for row in features.videos] == [("000000", "run"), ("000001", "walk")]
    np.testing.assert_array_equal(features.rows(1), frames(2))


def test_pictures_of_one_video_or_all_videos(tmp_path: Path) -> None:
    pictures = {"v1/features": np.zeros((5, 3, 2), np.uint8), "v2/features": np.ones((6, 3, 2), np.uint8)}
    message = refusal(tmp_path, pictures)
    assert (
        "not clear whether v1/features (5, 3, 2), v2/features (6, 3, 2) are pictures of one video each, as " in message
    )
    assert "as --array features takes them, or all videos, as --array v1/features takes one of them" in message
    features = imported(tmp_path, pictures, array="features").features
    assert features.frame_shape == (3, 2)
    assert [row.length for row in features.videos] == [5, 6]


def test_messages_are_bounded_however_much_a_file_holds(tmp_path: Path) -> None:
    arrays = {f"a-rather-long-name-of-a-video-{number:05d}/x": np.zeros((1, 2, 2), np.int8) for number in range(2000)}
    with pytest.raises(InputError) as caught:
        imported(tmp_path, arrays)
    assert str(caught.value).startswith(
        "none of the 2000 arrays can be imported; a-rather-long-name-of-a-video-00000: "
    )
    assert len(str(caught.value)) < 300
    assert " and 995 more; --array NAME" in refusal(
        tmp_path, {f"g{n}/{k}": frames(0) for n in range(500) for k in "ab"}
    )
    assert "(60005 characters)" in refusal(tmp_path, {"x" * 60_000: np.zeros(3)})
    assert "a video has a name of 60000 characters; at most 4096" in refusal(tmp_path, {"x" * 60_000: frames(0)})
    assert "split 'xxx" in refusal(tmp_path, {"features": np.zeros((1, 2, 3)), "split": np.array([b"x" * 9000])})


# ---- links, and what cannot be read


def test_links_within_a_file(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "in.h5", "w") as file:
        file["v1/features"] = frames(1)
        file["again"] = file["v1"]  # a second name of the group
        file["v1/above"] = file["/"]  # the group is in itself
        file["v2/features"] = h5py.SoftLink("/v1/features")
        file["v3/features"] = h5py.ExternalLink("other.h5", "/features")
        file["v4/features"] = np.zeros((3, 4), [("a", "f4")])
    summary = import_features(tmp_path / "in.h5", tmp_path / "out.h5")
    assert [row.path for row in summary.features.videos] == ["again"]
    np.testing.assert_array_equal(summary.features.rows(0), frames(1))
    assert {failure.path: failure.reason for failure in summary.failures} == {
        "v2": "/v2/features is a soft link; only values in the file itself are read",
        "v3": "/v3/features is a link into another file; only values in the file itself are read",
        "v4": "/v4/features is of type [('a', '<f4')]; plain numbers and text are read",
    }


def test_groups_too_deep(tmp_path: Path) -> None:
    assert "or in groups deeper than 32" in refusal(tmp_path, {"/".join("a" * 40): frames(0)})


def test_a_damaged_video_is_listed(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "in.h5", "w") as file:
        for name in ("v1", "v2"):
            file.create_dataset(name, data=frames(0), chunks=(5, 4), compression="gzip")
        place = file["v1"].id.get_chunk_info(0).byte_offset
    with (tmp_path / "in.h5").open("r+b") as raw:
        raw.seek(place)
        raw.write(b"\xff\xff")
    summary = import_features(tmp_path / "in.h5", tmp_path / "out.h5")
    assert [row.path for row in summary.features.videos] == ["v2"]
    assert [failure.path for failure in summary.failures] == ["v1"]
    assert "rows 0 to 5 of /v1 cannot be read" in summary.failures[0].reason


def test_one_video_is_in_memory_at_a_time(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "in.h5", "w") as file:
        for number in range(30):
            values = np.random.default_rng(number).random((250, 1000)).astype(np.float32)  # 1 MB
            file.create_dataset(f"v{number}/features", data=values, chunks=(250, 1000), compression="lzf")
    tracemalloc.start()
    import_features(tmp_path / "in.h5", tmp_path / "out.h5")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8e6
