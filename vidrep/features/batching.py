"""Frames of many videos through an extractor in batches of one fixed shape, and on to the parts, in order."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .extractor import Extractor
from .parts import PartsWriter
from .table import VideoRow


@dataclass
class _Pending:
    """Frames in the batch that belong to one video, and its row once its last frame is in."""

    seconds: list[float] = field(default_factory=list)
    row: VideoRow | None = None


class BatchedEncoder:
    """Gathers frames, encodes them B at a time, whichever videos they come from, and hands the features to `writer`.

    The last batch is padded with what stood in it before, so that all have one shape: a frame's feature depends neither
    on its neighbours nor on its place in the batch.
    """

    def __init__(self, extractor: Extractor, writer: PartsWriter) -> None:
        self._extractor, self._writer = extractor, writer
        self._batch = np.zeros((extractor.batch_size, *extractor.prepared_shape), dtype=np.uint8)
        self._num_waiting = 0
        self._pending = [_Pending()]

    def add_frame(self, prepared: NDArray[np.uint8], seconds: float) -> None:
        """Take the current video's next frame, prepared by the extractor."""
        self._batch[self._num_waiting] = prepared
        self._pending[-1].seconds.append(seconds)
        self._num_waiting += 1
        if self._num_waiting == len(self._batch):
            self.flush()

    def end_video(self, row: VideoRow) -> None:
        """Close the current video; it is written once its last frame is encoded."""
        self._pending[-1].row = row
        self._pending.append(_Pending())

    def flush(self) -> None:
        """Encode and hand on what waits."""
        features = self._extractor.encode(self._batch) if self._num_waiting else self._batch[:0]
        start = 0
        for pending in self._pending:
            stop = start + len(pending.seconds)
            if stop > start:
                self._writer.append(features[start:stop], np.array(pending.seconds))
            if pending.row is not None:
                self._writer.end_video(pending.row)
            start = stop
        self._num_waiting = 0
        self._pending = [_Pending()]
