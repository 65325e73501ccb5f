"""HDF5 files that are not ours, read for `vidrep import`: one array of all videos, with labels if it has them.

features (V, T, ...)                         or the only array of three or more dimensions
labels | label (V,)                          names, or numbers; then the attribute `classes`, of the file or of the
                                             labels, gives the names, if it is there
split | splits (V,)                          train, validation (val) or test
video_ids | paths | names | keys (V,)        unique names
"""

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from ..errors import FeatureFileError
from .labels import SPLITS
from .store import FORMAT

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
            features = _features(path, file)[:]
            columns = [_column(path, file, names, len(features)) for names in (_LABELS, _SPLITS, _NAMES)]
    except (OSError, RuntimeError, KeyError, UnicodeDecodeError) as error:
        raise FeatureFileError(f"{path}: not an HDF5 file that can be read ({error})") from error
    labels, splits, names = columns
    splits = ["validation" if split == "val" else split for split in splits]
    for split in sorted(set(splits)):
        if split not in ("", *SPLITS):
            raise FeatureFileError(f"{path}: split {split!r}; allowed are {', '.join(SPLITS)}")
    return VideoArray(features, labels, splits, names)


def _features(path: Path, file: h5py.File) -> h5py.Dataset:
    arrays = {name: item for name, item in file.items() if isinstance(item, h5py.Dataset) and item.ndim >= 3}
    chosen = arrays.get("features") or (next(iter(arrays.values())) if len(arrays) == 1 else None)
    if chosen is None:
        found = ", ".join(f"{name} {item.shape}" for name, item in file.items() if isinstance(item, h5py.Dataset))
        raise FeatureFileError(
            f"{path}: no array 'features' of shape (videos, frames, values); it holds {found or 'no array'}"
        )
    return chosen


def _column(path: Path, file: h5py.File, names: tuple[str, ...], num_videos: int) -> list[str]:
    """Read the first of the named columns as text; [] if there is none of them."""
    dataset = next((file[name] for name in names if name in file), None)
    if dataset is None:
        return []
    if dataset.shape != (num_videos,):
        raise FeatureFileError(f"{path}: {dataset.name} has shape {dataset.shape}, wanted is ({num_videos},)")
    classes = dataset.attrs.get("classes", file.attrs.get("classes")) if names == _LABELS else None
    values = [value.decode("utf-8") if isinstance(value, bytes) else value for value in dataset[:].tolist()]
    if classes is not None and all(isinstance(value, int) for value in values):
        try:
            return [str(classes[value]) for value in values]
        except IndexError as error:
            raise FeatureFileError(f"{path}: a label's number is beyond the {len(classes)} classes") from error
    return [str(value) for value in values]
