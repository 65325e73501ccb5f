"""`vidrep extract`: videos to features."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import console
from .group import VidrepGroup
from .options import Device, Labels, Overwrite, Quiet, SplitNumber, Splits, Threads
from .stopping import stopping_on_signals

if TYPE_CHECKING:
    from vidrep.extraction.estimate import Estimate
    from vidrep.extraction.extract import ExtractSummary
    from vidrep.extraction.extractors.extractor import Extractor
    from vidrep.video.sources import VideoSource

app = typer.Typer(
    cls=VidrepGroup, help="Compute features of every frame of videos.", no_args_is_help=True, rich_markup_mode=None
)

Sources = Annotated[
    list[str] | None,
    typer.Argument(
        help="Files, folders (searched through), patterns such as 'clips/**/*.mp4'; - reads paths from standard input.",
        metavar="VIDEOS",
    ),
]
Output = Annotated[
    Path,
    typer.Option("--output", "-o", help="A feature file (.h5), or a folder that keeps the parts.", show_default=False),
]
Lists = Annotated[list[Path] | None, typer.Option("--list", help="A text file with one video path a line.")]
Fps = Annotated[float | None, typer.Option("--fps", help="Keep at most so many frames a second.")]
Every = Annotated[int, typer.Option("--every", help="Keep one frame in so many.")]
MaxFrames = Annotated[int | None, typer.Option("--max-frames", help="Keep at most so many frames of a video.")]
Start = Annotated[float | None, typer.Option("--start", help="Leave out what comes before so many seconds.")]
End = Annotated[float | None, typer.Option("--end", help="Leave out what comes from so many seconds on.")]
Resize = Annotated[str, typer.Option("--resize", help="exact (torchvision's, antialiased) or fast (in whole numbers).")]
Decoder = Annotated[str, typer.Option("--decoder", help="pyav or opencv.")]
Workers = Annotated[
    int | None,
    typer.Option("--workers", min=0, help="Decoding processes; default: one a core. 0: decode in this one."),
]
Timeout = Annotated[
    float | None,
    typer.Option("--timeout", min=1, help="Give a video up after so many seconds without a heartbeat; default: 120."),
]
Prune = Annotated[bool, typer.Option("--prune", help="Drop videos that are not among VIDEOS any more.")]
FollowLinks = Annotated[bool, typer.Option("--follow-links", help="Follow symbolic links that lead out of a folder.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done and stop.")]


@app.command("patches")
def patches_command(
    output: Output,
    videos: Sources = None,
    size: Annotated[int, typer.Option("--size", help="Pixels along each side.")] = 32,
    region: Annotated[
        str, typer.Option("--region", help="frame (squeezed into the square) or center (cropped).")
    ] = "frame",
    color: Annotated[bool, typer.Option("--rgb/--gray", help="Keep the colors.")] = False,
    resize: Resize = "exact",
    crops: Annotated[int, typer.Option("--crops", min=0, help="Cut so many squares out of each video, at random.")] = 0,
    grid: Annotated[int, typer.Option("--grid", min=1, help="Cut the region into so many cells along each side.")] = 1,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the places of --crops.")] = 0,
    fps: Fps = None,
    every: Every = 1,
    max_frames: MaxFrames = None,
    start: Start = None,
    end: End = None,
    lists: Lists = None,
    labels: Labels = None,
    splits: Splits = None,
    split_number: SplitNumber = 1,
    follow_links: FollowLinks = False,
    decoder: Decoder = "pyav",
    workers: Workers = None,
    timeout: Timeout = None,
    threads: Threads = None,
    overwrite: Overwrite = False,
    prune: Prune = False,
    dry_run: DryRun = False,
    quiet: Quiet = False,
) -> None:
    """Pixels: every frame made small, uint8."""

    def build() -> "Extractor":
        from vidrep.extraction.extractors.patches import PatchExtractor

        return PatchExtractor(size=size, region=region, color=color, resize=resize, crops=crops, grid=grid, seed=seed)

    _extract(
        build,
        output=output,
        videos=videos,
        lists=lists,
        sampling={"fps": fps, "every": every, "max_frames": max_frames, "start": start, "end": end},
        labels=labels,
        splits=splits,
        split_number=split_number,
        follow_links=follow_links,
        decoder=decoder,
        workers=workers,
        timeout=timeout,
        threads=threads,
        overwrite=overwrite,
        prune=prune,
        dry_run=dry_run,
        quiet=quiet,
    )


@app.command("cnn")
def cnn_command(
    output: Output,
    videos: Sources = None,
    model: Annotated[
        str, typer.Option("--model", help="Any classification model of torchvision.")
    ] = "mobilenet_v3_small",
    layer: Annotated[
        str | None, typer.Option("--layer", help="A node of its graph; default: what the last weighted layer reads.")
    ] = None,
    weights: Annotated[
        str, typer.Option("--weights", help="DEFAULT (fetched once), none (random), or a file.")
    ] = "DEFAULT",
    region: Annotated[
        str, typer.Option("--region", help="center (the network's own crop) or frame (all of it, squeezed).")
    ] = "center",
    resize: Resize = "exact",
    device: Device = "auto",
    precision: Annotated[
        str, typer.Option("--precision", help="fp32, bf16, or auto: bf16 where the device has it.")
    ] = "auto",
    batch_size: Annotated[int, typer.Option("--batch-size", min=1, help="Frames that the network sees at once.")] = 32,
    fps: Fps = None,
    every: Every = 1,
    max_frames: MaxFrames = None,
    start: Start = None,
    end: End = None,
    lists: Lists = None,
    labels: Labels = None,
    splits: Splits = None,
    split_number: SplitNumber = 1,
    follow_links: FollowLinks = False,
    decoder: Decoder = "pyav",
    workers: Workers = None,
    timeout: Timeout = None,
    threads: Threads = None,
    overwrite: Overwrite = False,
    prune: Prune = False,
    dry_run: DryRun = False,
    quiet: Quiet = False,
) -> None:
    """Activations of an image network, float16."""

    def build() -> "Extractor":
        from vidrep.extraction.extractors.cnn import CnnExtractor

        return CnnExtractor(
            model=model,
            layer=layer,
            weights=weights,
            region=region,
            resize=resize,
            device=device,
            precision=precision,
            batch_size=batch_size,
        )

    _extract(
        build,
        output=output,
        videos=videos,
        lists=lists,
        sampling={"fps": fps, "every": every, "max_frames": max_frames, "start": start, "end": end},
        labels=labels,
        splits=splits,
        split_number=split_number,
        follow_links=follow_links,
        decoder=decoder,
        workers=workers,
        timeout=timeout,
        threads=threads,
        overwrite=overwrite,
        prune=prune,
        dry_run=dry_run,
        quiet=quiet,
    )


def _extract(
    build: Callable[[], "Extractor"],
    *,
    output: Path,
    videos: list[str] | None,
    lists: list[Path] | None,
    sampling: dict[str, Any],
    labels: Path | None,
    splits: Path | None,
    split_number: int,
    follow_links: bool,
    decoder: str,
    workers: int | None,
    timeout: float | None,
    threads: int | None,
    overwrite: bool,
    prune: bool,
    dry_run: bool,
    quiet: bool,
) -> None:
    from vidrep.errors import ConfigError
    from vidrep.features.annotation_files import read_annotations
    from vidrep.machine import available_cores, tune_malloc
    from vidrep.video.sampling import Sampling
    from vidrep.video.sources import find_videos

    if not videos and not lists:
        raise ConfigError("no videos given: name files, folders or patterns, or --list FILE")
    console.show_log(quiet=quiet)
    kept = Sampling(**sampling)
    sources = find_videos(videos or [], list_files=lists or [], follow_links=follow_links)
    annotations = read_annotations(labels=labels, splits=splits, number=split_number)
    num_workers = available_cores() if workers is None else workers
    num_threads = threads or available_cores()
    tune_malloc()
    if dry_run:
        from vidrep.extraction.estimate import estimate

        expected = estimate(
            sources,
            output,
            build(),
            sampling=kept,
            decoder=decoder,
            overwrite=overwrite,
            workers=num_workers,
            threads=num_threads,
        )
        _report_estimate(expected, sources, output)
        return

    from vidrep.extraction.extract import extract
    from vidrep.extraction.workers import DEFAULT_TIMEOUT

    with stopping_on_signals() as should_stop, console.progress_bar("extract", quiet=quiet) as listen:
        summary = extract(
            sources,
            output,
            build,
            sampling=kept,
            decoder=decoder,
            annotations=annotations,
            overwrite=overwrite,
            prune=prune,
            workers=num_workers,
            threads=num_threads,
            timeout=DEFAULT_TIMEOUT if timeout is None else timeout,
            should_stop=should_stop,
            on_progress=listen,
        )
    console.report_annotations(summary.missing, summary.unlisted)
    if not quiet:
        _report(summary)
    console.report_failures(summary.failures, summary.failures_file)


def _report_estimate(expected: "Estimate", sources: Sequence["VideoSource"], output: Path) -> None:
    """Say what an extraction would take."""
    classes = {source.label for source in sources} - {""}
    there = f"{expected.num_done} of them there already, " if expected.num_done else ""
    seen = f"; {expected.num_unreadable} of {expected.num_tried} looked at cannot be read"
    unreadable = seen if expected.num_unreadable else ""
    typer.echo(f"{expected.num_videos} videos, {there}{len(classes)} class folders -> {output}{unreadable}")
    typer.echo(f"about {expected.num_frames:,} frames to do, {console.duration(expected.seconds)} on this machine")
    finished, needed, free = map(console.size, (expected.output_bytes, expected.needed_bytes, expected.free_bytes))
    short = ": too little" if expected.needed_bytes > expected.free_bytes else ""
    typer.echo(f"disk: {finished} in the end; while it is made {needed} must be free, and {free} are{short}")


def _report(summary: "ExtractSummary") -> None:
    """Say what an extraction did, and what limited it."""
    removed = f", {summary.num_removed} removed" if summary.num_removed else ""
    rate = summary.num_new_frames / max(summary.seconds, 1e-9)
    typer.echo(
        f"{summary.output}: {summary.num_videos} videos, {summary.num_frames} frames; {summary.num_new} new{removed}, "
        f"{summary.num_new_frames} frames in {console.duration(summary.seconds)} ({rate:,.0f} frames/s)"
    )
    rates = {name: value for name, value in asdict(summary.rates).items() if value is not None}
    if rates:
        stages = ", ".join(f"{name} {value:,.0f}" for name, value in rates.items())
        typer.echo(f"frames/s of each stage if it had the machine to itself: {stages}; {summary.rates.limiting} limits")


@app.command("moving-mnist")
def moving_mnist_command(
    output: Annotated[Path, typer.Option("--output", "-o", help="A feature file (.h5).", show_default=False)],
    mnist: Annotated[
        Path | None,
        typer.Option("--mnist", help="Folder with the IDX files of MNIST, .gz or not; default: fetched once."),
    ] = None,
    videos: Annotated[int, typer.Option("--videos", "-n", help="Sequences to make.")] = 1000,
    part: Annotated[str, typer.Option("--digits", help="Whose digits: train or test.")] = "train",
    num_digits: Annotated[int, typer.Option("--num-digits", help="Digits in each sequence.")] = 2,
    canvas: Annotated[int, typer.Option("--canvas", help="Pixels along each side.")] = 64,
    frames: Annotated[int, typer.Option("--frames", help="Frames of each sequence.")] = 20,
    displacement: Annotated[
        float, typer.Option("--displacement", help="Of a digit, per frame, in units of its range along a side.")
    ] = 0.1,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Equal seeds make equal sequences.")] = 0,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Moving MNIST, generated: bouncing digits, uint8."""
    from typing import cast

    from vidrep.synthetic.generate import generate_moving_mnist
    from vidrep.synthetic.mnist import MnistSplit
    from vidrep.synthetic.moving_mnist import MovingMnistConfig

    config = MovingMnistConfig(num_digits=num_digits, canvas=canvas, num_frames=frames, displacement=displacement)
    with console.progress_bar("moving-mnist", quiet=quiet) as listen:
        features = generate_moving_mnist(
            output,
            num_videos=videos,
            mnist=mnist,
            split=cast(MnistSplit, part),
            config=config,
            seed=seed,
            overwrite=overwrite,
            on_progress=listen,
        )
    if not quiet:
        typer.echo(f"{output}: {len(features)} sequences of {frames} frames, {part} digits, seed {seed}")
