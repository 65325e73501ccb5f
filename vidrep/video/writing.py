"""Writing frames as a small H.264 video, through PyAV: OpenCV's wheel has no H.264 encoder."""

from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from ..files import replacing

# Macroblock-tree rate control is off: with it, libx264 165 encoded most clips of 18 to 96 pixels differently from one
# call to the next (never with asm=0, nor at 128 pixels). It also moves the scale of crf: without it, crf 22 gives the
# file size and the error a pixel that crf 18 gives with it (9.1 against 9.7 kB for a 64x64 clip of 20 frames).
_ENCODER_OPTIONS = {"crf": "22", "preset": "veryfast", "mbtree": "0"}


def write_h264(path: Path, frames: NDArray[np.uint8], *, frames_per_second: int) -> None:
    """Publish `frames`, (T, H, W, 3) RGB with even H and W, as H.264 in mp4; equal frames give equal bytes."""
    _check_frames(frames, frames_per_second=frames_per_second)
    _, height, width, _ = frames.shape
    # The temporary name does not end in .mp4, so the container format has to be given.
    with replacing(path) as temporary, av.open(str(temporary), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=frames_per_second, options=_ENCODER_OPTIONS)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        # With several threads x264 chooses slices and lookahead by their number: the bytes would depend on the machine.
        stream.codec_context.thread_count = 1
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode(None))


def _check_frames(frames: NDArray[np.uint8], *, frames_per_second: int) -> None:
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3:
        raise ValueError(f"frames are {frames.dtype} of shape {frames.shape}; they must be uint8 of shape (T, H, W, 3)")
    num_frames, height, width, _ = frames.shape
    if min(num_frames, height, width) < 1 or height % 2 or width % 2:
        # yuv420p keeps one color sample for every 2 x 2 pixels.
        raise ValueError(f"{num_frames} frames of {height}x{width}; there must be some, of even height and width")
    if frames_per_second < 1:
        raise ValueError(f"frames_per_second is {frames_per_second}; it must be at least 1")
