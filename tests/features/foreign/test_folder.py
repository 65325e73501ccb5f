"""A folder with a file a video: links, suffixes, leading axes, and rates and times beside the features."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.io import savemat

from vidrep.errors import InputError
from vidrep.features.annotations import Annotation
from vidrep.features.importing import ImportSummary, import_features


def frames(seed: int, length: int = 4, width: int = 3) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random((length, width)).astype(np.float32)


def save(path: Path, array: NDArray[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:  # np.save would add .npy to .NPY
        np.save(file, array)
    return path


def imported(tmp_path: Path, **options: Any) -> ImportSummary:
    return import_features(tmp_path / "in", tmp_path / "out.h5", overwrite=True, **options)


def test_linked_folders_are_counted_or_followed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save(tmp_path / "in/walk/a.npy", frames(1))
    save(tmp_path / "elsewhere/run/b.npy", frames(2))
    (tmp_path / "in/run").symlink_to(tmp_path / "elsewhere/run")
    (tmp_path / "in/walk/same.npy").symlink_to(tmp_path / "in/walk/a.npy")
    summary = imported(tmp_path)
    assert [row.path for row in summary.features.videos] == ["walk/a.npy", "walk/same.npy"]
    where = repr(str(tmp_path / "in"))
    assert caplog.messages == [f"{where}: 1 symbolic links are left out: they lead to folders, or out of it"]
    caplog.clear()
    features = imported(tmp_path, follow_links=True).features
    assert {row.path: row.label for row in features.videos} == {
        "run/b.npy": "run", "walk/a.npy": "walk", "walk/same.npy": "walk",
    }  # fmt: skip
    np.testing.assert_array_equal(features.rows(0), frames(2))
    assert caplog.messages == []


def test_a_folder_of_nothing_but_links_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save(tmp_path / "elsewhere/b.npy", frames(2))
    (tmp_path / "in").mkdir()
    (tmp_path / "in/run").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"in: no \.npy or .* file in this folder \(1 symbolic links left out\)"):
        imported(tmp_path)


def test_suffixes_in_any_case_and_other_files_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    save(tmp_path / "in/a.NPY", frames(1))
    save(tmp_path / "in/b.Npy", frames(2))
    for name in ("x.pkl", "y.PKL", "labels.csv", ".hidden.npy"):
        (tmp_path / "in" / name).write_text("")
    features = imported(tmp_path).features
    assert [row.path for row in features.videos] == ["a.NPY", "b.Npy"]
    np.testing.assert_array_equal(features.rows(1), frames(2))
    assert caplog.messages == [f"{tmp_path / 'in'}: 3 other files are left out: 2 .pkl, 1 .csv"]


def test_leading_axes_of_1_are_dropped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="vidrep")
    arrays = {"a.npy": frames(1), "b.npy": frames(2)[None], "c.npy": frames(3)[None, None]}
    for name, array in arrays.items():
        save(tmp_path / "in" / name, array)
    features = imported(tmp_path).features
    assert features.frame_shape == (3,)
    for index, array in enumerate(arrays.values()):
        np.testing.assert_array_equal(features.rows(index), array.reshape(4, 3))
    where = tmp_path / "in"
    assert caplog.messages == [f"{where}: leading axes of 1 are dropped from 2 arrays of shape (1, 4, 3): b.npy, c.npy"]


def test_one_frame_of_a_map_keeps_its_axis_beside_longer_videos(tmp_path: Path) -> None:
    maps = {"a.npy": np.arange(24.0).reshape(4, 2, 3), "b.npy": np.ones((1, 2, 3))}
    for name, array in maps.items():
        save(tmp_path / "in" / name, array)
    features = imported(tmp_path).features
    assert (features.frame_shape, [row.length for row in features.videos]) == ((2, 3), [4, 1])


def video_features(folder: Path, stem: str, seed: int, **kinds: int) -> None:
    """Write what video_features (v-iashin) writes for a video."""
    for kind, length in kinds.items():
        save(folder / f"{stem}_{kind}.npy", frames(seed, length))
    save(folder / f"{stem}_fps.npy", np.array(19.62))
    save(folder / f"{stem}_timestamps_ms.npy", np.array([40.0, 1040.0, 2040.5, 3041.0]))


def test_rates_and_times_beside_the_features(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="vidrep")
    video_features(tmp_path / "in/walk", "x", 1, rgb=4)
    video_features(tmp_path / "in/walk", "x_2", 2, rgb=4)
    save(tmp_path / "in/run/y.npy", frames(3))
    summary = imported(tmp_path, annotations={"x.mp4": Annotation("stroll", None, extends=True)})
    features = summary.features
    assert summary.failures == []
    assert [(row.path, row.label, row.fps) for row in features.videos] == [
        ("run/y.npy", "run", 0.0), ("walk/x", "stroll", 19.62), ("walk/x_2", "walk", 19.62),
    ]  # fmt: skip
    assert features.timestamps(1) == pytest.approx([0.04, 1.04, 2.0405, 3.041])
    np.testing.assert_array_equal(features.rows(2), frames(2))
    assert features.timestamps(0).tolist() == [0, 1, 2, 3]
    assert caplog.messages[-1] == f"{tmp_path / 'in'}: the times of 2 videos are its own"


def test_kinds_of_features_of_one_video(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="vidrep")
    video_features(tmp_path / "in", "x", 1, rgb=4, flow=4)
    with pytest.raises(InputError, match=r"'x' has features of the kinds flow, rgb; take one with --array KIND"):
        imported(tmp_path)
    save(tmp_path / "in/x_flow.npy", frames(9))
    features = imported(tmp_path, array="flow").features
    assert [row.path for row in features.videos] == ["x"]
    np.testing.assert_array_equal(features.rows(0), frames(9))
    assert f"{tmp_path / 'in'}: other kinds of features are left out: x_rgb.npy" in caplog.messages


def test_a_rate_without_features_is_listed(tmp_path: Path) -> None:
    save(tmp_path / "in/a.npy", frames(1))
    save(tmp_path / "in/x_fps.npy", np.array(25.0))
    summary = imported(tmp_path)
    assert [(failure.path, failure.reason[:20]) for failure in summary.failures] == [
        ("x_fps.npy", "an array of shape ()")
    ]


def test_a_file_a_video_in_any_format(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "in"
    (folder / "run").mkdir(parents=True)
    np.savez(folder / "run/a.npz", features=frames(1), fps=5.0)
    with h5py.File(folder / "run/b.h5", "w") as file:
        file["features"], file["fps"], file["scores"] = frames(2), 5.0, np.zeros((4, 9))
    savemat(folder / "run/c.mat", {"anything": frames(3), "fps": 5.0, "label": "run"})
    torch.save({"x": torch.from_numpy(frames(4)), "timestamps": torch.arange(4) / 5}, folder / "run/d.pt")
    torch.save(torch.from_numpy(frames(5))[None], folder / "run/e.pth")
    annotations = {f"run/{name}": Annotation(f"label {name}", None) for name in "abcde"}
    summary = imported(tmp_path, annotations=annotations)
    assert summary.failures == []
    videos = summary.features.videos
    assert [row.path for row in videos] == [f"run/{n}" for n in ("a.npz", "b.h5", "c.mat", "d.pt", "e.pth")]
    assert [row.label for row in videos] == [f"label {name}" for name in "abcde"]
    assert [row.fps for row in videos] == [5, 5, 5, 0, 0]
    assert caplog.messages[-1] == f"{folder}: 2 other arrays are left out: scores, label"
    for index in range(5):
        np.testing.assert_array_equal(summary.features.rows(index), frames(index + 1))
        expected = np.arange(4) / (1 if index == 4 else 5)
        np.testing.assert_allclose(summary.features.timestamps(index), expected, rtol=1e-7)


def test_several_arrays_in_a_file_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    np.savez(tmp_path / "in/a.npz", rgb=frames(1), flow=frames(2))
    with pytest.raises(
        InputError,
        match=r"a.npz: 2 arrays of frames and values \(rgb, flow\); there must be one; --array NAME takes one",
    ):
        imported(tmp_path)
    np.testing.assert_array_equal(imported(tmp_path, array="flow").features.rows(0), frames(2))
    with pytest.raises(
        InputError, match=r"a.npz: 2 arrays of frames and values \(rgb, flow\); one must be named 'audio'"
    ):
        imported(tmp_path, array="audio")


def test_an_array_without_a_name_is_not_taken_for_another(tmp_path: Path) -> None:
    save(tmp_path / "in/x_rgb.npy", frames(1))
    with pytest.raises(InputError, match=r"x_rgb.npy: 1 arrays of .* \(without a name\); one must be named 'flow'"):
        imported(tmp_path, array="flow")
    with pytest.raises(InputError, match=r"x_rgb.npy: no array 'flow' .*; it holds \(4, 3\); --array NAME"):
        import_features(tmp_path / "in/x_rgb.npy", tmp_path / "out.h5", array="flow")


def test_the_output_is_no_source(tmp_path: Path) -> None:
    save(tmp_path / "in/a.npy", frames(1))
    for _ in range(2):
        summary = import_features(tmp_path / "in", tmp_path / "in/out.h5", overwrite=True)
        assert (len(summary.features), summary.failures) == (1, [])


def test_names_are_composed(tmp_path: Path) -> None:
    save(tmp_path / "in/cafe\u0301/a.npy", frames(1))
    features = imported(tmp_path, annotations={"caf\u00e9/a.npy": Annotation("x", None)}).features
    assert [(row.path, row.label) for row in features.videos] == [("caf\u00e9/a.npy", "x")]
    save(tmp_path / "in/caf\u00e9/a.npy", frames(2))
    with pytest.raises(InputError, match=r"two videos have the same name: caf\u00e9/a\.npy; names must differ"):
        imported(tmp_path)
