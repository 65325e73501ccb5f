"""The extraction part of benchmarks/gpu.py.

Features of the GPU against those of the CPU in fp32, what bf16 changes, frames/s of the network alone and of the whole
pipeline, and its limiting stage. PyAV is not needed: the clips are MPEG-4, written and read by OpenCV.
"""

import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from vidrep.extraction.encoding import network_threads
from vidrep.extraction.extract import extract
from vidrep.extraction.extractors.cnn import CnnExtractor
from vidrep.features.store import open_features
from vidrep.machine import available_cores
from vidrep.video.sources import VideoSource

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
# On a CPU, two small networks and few frames show that it works.
MODELS = ("mobilenet_v3_small", "squeezenet1_1", "resnet18", "resnet50")[: None if DEVICE == "cuda" else 2]
CLIP_FRAMES, COMPARED_FRAMES = (100, 32) if DEVICE == "cuda" else (12, 4)
HEIGHT, WIDTH, NUM_CLIPS = 240, 320, 4


def write_clips(folder: Path) -> list[Path]:
    """Write a few clips of moving noise, MPEG-4 part 2."""
    paths = [folder / f"{seed}.mp4" for seed in range(NUM_CLIPS)]
    for seed, path in enumerate(paths):
        picture = np.random.default_rng(seed).integers(0, 256, (HEIGHT // 8 + 16, WIDTH // 8 + 16, 3), dtype=np.uint8)
        large = cv2.resize(picture, None, fx=8, fy=8, interpolation=cv2.INTER_CUBIC)
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25, (WIDTH, HEIGHT))
        for number in range(CLIP_FRAMES):
            writer.write(np.ascontiguousarray(large[number : number + HEIGHT, number : number + WIDTH]))
        writer.release()
    return paths


def network_rate(extractor: CnnExtractor, *, seconds: float) -> float:
    """Return frames/s of the network alone, copies included, one batch after the other."""
    side = extractor.preparation.side
    frames = np.random.default_rng(0).integers(0, 256, (extractor.batch_size, side, side, 3), dtype=np.uint8)
    extractor.encode(frames)
    count, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        extractor.encode(frames)
        count += len(frames)
    return count / (time.perf_counter() - began)


def compare(model: str) -> dict[str, float]:
    """Compare one batch of features: the device's fp32 and bf16 against the CPU's fp32."""
    frames = np.random.default_rng(1).integers(0, 256, (COMPARED_FRAMES, 224, 224, 3), dtype=np.uint8)
    reference = CnnExtractor(model=model, weights="none", device="cpu", precision="fp32").encode(frames).astype(float)
    errors = {}
    for precision in ("fp32", "bf16"):
        extractor = CnnExtractor(model=model, weights="none", device=DEVICE, precision=precision)
        found = extractor.encode(frames).astype(float)
        size = float(np.linalg.norm(reference))  # 0 for mobilenet, whose features are zero with random weights
        errors[precision] = float(np.linalg.norm(found - reference)) / size if size else 0.0
    return errors


def pipeline(model: str, paths: list[Path], folder: Path, *, seconds: float) -> dict[str, Any]:
    """Extract for about so many seconds; return rates and the stage that limits them."""
    extractor = CnnExtractor(model=model, weights="none", device=DEVICE, batch_size=128 if DEVICE == "cuda" else 8)
    cores = available_cores()
    alone = network_rate(extractor, seconds=min(1.0, seconds))
    count = max(2 * cores, round(seconds * min(alone, 600 * cores) / CLIP_FRAMES / 2))
    sources = [VideoSource(paths[number % len(paths)], f"{number:05}.mp4", "") for number in range(count)]
    output = folder / f"{model}.h5"
    summary = extract(sources, output, extractor, workers=cores, threads=cores)
    assert not summary.failures and list(open_features(output).damaged()) == []
    return {
        "network_alone": alone,
        "frames_per_second": summary.num_new_frames / summary.seconds,
        "frames": summary.num_new_frames,
        "rates": asdict(summary.rates),
        "limiting": summary.rates.limiting,
        "network_threads": network_threads(extractor, cores),
        "precision": extractor.settings["precision"],
    }


def measure_extraction(folder: Path, *, seconds: float) -> dict[str, Any]:
    """Compare and measure all networks, with pipelines of about so many seconds each: network -> figures."""
    paths = write_clips(folder)
    return {model: {"errors": compare(model), **pipeline(model, paths, folder, seconds=seconds)} for model in MODELS}


def table(found: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of a table."""
    yield "| network | fp32 error | bf16 error | network alone, frames/s | pipeline, frames/s | limited by |"
    yield "|---|---|---|---|---|---|"
    for model, entry in found.items():
        yield (
            f"| {model} | {entry['errors']['fp32']:.1e} | {entry['errors']['bf16']:.1e} "
            f"| {entry['network_alone']:,.0f} | {entry['frames_per_second']:,.0f} | {entry['limiting']} |"
        )
