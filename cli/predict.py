"""`vidrep predict`: labels for new videos."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import console
from .options import AsJson, Device, Quiet, Threads

if TYPE_CHECKING:
    from vidrep.inference.predict import VideoPrediction


def predict_command(
    run: Annotated[Path, typer.Argument(help="The run folder of a classifier.", show_default=False)],
    inputs: Annotated[
        list[str], typer.Argument(help="Video files, folders or patterns; or one feature file.", show_default=False)
    ],
    weights: Annotated[
        Path | None, typer.Option("--weights", help="Where the extractor's weights file is now, if it has moved.")
    ] = None,
    device: Device = "auto",
    threads: Threads = None,
    workers: Annotated[
        int, typer.Option("--workers", min=0, help="Decoding processes, for many videos; 0: decode in this one.")
    ] = 0,
    as_json: AsJson = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, a column a class.")] = False,
    quiet: Quiet = False,
) -> None:
    """Say of each video which class it is: one line a video, with the label and its probability."""
    from vidrep.errors import ConfigError
    from vidrep.inference.predict import predict
    from vidrep.machine import tune_malloc

    if as_json and as_csv:
        raise ConfigError("--json and --csv: give one of the two")
    console.show_log(quiet=quiet)
    tune_malloc()
    with console.progress_bar("predict", quiet=quiet) as listen:
        predictions = predict(
            run, inputs, weights=weights, device=device, threads=threads, workers=workers, on_progress=listen
        )
    if as_json:
        content = [
            {"video": video.path, "label": video.label, "probabilities": video.probabilities}
            for video in predictions.videos
        ]
        typer.echo(json.dumps(content, indent=2, ensure_ascii=False))
    elif as_csv:
        typer.echo(_csv(predictions.videos), nl=False)
    else:
        for video in predictions.videos:
            typer.echo(f"{video.path}: {video.label}, {video.probability:.3f}")
    console.report_failures(predictions.failures)


def _csv(videos: Sequence["VideoPrediction"]) -> str:
    classes = sorted({label for video in videos for label in video.probabilities})
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["video", "label", *classes])
    for video in videos:
        table.writerow([video.path, video.label, *(f"{video.probabilities[name]:.6f}" for name in classes)])
    return text.getvalue()
