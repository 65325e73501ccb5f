"""Of several video streams the one is taken that a player takes, and the others are named."""

from pathlib import Path

import av
import pytest
from odd_files import write_two_streams

from vidrep.errors import VideoError
from vidrep.video.decoders import open_video
from vidrep.video.sampling import Sampling


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_the_best_stream_is_taken(tmp_path: Path, suffix: str) -> None:
    path = write_two_streams(tmp_path / f"a{suffix}")
    with av.open(str(path)) as container:
        best = container.streams.best("video")
        assert best is not None and best.index == 1  # FFmpeg's own choice
    with open_video(path) as video:
        frames = list(video.frames(Sampling()))
        report = video.report()
    assert (len(frames), frames[0].rgb.shape) == (30, (64, 64, 3))
    assert report.status == "ok"
    taken = "of its 2 video streams number 1 is taken, counted from 0; --video-stream takes another"
    assert report.message == taken
    with open_video(path, stream=0) as video:
        thumbnails = list(video.frames(Sampling()))
        assert video.report().status == "ok"
    assert (len(thumbnails), thumbnails[0].rgb.shape) == (3, (32, 32, 3))
    with (
        pytest.raises(VideoError, match="it has no video stream 2: it has 2, counted from 0"),
        open_video(path, stream=2),
    ):
        pass
