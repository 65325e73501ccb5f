"""Damaged videos: how many of 300 mutants of clean clips vidrep reports, beside FFmpeg's own strictest detection.

    python benchmarks/damaged_videos.py [--each 15]      writes docs/results/damaged-videos.md

Clips of five codecs are encoded and damaged in four ways, from one seed. Each mutant is read by a process of its own,
with a time-out: a crash or a hang is counted. What it gives is compared, frame by frame at the same times, with what
the clean file gives.
"""

import argparse
import csv
import hashlib
import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import av.logging
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray
from recording import ROOT, facts

from vidrep.errors import VideoError
from vidrep.features.store import open_features
from vidrep.synthetic.clips import render_clip
from vidrep.synthetic.motions import MOTIONS
from vidrep.video.decoders import open_video
from vidrep.video.sampling import Sampling

SEED = 7
NUM_FRAMES, FRAME_SIZE, FPS = 60, 128, 25
TIME_OUT_SECONDS = 60
Reader = Literal["vidrep", "strict"]


@dataclass(frozen=True, kw_only=True)
class Codec:
    """How a clean clip is encoded; one thread and no macroblock tree, so that equal frames give equal bytes."""

    encoder: str
    suffix: str
    options: dict[str, str] = field(default_factory=dict)


CODECS = {
    "H.264 (mp4)": Codec(encoder="libx264", suffix=".mp4", options={"crf": "20", "mbtree": "0", "g": "25"}),
    "HEVC (mp4)": Codec(
        encoder="libx265",
        suffix=".mp4",
        options={"crf": "20", "x265-params": "log-level=none:pools=none:frame-threads=1:keyint=25"},
    ),
    "MPEG-4 part 2 (avi)": Codec(encoder="mpeg4", suffix=".avi", options={"q": "3"}),
    "VP9 (webm)": Codec(encoder="libvpx-vp9", suffix=".webm", options={"crf": "20", "b": "0", "g": "25"}),
    "AV1 (mkv)": Codec(encoder="libsvtav1", suffix=".mkv", options={"crf": "25", "svtav1-params": "lp=1:keyint=25"}),
}


def cut(content: bytearray, rng: np.random.Generator) -> None:
    """Cut the file short, after a twentieth of it at the earliest."""
    del content[int(rng.integers(len(content) // 20, len(content))) :]


def overwrite(content: bytearray, rng: np.random.Generator) -> None:
    """Write 64 random bytes over others."""
    position = int(rng.integers(len(content) - 64))
    content[position : position + 64] = rng.bytes(64)


def swap(content: bytearray, rng: np.random.Generator) -> None:
    """Swap two blocks of 512 bytes."""
    first, second = (512 * int(block) for block in rng.choice(len(content) // 512, 2, replace=False))
    content[first : first + 512], content[second : second + 512] = (
        content[second : second + 512],
        content[first : first + 512],
    )


def flip(content: bytearray, rng: np.random.Generator) -> None:
    """Flip one bit."""
    content[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))


KINDS: dict[str, Callable[[bytearray, np.random.Generator], None]] = {
    "truncation": cut,
    "64 random bytes": overwrite,
    "two blocks swapped": swap,
    "one bit flipped": flip,
}


def encode(path: Path, frames: NDArray[np.uint8], codec: Codec) -> None:
    """Write a clean clip of `frames`, (T, H, W, 3) RGB."""
    os.environ["SVT_LOG"] = "1"  # errors only
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec.encoder, rate=FPS, options=codec.options)
        assert isinstance(stream, VideoStream)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], "yuv420p"
        stream.codec_context.thread_count = 1
        for number, pixels in enumerate(frames):
            frame = VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def mutants(folder: Path, *, each: int, seed: int) -> Iterator[tuple[str, str, Path]]:
    """Write a clean clip of each codec into `folder`, and `each` mutants of each kind: (codec, kind, path)."""
    rng = np.random.default_rng(seed)
    for number, (name, codec) in enumerate(CODECS.items()):
        clean = folder / f"clean-{number}{codec.suffix}"
        motion = MOTIONS[number % len(MOTIONS)]
        encode(clean, render_clip(motion, rng, num_frames=NUM_FRAMES, frame_size=FRAME_SIZE), codec)
        yield name, "clean", clean
        for kind, damage in KINDS.items():
            for count in range(each):
                content = bytearray(clean.read_bytes())
                damage(content, rng)
                path = folder / f"{number}-{kind.replace(' ', '-')}-{count}{codec.suffix}"
                path.write_bytes(content)
                yield name, kind, path


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The result of reading a file.

    status: "ok", "partial", "failed", "crash" or "hang". frames: a hash of each frame by its time, in microseconds.
    """

    status: str
    message: str = ""
    frames: dict[str, str] = field(default_factory=dict)

    @property
    def is_flagged(self) -> bool:
        """Whether the damage is reported."""
        return self.status != "ok"


def read_with_vidrep(path: Path) -> Outcome:
    """Read a video as `vidrep extract` does."""
    frames: dict[str, str] = {}
    try:
        with open_video(path) as video:
            for frame in video.frames(Sampling()):
                frames[str(round(frame.seconds * 1e6))] = hashlib.sha256(frame.rgb.tobytes()).hexdigest()
            report = video.report()
    except VideoError as error:
        return Outcome(status="failed", message=str(error), frames=frames)
    return Outcome(status=report.status, message=report.message, frames=frames)


def read_strictly(path: Path) -> Outcome:
    """Read a video with all of FFmpeg's error detection; any error that it raises or logs counts."""
    logging.getLogger("libav").setLevel(logging.CRITICAL)
    av.logging.set_level(av.logging.ERROR)
    strict = {"err_detect": "crccheck+bitstream+buffer+explode"}
    with av.logging.Capture(local=True) as log:
        try:
            with av.open(str(path), options=strict) as container:
                stream = container.streams.video[0]
                stream.codec_context.options = strict
                stream.codec_context.thread_count = 1
                for packet in container.demux(stream):
                    packet.decode()
        except (av.error.FFmpegError, OSError, ValueError, IndexError) as error:
            return Outcome(status="failed", message=str(error))
    return Outcome(status="partial", message=log[0][2]) if log else Outcome(status="ok")


READERS: dict[Reader, Callable[[Path], Outcome]] = {"vidrep": read_with_vidrep, "strict": read_strictly}


def read_in_a_process(path: Path, reader: Reader) -> Outcome:
    """Read a file by `python damaged_videos.py --read`, so that a crash or a hang stops nothing else."""
    command = [sys.executable, __file__, "--read", reader, str(path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIME_OUT_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return Outcome(status="hang")
    if done.returncode:
        return Outcome(status="crash", message=f"exit code {done.returncode}: {done.stderr[-200:]}")
    return Outcome(**json.loads(done.stdout))


@dataclass
class Tally:
    """Counts over the mutants of one codec and kind, or of several.

    changed: gave other frames than the clean file, or not all of them, or more. flagged, strict: of those, how many
    vidrep and FFmpeg's strictest detection notice. flagged_unchanged, strict_unchanged: noticed though all frames are
    as they should be. crashes, hangs: of vidrep.
    """

    mutants: int = 0
    changed: int = 0
    flagged: int = 0
    strict: int = 0
    flagged_unchanged: int = 0
    strict_unchanged: int = 0
    crashes: int = 0
    hangs: int = 0

    def add(self, ours: Outcome, strict: Outcome, clean: Outcome) -> None:
        """Count one mutant."""
        changed = ours.frames != clean.frames
        self.mutants += 1
        self.changed += changed
        self.flagged += changed and ours.is_flagged
        self.strict += changed and strict.is_flagged
        self.flagged_unchanged += not changed and ours.is_flagged
        self.strict_unchanged += not changed and strict.is_flagged
        self.crashes += ours.status == "crash"
        self.hangs += ours.status == "hang"

    def __add__(self, other: "Tally") -> "Tally":
        """Add up all counts."""
        return Tally(**{name: count + getattr(other, name) for name, count in vars(self).items()})


def num_differing(one: Outcome, other: Outcome) -> int:
    """Return at how many times two outcomes show different frames, or only one shows any."""
    times = one.frames.keys() | other.frames.keys()
    return sum(one.frames.get(time) != other.frames.get(time) for time in times)


def measure(
    folder: Path, *, each: int, seed: int
) -> tuple[dict[tuple[str, str], Tally], dict[tuple[str, str], list[int]]]:
    """Read all mutants: a tally by codec and kind, and in how many frames those differ that went unnoticed."""
    files = list(mutants(folder, each=each, seed=seed))
    with ThreadPoolExecutor(max_workers=2) as pool:
        ours = list(pool.map(lambda one: read_in_a_process(one[2], "vidrep"), files))
        strict = list(pool.map(lambda one: read_in_a_process(one[2], "strict"), files))
    clean: dict[str, Outcome] = {}
    tallies: dict[tuple[str, str], Tally] = {}
    unnoticed: dict[tuple[str, str], list[int]] = {}
    for (codec, kind, _), one, other in zip(files, ours, strict, strict=True):
        if kind == "clean":
            assert (one.status, len(one.frames)) == ("ok", NUM_FRAMES), f"{codec}: {one.status}, {one.message}"
            assert not other.is_flagged, f"{codec}: {other.message}"
            clean[codec] = one
            continue
        tallies.setdefault((codec, kind), Tally()).add(one, other, clean[codec])
        if not one.is_flagged and (differing := num_differing(one, clean[codec])):
            unnoticed.setdefault((codec, kind), []).append(differing)
    return tallies, unnoticed


def extract_among_healthy(folder: Path) -> str:
    """Extract all videos of `folder`, then the clean ones alone, as a user would; return a sentence about it.

    Exits unless the clean videos' rows are the same bytes both times, with the exit codes for some failed and for none.
    """
    script = str(Path(sys.executable).with_name("vidrep"))
    extract = [script, "extract", "patches", "--size", "32", "--rgb", "--quiet"]
    outputs, codes = [folder / "all.h5", folder / "clean.h5"], []
    for output, videos in zip(outputs, ([folder], sorted(folder.glob("clean-*"))), strict=True):
        command = [*extract, *map(str, videos), "-o", str(output)]
        codes.append(subprocess.run(command, check=False, capture_output=True).returncode)
    everything, clean = map(open_features, outputs)
    for index, row in enumerate(clean.videos):
        found = everything.index(row.path)
        same = everything.videos[found].checksum == row.checksum
        if not same or not np.array_equal(everything.rows(found), clean.rows(index)):
            sys.exit(f"{row.path}: other rows among damaged videos than alone")
    with (folder / "all.failures.csv").open(newline="", encoding="utf-8") as file:
        statuses = [row["status"] for row in csv.DictReader(file)]
    if codes != [4, 0] or len(clean) != len(CODECS):
        sys.exit(f"exit codes {codes}, wanted [4, 0]; {len(clean)} clean videos")
    return (
        f"All of them and the {len(clean)} clean clips in one `vidrep extract patches`: exit code {codes[0]}, "
        f"{statuses.count('failed')} failed, {statuses.count('partial')} partial, {len(everything)} videos in the "
        f"file; the rows of the clean clips are the same bytes as extracted alone (exit code {codes[1]})."
    )


def page(
    tallies: dict[tuple[str, str], Tally], unnoticed: dict[tuple[str, str], list[int]], extracted: str, *, each: int
) -> str:
    """Return the results as Markdown."""
    total = sum(tallies.values(), Tally())
    header = "| codec | " + " | ".join(KINDS) + " |\n|---|" + "---|" * len(KINDS)
    rows = [
        f"| {codec} | "
        + " | ".join(f"{(t := tallies[codec, kind]).flagged} / {t.changed} ({t.strict})" for kind in KINDS)
        + " |"
        for codec in CODECS
    ]
    by_kind = {kind: sum((tallies[codec, kind] for codec in CODECS), Tally()) for kind in KINDS} | {"all": total}
    summary = [
        f"| {kind} | {t.mutants} | {t.changed} | {t.flagged} | {t.strict} | {t.changed - t.flagged} | "
        f"{t.flagged_unchanged} | {t.strict_unchanged} | {t.crashes} | {t.hangs} |"
        for kind, t in by_kind.items()
    ]
    truncated = by_kind["truncation"]
    notices = truncated.flagged + truncated.flagged_unchanged
    missed = [
        f"| {codec} | {kind} | {len(counts)} | {min(counts)} to {max(counts)} |"
        for (codec, kind), counts in unnoticed.items()
    ]
    columns = ["kind", "mutants", "changed", "flagged of these", "strict FFmpeg", "changed, not flagged"]
    columns += ["unchanged, flagged", "unchanged, strict FFmpeg", "crashes", "hangs"]
    return f"""# Damaged videos

Made by `python benchmarks/damaged_videos.py --each {each}`, seed {SEED}.

{facts()}- PyAV {av.__version__}

{total.mutants} mutants, {each} for every codec and kind of damage, of clips of {NUM_FRAMES} frames of
{FRAME_SIZE}x{FRAME_SIZE}. Each is read whole in a process of its own, and its frames are compared with those of the
clean file at the same times: a mutant has changed if a frame differs, is missing or is there in excess. Flagged means
called partial or failed, with the reason.

Flagged / changed, in brackets how many of the changed ones FFmpeg's strictest detection
(`err_detect=crccheck+bitstream+buffer+explode`, any error raised or logged) notices:

{header}
{chr(10).join(rows)}

| {" | ".join(columns)} |
|{"---|" * len(columns)}
{chr(10).join(summary)}

Truncations flagged: {notices} of {truncated.mutants}. Crashes: {total.crashes}.
Hangs (over {TIME_OUT_SECONDS} s): {total.hangs}.

{extracted}

Changed and not flagged, with how many of the {NUM_FRAMES} frames are not as they were:

| codec | kind | mutants | frames |
|---|---|---|---|
{chr(10).join(missed)}

{_WHAT_GOES_UNNOTICED}"""


_WHAT_GOES_UNNOTICED = """Damage stays unnoticed where the decoder still gets pictures out of it. These codecs carry no
checksums unless the encoder is asked for them. So a changed bit in a motion vector or a coefficient decodes to other
pixels without an error; FFmpeg's decoders of HEVC and VP9 also skip most bursts. Damage shows in the sizes that
containers declare, in the frame counts of mp4 and avi, in the checksums that FFmpeg's Matroska writer adds (which
explains the difference between AV1 and VP9), and in the decoders' own errors. To detect every changed byte, keep a
checksum of the file; a feature file records the SHA-256 of each source.
"""


def main() -> None:
    """Measure and write the page, or read one file for the process that does."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=15, help="mutants of each codec and kind")
    parser.add_argument("--read", nargs=2, metavar=("READER", "FILE"), help="read one file and print the outcome")
    arguments = parser.parse_args()
    if arguments.read:
        reader, file = arguments.read
        print(json.dumps(vars(READERS[reader](Path(file)))))
        return
    with tempfile.TemporaryDirectory(prefix="vidrep-benchmark-") as folder:
        tallies, unnoticed = measure(Path(folder), each=arguments.each, seed=SEED)
        extracted = extract_among_healthy(Path(folder))
    text = page(tallies, unnoticed, extracted, each=arguments.each)
    print(text)
    (ROOT / "docs" / "results" / "damaged-videos.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
