"""Planted copies of clips in the other split: which of them `vidrep check` finds, and what else it takes for copies.

VIDREP_DATA=... python benchmarks/planted_duplicates.py            writes docs/results/check.md
VIDREP_DATA=... python benchmarks/planted_duplicates.py tennis7    writes docs/results/check-tennis7.md

The protocol, docs/results/check-protocol.md, was written before.
"""

import csv
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from recording import Recording, real_data

import vidrep

Frames = NDArray[np.uint8]

COPIES_OF_EACH_KIND = 8
NUM_DIVIDED_SOURCES = 3
_WEIGHTS = "--weights $VIDREP_DATA/weights/squeezenet1_1_imagenet_fp16.pth"


def main() -> None:
    """Make the clips, plant, check, and write the page."""
    of_tennis = sys.argv[1:] == ["tennis7"]
    where = "tennis7" if of_tennis else "generated clips"
    record = Recording(f"check: planted copies and leaks, {where}", real_data())
    record.add(
        f"Made by `python benchmarks/planted_duplicates.py{' tennis7' if of_tennis else ''}`, by the "
        "[protocol](check-protocol.md). Recall: planted pairs that are found, by kind. Precision: pairs of one "
        "original, or of one source, among all that are found."
    )
    if of_tennis:
        tennis(record)
    else:
        independent(record)
        sources(record)
    record.save("check-tennis7" if of_tennis else "check")


def independent(record: Recording) -> None:
    """Clips that have nothing in common."""
    record.add("## Generated clips without anything in common")
    record.run("vidrep sample -o clips --per-class 30 --size 96", keep=False)
    planted = plant(record.folder / "clips", read_labels(record.folder / "clips" / "labels.csv"))
    write_labels(record.folder / "planted.csv", planted)
    record.run("vidrep extract patches clips -o patches.h5 --size 32 --labels planted.csv --threads 1", keep=False)
    measure(record, "patches.h5", planted)
    record.run(
        f"vidrep extract cnn clips -o cnn.h5 --model squeezenet1_1 {_WEIGHTS} --region frame --labels planted.csv "
        "--threads 1",
        keep=False,
    )
    measure(record, "cnn.h5", planted)


def sources(record: Recording) -> None:
    """Clips of sources, each of which looks alike, some of them divided between the splits."""
    record.add("## Generated clips of sources, three of which are divided")
    record.run("vidrep sample -o sources --sources 16 --size 96", keep=False)
    labeled = read_labels(record.folder / "sources" / "labels.csv")
    divided = divide_sources(labeled)
    planted = plant(record.folder / "sources", divided)
    write_labels(record.folder / "divided.csv", planted)
    record.run("vidrep extract patches sources -o by-source.h5 --size 32 --labels divided.csv --threads 1", keep=False)
    found = measure(record, "by-source.h5", planted)
    true = {one.group for one in divided if one.group in {f"source{n:02d}" for n in range(1, NUM_DIVIDED_SOURCES + 1)}}
    named = {one.group for one in _of_kind(found, "groups across splits")}
    record.add(
        f"Divided sources: {len(true & named)} of {len(true)} are found, and {len(named - true)} others are named."
    )


def tennis(record: Recording) -> None:
    """Clips of a real recording, before and after copies are planted."""
    record.add("## tennis7: real clips, cut out of a few recordings")
    clips, folder = real_data() / "tennis7", record.folder / "tennis"
    labeled = [
        Clip(video=line.split()[0], label=line.split("/")[0], split=split, group="")
        for split in ("train", "test")
        for line in (clips / f"{split}list01.txt").read_text().splitlines()
    ]
    for one in labeled:
        (folder / one.video).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(clips / one.video, folder / one.video)
    extract = (
        f"vidrep extract cnn tennis -o tennis.parts/ --model squeezenet1_1 {_WEIGHTS} --region frame --every 3 "
        "--threads 1"
    )
    write_labels(record.folder / "tennis.csv", labeled)
    record.run(f"{extract} --labels tennis.csv", keep=False)
    record.run("vidrep check tennis.parts --labels tennis.csv --group-blocks 10", codes=(0, 9))
    planted = plant(folder, labeled)
    write_labels(record.folder / "tennis-planted.csv", planted)
    record.run(f"{extract} --labels tennis-planted.csv", keep=False)
    measure(record, "tennis.parts", planted, "--labels tennis-planted.csv")


@dataclass(frozen=True)
class Clip:
    """A row of an annotation file; kind: of the copy that it is, '' for an original; original: its key."""

    video: str
    label: str
    split: str
    group: str
    kind: str = ""
    original: str = ""


def read_labels(path: Path) -> list[Clip]:
    """Read what `vidrep sample` wrote."""
    with path.open(newline="") as file:
        return [Clip(one["video"], one["label"], one["split"], one.get("group", "")) for one in csv.DictReader(file)]


def write_labels(path: Path, clips: Sequence[Clip]) -> None:
    """Write a CSV for --labels."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["video", "label", "split", "group"])
        rows.writerows([one.video, one.label, one.split, one.group] for one in clips)


def divide_sources(clips: Sequence[Clip]) -> list[Clip]:
    """Put every fourth clip of the first three sources, which train, into split "test"."""
    divided = {f"source{number:02d}" for number in range(1, NUM_DIVIDED_SOURCES + 1)}
    return [
        Clip(one.video, one.label, "test" if one.group in divided and number % 4 == 0 else one.split, one.group)
        for number, one in enumerate(clips)
    ]


def plant(folder: Path, clips: Sequence[Clip]) -> list[Clip]:
    """Write copies of clips, 8 of each kind, and give each the other split and no group of its own."""
    order = np.random.default_rng(0).permutation(len(clips))
    planted = []
    for number, (kind, write) in enumerate(KINDS.items()):
        for index in order[number * COPIES_OF_EACH_KIND : (number + 1) * COPIES_OF_EACH_KIND]:
            one = clips[index]
            path = folder / one.video
            copy = path.with_name(f"{kind.replace(' ', '-')}-{path.stem}{'.mov' if kind == 'remuxed' else '.avi'}")
            write(path, copy)
            split = "train" if one.split == "test" else "test"
            planted.append(Clip(str(copy.relative_to(folder)), one.label, split, "", kind, one.video))
    return [*clips, *planted]


def remux(source: Path, target: Path) -> None:
    """Put the same packets into another container: other bytes, the same frames."""
    with av.open(str(source)) as given, av.open(str(target), "w") as out:
        stream = given.streams.video[0]
        copied = out.add_stream_from_template(stream)
        for packet in given.demux(stream):
            if packet.dts is not None:
                packet.stream = copied
                out.mux(packet)


def changed(change: Callable[[Frames], Frames], *, scale: float = 1.0) -> Callable[[Path, Path], None]:
    """Return what encodes changed frames anew: MPEG-4 part 2, at this scale."""

    def write(source: Path, target: Path) -> None:
        with av.open(str(source)) as given:
            rate = given.streams.video[0].average_rate
            decoded = np.stack([one.to_ndarray(format="rgb24") for one in given.decode(video=0)])
        frames = change(decoded.astype(np.uint8))
        height, width = (int(side * scale) // 2 * 2 for side in frames.shape[1:3])
        with av.open(str(target), "w") as out:
            stream = out.add_stream("mpeg4", rate=rate)
            stream.width, stream.height, stream.pix_fmt, stream.bit_rate = width, height, "yuv420p", 400_000
            for one in frames:
                image: Frames = np.asarray(Image.fromarray(one).resize((width, height), Image.Resampling.BILINEAR))
                out.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
            out.mux(stream.encode(None))

    return write


def _border(share: float) -> Callable[[Frames], Frames]:
    """Return what cuts this share of the picture's height and width off, half of it at each side."""

    def crop(frames: Frames) -> Frames:
        top, left = (round(share / 2 * side) for side in frames.shape[1:3])
        return frames[:, top : frames.shape[1] - top, left : frames.shape[2] - left]

    return crop


KINDS: dict[str, Callable[[Path, Path], None]] = {
    "remuxed": remux,
    "encoded again": changed(lambda frames: frames),
    "smaller": changed(lambda frames: frames, scale=0.5),
    "cropped 10 %": changed(_border(0.1)),
    "cropped 20 %": changed(_border(0.2)),
    "mirrored": changed(lambda frames: frames[:, :, ::-1]),
    "beginning cut off": changed(lambda frames: frames[len(frames) // 5 :]),
}


def measure(record: Recording, features: str, planted: Sequence[Clip], labels: str = "") -> list[dict[str, str]]:
    """Check, add precision and recall of each kind, and return the rows of the findings' CSV."""
    found = record.folder / f"{features}.csv"
    record.run(f"vidrep check {features} --csv {found.name} {labels}", codes=(0, 9))
    with found.open(newline="") as file:
        rows = list(csv.DictReader(file))
    pairs = {frozenset((one["video"], one["other"])) for one in rows if "duplicates across splits" in one["finding"]}
    by_key = {one.video: one for one in planted}
    lines = ["| planted | found |", "|---|---|"]
    for kind in KINDS:
        true = [frozenset((one.video, one.original)) for one in planted if one.kind == kind]
        lines.append(f"| {kind} | {sum(pair in pairs for pair in true)} of {len(true)} |")
    of_original = [len({by_key[video].original or video for video in pair}) == 1 for pair in pairs]
    sources_of = [{_source(by_key[video], by_key) for video in pair} for pair in pairs]
    of_source = [len(one) == 1 and "" not in one for one in sources_of]
    lines.append(
        f"\nPairs that are found: {len(pairs)}; of one original {sum(of_original)}, of one original or one source "
        f"{sum(a or b for a, b in zip(of_original, of_source, strict=True))}."
    )
    record.add("\n".join(lines))
    assert len(vidrep.open_features(record.folder / features)) == len(planted), "a planted clip was left out"
    return rows


def _source(clip: Clip, by_key: dict[str, Clip]) -> str:
    return by_key[clip.original].group if clip.original else clip.group


def _of_kind(rows: Sequence[dict[str, str]], kind: str) -> list[Clip]:
    return [Clip(one["video"], one["label"], one["split"], one["group"]) for one in rows if one["finding"] == kind]


if __name__ == "__main__":
    main()
