"""Every file is read correctly or refused in one line; nothing outside of the file is read."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from fixture_types import MakeFeatureFile

from vidrep.errors import FeatureFileError
from vidrep.features.importing import ImportSummary, import_features
from vidrep.features.store import open_features

VIDEOS = {"a/x.mp4": ("a", "train", 4), "b/x.mp4": ("b", "test", 4)}
TEXT = h5py.string_dtype("utf-8")


@pytest.fixture
def ours(tmp_path: Path, feature_file: MakeFeatureFile) -> Path:
    """A small feature file of ours."""
    feature_file(tmp_path / "ours.h5", VIDEOS)
    return tmp_path / "ours.h5"


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A small file that can be imported."""
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file["features"] = np.random.default_rng(0).random((2, 4, 3)).astype(np.float16)
        file["labels"] = ["run", "walk"]
        file["split"] = np.array([b"train", b"test"])
        file["video_ids"] = ["x", "y"]
    import_features(tmp_path / "foreign.h5", tmp_path / "out.h5")
    (tmp_path / "out.h5").unlink()
    return tmp_path / "foreign.h5"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A neighboring file, of which nothing may be read."""
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["features"] = np.ones((8, 3), np.float16)
        file["videos"] = np.ones(8)
    (tmp_path / "secret.raw").write_bytes(bytes(range(48)))
    return tmp_path / "secret.h5"


def refusal_of(path: Path, read: Callable[[Path], object]) -> str:
    with pytest.raises(FeatureFileError) as caught:
        read(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def imported(path: Path) -> ImportSummary:
    return import_features(path, path.with_name("out.h5"))


# ---- layouts of values that are elsewhere, missing or too many; each replaces /features and has its shape


def soft_link(file: h5py.File, _shape: tuple[int, ...]) -> None:
    file["elsewhere"] = np.ones(8)
    file["features"] = h5py.SoftLink("/elsewhere")


def external_link(file: h5py.File, _shape: tuple[int, ...]) -> None:
    file["features"] = h5py.ExternalLink("secret.h5", "/features")


def virtual(file: h5py.File, shape: tuple[int, ...]) -> None:
    layout = h5py.VirtualLayout(shape, "f2")
    layout[:] = h5py.VirtualSource("secret.h5", "features", shape)
    file.create_virtual_dataset("features", layout)


def external_storage(file: h5py.File, shape: tuple[int, ...]) -> None:
    file.create_dataset("features", shape, "f2", external=[("secret.raw", 0, h5py.h5f.UNLIMITED)])


def group(file: h5py.File, _shape: tuple[int, ...]) -> None:
    file.create_group("features")


def named_type(file: h5py.File, _shape: tuple[int, ...]) -> None:
    file["features"] = np.dtype("f2")


def references(file: h5py.File, shape: tuple[int, ...]) -> None:
    file.create_dataset("features", shape, h5py.ref_dtype)


def free_lengths(file: h5py.File, shape: tuple[int, ...]) -> None:
    file.create_dataset("features", shape, h5py.vlen_dtype(np.float32))


def free_texts(file: h5py.File, shape: tuple[int, ...]) -> None:
    file.create_dataset("features", data=np.full(shape, "x", dtype=object), dtype=TEXT)


def compound(file: h5py.File, shape: tuple[int, ...]) -> None:
    file.create_dataset("features", shape, [("x", "f2"), ("y", "f2")])


def opaque(file: h5py.File, shape: tuple[int, ...]) -> None:
    file["features"] = np.zeros(shape, "V2")


def odd_floats(file: h5py.File, shape: tuple[int, ...]) -> None:
    kind = h5py.h5t.IEEE_F16LE.copy()
    kind.set_ebias(3)
    space = h5py.h5s.create_simple(shape)
    h5py.h5d.create(file.id, b"features", kind, space).write(space, space, np.ones(shape, "f2"))


def points_in_time(file: h5py.File, shape: tuple[int, ...]) -> None:
    h5py.h5d.create(file.id, b"features", h5py.h5t.UNIX_D32LE, h5py.h5s.create_simple(shape))


def nothing_stored(file: h5py.File, shape: tuple[int, ...]) -> None:
    file.create_dataset("features", shape, "f2")


def huge_and_empty(file: h5py.File, shape: tuple[int, ...]) -> None:
    file.create_dataset("features", (2**40, *shape[1:]), "f2", chunks=(1000, *shape[1:]))


def huge_and_hardly_filled(file: h5py.File, shape: tuple[int, ...]) -> None:
    features = file.create_dataset("features", (2**40, *shape[1:]), "f2", chunks=(1000, *shape[1:]), compression="gzip")
    features[0] = 1


def packed_twice(file: h5py.File, shape: tuple[int, ...]) -> None:
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk(shape)
    properties.set_deflate(9)
    properties.set_deflate(9)
    space = h5py.h5s.create_simple(shape)
    dataset = h5py.h5d.create(file.id, b"features", h5py.h5t.IEEE_F16LE, space, properties)
    dataset.write(space, space, np.ones(shape, "f2"))


def unknown_filter(file: h5py.File, shape: tuple[int, ...]) -> None:
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk(shape)
    properties.set_filter(32_015, h5py.h5z.FLAG_OPTIONAL)
    h5py.h5d.create(file.id, b"features", h5py.h5t.IEEE_F16LE, h5py.h5s.create_simple(shape), properties)


def huge_chunks(file: h5py.File, shape: tuple[int, ...]) -> None:
    length = 1 + (1 << 30) // (2 * int(np.prod(shape[1:])))
    file.create_dataset("features", (length, *shape[1:]), "f2", chunks=(length, *shape[1:]), compression="gzip")


@pytest.mark.parametrize(
    ("layout", "said"),
    [
        (soft_link, "/features is a soft link; only values in the file itself are read"),
        (external_link, "/features is a link into another file; only values in the file itself are read"),
        (virtual, "/features has its values in another file"),
        (external_storage, "/features has its values in another file"),
        (group, "features"),
        (named_type, "/features is no array"),
        (references, "/features is of type object"),
        (free_lengths, "/features is of type object"),
        (free_texts, "features"),
        (compound, "/features is of type [('x'"),
        (opaque, "/features is of type |V2"),
        (odd_floats, "/features is of type float"),
        (points_in_time, "/features is of a type that numpy lacks"),
        (nothing_stored, "/features declares 48 bytes that are not in the file"),
        (huge_and_empty, "bytes that are not in the file"),
        (huge_and_hardly_filled, "bytes that are not in the file"),
        (packed_twice, "/features has the HDF5 filters 1, 1; allowed is one of gzip and lzf"),
        (unknown_filter, "/features has the HDF5 filters 32015; allowed is one of gzip and lzf"),
        (huge_chunks, "/features has chunks of 10737418"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_the_features_cannot_be(
    ours: Path, foreign: Path, secret: Path, layout: Callable[[h5py.File, tuple[int, ...]], None], said: str
) -> None:
    for path, shape, read in ((ours, (8, 3), open_features), (foreign, (2, 4, 3), imported)):
        with h5py.File(path, "r+") as file:
            del file["features"]
            layout(file, shape)
        assert said in refusal_of(path, read)
    assert not foreign.with_name("out.h5").exists()


# ---- tables


def columns_behind_a_link(file: h5py.File) -> None:
    file.move("videos", "hidden")
    file["videos"] = h5py.SoftLink("/hidden")


def columns_of_another_file(file: h5py.File) -> None:
    del file["videos"]
    file["videos"] = h5py.ExternalLink("secret.h5", "/")


def column(name: str, values: Any, **how: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file["videos"][name]
        file["videos"].create_dataset(name, data=values, **how)

    change.__name__ = f"{name} {getattr(values, 'dtype', type(values).__name__)}"
    return change


def column_behind_a_link(file: h5py.File) -> None:
    file["hidden"] = file["videos/label"]
    del file["videos/label"]
    file["videos/label"] = h5py.SoftLink("/hidden")


def wide_texts(file: h5py.File) -> None:
    del file["videos/label"]
    file["videos"].create_dataset("label", (2,), f"S{1 << 30}", chunks=(1,), compression="gzip")


def shared_rows(file: h5py.File) -> None:
    file["videos/start"][1] = 3


def rows_that_overflow(file: h5py.File) -> None:
    file["videos/start"][1] = file["videos/length"][1] = 2**62


def attribute(name: str, value: object) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file.attrs[name] = value

    change.__name__ = f"{name} {value!r:.20}"
    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (columns_behind_a_link, "/videos is a soft link"),
        (columns_of_another_file, "/videos is a link into another file"),
        (column_behind_a_link, "/videos/label is a soft link"),
        (column("label", ["a", "b"], dtype=TEXT), "/videos/label is of type object, which its column cannot be"),
        (column("label", np.array([b"\xff", b"b"])), "can't decode byte 0xff"),
        (column("label", np.array([[b"a", b"b"]])), "/videos/label of shape (1, 2)"),
        (column("start", np.array([0.0, 4.0])), "/videos/start is of type float64"),
        (column("start", np.array([0, 4], np.int32)), "/videos/start is of type int32"),
        (column("fps", np.array([1, 2])), "/videos/fps is of type int64"),
        (column("fps", np.zeros(3)), "the columns of /videos have different lengths: 2, 3"),
        (wide_texts, "/videos/label holds texts of 1073741824 bytes; at most 65536 are read"),
        (shared_rows, "the rows of video 'b/x.mp4' overlap another's"),
        (rows_that_overflow, "the table's entry for video 'b/x.mp4' does not fit the file"),
        (attribute("format", np.arange(3)), "attribute format has shape (3,); wanted is one value"),
        (attribute("format", 3), "an HDF5 file, but not of format vidrep-features"),
        (attribute("version", "one"), "version one of vidrep-features; this vidrep reads versions 1 and 2"),
        (attribute("version", h5py.Empty("i4")), "attribute version"),
        (attribute("settings", 3), "attribute settings is no JSON object"),
        (attribute("settings", "[]"), "attribute settings is no JSON object"),
        (attribute("settings", "{"), "Expecting property name"),
        (
            attribute("settings", '{"a":' * 20 + "1" + "}" * 20),
            "attribute settings is no JSON object, or nested deeper than 16",
        ),
        (attribute("settings", "[" * 50_000), "recursion"),
        (attribute("versions", np.bytes_(b"\xff")), "can't decode byte 0xff"),
        (attribute("settings", np.array(["{}"] * 3, TEXT)), "attribute settings has shape (3,)"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_a_table_and_attributes_cannot_be(
    ours: Path, secret: Path, change: Callable[[h5py.File], None], said: str
) -> None:
    with h5py.File(ours, "r+") as file:
        change(file)
    assert said in refusal_of(ours, open_features)


def test_a_reference_as_an_attribute(ours: Path) -> None:
    with h5py.File(ours, "r+") as file:
        file.attrs.create("settings", file.ref, dtype=h5py.ref_dtype)
    assert "attribute settings of shape () and type object; plain text is read" in refusal_of(ours, open_features)


def test_odd_but_harmless_values_are_read(ours: Path) -> None:
    with h5py.File(ours, "r+") as file:
        file["videos/fps"][:] = [np.nan, np.inf]
        file["videos/num_frames_from_header"][:] = [-1, 2**62]
        file["more"] = h5py.ExternalLink("secret.h5", "/")
        file.attrs["settings"] = json.dumps({"kind": "test", "list": [[1, {"a": None}]]})
    features = open_features(ours)
    assert np.isnan(features.videos[0].fps)
    assert [row.num_frames_from_header for row in features.videos] == [-1, 2**62]
    assert list(features.damaged()) == []


def test_frames_that_are_wider_than_any(ours: Path) -> None:
    with h5py.File(ours, "r+") as file:
        for name, shape in (("features", (0, 2**40)), ("timestamps", (0,))):
            dtype = file[name].dtype
            del file[name]
            file.create_dataset(name, shape, dtype)
    assert "features of shape (0, 1099511627776): a frame has at most 1073741824 bytes" in refusal_of(
        ours, open_features
    )


def test_numbers_in_the_other_byte_order_are_not_taken_for_ours(ours: Path) -> None:
    with h5py.File(ours, "r+") as file:
        del file["features"]
        file["features"] = np.zeros((8, 3), ">f2")
    assert "type >f2; wanted are (rows, ...) of float16, float32, uint8, little-endian" in refusal_of(
        ours, open_features
    )


# ---- what stands beside foreign features


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("labels", np.zeros(2, "V4"), "/labels is of type |V4; plain numbers and text are read"),
        ("labels", np.array(["x" * 70_000, "y"], TEXT), "/labels holds texts of more than 65536 bytes"),
        ("labels", np.array([b"x" * 70_000, b"y"]), "/labels holds texts of 70000 bytes; at most 65536 are read"),
        ("split", np.array([b"train", b"elsewhere"]), "split 'elsewhere'; allowed are train, validation, test"),
        ("video_ids", np.array([b"same", b"same"]), "two videos have the same name"),
        ("labels", np.zeros((2, 2)), "/labels has shape (2, 2), wanted is (2,)"),
    ],
    ids=range(6),
)
def test_columns_of_foreign_files(foreign: Path, name: str, values: Any, said: str) -> None:
    with h5py.File(foreign, "r+") as file:
        del file[name]
        file.create_dataset(name, data=values, dtype=TEXT if values.dtype.kind == "O" else None)
    assert said in refusal_of(foreign, imported)


def test_a_packed_video_that_would_fill_the_memory(foreign: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidrep.features.foreign.tree.LARGEST_PACKED_BYTES", 4 * 3 * 2 - 1)
    imported(foreign).features.path.unlink()
    with h5py.File(foreign, "r+") as file:
        features = file["features"][:]
        del file["features"]
        file.create_dataset("features", data=features, chunks=(1, 2, 3))
    assert "/features has 24 bytes, packed; at most 23 are read in one piece" in refusal_of(foreign, imported)


def test_a_chunk_that_cannot_be_unpacked_costs_its_videos_alone(foreign: Path) -> None:
    with h5py.File(foreign, "r+") as file:
        features = file["features"][:]
        del file["features"]
        file.create_dataset("features", data=features, chunks=(1, 4, 3), compression="gzip")
        where = file["features"].id.get_chunk_info(0).byte_offset
    with foreign.open("r+b") as file:
        file.seek(where)
        file.write(b"\xff\xff")
    summary = imported(foreign)
    assert [row.path for row in summary.features.videos] == ["y"]
    np.testing.assert_array_equal(summary.features.rows(0), features[1])
    assert [failure.path for failure in summary.failures] == ["x"]
    assert "rows 0 to 1 of /features cannot be read" in summary.failures[0].reason


# ---- heaps of texts


def heap_of(content: bytes) -> tuple[int, int]:
    """Return where the first heap begins and ends."""
    start = content.index(b"GCOL\x01\0\0\0")
    return start, start + int.from_bytes(content[start + 8 : start + 16], "little")


def with_free_space(content: bytes, size: int) -> bytes:
    """Change the size of the heap's object 0, the free space."""
    start, end = heap_of(content)
    free = max(
        place
        for place in range(start + 16, end - 16, 8)
        if content[place : place + 8] == bytes(8)
        and int.from_bytes(content[place + 8 : place + 16], "little") == end - place
    )
    return content[: free + 8] + size.to_bytes(8, "little") + content[free + 16 :]


@pytest.mark.parametrize("size", [0, 8, 2**63])
def test_a_heap_that_hdf5_would_never_come_to_the_end_of(ours: Path, foreign: Path, size: int) -> None:
    with h5py.File(ours, "r+") as file:
        file.attrs["settings"] = "{}"  # variable-length, as version 1 wrote it
    for path, read in ((ours, open_features), (foreign, imported)):
        content = path.read_bytes()
        path.write_bytes(with_free_space(content, size))
        assert f"the heap of texts at byte {heap_of(content)[0]} is damaged" in refusal_of(path, read)


def test_a_damaged_heap_within_the_features(tmp_path: Path) -> None:
    path = tmp_path / "foreign.h5"
    with h5py.File(path, "w") as file:
        file["features"] = np.zeros((2, 64, 64), np.float16)
        file["labels"] = ["run", "walk"]
        rows, labels = file["features"].id.get_offset(), file["labels"].id.get_offset()
    sound = path.read_bytes()
    start, end = heap_of(sound)
    changed = bytearray(sound)
    changed[rows : rows + end - start] = with_free_space(sound, 0)[start:end]
    changed[start:end] = bytes(end - start)
    for reference in (labels, labels + 16):
        changed[reference + 4 : reference + 12] = rows.to_bytes(8, "little")
    path.write_bytes(changed)
    assert f"the heap of texts at byte {rows} is damaged" in refusal_of(path, imported)


def test_a_heap_of_one_huge_text(ours: Path) -> None:
    with h5py.File(ours, "r+") as file:
        file.attrs["settings"] = json.dumps({"kind": "x" * (1 << 18)})
    assert "is damaged, or above 262144 bytes" in refusal_of(ours, open_features)


def test_sizes_that_the_check_of_heaps_would_read_wrongly(tmp_path: Path) -> None:
    path = tmp_path / "foreign.h5"
    properties = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    properties.set_sizes(8, 16)
    with h5py.File(h5py.h5f.create(bytes(path), fcpl=properties)) as file:
        file["features"] = np.zeros((2, 4, 3), np.float16)
    assert "its offsets or sizes have more than 8 bytes" in refusal_of(path, imported)


def test_texts_that_are_too_much_together(foreign: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidrep.features.untrusted._LARGEST_COLUMN_BYTES", 128)
    with h5py.File(foreign, "r+") as file:
        file["labels"][:] = ["a" * 64, "b" * 64]
    features = imported(foreign).features
    assert [row.label for row in features.videos] == ["a" * 64, "b" * 64]
    features.path.unlink()
    with h5py.File(foreign, "r+") as file:
        file["labels"][1] = "b" * 65
    assert "/labels holds texts of more than 65536 bytes, or of more than 128 together" in refusal_of(foreign, imported)


def test_more_classes_than_any(foreign: Path) -> None:
    with h5py.File(foreign, "r+") as file:
        del file["labels"]
        file["labels"] = [0, 1]
        file.attrs["classes"] = np.full(4097, b"c")
    assert "attribute classes of shape (4097,)" in refusal_of(foreign, imported)


# ---- random damage


@pytest.mark.skipif(sys.platform == "win32", reason="memory and time are bounded by means that Windows has not")
def test_three_hundred_damaged_files(tmp_path: Path, ours: Path, foreign: Path) -> None:
    """Nothing but FeatureFileError or a right reading; no crash, no hang."""
    with h5py.File(foreign, "r+") as file:
        file["features"][:] = open_features(ours).file_rows(0)[:].reshape(2, 4, 3)
    script = Path(__file__).with_name("mutants.py")
    done = subprocess.run(
        [sys.executable, script, tmp_path, "0", "300"], capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, (done.stdout[-200:], done.stderr[-2000:])
    outcomes = json.loads(done.stdout.splitlines()[-1])
    assert sum(outcomes.values()) == 600
    assert outcomes["ours refused"] > 50
    assert outcomes["foreign refused"] > 20
