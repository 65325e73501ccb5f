"""`vidrep predict`: labels for new videos."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import console
from .argument_order import require_order
from .completion import run_folders
from .help import input_option, output_option, speed_option
from .layout import in_a_line
from .options import AsJson, CommonOptions, Device, ImageOptions, Threads
from .problems import report_failures
from .progress import progress_bar

if TYPE_CHECKING:
    from vidrep.inference.predict import VideoPrediction


def predict_command(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN", help="The run folder of a classifier.", show_default=False, autocompletion=run_folders
        ),
    ],
    inputs: Annotated[
        list[str],
        typer.Argument(
            help="Video files, folders or patterns; or one feature file.", show_default=False, metavar="VIDEOS"
        ),
    ],
    common: CommonOptions,
    of_images: ImageOptions,
    weights: Annotated[
        Path | None,
        input_option("--weights", metavar="FILE", help="Where the extractor's weights file is now, if it has moved."),
    ] = None,
    as_json: AsJson = False,
    as_csv: Annotated[bool, output_option("--csv", help="Print CSV, one column for each class.")] = False,
    device: Device = "auto",
    threads: Threads = None,
    workers: Annotated[
        int, speed_option("--workers", min=0, help="Decoding processes, for many videos; 0: decode in this one.")
    ] = 0,
) -> None:
    """Classify videos: one line each, path, label and probability."""
    from vidrep.errors import ConfigError
    from vidrep.inference.predict import predict

    require_order("predict", RUN=run, VIDEOS=inputs[0])
    if as_json and as_csv:
        raise ConfigError("--json and --csv: give one of the two")
    console.show_log(quiet=common.quiet)
    with progress_bar("predict", quiet=common.quiet) as on_progress:
        predictions = predict(
            run,
            inputs,
            weights=weights,
            device=device,
            threads=threads,
            workers=workers,
            images=of_images.images,
            frame_rate=of_images.frame_rate,
            on_progress=on_progress,
        )
    as_text = _json if as_json else _csv if as_csv else _lines
    typer.echo(as_text(predictions.videos), nl=False)
    report_failures(predictions.failures)


def _json(videos: Sequence["VideoPrediction"]) -> str:
    names = ("path", "key", "label", "probabilities")
    content = [{name: getattr(video, name) for name in names} for video in videos]
    return console.as_json(content) + "\n"


def _csv(videos: Sequence["VideoPrediction"]) -> str:
    classes = sorted({label for video in videos for label in video.probabilities})
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["path", "key", "label", *classes])
    for video in videos:
        table.writerow([video.path, video.key, video.label, *(f"{video.probabilities[name]:.6f}" for name in classes)])
    return text.getvalue()


def _lines(videos: Sequence["VideoPrediction"]) -> str:
    return "".join(in_a_line(f"{video.path}: {video.label}, {video.probability:.3f}") + "\n" for video in videos)
