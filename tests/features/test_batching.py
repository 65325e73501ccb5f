"""Frames keep their videos and their order on the way through batches of one shape."""

import numpy as np
import pytest

from vidrep.features.batching import BatchedEncoder
from vidrep.features.table import VideoRow


class Doubling:
    """Stands for an extractor: doubles, and remembers the batches that it saw."""

    frame_shape = prepared_shape = (2,)
    dtype = "uint8"
    batch_size = 4

    def __init__(self):
        self.settings, self.batches = {}, []

    def encode(self, batch):
        self.batches.append(batch.copy())
        return batch * 2


class Writer:
    """Stands for the parts."""

    def __init__(self):
        self.videos, self.frames, self.times = [], [], []

    def append(self, features, timestamps):
        self.frames += features[:, 0].tolist()
        self.times += timestamps.tolist()

    def end_video(self, row):
        self.videos.append((row.path, self.frames, self.times))
        self.frames, self.times = [], []


@pytest.mark.parametrize("lengths", [[3, 0, 6, 1], [4, 4], [1], [9], [0]])
def test_frames_keep_their_videos(lengths):
    extractor, writer = Doubling(), Writer()
    encoder = BatchedEncoder(extractor, writer)
    number, expected = 0, []
    for video, length in enumerate(lengths):
        frames = list(range(number, number + length))
        for frame in frames:
            encoder.add_frame(np.full(2, frame, np.uint8), frame / 10)
        encoder.end_video(VideoRow.new(str(video)))
        expected.append((str(video), [2 * frame for frame in frames], [frame / 10 for frame in frames]))
        number += length
    encoder.flush()
    assert writer.videos == expected
    assert {batch.shape for batch in extractor.batches} <= {(4, 2)}
    assert len(extractor.batches) == -(-number // 4)
    encoder.flush()
    assert len(writer.videos) == len(lengths)
