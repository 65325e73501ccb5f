"""H.264 clips for measuring: a picture of natural statistics that pans and zooms under slight noise."""

from pathlib import Path

import numpy as np

from vidrep.video.writing import write_h264

CLIP_FRAMES_PER_SECOND = 25


def write_clip(path: Path, *, height: int, width: int, num_frames: int, seed: int) -> None:
    """Write one clip, of about the bit rate of a video from the web."""
    rng = np.random.default_rng(seed)
    rows, columns = height + 2 * num_frames, width + 2 * num_frames
    # Amplitudes that fall with frequency, as in photographs.
    spectrum = np.fft.rfft2(rng.standard_normal((rows, columns, 3)), axes=(0, 1))
    frequency = np.hypot(np.fft.fftfreq(rows)[:, None], np.fft.rfftfreq(columns)[None])
    frequency[0, 0] = 1.0
    picture = np.fft.irfft2(spectrum / frequency[..., None] ** 1.2, s=(rows, columns), axes=(0, 1))
    picture = 128 + 48 * picture / picture.std()
    frames = np.empty((num_frames, height, width, 3), dtype=np.uint8)
    for time in range(num_frames):
        view = picture[2 * time : 2 * time + height, time : time + width]
        frames[time] = np.clip(view + rng.normal(0, 5, view.shape[:2])[..., None], 0, 255)
    write_h264(path, frames, frames_per_second=CLIP_FRAMES_PER_SECOND)


def repeat(clips: list[Path], folder: Path, count: int) -> list[Path]:
    """Make `count` videos of a few clips by hard links, so that disk and time are spared."""
    folder.mkdir(parents=True)
    made = [folder / f"{number:05}.mp4" for number in range(count)]
    for number, path in enumerate(made):
        path.hardlink_to(clips[number % len(clips)])
    return made
