from pathlib import Path
from typing import NoReturn

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from vidrep.synthetic.clips import render_clip
from vidrep.video.writing import write_h264

RED_BLUE = ((220, 40, 40), (40, 40, 220))


def two_colored_frames(num_frames: int = 7, height: int = 32, width: int = 48) -> NDArray[np.uint8]:
    frames = np.zeros((num_frames, height, width, 3), np.uint8)
    frames[:, :, : width // 2], frames[:, :, width // 2 :] = RED_BLUE
    frames[:, :8, :8] = np.linspace(0, 255, num_frames, dtype=np.uint8)[:, None, None, None]
    return frames


def test_a_player_finds_the_frames_that_were_written(tmp_path: Path) -> None:
    frames = two_colored_frames()
    write_h264(tmp_path / "clip.mp4", frames, frames_per_second=12)
    with av.open(str(tmp_path / "clip.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert stream.average_rate == 12
        decoded = list(container.decode(stream))
    assert [frame.time for frame in decoded] == pytest.approx([index / 12 for index in range(7)])
    pixels = np.stack([frame.to_ndarray(format="rgb24") for frame in decoded])
    assert pixels.shape == frames.shape
    # Away from the color edges, which 4:2:0 blurs, the compression costs a few gray levels.
    inside = np.s_[:, 12:28, [4, 12, 36, 44]]
    np.testing.assert_allclose(pixels[inside].astype(int), frames[inside].astype(int), atol=8)
    np.testing.assert_allclose(pixels[:, 4, 4].astype(int), frames[:, 4, 4].astype(int), atol=8)


def test_equal_frames_give_equal_bytes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for motion in ("up", "left", "clockwise", "growing"):
        frames = render_clip(motion, rng, num_frames=20, frame_size=64)
        written = set()
        for index in range(5):
            # Memory in another state each time: x264's default rate control lets it show in such small videos.
            del [rng.bytes(int(rng.integers(1, 200_000))) for _ in range(6)][:]
            write_h264(tmp_path / f"{index}.mp4", frames, frames_per_second=10)
            written.add((tmp_path / f"{index}.mp4").read_bytes())
        assert len(written) == 1


def test_a_failure_half_way_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing:
        @staticmethod
        def from_ndarray(frame: object, *, format: str) -> NoReturn:
            raise OSError("no space left")

    path = tmp_path / "clip.mp4"
    path.write_bytes(b"as before")
    monkeypatch.setattr(av, "VideoFrame", Failing)
    with pytest.raises(OSError, match="no space left"):
        write_h264(path, two_colored_frames(), frames_per_second=10)
    assert path.read_bytes() == b"as before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.zeros((4, 31, 32, 3), np.uint8), "4 frames of 31x32; .* even height and width"),
        (np.zeros((4, 32, 31, 3), np.uint8), "4 frames of 32x31; .* even height and width"),
        (np.zeros((0, 32, 32, 3), np.uint8), "0 frames of 32x32"),
        (np.zeros((4, 32, 32), np.uint8), r"uint8 of shape \(4, 32, 32\); they must be"),
        (np.zeros((4, 32, 32, 3), np.float32), "frames are float32"),
    ],
)
def test_frames_that_cannot_be_written_are_refused(tmp_path: Path, frames: NDArray[np.uint8], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write_h264(tmp_path / "clip.mp4", frames, frames_per_second=10)
    assert not list(tmp_path.iterdir())


def test_a_frame_rate_below_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="frames_per_second is 0"):
        write_h264(tmp_path / "clip.mp4", two_colored_frames(), frames_per_second=0)
