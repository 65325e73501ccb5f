"""How the frames of videos are written and read: .npy or .csv, files a video, or .h5, one file of all.

Shapes: T frames, K labels.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import chain, islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..features.exported_arrays import writing_npy
from ..features.video_arrays import Attribute, VideoArray, VideoArraysWriter, reading_video_arrays
from ..files import write_text, writing_file
from .frame_store import EDGE, PROBABILITY, FrameStore
from .timeline import Timeline

EDGES, HEAD = ".edges.npy", ".frames.json"
"""What stands beside NAME.npy: NAME.edges.npy, (T + 1,) seconds; and beside NAME.npy or NAME.csv: NAME.frames.json."""

_TIMES = ("start", "end")


@dataclass(frozen=True)
class Head:
    """What the frames of a video are, see `Timeline`: the content of NAME.frames.json."""

    video: str
    labels: tuple[str, ...]
    background: str | None
    several_labels: bool

    def write(self, path: Path) -> None:
        """Publish it beside the file `path`."""
        write_text(path.with_suffix(HEAD), json.dumps(asdict(self), ensure_ascii=False) + "\n")

    @classmethod
    def read(cls, path: Path) -> "Head":
        """Read what stands beside the file `path`."""
        values = json.loads(path.with_suffix(HEAD).read_text(encoding="utf-8"))
        return cls(**values | {"labels": tuple(values["labels"])})

    def timeline(self, edges: NDArray[np.float64], probabilities: NDArray[np.float32]) -> Timeline:
        """Return it with its frames."""
        return Timeline(self.video, edges, probabilities, self.labels, self.background, self.several_labels)


def write_npy(path: Path, head: Head, store: FrameStore) -> None:
    """Publish NAME.npy, (T, K) float32, and what stands beside it."""
    _write_array(path.with_suffix(EDGES), (store.num_frames + 1,), EDGE, store.edges())
    _write_array(path, (store.num_frames, len(head.labels)), PROBABILITY, store.probabilities())
    head.write(path)


def _write_array(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], blocks: Iterable[NDArray[Any]]) -> None:
    with writing_npy(path, shape, dtype) as (content, offset):
        for some in blocks:
            content.write_at(some.tobytes(), offset)
            offset += some.nbytes


def write_csv(path: Path, head: Head, store: FrameStore) -> None:
    """Publish NAME.csv, a row a frame: its start and end in seconds, and the probability of each label."""
    times = pairwise(chain.from_iterable(some.tolist() for some in store.edges()))
    with writing_file(path) as content:
        offset = 0
        for rows in _rows(head, times, store):
            text = io.StringIO(newline="")
            csv.writer(text, lineterminator="\n").writerows(rows)
            encoded = text.getvalue().encode()
            content.write_at(encoded, offset)
            offset += len(encoded)
    head.write(path)


def _rows(head: Head, times: Iterator[tuple[float, float]], store: FrameStore) -> Iterator[list[list[float | str]]]:
    """Yield the rows of a table, some at a time; each number in as many digits as it needs."""
    yield [[*_TIMES, *head.labels]]
    for some in store.probabilities():
        values = some.astype(str).tolist()
        yield [[*time, *row] for time, row in zip(islice(times, len(values)), values, strict=True)]


def add_to_h5(writer: VideoArraysWriter, head: Head, store: FrameStore) -> None:
    """Write VIDEO/probabilities, (T, K) float32, whose attributes say the rest of `Head`, and VIDEO/edges, (T + 1,)."""
    attributes: dict[str, Attribute] = {"labels": head.labels, "several_labels": int(head.several_labels)}
    if head.background is not None:
        attributes["background"] = head.background
    shape = (store.num_frames, len(head.labels))
    arrays = {
        "probabilities": VideoArray(shape, PROBABILITY, store.probabilities(), attributes),
        "edges": VideoArray((store.num_frames + 1,), EDGE, store.edges(), {}),
    }
    writer.add(head.video, arrays)


def read_files(path: Path) -> Timeline:
    """Read NAME.npy or NAME.csv and what stands beside it; InputError if that cannot be done."""
    try:
        head = Head.read(path)
        if path.suffix == ".npy":
            edges = np.load(path.with_suffix(EDGES), allow_pickle=False)
            return head.timeline(edges, np.load(path, allow_pickle=False))
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file)
            if (names := next(rows, [])) != [*_TIMES, *head.labels]:
                raise ValueError(f"columns {','.join(names)} and labels {','.join(head.labels)}")
            values = np.array([[float(value) for value in row] for row in rows]).reshape(-1, len(names))
        edges = np.append(values[:1, 0], values[:, 1]) if len(values) else np.zeros(1)
        return head.timeline(edges, values[:, len(_TIMES) :].astype(np.float32))
    except (OSError, ValueError, TypeError, LookupError, EOFError) as error:
        raise InputError(
            f"{path}: not readable as the frames of a video ({error}); give a file of `vidrep predict`, with "
            f"{path.with_suffix(HEAD).name} beside it"
        ) from error


def read_h5(path: Path) -> Iterator[Timeline]:
    """Yield the videos of an .h5 file, sorted by name; FeatureFileError if it cannot be read."""
    advice = "give a file of `vidrep predict`"
    with reading_video_arrays(path, what="file of the frames of videos", advice=advice) as arrays:
        for group, video in arrays.videos("probabilities"):
            array = f"{group}/probabilities"
            background = arrays.attribute("background", array)
            head = Head(
                video,
                arrays.texts("labels", array),
                None if background is None else str(background),
                bool(arrays.attribute("several_labels", array)),
            )
            yield head.timeline(arrays.values(f"{group}/edges"), arrays.values(array))
