"""The frames of one video as they come, on disk until they are published, so that memory stays as it is.

Shapes: T frames, K labels.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import numpy as np
from numpy.typing import NDArray

from ..files import make_folder, naming_output
from .timeline import require_frames

EDGE, PROBABILITY = np.dtype("<f8"), np.dtype("<f4")
_FRAMES_AT_ONCE = 1 << 14


@contextmanager
def storing_frames(output: Path, num_labels: int) -> Iterator["FrameStore"]:
    """Give a place for the frames of one video: two files without a name, which end with the block or the process.

    output: what is to be written, for messages; the files are on its disk. Raises OutputError if there can be none.
    """
    with ExitStack() as stack:
        with naming_output(output):
            make_folder(output.parent)
            files = [stack.enter_context(TemporaryFile(dir=output.parent)) for _ in range(2)]
        yield FrameStore(output, files[0], files[1], num_labels)


class FrameStore:
    """Edges and probabilities of frames, in two files; see `storing_frames`."""

    def __init__(self, output: Path, edges: IO[bytes], values: IO[bytes], num_labels: int) -> None:
        self._output, self._edges, self._values, self._num_labels = output, edges, values, num_labels
        self.num_frames = 0
        self._last_edge: float | None = None

    def append(self, edges: NDArray[np.float64], probabilities: NDArray[np.float32]) -> None:
        """Append the next frames, (T + 1,) seconds and (T, K), whose first edge is the last one of those before.

        Raises ValueError for frames that do not follow, OutputError if they cannot be written.
        """
        require_frames(edges, probabilities, self._num_labels)
        if self._last_edge is not None and edges[0] != self._last_edge:
            raise ValueError(f"frames from {edges[0]} s follow frames until {self._last_edge} s")
        new_edges = edges if self._last_edge is None else edges[1:]
        with naming_output(self._output):
            for file, values, dtype in (
                (self._edges, new_edges, EDGE),
                (self._values, probabilities, PROBABILITY),
            ):
                file.write(np.ascontiguousarray(values, dtype=dtype).tobytes())
                file.flush()
        self._last_edge, self.num_frames = float(edges[-1]), self.num_frames + len(probabilities)

    def edges(self) -> Iterator[NDArray[np.float64]]:
        """Yield all edges, some at a time; one of 0 s if there is none."""
        if self._last_edge is None:
            yield np.zeros(1)
        self._edges.seek(0)
        while some := self._edges.read(_FRAMES_AT_ONCE * EDGE.itemsize):
            yield np.frombuffer(some, EDGE)

    def probabilities(self) -> Iterator[NDArray[np.float32]]:
        """Yield the probabilities of all frames, some at a time, (T, K)."""
        self._values.seek(0)
        while some := self._values.read(_FRAMES_AT_ONCE * self._num_labels * PROBABILITY.itemsize):
            yield np.frombuffer(some, PROBABILITY).reshape(-1, self._num_labels)
