"""Whether extraction's memory stays constant from few to many and from short to long videos, and its time linear.

    python benchmarks/extraction_memory.py [--write]      writes docs/results/extraction-memory.md

Runs `vidrep extract` on 50 and 500 videos of 4 s, and on one video of 10 s and one of 10 min (the same pictures over
and over), patches and a network. Memory is the peak of the proportional set size of all its processes together (Linux),
sampled 20 times a second.
"""

import contextlib
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import av
from clips import CLIP_FRAMES_PER_SECOND, repeat, write_clip
from recording import ROOT, facts

KINDS = {
    "patches": ["patches", "--size", "64", "--rgb"],
    "mobilenet_v3_small": ["cnn", "--model", "mobilenet_v3_small", "--weights", "none"],
}
HEIGHT, WIDTH = 240, 320
TOLERANCE = 0.10


@dataclass
class Ran:
    """What one extraction took. seconds: of its work, without the start."""

    num_frames: int
    seconds: float
    peak_bytes: int


def lengthen(clip: Path, path: Path, *, times: int) -> None:
    """Write a video that shows a clip over and over, without encoding it again."""
    with av.open(str(clip)) as source:
        packets = [packet for packet in source.demux(video=0) if packet.size]
        stream = source.streams.video[0]
        assert stream.duration is not None
        with av.open(str(path), "w") as target:
            copy = target.add_stream_from_template(stream)
            copy.time_base = stream.time_base
            for number in range(times):
                for packet in packets:
                    assert packet.pts is not None and packet.dts is not None
                    again = av.Packet(bytes(packet))
                    again.pts, again.dts = packet.pts + number * stream.duration, packet.dts + number * stream.duration
                    again.time_base, again.is_keyframe = packet.time_base, packet.is_keyframe
                    again.stream = copy
                    target.mux(again)


def tree_bytes(pid: int) -> int:
    """Return the memory of a process and all below it, shared pages counted once, in bytes."""
    total = 0
    with contextlib.suppress(OSError):
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        found = re.search(r"^Pss:\s+(\d+) kB", rollup, re.MULTILINE)
        total = 1024 * int(found[1]) if found else 0
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                total += tree_bytes(int(child))
    return total


def run(kind: str, videos: list[Path], folder: Path) -> Ran:
    """Extract once."""
    script = str(Path(sys.executable).with_name("vidrep"))
    output = Path(tempfile.mkdtemp(dir=folder)) / "f.h5"
    command = [script, "extract", *KINDS[kind], "-o", str(output), *map(str, videos)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    peak = 0
    while process.poll() is None:
        peak = max(peak, tree_bytes(process.pid))
        time.sleep(0.05)
    assert process.stdout is not None
    printed = process.stdout.read()
    found = re.search(r"(\d+) frames in .* \(([\d,]+) frames/s\)", printed)
    if process.returncode or not found:
        sys.exit(f"exit code {process.returncode}: {printed}")
    num_frames = int(found[1])
    return Ran(num_frames, num_frames / int(found[2].replace(",", "")), peak)


def main() -> int:
    """Measure, print a table, and return 1 if memory grew."""
    lines = ["| features | videos | frames | seconds | ms a frame | peak memory, MB | against the first |"]
    lines.append("|---|---|---|---|---|---|---|")
    is_flat = True
    with tempfile.TemporaryDirectory(prefix="vidrep-benchmark-") as name:
        folder = Path(name)
        clips = [folder / f"{seed}.mp4" for seed in range(4)]
        for seed, clip in enumerate(clips):
            write_clip(clip, height=HEIGHT, width=WIDTH, num_frames=4 * CLIP_FRAMES_PER_SECOND, seed=seed)
        write_clip(folder / "10s.mp4", height=HEIGHT, width=WIDTH, num_frames=10 * CLIP_FRAMES_PER_SECOND, seed=9)
        lengthen(folder / "10s.mp4", folder / "10min.mp4", times=60)
        few, many = repeat(clips, folder / "few", 50), repeat(clips, folder / "many", 500)
        pairs = {
            "50 of 4 s": (few, "500 of 4 s", many),
            "1 of 10 s": ([folder / "10s.mp4"], "1 of 10 min", [folder / "10min.mp4"]),
        }
        for kind in KINDS:
            for small_name, (small, large_name, large) in pairs.items():
                first = run(kind, small, folder)
                for what, ran in ((small_name, first), (large_name, run(kind, large, folder))):
                    ratio = ran.peak_bytes / first.peak_bytes
                    is_flat = is_flat and ratio <= 1 + TOLERANCE
                    lines.append(
                        f"| {kind} | {what} | {ran.num_frames} | {ran.seconds:.1f} "
                        f"| {1000 * ran.seconds / ran.num_frames:.2f} | {ran.peak_bytes / 1e6:.0f} | {ratio:.2f} |"
                    )
                    print(lines[-1], flush=True)
    print("\n".join(lines))
    if "--write" in sys.argv:
        page = (
            "# Memory and time of extraction\n\nMade by `python benchmarks/extraction_memory.py --write`: "
            f"{WIDTH}x{HEIGHT} H.264, 25 frames/s, generated, random weights, workers and threads by default.\n\n"
            f"{facts()}\n" + "\n".join(lines) + "\n\nThe start of workers (2 to 4 s) is in the seconds, which shows in "
            "the milliseconds a frame of the short runs.\n"
        )
        (ROOT / "docs" / "results" / "extraction-memory.md").write_text(page, encoding="utf-8")
    return int(not is_flat)


if __name__ == "__main__":
    sys.exit(main())
