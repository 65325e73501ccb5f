"""How fast extraction is, and how near to what its stages allow.

    python benchmarks/extraction.py PART [--rounds 5] [--write]     writes docs/results/extraction-PART.md

stages: for three networks and two sizes of H.264 video, interleaved:

- decode alone: frames/s of `vidrep.extraction.workers.decode` with one worker a core, frames thrown away;
- network alone: frames/s of the extractor on ready frames, one thread a core;
- the pipeline: frames/s of `extract`, from the first video finished to the published file; its start apart.

If the stages shared the cores without loss, the pipeline would run at 1 / (1 / decode + 1 / network): the bound.

decoding: frames/s on one core, with and without resizing.
errors: what bf16 and the fast resize change in the features.
peer --peer FOLDER: the whole command beside v-iashin/video_features (a checkout of it in FOLDER, its requirements
omegaconf and tqdm installed), same clips, same network, both with random weights.
"""

import argparse
import itertools
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from clips import repeat, write_clip
from numpy.typing import NDArray
from recording import ROOT, facts

from vidrep.extraction.decoding import decode_video
from vidrep.extraction.encoding import use_one_core
from vidrep.extraction.events import Decoding, FrameReady, Job, VideoEnded
from vidrep.extraction.extract import ExtractSummary, extract
from vidrep.extraction.extractors.cnn import CnnExtractor
from vidrep.extraction.workers import decode
from vidrep.machine import available_cores, torch_on_one_core, tune_malloc
from vidrep.progress import Progress
from vidrep.video.decoders import open_video
from vidrep.video.sampling import Sampling
from vidrep.video.sources import VideoSource

MODELS = ("mobilenet_v3_small", "squeezenet1_1", "resnet18")
SIZES = {"320x240": (240, 320), "1280x720": (720, 1280)}
CLIP_FRAMES = 50
NUM_CLIPS = 4
PEER_CLIPS = 40
Samples = defaultdict[tuple[str, ...], list[float]]

# video_features fetches its weights; these are random, which makes no difference to speed.
PEER_WITHOUT_WEIGHTS = """
import sys, torchvision
real = torchvision.models.get_model
torchvision.models.get_model = lambda name, weights=None, **options: real(name, weights=None, **options)
sys.argv[0] = "main.py"
sys.path.insert(0, ".")
import runpy
runpy.run_path("main.py", run_name="__main__")
"""


@dataclass
class Stopwatch:
    """Listens to an extraction: when its first video was finished, and how many frames were done by then."""

    began: float = field(default_factory=time.perf_counter)
    first: tuple[float, float] | None = None

    def listen(self, progress: Progress) -> None:
        """Note the first time that features are there."""
        now = time.perf_counter()
        if self.first is None and progress.metrics["frames/s"] > 0:
            self.first = (now, progress.metrics["frames/s"] * (now - self.began))

    def rate(self, num_frames: int) -> float:
        """Return frames/s from then on to now."""
        assert self.first is not None
        return (num_frames - self.first[1]) / (time.perf_counter() - self.first[0])


def make_extractor(model: str, *, precision: str = "auto", resize: str = "exact") -> CnnExtractor:
    """Make an extractor with random weights on the CPU."""
    return CnnExtractor(model=model, weights="none", device="cpu", precision=precision, resize=resize)


def sources_of(paths: Sequence[Path]) -> list[VideoSource]:
    """Name videos by their files."""
    return [VideoSource(path, path.name, "") for path in paths]


def decode_rate(paths: Sequence[Path], decoding: Decoding, *, workers: int) -> float:
    """Return frames/s of decoding alone, after the workers have started."""
    jobs = [Job(number, path, path.name, None) for number, path in enumerate(paths)]
    num_frames, first = 0, (0.0, 0)
    for event in decode(jobs, decoding, workers=workers):
        num_frames += isinstance(event, FrameReady)
        if isinstance(event, VideoEnded) and not first[0]:
            first = (time.perf_counter(), num_frames)
    return (num_frames - first[1]) / (time.perf_counter() - first[0])


def network_rate(extractor: CnnExtractor, *, seconds: float, threads: int) -> float:
    """Return frames/s of the network alone, batches on as many threads as cores."""
    side = extractor.preparation.side
    frames = np.random.default_rng(0).integers(0, 256, (extractor.batch_size, side, side, 3), dtype=np.uint8)
    counts: list[int] = []
    until = time.perf_counter() + seconds

    def work() -> None:
        use_one_core()
        count = 0
        while time.perf_counter() < until:
            extractor.encode(frames)
            count += len(frames)
        counts.append(count)

    began = time.perf_counter()
    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(counts) / (time.perf_counter() - began)


def pipeline(paths: Sequence[Path], extractor: CnnExtractor, folder: Path) -> tuple[float, ExtractSummary]:
    """Return frames/s of an extraction without its start, and its summary."""
    watch, cores = Stopwatch(), available_cores()
    output = folder / "features.h5"
    summary = extract(
        sources_of(paths), output, extractor, workers=cores, threads=cores, on_progress=watch.listen, overwrite=True
    )
    return watch.rate(summary.num_new_frames), summary


def measure_pipeline(clips: dict[str, list[Path]], folder: Path, *, rounds: int, seconds: float) -> list[str]:
    """Measure stages and pipeline; return a table in Markdown."""
    cores = available_cores()
    samples: Samples = defaultdict(list)
    extractors = {model: make_extractor(model) for model in MODELS}
    videos: dict[tuple[str, str], list[Path]] = {}
    for size, model in itertools.product(SIZES, MODELS):
        decoding = Decoding(preparation=extractors[model].preparation, sampling=Sampling())
        decoded = decode_rate(clips[size] * 2 * cores, decoding, workers=cores)
        encoded = network_rate(extractors[model], seconds=1, threads=cores)
        count = round(seconds / (1 / decoded + 1 / encoded) / CLIP_FRAMES)
        videos[size, model] = repeat(clips[size], folder / size / model, max(8 * cores, count))
    for number in range(rounds):
        for size, model in itertools.product(SIZES, MODELS):
            extractor, paths = extractors[model], videos[size, model]
            decoding = Decoding(preparation=extractor.preparation, sampling=Sampling())
            decoded = decode_rate(paths[: max(8 * cores, len(paths) // 2)], decoding, workers=cores)
            encoded = network_rate(extractor, seconds=seconds / 4, threads=cores)
            rate, summary = pipeline(paths, extractor, folder)
            bound = 1 / (1 / decoded + 1 / encoded)
            assert summary.rates.write is not None
            values = {
                "decode": decoded,
                "network": encoded,
                "pipeline": rate,
                "share": rate / bound,
                "write": summary.num_new_frames / summary.rates.write / summary.seconds,
            }
            for name, value in values.items():
                samples[size, model, name].append(value)
            print(number, size, model, {name: round(value, 3) for name, value in values.items()}, flush=True)
    lines = [
        f"| video | network | decode alone, core-ms | network alone, core-ms | bound, frames/s | pipeline, frames/s "
        f"| pipeline / bound: median (of {rounds} rounds) | writing, share of the run |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for size, model in itertools.product(SIZES, MODELS):
        middle = {
            name: statistics.median(samples[size, model, name])
            for name in ("decode", "network", "pipeline", "share", "write")
        }
        shares = samples[size, model, "share"]
        bound = 1 / (1 / middle["decode"] + 1 / middle["network"])
        lines.append(
            f"| {size} | {model} | {1000 * cores / middle['decode']:.2f} | {1000 * cores / middle['network']:.2f} "
            f"| {bound:.0f} | {middle['pipeline']:.0f} | {middle['share']:.2f} ({min(shares):.2f} to "
            f"{max(shares):.2f}) | {100 * middle['write']:.1f} % |"
        )
    return lines


def measure_decoding(clips: dict[str, list[Path]], *, rounds: int) -> list[str]:
    """Measure decoding on one core; return a table in Markdown."""
    exact, fast = (make_extractor("mobilenet_v3_small", resize=resize).preparation for resize in ("exact", "fast"))
    kinds: dict[str, Callable[[Path], int]] = {
        "RGB frames, no resize": count_frames,
        "resize exact": lambda path: count_prepared(path, exact),
        "resize fast": lambda path: count_prepared(path, fast),
    }
    samples: Samples = defaultdict(list)
    with torch_on_one_core():
        for _, size, kind in itertools.product(range(rounds), SIZES, kinds):
            began = time.process_time()
            count = sum(kinds[kind](path) for path in clips[size])
            samples[size, kind].append(count / (time.process_time() - began))
    lines = [f"| video | {' | '.join(kinds)} |", "|---|" + "---|" * len(kinds)]
    lines += [f"| {size} | {' | '.join(spread(samples[size, kind]) for kind in kinds)} |" for size in SIZES]
    return lines


def count_frames(path: Path) -> int:
    """Decode to RGB and count."""
    with open_video(path) as video:
        return sum(1 for _ in video.frames(Sampling()))


def count_prepared(path: Path, preparation: object) -> int:
    """Decode, prepare for a network, and count."""
    decoding = Decoding(preparation=preparation, sampling=Sampling())  # type: ignore[arg-type]
    return sum(isinstance(event, FrameReady) for event in decode_video(Job(0, path, "", None), decoding))


def spread(values: Sequence[float]) -> str:
    """Write a median with its range."""
    return f"{statistics.median(values):.0f} ({min(values):.0f} to {max(values):.0f})"


def measure_errors(clips: Sequence[Path]) -> list[str]:
    """Compare features of bf16, and of the fast resize, with those of fp32 and the exact one, on the same frames."""
    lines = ["| network | what differs | relative error (norm) | least cosine |", "|---|---|---|---|"]
    for model in MODELS[1:]:  # with random weights, mobilenet's features are zero
        reference = features_of(make_extractor(model, precision="fp32"), clips)
        others = {
            "bf16, not fp32": make_extractor(model, precision="bf16"),
            "resize fast, not exact": make_extractor(model, precision="fp32", resize="fast"),
        }
        for what, extractor in others.items():
            found = features_of(extractor, clips)
            error = np.linalg.norm(found - reference) / np.linalg.norm(reference)
            cosines = (found * reference).sum(1) / (np.linalg.norm(found, axis=1) * np.linalg.norm(reference, axis=1))
            lines.append(f"| {model} | {what} | {error:.4f} | {cosines.min():.5f} |")
    return lines


def features_of(extractor: CnnExtractor, clips: Sequence[Path]) -> NDArray[np.float64]:
    """Return the features of every tenth frame, (n, D)."""
    decoding = Decoding(preparation=extractor.preparation, sampling=Sampling(every=10))
    jobs = [Job(number, path, path.name, None) for number, path in enumerate(clips)]
    frames = [event.prepared[0] for event in decode(jobs, decoding) if isinstance(event, FrameReady)]
    return extractor.encode(np.stack(frames)).astype(np.float64)


def measure_peer(clips: dict[str, list[Path]], peer: Path, folder: Path, *, rounds: int) -> list[str]:
    """Run both commands from start to end on the same clips, resnet18, batches of 32; return a table in Markdown."""
    vidrep = [
        str(Path(sys.executable).with_name("vidrep")),
        "extract",
        "cnn",
        "--model",
        "resnet18",
        "--weights",
        "none",
    ]
    samples: Samples = defaultdict(list)
    num_frames = PEER_CLIPS * CLIP_FRAMES
    for _, size in itertools.product(range(rounds), SIZES):
        paths = list(map(str, repeat(clips[size], Path(tempfile.mkdtemp(dir=folder)) / "clips", PEER_CLIPS)))
        commands = {
            "vidrep, bf16": [*vidrep, *paths, "-o", tempfile.mkdtemp(dir=folder) + "/f.h5", "--precision", "bf16"],
            "vidrep, fp32": [*vidrep, *paths, "-o", tempfile.mkdtemp(dir=folder) + "/f.h5", "--precision", "fp32"],
            "video_features": [
                *(sys.executable, "-c", PEER_WITHOUT_WEIGHTS, "feature_type=resnet", "model_name=resnet18"),
                *("device=cpu", "batch_size=32", "on_extraction=save_numpy"),
                f"output_path={tempfile.mkdtemp(dir=folder)}",
                f"video_paths=[{','.join(paths)}]",
            ],
        }
        for name, command in commands.items():
            began = time.perf_counter()
            subprocess.run(command, cwd=peer if name == "video_features" else None, check=True, capture_output=True)
            samples[size, name].append(num_frames / (time.perf_counter() - began))
            print(size, name, round(samples[size, name][-1], 1), flush=True)
    names = ("video_features", "vidrep, fp32", "vidrep, bf16")
    lines = [f"| video | {' | '.join(names)} | ratio fp32 | ratio bf16 |", "|---|---|---|---|---|---|"]
    for size in SIZES:
        pairs = [zip(samples[size, name], samples[size, names[0]], strict=True) for name in names[1:]]
        ratios = [statistics.median(ours / theirs for ours, theirs in pair) for pair in pairs]
        cells = [spread(samples[size, name]) for name in names] + [f"{ratio:.1f}" for ratio in ratios]
        lines.append(f"| {size} | {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Measure one part, print it, and write its page if asked to."""
    parser = argparse.ArgumentParser()
    parser.add_argument("part", choices=("stages", "decoding", "errors", "peer"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each pipeline run, about")
    parser.add_argument("--peer", type=Path, help="a checkout of v-iashin/video_features")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    if (given.part == "peer") != bool(given.peer):
        parser.error("peer needs --peer FOLDER, the others have none")
    tune_malloc()
    with tempfile.TemporaryDirectory(prefix="vidrep-benchmark-") as name:
        folder = Path(name)
        clips: dict[str, list[Path]] = {}
        for size, (height, width) in SIZES.items():
            clips[size] = [folder / f"{size}-{seed}.mp4" for seed in range(NUM_CLIPS)]
            for seed, path in enumerate(clips[size]):
                write_clip(path, height=height, width=width, num_frames=CLIP_FRAMES, seed=seed)
        bits = {size: 8 * 25 * paths[0].stat().st_size / CLIP_FRAMES / 1e6 for size, paths in clips.items()}
        parts: dict[str, tuple[str, Callable[[], list[str]]]] = {
            "stages": (
                "Extraction against what its stages allow",
                lambda: measure_pipeline(clips, folder, rounds=given.rounds, seconds=given.seconds),
            ),
            "decoding": ("Decoding, frames per core-second", lambda: measure_decoding(clips, rounds=given.rounds)),
            "errors": (
                "What the quick ways of extraction change",
                lambda: measure_errors([paths[0] for paths in clips.values()]),
            ),
            "peer": (
                "Extraction beside video_features, frames/s of the whole command",
                lambda: measure_peer(clips, given.peer.resolve(), folder, rounds=given.rounds),
            ),
        }
        title, measure = parts[given.part]
        lines = measure()
    command = f"python benchmarks/extraction.py {given.part} --rounds {given.rounds}"
    command += " --peer FOLDER" if given.peer else ""
    rates = ", ".join(f"{size} at {rate:.1f} Mbit/s" for size, rate in bits.items())
    page = (
        f"# {title}\n\nMade by `{command}`. Clips of {CLIP_FRAMES} frames, H.264, 25 frames/s, generated: {rates}. "
        f"Random weights, {available_cores()} workers, {available_cores()} network threads of one core each. Medians "
        f"of {given.rounds} rounds, interleaved.\n\n{facts()}\n" + "\n".join(lines) + "\n"
    )
    print(page)
    if given.write:
        (ROOT / "docs" / "results" / f"extraction-{given.part}.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
