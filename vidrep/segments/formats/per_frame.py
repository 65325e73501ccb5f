"""A column a behavior and a row a frame: DeepEthogram's labels and SimBA's annotated or classified features.

1 is that the behavior happens in this frame, 0 that it does not, and -1, in DeepEthogram's, that the frame was not
annotated. DeepEthogram's column "background" is 1 where nothing else is. SimBA's files begin with columns of poses and
features, which are left out; where they have probabilities, "Probability_X" names the behavior X.
"""

import re
from array import array
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...errors import LabelError
from ...features.annotation_formats.columns import column_name
from ...features.annotation_formats.entries import place_of
from ...features.annotation_formats.tables import require_width
from ..frame_clock import FrameClock
from ..segment import Annotations
from .source import Collector, Contents, Format, Source

_VALUES = {"0": 0, "1": 1, "-1": -1, "0.0": 0, "1.0": 1, "-1.0": -1}
_BACKGROUND = "background"
_INDEX = frozenset({"", "unnamed:_0", "frame", "frames", "frame_number", "index"})
_PROBABILITY = "Probability_"
# SimBA's last features count frames with uncertain poses, and may be 0 throughout.
_COUNTS = re.compile(r"low_prob_detections.*", re.IGNORECASE)
_DEEPETHOGRAM_ENDING = "_labels.csv"
_MOST_CELLS = 1 << 26


def _matches(source: Source) -> bool:
    """Return whether the first line names columns, and the second has numbers alone, the last ones 0, 1 or -1."""
    if len(source.first_rows) < 2:
        return False
    names, values = source.first_rows
    is_named = any(name and not _is_number(name) for name in names)
    are_numbers = all(_is_number(value) for value in values if value)
    return is_named and len(names) == len(values) > 1 and values[-1] in _VALUES and are_numbers


def _is_deepethogram(source: Source) -> bool:
    return _matches(source) and any(column_name(name) == _BACKGROUND for name in source.head)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _read(source: Source) -> Contents:
    rows = source.rows()
    names = next(rows).values
    num_indexes = 1 if column_name(names[0]) in _INDEX else 0
    strict = _is_deepethogram(source)
    columns = {index: array("b") for index in range(num_indexes, len(names))}
    first = num_rows = 0
    place = ""
    for num_rows, (place, values) in enumerate(rows, start=1):
        require_width(names, values, source.delimiter, place)
        if num_indexes:
            first = _checked_index(values[0], first, num_rows, place)
        for index in list(columns):
            value = _VALUES.get(values[index])
            if value is None:
                _require_feature(values[index], names[index], place, strict=strict)
                del columns[index]
            else:
                columns[index].append(value)
    behaviors = _behaviors(names, columns)
    if not behaviors or not num_rows:
        raise LabelError(f"{str(source.path)!r}: no column of 0 and 1 alone; each behavior needs one, at the end")
    taken = np.array([np.frombuffer(columns[index], dtype=np.int8) for index in behaviors])  # (behaviors, frames)
    annotations = _annotations(source, [names[index] for index in behaviors], taken, place)
    num_others = len(names) - num_indexes - len(behaviors)
    shown = ", ".join(annotations.labels)
    timed = source.clock.description if source.clock else ""
    others = f" (left out: {num_others} other columns)" if num_others and not strict else ""
    return Contents(annotations=annotations, note=f" {timed}, behaviors {shown}{others}")


def _checked_index(text: str, first: int, row: int, place: str) -> int:
    """Return the number of the first frame; LabelError unless frames are numbered on, row by row."""
    number = float(text) if _is_number(text) else float("nan")
    if row == 1 and number in (0, 1):
        return int(number)
    if number != first + row - 1:
        raise LabelError(f"{place}: frame {text!r} where {first + row - 1} follows; write one row for each frame")
    return first


def _require_feature(text: str, name: str, place: str, *, strict: bool) -> None:
    if strict or (text and not _is_number(text)):
        raise LabelError(f"{place}: {text!r} in the column {name!r}; write 1, 0, or -1 for a frame without annotation")


def _behaviors(names: Sequence[str], columns: dict[int, "array[int]"]) -> list[int]:
    """Return the columns of behaviors: those that have a probability, else all of 0 and 1 at the end of the table."""
    of_probability = {name.removeprefix(_PROBABILITY) for name in names if name.startswith(_PROBABILITY)}
    if of_probability:
        return [index for index in columns if names[index] in of_probability]
    found: list[int] = []
    for index in range(len(names) - 1, -1, -1):
        if index not in columns or _COUNTS.fullmatch(names[index]):
            break
        if column_name(names[index]) != _BACKGROUND:
            found.insert(0, index)
    return found


def _annotations(source: Source, names: Sequence[str], values: NDArray[np.int8], place: str) -> Annotations:
    video = source.video
    if source.path.name.endswith(_DEEPETHOGRAM_ENDING):
        video = source.path.name.removesuffix(_DEEPETHOGRAM_ENDING)
    if source.clock is None:
        raise LabelError(
            f"{str(source.path)!r} counts frames: give the features of its video, whose times count (--features), or a "
            "constant rate (--frame-rate)"
        )
    edges = source.clock.edges(video, values.shape[1], place)
    found = Collector()
    start_of_file = place_of(source.path, 1)
    for name, column in zip(names, values, strict=True):
        found.label(start_of_file, name)
        for first, end in _runs(column == 1):
            row = place_of(source.path, first + 2)  # below the line of names
            found.segment(row, video, float(edges[first]), float(edges[end]), name)
    for first, end in _runs((values != -1).all(axis=0)):
        found.watch(start_of_file, video, float(edges[first]), float(edges[end]))
    found.video(start_of_file, video)
    return found.annotations()


def _runs(is_one: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return where runs of True begin and are over."""
    changes = np.flatnonzero(np.diff(np.concatenate([[False], is_one, [False]]).astype(np.int8)))
    return [(int(start), int(end)) for start, end in changes.reshape(-1, 2)]


def _frames(annotations: Annotations, clock: FrameClock | None) -> tuple[list[str], NDArray[np.int8]]:
    """Return the names of the behaviors and (behaviors, frames): 1, 0, or -1 where nobody watched."""
    (video,) = annotations.videos
    if clock is None:
        raise LabelError(f"{video!r}: a row a frame needs the video's features (--features) or --frame-rate")
    spans, segments = annotations.watched[video], annotations.by_video[video]
    end = max([span.end for span in spans] + [one.end for one in segments], default=0.0)
    num_frames = max(clock.num_frames(video, end, video), 1 if segments else 0)
    labels = list(annotations.labels)
    if not num_frames or not labels:
        raise LabelError(f"{video!r}: neither behaviors nor watched time to write, a row a frame")
    if num_frames * len(labels) > _MOST_CELLS:
        raise LabelError(f"{video!r}: {num_frames} frames of {len(labels)} behaviors are too many for a table")
    edges = clock.edges(video, num_frames, video)
    middles = (edges[:-1] + edges[1:]) / 2
    values = np.full((len(labels), num_frames), -1, dtype=np.int8)
    for span in spans:
        values[:, slice(*np.searchsorted(middles, span))] = 0
    for one in segments:
        first, stop = np.searchsorted(middles, (one.start, one.end))
        first = min(first, num_frames - 1)
        values[labels.index(one.label), first : max(stop, first + 1)] = 1
    return labels, values


def _write_deepethogram(annotations: Annotations, clock: FrameClock | None) -> str:
    labels, values = _frames(annotations, clock)
    background = np.where((values == -1).any(axis=0), -1, (values != 1).all(axis=0))
    background[(values == 1).any(axis=0)] = 0
    return _table(["", _BACKGROUND, *labels], [np.arange(values.shape[1]), background, *values])


def _write_simba(annotations: Annotations, clock: FrameClock | None) -> str:
    labels, values = _frames(annotations, clock)
    return _table(["", *labels], [np.arange(values.shape[1]), *np.maximum(values, 0)])


def _table(names: Sequence[str], columns: Sequence[NDArray[np.integer]]) -> str:
    head = ",".join(f'"{name.replace(chr(34), chr(34) * 2)}"' if re.search('[,"]', name) else name for name in names)
    rows = (",".join(map(str, row)) for row in zip(*(column.tolist() for column in columns), strict=True))
    return "\n".join([head, *rows]) + "\n"


DEEPETHOGRAM = Format(
    name="deepethogram",
    title="DeepEthogram's labels, a row a frame",
    ending=_DEEPETHOGRAM_ENDING,
    one_video=True,
    counts_frames=True,
    matches=_is_deepethogram,
    read=_read,
    write=_write_deepethogram,
)
SIMBA = Format(
    name="simba",
    title="SimBA's frames, a row a frame",
    ending=".csv",
    one_video=True,
    counts_frames=True,
    matches=_matches,
    read=_read,
    write=_write_simba,
)
