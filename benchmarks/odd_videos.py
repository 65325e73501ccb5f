"""Odd and real videos: what is read from each, whether turned ones come out upright, and what is made of situations.

VIDREP_DATA=... python benchmarks/odd_videos.py      writes docs/results/odd-videos.md
"""

import itertools
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray
from odd_situations import BEFORE, outcomes
from odd_situations import table as table_of_situations
from recording import ROOT, facts, real_data

from vidrep.errors import VideoError
from vidrep.video.decoders import open_video
from vidrep.video.sampling import Sampling

TURNED = [f"decord_video_{degrees}.mov" for degrees in (0, 90, 180, 270)]


def read(path: Path) -> tuple[str, int, str, str]:
    """Read a video whole: report, number of frames, their size and the reason of the report."""
    num_frames, sizes = 0, dict[str, None]()
    try:
        with open_video(path) as video:
            for frame in video.frames(Sampling()):
                num_frames += 1
                height, width, _ = frame.rgb.shape
                sizes[f"{width}x{height}"] = None
            report = video.report()
    except VideoError as error:
        return "failed", num_frames, ", ".join(sizes), str(error)
    return report.status, num_frames, ", ".join(sizes), report.message


def kind(path: Path) -> tuple[str, str]:
    """Return the codec with its pixel format, and by how many degrees a player turns the video clockwise."""
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            for packet in container.demux(video=0):
                for frame in packet.decode():
                    if isinstance(frame, VideoFrame) and isinstance(packet.stream, VideoStream):
                        return f"{packet.stream.codec_context.name} {frame.format.name}", str(-frame.rotation % 360)
    except (av.error.FFmpegError, IndexError):
        pass
    return "", ""


def table(paths: list[Path]) -> str:
    """Return a Markdown table of what is read from the files."""
    lines = ["| file | codec | turned | report | frames | size |", "|---|---|---|---|---|---|"]
    for path in paths:
        report, num_frames, size, _ = read(path)
        cells = [f"{path.parent.name}/{path.name}", *kind(path), report, str(num_frames), size]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def reasons(paths: list[Path]) -> str:
    """Return the reasons of all reports but "ok", as a Markdown list."""
    lines = []
    for path in paths:
        report, _, _, message = read(path)
        if report != "ok":
            lines.append(f"- {path.name}: {report}: {message}")
    return "\n".join(lines)


def frames_of(path: Path) -> NDArray[np.uint8]:
    """Read all frames, (T, H, W, 3)."""
    with open_video(path) as video:
        return np.stack([frame.rgb for frame in video.frames(Sampling())])


def difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    """Return the mean absolute difference of two pictures, of 255."""
    return float(np.abs(one.astype(np.int16) - other).mean())


def least_difference_of_shots(folder: Path) -> float:
    """Compare the first frames of the four turned clips, turned in every way: how near do any two of them come?"""
    firsts = [frames_of(folder / name)[0] for name in TURNED]
    return min(
        difference(one, np.rot90(other, turns))
        for one, other in itertools.combinations(firsts, 2)
        for turns in range(4)
        if np.rot90(other, turns).shape == one.shape
    )


def write_turned(path: Path, upright: NDArray[np.uint8], degrees: int) -> None:
    """Write frames, (T, H, W, 3), lying as a turned phone records them, with the tag that sets them upright."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264rgb", rate=10, options={"qp": "0"})
        assert isinstance(stream, VideoStream)
        lying = np.rot90(upright, degrees // 90, axes=(1, 2))  # anticlockwise: the tag turns it clockwise
        stream.height, stream.width, stream.pix_fmt = *lying.shape[1:3], "rgb24"
        if degrees:
            stream.set_display_rotation(-degrees)
        for number, pixels in enumerate(lying):
            frame = VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def rotations(upright: NDArray[np.uint8]) -> str:
    """Write one clip in four rotations and compare what is read with it: a Markdown table."""
    lines = ["| turned by | difference |", "|---|---|"]
    with tempfile.TemporaryDirectory(prefix="vidrep-benchmark-") as folder:
        for degrees in (0, 90, 180, 270):
            path = Path(folder) / f"{degrees}.mp4"
            write_turned(path, upright, degrees)
            lines.append(f"| {degrees} | {difference(frames_of(path), upright):.3f} |")
    return "\n".join(lines)


def main() -> None:
    """Read everything and write the page."""
    data = real_data()
    odd, clips = (sorted(path for path in (data / folder).iterdir() if path.is_file()) for folder in ("odd", "clips"))
    shots = least_difference_of_shots(data / "odd")
    text = f"""# Odd and real videos

Made by `VIDREP_DATA=... python benchmarks/odd_videos.py` (data/README.md lists the files).

{facts()}- PyAV {av.__version__}

Every file is read whole. Size is width x height of what comes out, upright and with square pixels;
turned is by how many degrees a player turns the stored picture clockwise.

{table(odd + clips)}

Why some are not ok:

{reasons(odd + clips)}

## Rotation

The four clips decord_video_0, 90, 180 and 270 are four different shots of one keyboard, not one clip in four rotations:
no two of their first frames come nearer than a mean absolute difference of {shots:.1f} of 255, whichever way they are
turned. All four come out with the letters upright. So one of them, decord_video_0, was written without loss in all
four rotations, each with the tag that sets it upright; the mean absolute difference, of 255, between what was written
and what was read:

{rotations(frames_of(data / "odd" / TURNED[0]))}

## Situations

What `vidrep` made of generated inputs at commit {BEFORE}, and what it makes of them now: `benchmarks/odd_situations.py`
runs both by the command line. A message is that of the last line, or of the line that tells of the situation, and long
ones are cut. What has a star takes a system of its own, and is told as it was reported.

{table_of_situations(outcomes(BEFORE), outcomes(None))}
"""
    print(text)
    (ROOT / "docs" / "results" / "odd-videos.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
