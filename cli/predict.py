"""`vidrep predict`: labels for new videos."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from . import console
from .argument_order import require_order
from .bouts import BoutOptions, as_lines, write_files
from .bouts import as_csv as bouts_as_csv
from .bouts import as_json as bouts_as_json
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
    of_bouts: BoutOptions,
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
    """Classify videos: one line each, path, label and probability; or find what happens when in long ones.

    Which of the two depends on the run: one of finetune --annotations finds bouts, one of whole clips with --timeline.
    """
    from vidrep.errors import ConfigError
    from vidrep.inference.kind_of_run import finds_bouts

    require_order("predict", RUN=run, VIDEOS=inputs[0])
    if as_json and as_csv:
        raise ConfigError("--json and --csv: give one of the two")
    console.show_log(quiet=common.quiet)
    is_timeline = of_bouts.timeline or finds_bouts(run)
    (of_bouts.require_usable if is_timeline else of_bouts.require_none)()
    with progress_bar("predict", quiet=common.quiet) as on_progress:
        if is_timeline:
            from vidrep.inference.inputs import InputOptions
            from vidrep.inference.predict_bouts import predict_bouts

            options = InputOptions(
                weights=weights,
                device=device,
                threads=threads,
                workers=workers,
                images=of_images.images,
                frame_rate=of_images.frame_rate,
                start=of_bouts.start,
                end=of_bouts.end,
                keep=of_bouts.keep,
                on_progress=on_progress,
            )
            found = predict_bouts(
                run,
                inputs,
                rules=of_bouts.rules(),
                frames=of_bouts.frames,
                frame_format=of_bouts.frames_format,
                overwrite=of_bouts.overwrite,
                options=options,
            )
            write_files(found, of_bouts)
            text = bouts_as_json(found) if as_json else bouts_as_csv(found) if as_csv else as_lines(found)
            failures = found.failures
        else:
            from vidrep.inference.predict import predict

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
            videos, failures = predictions.videos, predictions.failures
            text = _json(videos) if as_json else _csv(videos) if as_csv else _lines(videos, of_bouts.top_k or 1)
    typer.echo(text, nl=False)
    report_failures(failures)


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


def _lines(videos: Sequence["VideoPrediction"], count: int) -> str:
    lines = []
    for video in videos:
        likeliest = list(video.probabilities.items())[:count]
        text = "; ".join(f"{label}, {probability:.3f}" for label, probability in likeliest)
        lines.append(in_a_line(f"{video.path}: {text}") + "\n")
    return "".join(lines)
