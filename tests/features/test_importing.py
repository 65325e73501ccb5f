"""Features that others made are taken over exactly, and what cannot be is listed or refused."""

import csv
import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from vidrep.errors import ConfigError, FeatureFileError, InputError, LabelError, OutputError
from vidrep.features.annotations import Annotation
from vidrep.features.importing import import_features
from vidrep.features.store import Features, open_features
from vidrep.progress import Progress

# The folder, and the array of each key.
Arrays = tuple[Path, dict[str, NDArray[Any]]]


def values(length: int, width: int = 4, dtype: str = "float32", seed: int = 0) -> NDArray[Any]:
    return (np.random.default_rng(seed).random((length, width)) * 100).astype(dtype)


@pytest.fixture
def arrays(tmp_path: Path) -> Arrays:
    """left/a.npy, left/b.npz, right/a.npy, c.npy; return (folder, {key: array})."""
    root = tmp_path / "arrays"
    expected = {}
    for seed, key in enumerate(["c.npy", "left/a.npy", "left/b.npz", "right/a.npy"]):
        expected[key] = values(3 + seed, seed=seed)
        (root / key).parent.mkdir(parents=True, exist_ok=True)
        if key.endswith(".npz"):
            np.savez(root / key, expected[key])
        else:
            np.save(root / key, expected[key])
    return root, expected


def check_rows(path: Path, expected: dict[str, NDArray[Any]]) -> Features:
    features = open_features(path)
    assert [row.path for row in features.videos] == sorted(expected)
    for key, array in expected.items():
        np.testing.assert_array_equal(features.rows(features.index(key)), array)
    assert list(features.damaged()) == []
    return features


def test_a_folder_of_arrays(arrays: Arrays, tmp_path: Path) -> None:
    root, expected = arrays
    seen: list[Progress] = []
    summary = import_features(root, tmp_path / "f.h5", fps=5, on_progress=seen.append)
    features = check_rows(tmp_path / "f.h5", expected)
    assert [row.label for row in features.videos] == ["", "left", "left", "right"]
    assert {row.fps for row in features.videos} == {5.0}
    assert features.timestamps(0) == pytest.approx([0, 0.2, 0.4])
    content = (root / "c.npy").read_bytes()
    assert features.videos[0].source_size == len(content)
    assert features.videos[0].source_sha256 == hashlib.sha256(content).hexdigest()
    assert features.settings == {"kind": "import", "source": "arrays"}
    assert (summary.failures, len(summary.features), seen[-1].done, seen[-1].total) == ([], 4, 4, 4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["arrays", "f.h5"]


def test_frames_count_as_seconds_where_nothing_is_known(arrays: Arrays, tmp_path: Path) -> None:
    import_features(arrays[0], tmp_path / "f.h5")
    features = open_features(tmp_path / "f.h5")
    assert features.timestamps(0).tolist() == [0, 1, 2]
    assert features.videos[0].fps == 0


@pytest.mark.parametrize(
    ("given", "stored"),
    [("float16", "float16"), ("float32", "float32"), ("float64", "float32"), ("uint8", "uint8"), (">f4", "float32")],
)
def test_types(tmp_path: Path, given: str, stored: str) -> None:
    (tmp_path / "arrays").mkdir()
    array = values(3, dtype=given)
    np.save(tmp_path / "arrays" / "a.npy", np.asfortranarray(array))
    import_features(tmp_path / "arrays", tmp_path / "f.h5")
    assert open_features(tmp_path / "f.h5").dtype == stored
    check_rows(tmp_path / "f.h5", {"a.npy": array.astype(stored)})


def test_pictures_as_frames(tmp_path: Path) -> None:
    (tmp_path / "arrays").mkdir()
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    np.save(tmp_path / "arrays" / "a.npy", array)
    assert import_features(tmp_path / "arrays", tmp_path / "f.h5").features.frame_shape == (3, 4)
    check_rows(tmp_path / "f.h5", {"a.npy": array})


def damage(root: Path) -> dict[str, str]:
    """Add arrays that cannot be imported; return {key: a pattern of the reason}."""
    (root / "empty.npy").touch()
    (root / "text.npy").write_text("no array")
    np.save(root / "cut.npy", values(100))
    (root / "cut.npy").write_bytes((root / "cut.npy").read_bytes()[:200])
    np.savez(root / "two.npz", first=values(2), second=values(2))
    np.savez(root / "cut.npz", values(1000))
    (root / "cut.npz").write_bytes((root / "cut.npz").read_bytes()[:500])
    np.savez_compressed(root / "damaged.npz", values(1000))
    content = bytearray((root / "damaged.npz").read_bytes())
    content[300:400] = bytes(100)
    (root / "damaged.npz").write_bytes(content)
    np.save(root / "objects.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    np.save(root / "flat.npy", np.zeros(5, np.float32))
    np.save(root / "none.npy", np.zeros((0, 4), np.float32))
    np.save(root / "whole.npy", np.zeros((3, 4), np.int64))
    np.save(root / "wide.npy", values(3, width=5))
    np.save(root / "half.npy", values(3, dtype="float16"))
    holed = values(3)
    holed[1, 2] = np.nan
    np.save(root / "holed.npy", holed)
    return {
        "empty.npy": "neither an .npy nor an .npz file",
        "text.npy": "neither an .npy nor an .npz file",
        "cut.npy": "not an array that can be read",
        "two.npz": "2 arrays of frames and values (first, second); there must be one",
        "cut.npz": "not an array that can be read",
        "damaged.npz": "not an array that can be read",
        "objects.npy": "not an array that can be read (Array can't be memory-mapped: Python objects in dtype.)",
        "flat.npy": "an array of shape (5,) and type float32; wanted is (frames, values)",
        "none.npy": "an array of shape (0, 4)",
        "whole.npy": "type int64",
        "wide.npy": "frames of (5,) float32, where most videos have (4,) float32",
        "half.npy": "frames of (4,) float16, where most videos have (4,) float32",
        "holed.npy": "values that are not finite",
    }


def test_what_cannot_be_imported_is_listed_and_the_rest_imported(arrays: Arrays, tmp_path: Path) -> None:
    root, expected = arrays
    import_features(root, tmp_path / "good.h5")
    reasons = damage(root)
    summary = import_features(root, tmp_path / "f.h5")
    check_rows(tmp_path / "f.h5", expected)
    assert (tmp_path / "f.h5").read_bytes() == (tmp_path / "good.h5").read_bytes()
    with (tmp_path / "f.failures.csv").open(newline="") as file:
        annotations = {row["video"]: row["reason"] for row in csv.DictReader(file)}
    assert set(annotations) == set(reasons)
    for key, reason in reasons.items():
        assert reason in annotations[key], key
        assert "\n" not in annotations[key]
    assert {failure.path: failure.reason for failure in summary.failures} == annotations
    for key in reasons:
        (root / key).unlink()
    import_features(root, tmp_path / "f.h5", overwrite=True)
    assert not (tmp_path / "f.failures.csv").exists()


def test_float64_too_large_for_float32_is_listed(tmp_path: Path) -> None:
    (tmp_path / "arrays").mkdir()
    np.save(tmp_path / "arrays" / "a.npy", np.full((2, 3), 1e300))
    with pytest.raises(InputError, match=r"values that are not finite \(NaN, or too large for float32\)"):
        import_features(tmp_path / "arrays", tmp_path / "f.h5")


def test_an_npz_by_another_name_and_the_other_way_round(tmp_path: Path) -> None:
    (tmp_path / "arrays").mkdir()
    np.savez(tmp_path / "arrays" / "a.npz", values(3))
    (tmp_path / "arrays" / "a.npz").rename(tmp_path / "arrays" / "a.npy")
    np.save(tmp_path / "arrays" / "b.npy", values(3, seed=1))
    (tmp_path / "arrays" / "b.npy").rename(tmp_path / "arrays" / "b.npz")
    import_features(tmp_path / "arrays", tmp_path / "f.h5")
    check_rows(tmp_path / "f.h5", {"a.npy": values(3), "b.npz": values(3, seed=1)})


def test_annotations_take_precedence(arrays: Arrays, tmp_path: Path) -> None:
    annotations = {"left/a": Annotation("new", "train", "p1"), "gone.npy": Annotation("x", None)}
    summary = import_features(arrays[0], tmp_path / "f.h5", annotations=annotations)
    assert [(row.label, row.split) for row in summary.features.videos] == [
        ("", ""), ("new", "train"), ("", ""), ("", ""),
    ]  # fmt: skip
    assert [row.group for row in summary.features.videos] == ["", "p1", "", ""]
    assert (summary.missing, summary.unlisted) == (["gone.npy"], ["c.npy", "left/b.npz", "right/a.npy"])
    extending = {"left/a": Annotation("new", "train", "p1", extends=True)}
    extended = import_features(arrays[0], tmp_path / "e.h5", annotations=extending).features
    assert [row.label for row in extended.videos] == ["", "new", "left", "right"]
    with pytest.raises(LabelError, match="none of the 1 annotated videos"):
        import_features(arrays[0], tmp_path / "g.h5", annotations={"gone": Annotation("x", None)})
    assert not (tmp_path / "g.h5").exists()


# ---- one big array


def big(path: Path, **columns: Any) -> Path:
    with h5py.File(path, "w") as file:
        for name, column in columns.items():
            if name == "classes":
                file.attrs["classes"] = column
            else:
                file[name] = column
    return path


ARRAY = values(6).reshape(3, 2, 4)


def test_one_array_of_all_videos(tmp_path: Path) -> None:
    source = big(
        tmp_path / "in.h5",
        features=ARRAY,
        labels=np.array([1, 0, 1]),
        split=np.array([b"train", b"val", b"test"]),
        groups=np.array([1, 2, 1]),
        video_ids=np.array([b"z", b"y", b"x"]),
        classes=["run", "walk"],
    )
    import_features(source, tmp_path / "f.h5")
    features = check_rows(tmp_path / "f.h5", {"z": ARRAY[0], "y": ARRAY[1], "x": ARRAY[2]})
    assert [(row.path, row.label, row.split, row.group) for row in features.videos] == [
        ("x", "walk", "test", "1"),
        ("y", "run", "validation", "2"),
        ("z", "walk", "train", "1"),
    ]


@pytest.mark.parametrize(
    ("labels", "classes", "expected"),
    [
        (["run", "walk", "run"], None, ["run", "walk", "run"]),
        ([2, 0, 2], None, ["2", "0", "2"]),
        (np.array([b"run", b"walk", b"run"]), ["never", "asked"], ["run", "walk", "run"]),
        ([1, 0, 1], np.array([b"run", b"walk"]), ["walk", "run", "walk"]),
        (None, None, ["", "", ""]),
    ],
)
def test_labels_of_one_array(tmp_path: Path, labels: Any, classes: Any, expected: list[str]) -> None:
    columns = {"labels": labels, "classes": classes}
    given = {name: column for name, column in columns.items() if column is not None}
    import_features(big(tmp_path / "in.h5", anything=ARRAY, **given), tmp_path / "f.h5")
    features = check_rows(tmp_path / "f.h5", {f"{number:06d}": ARRAY[number] for number in range(3)})
    assert [row.label for row in features.videos] == expected


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"features": ARRAY[0]},
            r"no array 'features' of shape \(videos, frames, values\), .*; it holds features \(2, 4\); --array NAME",
        ),
        ({}, "it holds no array"),
        ({"one": ARRAY, "two": ARRAY}, r"it holds one \(3, 2, 4\), two \(3, 2, 4\)"),
        ({"features": ARRAY, "labels": [1, 2]}, r"/labels has shape \(2,\), wanted is \(3,\)"),
        ({"features": ARRAY, "labels": [0, 1, 2], "classes": ["a", "b"]}, "label 2, where `classes` names 0 to 1"),
        ({"features": ARRAY, "labels": [0, -1, 0], "classes": ["a", "b"]}, "label -1, where"),
        ({"features": ARRAY, "split": ["train", "test", "x"]}, "split 'x'; allowed are train, validation, test"),
        ({"features": ARRAY, "names": ["a", "b", "a"]}, "two videos have the same name"),
        ({"features": ARRAY, "names": np.array([b"\xff", b"b", b"a"])}, "/names is not UTF-8 text"),
    ],
)
def test_arrays_that_are_laid_out_otherwise(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    with pytest.raises(FeatureFileError, match=message) as caught:
        import_features(big(tmp_path / "in.h5", **columns), tmp_path / "f.h5")
    assert str(tmp_path / "in.h5") in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "f.h5").exists()


def test_an_array_that_lies_in_another_file_is_not_followed(tmp_path: Path) -> None:
    big(tmp_path / "secret.h5", features=ARRAY)
    with h5py.File(tmp_path / "in.h5", "w") as file:
        file["features"] = h5py.ExternalLink("secret.h5", "/features")
        file["linked"] = h5py.SoftLink("/features")
        layout = h5py.VirtualLayout((3, 2, 4), "f4")
        layout[:] = h5py.VirtualSource(tmp_path / "secret.h5", "features", (3, 2, 4))
        file.create_virtual_dataset("virtual", layout)
    with pytest.raises(FeatureFileError, match="/features is a link into another file; only values in the file"):
        import_features(tmp_path / "in.h5", tmp_path / "f.h5")
    with h5py.File(tmp_path / "in.h5", "r+") as file:
        del file["features"]
    said = "it holds no array; /linked is a soft link; .*, /virtual has its values in another file"
    with pytest.raises(FeatureFileError, match=said):
        import_features(tmp_path / "in.h5", tmp_path / "f.h5")


# ---- Moving MNIST's own file


def test_the_canonical_moving_mnist_file(tmp_path: Path) -> None:
    sequences = np.random.default_rng(0).integers(0, 256, (20, 12, 64, 64), dtype=np.uint8)
    np.save(tmp_path / "mnist_test_seq.npy", sequences)
    features = import_features(tmp_path / "mnist_test_seq.npy", tmp_path / "f.h5").features
    check_rows(tmp_path / "f.h5", {f"{number:08d}": sequences[:, number] for number in range(12)})
    assert (features.frame_shape, features.dtype, features.num_frames) == ((64, 64), "uint8", 240)
    assert {(row.label, row.split, row.length) for row in features.videos} == {("", "test", 20)}
    assert features.settings == {"kind": "import", "source": "mnist_test_seq.npy"}


def test_splits_are_laid_over_the_canonical_file(tmp_path: Path) -> None:
    np.save(tmp_path / "some.npy", np.zeros((2, 3, 4, 4), np.uint8))
    annotations = {"00000001": Annotation("one", "train")}
    features = import_features(tmp_path / "some.npy", tmp_path / "f.h5", annotations=annotations).features
    assert [(row.label, row.split) for row in features.videos] == [("", ""), ("one", "train"), ("", "")]
    labels = {"00000001": Annotation("one", None)}
    features = import_features(tmp_path / "some.npy", tmp_path / "g.h5", annotations=labels).features
    assert [(row.label, row.split) for row in features.videos] == [("", "test"), ("one", "test"), ("", "test")]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((20, 12, 64, 64), np.float32), r"shape \(20, 12, 64, 64\) and type float32; .*of uint8"),
        (np.zeros((20, 4096), np.uint8), r"shape \(20, 4096\) and type uint8; .*the folder, with one file a video"),
        (np.zeros((20, 0, 64, 64), np.uint8), r"shape \(20, 0, 64, 64\)"),
    ],
)
def test_other_arrays_by_themselves_are_refused(tmp_path: Path, array: NDArray[Any], message: str) -> None:
    np.save(tmp_path / "one.npy", array)
    with pytest.raises(InputError, match=message) as caught:
        import_features(tmp_path / "one.npy", tmp_path / "f.h5")
    assert str(caught.value).startswith(f"{tmp_path / 'one.npy'}: ")
    assert "\n" not in str(caught.value)


def test_a_damaged_file_of_sequences_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "cut.npy", np.zeros((20, 12, 8, 8), np.uint8))
    content = (tmp_path / "cut.npy").read_bytes()
    (tmp_path / "cut.npy").write_bytes(content[:-100])
    (tmp_path / "text.npy").write_text("no array")
    for name, message in {"cut.npy": "not an array that can be read", "text.npy": "neither an .npy nor"}.items():
        with pytest.raises(InputError, match=f"{name}: {message}"):
            import_features(tmp_path / name, tmp_path / "f.h5")
    assert not (tmp_path / "f.h5").exists()


def test_what_is_no_source(arrays: Arrays, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.h5").write_text("text")
    (tmp_path / "text.txt").write_text("text")
    for source, message in {
        "absent": "no such folder or file; give a folder with a file a video, or a file of many",
        "empty": "no .npy or .npz or .h5 or .hdf5 or .mat or .pt or .pth file in this folder",
        "text.h5": "not a readable HDF5 file",
        "text.txt": "no file that can be imported; it must end in .npy, .npz, .h5,",
    }.items():
        with pytest.raises(InputError, match=message):
            import_features(tmp_path / source, tmp_path / "f.h5")
    import_features(arrays[0], tmp_path / "ours.h5")
    with pytest.raises(FeatureFileError, match="already a feature file of vidrep; use it as it is"):
        import_features(tmp_path / "ours.h5", tmp_path / "f.h5")
    assert not (tmp_path / "f.h5").exists()


def test_what_is_no_output(arrays: Arrays, tmp_path: Path) -> None:
    (tmp_path / "there.h5").write_text("as before")
    for output, message in {"there.h5": "exists; give a new name or --overwrite", "f.txt": "ends in .h5"}.items():
        with pytest.raises(OutputError, match=message):
            import_features(arrays[0], tmp_path / output)
    assert (tmp_path / "there.h5").read_text() == "as before"
    for fps in (-1, np.nan, np.inf):
        with pytest.raises(ConfigError, match=f"fps {fps}"):
            import_features(arrays[0], tmp_path / "f.h5", fps=fps)
    import_features(arrays[0], tmp_path / "there.h5", overwrite=True)
    check_rows(tmp_path / "there.h5", arrays[1])


@pytest.mark.real_data
def test_real_fc6_sequences(real_data: Path, tmp_path: Path) -> None:
    source = real_data / "features" / "ucf101_fc6_small.h5"
    features = import_features(source, tmp_path / "f.h5").features
    assert (len(features), features.num_frames, features.frame_shape, features.dtype) == (108, 2700, (4096,), "float16")
    assert {row.length for row in features.videos} == {25}
    with h5py.File(source) as file:
        names, splits = file["video_ids"].asstr()[:], file["split"].asstr()[:]
        labels = [str(file.attrs["classes"][number]) for number in file["labels"][:]]
        for number in (0, 50, 107):
            index = features.index(names[number])
            np.testing.assert_array_equal(features.rows(index), file["features"][number])
    assert {row.path: (row.label, row.split) for row in features.videos} == {
        name: (label, split) for name, label, split in zip(names, labels, splits, strict=True)
    }
    assert Counter(row.split for row in features.videos) == Counter(splits)
    assert len({row.label for row in features.videos}) == 6
