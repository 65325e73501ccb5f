"""HDF5 files that are not ours, read for `vidrep import`: one array of all videos, with labels if it has them.

features (V, T, ...)                         or the only array of three or more dimensions
labels | label (V,)                          names, or numbers; then the attribute `classes`, of the file or of the
                                             labels, gives the names, if it is there
split | splits (V,)                          train, validation (val) or test
video_ids | paths | names | keys (V,)        unique names
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import FeatureFileError
from .labels import SPLITS
from .store import FORMAT, UNREADABLE, plain_datasets, why_unreadable

_LABELS, _SPLITS, _NAMES = ("labels", "label"), ("split", "splits"), ("video_ids", "paths", "names", "keys")


@dataclass(frozen=True)
class VideoArray:
    """The features of V videos of T frames each, (V, T, ...), and what is said of each; () where nothing is said."""

    features: NDArray[np.generic]
    labels: list[str]
    splits: list[str]
    names: list[str]


def read_video_array(path: Path) -> VideoArray:
    """Read an HDF5 file of one array for all videos.

    Raises FeatureFileError, naming the file, if it is ours already, damaged, or laid out otherwise.
    """
    try:
        with h5py.File(path, "r") as file:
            if file.attrs.get("format") == FORMAT:
                raise FeatureFileError(f"{path}: a feature file of vidrep's own already; use it as it is")
            arrays = plain_datasets(path, file)
            features = _features(path, arrays)[:]
            classes = file.attrs.get("classes")
            columns = [_column(path, arrays, names, len(features), classes) for names in (_LABELS, _SPLITS, _NAMES)]
    except UNREADABLE as error:
        raise FeatureFileError(f"{path}: not an HDF5 file that can be read ({why_unreadable(error)})") from error
    labels, splits, names = columns
    splits = ["validation" if split == "val" else split for split in splits]
    for split in sorted(set(splits)):
        if split not in ("", *SPLITS):
            raise FeatureFileError(f"{path}: split {split!r}; allowed are {', '.join(SPLITS)}")
    return VideoArray(features, labels, splits, names)


def _features(path: Path, arrays: Mapping[str, h5py.Dataset]) -> h5py.Dataset:
    deep = {name: array for name, array in arrays.items() if array.ndim >= 3}
    if "features" in deep:
        return deep["features"]
    if len(deep) != 1:
        found = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
        raise FeatureFileError(
            f"{path}: no array 'features' of shape (videos, frames, values); it holds {found or 'no array'}"
        )
    return next(iter(deep.values()))


def _column(
    path: Path, arrays: Mapping[str, h5py.Dataset], names: tuple[str, ...], num_videos: int, classes: Any
) -> list[str]:
    """Read the first of the named columns as text; [] if there is none of them."""
    array = next((arrays[name] for name in names if name in arrays), None)
    if array is None:
        return []
    if array.shape != (num_videos,):
        raise FeatureFileError(f"{path}: {array.name} has shape {array.shape}, wanted is ({num_videos},)")
    classes = array.attrs.get("classes", classes) if names == _LABELS else None
    values = array[:].tolist()
    if classes is None or not all(isinstance(value, int) for value in values):
        return [_text(value) for value in values]
    class_names = [_text(name) for name in np.asarray(classes).ravel().tolist()]
    for value in values:
        if not 0 <= value < len(class_names):
            raise FeatureFileError(f"{path}: label {value}, where `classes` names 0 to {len(class_names) - 1}")
    return [class_names[value] for value in values]


def _text(value: object) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
