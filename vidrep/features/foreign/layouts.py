"""Which arrays of a file are videos: one array of all of them, an array a video, or a group a video.

One array of all videos, with columns beside it that have a value a video:

    features (V, T, ...)                         or the only array of three or more dimensions
    labels | label (V,)                          names, or numbers, which the format may give names
    split | splits (V,)                          train, validation (val) or test
    group | groups (V,)                          names, or numbers
    video_ids | paths | names | keys (V,)        unique names

A video by itself, (T, ...), at any depth:

    NAME (T, D)                                  its key is the path
    NAME/features (T, D)                         or another name, if that is the same in all groups; its key is NAME
    NAME/fps, NAME/timestamps, NAME/timestamps_ms    beside the features: its rate, and its times (T,)
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...errors import FeatureFileError, shortened, some_names
from ..annotations import SPLITS
from ..rows import Rows
from .tree import ArrayTree, ForeignFrames, ForeignVideo

EVERY_ARRAY = "*"
"""Given as the name of the array to take: every array is a video."""
RATES = ("fps", "frame_rate")
TIMES: Mapping[str, float] = {"timestamps": 1.0, "timestamps_ms": 1e-3}
"""Names of arrays of times, with their unit in seconds."""

_FEATURES = "features"
_LABELS, _SPLITS, _GROUPS = ("labels", "label"), ("split", "splits"), ("group", "groups")
_KEYS = ("video_ids", "paths", "names", "keys")
_COLUMNS = (_LABELS, _SPLITS, _GROUPS, _KEYS)
_NO_FEATURES = {*RATES, *TIMES}.union(*_COLUMNS)


@dataclass(frozen=True)
class FoundVideos:
    """The videos of a file, sorted by key; how they lie in it, in words; the paths of arrays that are not taken."""

    videos: list[ForeignVideo]
    layout: str
    left_out: list[str]


def videos_of(tree: ArrayTree, *, array: str = "") -> FoundVideos:
    """Find the videos of a file of many.

    array: which arrays to take where several could be: a path, or the name of an array in each video's group;
        EVERY_ARRAY takes all of two or more dimensions. Without it, what is not clear is refused.

    Raises FeatureFileError, which names the file, if it holds no video or it is not clear which arrays are videos.
    """
    whole = _array_of_all(tree, array)
    if whole is not None:
        return _rows_of_all(tree, whole)
    candidates = [path for path in (*tree.arrays, *tree.unfit) if _may_be_video(tree, path)]
    paths = _by_key(tree, candidates, array)
    deep = [] if array else [path for path in paths.values() if _num_dimensions(tree, path) > 2]
    if deep:
        path, what = deep[0], _described(tree, deep)
        raise _refusal(
            tree,
            f"it is not clear whether {what} are pictures of one video each, as --array {shortened(_last(path))} takes "
            f"them, or all videos, as --array {shortened(path)} takes one of them",
        )
    is_by_group = all(key == _group(path) for key, path in paths.items())
    return FoundVideos(
        [_video(tree, key, path) for key, path in sorted(paths.items())],
        f"a group with {_last(next(iter(paths.values())))!r} each" if is_by_group else "an array each",
        _left_out(tree, [*paths.values(), *(beside for path in paths.values() for beside in _beside(tree, path))]),
    )


def only_video_of(tree: ArrayTree, *, array: str = "") -> ForeignFrames:
    """Read the video of a file that holds one.

    array: as for `videos_of`.

    Raises FeatureFileError, which names the file, if it holds no video or several, or if that cannot be read.
    """
    if "" in tree.arrays and not array:
        return _frames(tree, "")
    candidates = [path for path in (*tree.arrays, *tree.unfit) if _may_be_video(tree, path)]
    wanted = array or _FEATURES
    chosen = [path for path in candidates if wanted in (path, _last(path))]
    if not (chosen or array):
        chosen = candidates
    if len(chosen) == 1:
        return replace(_frames(tree, chosen[0]), left_out=_left_out(tree, [*chosen, *_beside(tree, chosen[0])]))
    rule = f"one must be named {array!r}" if array else "there must be one"
    advice = "" if array or not candidates else "; --array NAME takes one"
    what = (
        some_names(path or "without a name" for path in candidates)
        or f"it holds {_described(tree, list(tree.arrays)) or 'none'}"
    )
    raise FeatureFileError(f"{tree.path}: {len(candidates)} arrays of frames and values ({what}); {rule}{advice}")


# ---- an array or a group a video


def _by_key(tree: ArrayTree, candidates: Sequence[str], array: str) -> dict[str, str]:
    """Choose the arrays that are videos: return their paths by key."""
    if array == EVERY_ARRAY:
        return {path: path for path in candidates}
    if array in candidates:
        return {tree.path.stem: array}
    named = [path for path in candidates if _group(path) and _last(path) == (array or _FEATURES)]
    if named:
        return {_group(path): path for path in named}
    if array or _FEATURES in candidates or not any(path in tree.arrays for path in candidates):
        raise _refusal(
            tree, f"no array {array or _FEATURES!r} of shape (videos, frames, values), or in a group a video"
        )
    names, groups = {_last(path) for path in candidates}, {_group(path) for path in candidates}
    if len(names) == 1 and len(groups) > 1:
        return {_group(path): path for path in candidates}
    # The same names in different groups are videos that are numbered in each class, or kinds of features of each video.
    if len(names) < len(candidates) and len(names) <= len(groups):
        raise _refusal(tree, "not clear which arrays are videos, as groups hold arrays of the same names")
    return {path: path for path in candidates}


def _may_be_video(tree: ArrayTree, path: str) -> bool:
    """Return whether an array has the dimensions of a video; an array that cannot be read may have them."""
    if _last(path) in _NO_FEATURES:
        return False
    info = tree.arrays.get(path)
    return info is None or (info.is_numeric and len(info.shape) >= 2)


def _num_dimensions(tree: ArrayTree, path: str) -> int:
    """Count dimensions without leading ones of size 1, which an import drops; 0 for an array that cannot be read."""
    shape = list(tree.arrays[path].shape) if path in tree.arrays else []
    while len(shape) > 2 and shape[0] == 1:
        del shape[0]
    return len(shape)


def _video(tree: ArrayTree, key: str, path: str) -> ForeignVideo:
    return ForeignVideo(key=key, label=_last(_group(key)), source=str(tree.path), load=partial(_frames, tree, path))


def _frames(tree: ArrayTree, path: str) -> ForeignFrames:
    if path in tree.unfit:
        raise FeatureFileError(f"{tree.path}: {tree.unfit[path]}")
    beside = _beside(tree, path)
    rates = [rate_of(_vector(tree, one)) for one in beside if _last(one) in RATES]
    times = [seconds_of(_vector(tree, one), _last(one)) for one in beside if _last(one) in TIMES]
    return ForeignFrames(tree.read(path), rates[0] if rates else 0.0, times[0] if times else None)


def rate_of(values: NDArray[Any]) -> float:
    """Return the one number of an array as a rate; 0.0, unknown, if it is none."""
    rate = float(values.reshape(-1)[0]) if values.size == 1 else 0.0
    return rate if 0 < rate < math.inf else 0.0


def seconds_of(values: NDArray[Any], name: str) -> NDArray[np.float64]:
    """Return an array of times of this name, one of TIMES, in seconds, (n,)."""
    return values.reshape(-1).astype(np.float64) * TIMES[name]


def _beside(tree: ArrayTree, path: str) -> list[str]:
    """Return the arrays in the group of a video's array that hold its rate and its times."""
    group = _group(path)
    found = [f"{group}/{name}" if group else name for name in (*RATES, *TIMES)]
    return [one for one in found if one in tree.arrays and tree.arrays[one].is_numeric and _is_vector(tree, one)]


def _is_vector(tree: ArrayTree, path: str) -> bool:
    """Return whether an array has one dimension, or others of size 1 only, as a row of MATLAB."""
    return sum(size != 1 for size in tree.arrays[path].shape) <= 1


def _vector(tree: ArrayTree, path: str) -> NDArray[Any]:
    values = tree.column(path) if len(tree.arrays[path].shape) <= 1 else tree.read(path)
    return values.reshape(-1)


# ---- one array of all videos


def _array_of_all(tree: ArrayTree, array: str) -> str | None:
    """Return the path of an array (V, T, ...): the one that was named, `features`, or the only one that can be it."""
    path = array or _FEATURES
    if path in tree.unfit:
        raise FeatureFileError(f"{tree.path}: {tree.unfit[path]}")
    if path not in tree.arrays:
        return None if array else _only_deep(tree)
    if not tree.arrays[path].is_numeric:
        raise FeatureFileError(f"{tree.path}: /{path} holds text; wanted are numbers")
    return path if len(tree.arrays[path].shape) >= 3 else None


def _only_deep(tree: ArrayTree) -> str | None:
    """Return the only array of three or more dimensions, if others of at least two have a row for each of its rows."""
    matrices = [path for path in tree.arrays if _may_be_video(tree, path)]
    deep = [path for path in matrices if _num_dimensions(tree, path) >= 3]
    if len(deep) != 1 or _group(deep[0]):
        return None
    num_videos = tree.arrays[deep[0]].shape[0]
    return deep[0] if all(tree.arrays[path].shape[0] == num_videos for path in matrices) else None


def _rows_of_all(tree: ArrayTree, path: str) -> FoundVideos:
    num_videos, rows = tree.arrays[path].shape[0], tree.rows(path)
    columns = [_column_beside(tree, path, names) for names in _COLUMNS]
    labels, splits, groups, keys = (_texts(tree, column, num_videos) for column in columns)
    splits = ["validation" if split == "val" else split for split in splits or [""] * num_videos]
    for split in sorted(set(splits)):
        if split not in ("", *SPLITS):
            raise FeatureFileError(f"{tree.path}: split {shortened(split)!r}; allowed are {', '.join(SPLITS)}")
    keys = keys or [f"{number:06d}" for number in range(num_videos)]
    if len(set(keys)) != num_videos:
        raise FeatureFileError(f"{tree.path}: two videos have the same name; names must differ")
    videos = [
        ForeignVideo(
            key=keys[number],
            label=labels[number] if labels else "",
            split=splits[number],
            group=groups[number] if groups else "",
            source=str(tree.path),
            load=partial(_row, rows, number),
        )
        for number in sorted(range(num_videos), key=keys.__getitem__)
    ]
    return FoundVideos(videos, f"rows of /{path}", _left_out(tree, [path, *filter(None, columns)]))


def _row(rows: Rows, number: int) -> ForeignFrames:
    return ForeignFrames(rows[number : number + 1][0])


def _column_beside(tree: ArrayTree, path: str, names: Sequence[str]) -> str:
    """Return the path of the first column of these names beside an array; '' if there is none."""
    group = _group(path)
    for found in (f"{group}/{name}" if group else name for name in names):
        if found in tree.unfit:
            raise FeatureFileError(f"{tree.path}: {tree.unfit[found]}")
        if found in tree.arrays:
            return found
    return ""


def _texts(tree: ArrayTree, column: str, num_videos: int) -> list[str]:
    """Read a column as text; [] if there is none."""
    if not column:
        return []
    shape = tree.arrays[column].shape
    if not _is_vector(tree, column) or math.prod(shape) != num_videos:
        raise FeatureFileError(f"{tree.path}: /{column} has shape {shape}, wanted is ({num_videos},)")
    values = _vector(tree, column).tolist()
    class_names = tree.class_names(column) if _last(column) in _LABELS else None
    if class_names is not None and all(isinstance(value, int) for value in values):
        for value in values:
            if not 0 <= value < len(class_names):
                raise FeatureFileError(f"{tree.path}: label {value}, where `classes` names 0 to {len(class_names) - 1}")
        values = [class_names[value] for value in values]
    try:
        return [value.decode("utf-8") if isinstance(value, bytes) else str(value) for value in values]
    except UnicodeDecodeError as error:
        raise FeatureFileError(f"{tree.path}: /{column} is not UTF-8 text ({error}); write it as such") from error


# ---- sequences with time first


def sequences_of(tree: ArrayTree) -> list[ForeignVideo]:
    """Return the videos of a file of one nameless array: sequences like Moving MNIST's, (T, V, H, W) of uint8.

    Their keys are those of generated sequences, their split is "test". Raises FeatureFileError for another array.
    """
    info = tree.arrays[""]
    if len(info.shape) != 4 or info.dtype != np.uint8 or not math.prod(info.shape):
        raise FeatureFileError(
            f"{tree.path}: an array of shape {info.shape} and type {info.dtype}; a file by itself must hold sequences "
            "like Moving MNIST's, (frames, sequences, height, width) of uint8; for other features give the folder, "
            "with one file a video"
        )
    array = tree.read("")
    return [
        ForeignVideo(key=f"{number:08d}", split="test", source=str(tree.path), load=partial(_sequence, array, number))
        for number in range(array.shape[1])
    ]


def _sequence(array: NDArray[Any], number: int) -> ForeignFrames:
    return ForeignFrames(array[:, number])


# ---- paths and messages


def _last(path: str) -> str:
    return path.rpartition("/")[2]


def _group(path: str) -> str:
    return path.rpartition("/")[0]


def _left_out(tree: ArrayTree, taken: Sequence[str]) -> list[str]:
    return sorted({*tree.arrays, *tree.unfit}.difference(taken))


def _described(tree: ArrayTree, paths: Sequence[str]) -> str:
    return some_names(f"{path} {tree.arrays[path].shape}".lstrip() for path in paths)


def _refusal(tree: ArrayTree, problem: str) -> FeatureFileError:
    readable = _described(tree, list(tree.arrays)) or "no array"
    unfit = f"; {some_names(tree.unfit.values(), count=2)}" if tree.unfit else ""
    return FeatureFileError(
        f"{tree.path}: {problem}; it holds {readable}{unfit}; --array NAME takes the array of that name in each group, "
        f"--array '{EVERY_ARRAY}' every array as a video; docs/feature-file.md lists what can be imported"
    )
