"""HDF5 files of other programs, read for `vidrep import`: one array of all videos, and columns with a value a video.

features (V, T, ...)                         or the only array of three or more dimensions
labels | label (V,)                          names, or numbers; the attribute `classes` of the labels or of the file
                                             may give the names of the numbers
split | splits (V,)                          train, validation (val) or test
group | groups (V,)                          names, or numbers
video_ids | paths | names | keys (V,)        unique names
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..errors import FeatureFileError
from .annotations import SPLITS
from .rows import Rows, RowsFile
from .store import FORMAT
from .untrusted import PlainArray, UnfitError, UntrustedFile, open_untrusted

_LABELS, _SPLITS, _GROUPS = ("labels", "label"), ("split", "splits"), ("group", "groups")
_NAMES = ("video_ids", "paths", "names", "keys")
_COLUMNS = (_LABELS, _SPLITS, _GROUPS, _NAMES)
# A video in chunks is decompressed in one piece; a small file can declare a huge one.
_LARGEST_PACKED_VIDEO_BYTES = 4 << 30


@dataclass(frozen=True)
class VideoArray:
    """The features of V videos of T frames each, and their columns.

    num_videos: V. features: (V, T, ...), read when sliced. labels, splits, groups, names: V each, or [] if the file has
    none.
    """

    num_videos: int
    features: Rows
    labels: list[str]
    splits: list[str]
    groups: list[str]
    names: list[str]


def read_video_array(path: Path) -> VideoArray:
    """Read the columns of an HDF5 file of one array of all videos; the array itself is read when it is sliced.

    Raises FeatureFileError, which names the file, if it is a feature file, damaged, or of another layout.
    """
    with open_untrusted(path, what="HDF5 file", advice="docs/feature-file.md lists what can be imported") as file:
        if file.attribute("format") == FORMAT:
            raise FeatureFileError(f"{path}: already a feature file of vidrep; use it as it is")
        arrays, unfit = _arrays(file)
        features = _features(arrays, unfit).layout
        _require_fit([name for names in _COLUMNS for name in names], unfit)
        columns = [_column(file, arrays, names, features.shape[0]) for names in _COLUMNS]
        rows = RowsFile(path, file.state, {"features": features}).open()["features"]
    labels, splits, groups, names = columns
    splits = ["validation" if split == "val" else split for split in splits]
    for split in sorted(set(splits)):
        if split not in ("", *SPLITS):
            raise FeatureFileError(f"{path}: split {split!r}; allowed are {', '.join(SPLITS)}")
    return VideoArray(features.shape[0], rows, labels, splits, groups, names)


def _arrays(file: UntrustedFile) -> tuple[dict[str, PlainArray], dict[str, UnfitError]]:
    """Return the readable arrays at the top of the file, and why each of the others is refused."""
    arrays, unfit = {}, {}
    for name in file.names():
        try:
            arrays[name] = file.array(name)
        except UnfitError as error:
            unfit[name] = error
    return arrays, unfit


def _features(arrays: dict[str, PlainArray], unfit: dict[str, UnfitError]) -> PlainArray:
    _require_fit(("features",), unfit)
    deep = {name: array for name, array in arrays.items() if len(array.layout.shape) >= 3}
    chosen = deep.get("features", next(iter(deep.values())) if len(deep) == 1 else None)
    if chosen is None:
        found = [f"{name} {array.layout.shape}" for name, array in arrays.items()]
        raise UnfitError(
            "no array 'features' of shape (videos, frames, values); "
            f"it holds {', '.join(found) or 'no array'}{''.join(f'; {error}' for error in unfit.values())}"
        )
    layout = chosen.layout
    if layout.dtype.kind in "OS":
        raise UnfitError(f"/{layout.name} holds text; wanted are numbers")
    video_bytes = layout.num_bytes // max(1, layout.shape[0])
    if layout.offset is None and video_bytes > _LARGEST_PACKED_VIDEO_BYTES:
        raise UnfitError(
            f"/{layout.name} has videos of {video_bytes} bytes each, packed; at most {_LARGEST_PACKED_VIDEO_BYTES} "
            "are read"
        )
    return chosen


def _require_fit(names: Iterable[str], unfit: dict[str, UnfitError]) -> None:
    """Raise the error of an array that the import needs, rather than ignore the array."""
    for name in names:
        if name in unfit:
            raise unfit[name]


def _column(file: UntrustedFile, arrays: dict[str, PlainArray], names: tuple[str, ...], num_videos: int) -> list[str]:
    """Read the first column of these names as text; [] if there is none."""
    array = next((arrays[name] for name in names if name in arrays), None)
    if array is None:
        return []
    if array.layout.shape != (num_videos,):
        raise UnfitError(f"/{array.layout.name} has shape {array.layout.shape}, wanted is ({num_videos},)")
    values = array.column().tolist()
    class_names = file.list_attribute("classes", of=array.layout.name) if names == _LABELS else None
    if class_names is None or not all(isinstance(value, int) for value in values):
        return [_text(value) for value in values]
    for value in values:
        if not 0 <= value < len(class_names):
            raise UnfitError(f"label {value}, where `classes` names 0 to {len(class_names) - 1}")
    return [_text(class_names[value]) for value in values]


def _text(value: object) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
