"""`vidrep import`: features that others made to a feature file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import show_log, show_summary
from .help import input_option, sampling_option
from .layout import in_a_line
from .options import AnnotationOptions, FollowLinks, NewFeatureFile, Overwrite, Quiet
from .problems import report_failures
from .progress import progress_bar

if TYPE_CHECKING:
    from vidrep.features.store import Features


def import_command(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="A folder with a .npy, .npz, .h5, .mat or .pt a video (class folders as labels), or a file of many "
            "videos: an array or a group each, or one array (videos, frames, values), or Moving MNIST's "
            "mnist_test_seq.npy, or a folder of MNIST's files, whose digits become sequences of pixels.",
            show_default=False,
        ),
    ],
    output: NewFeatureFile,
    annotations: AnnotationOptions,
    array: Annotated[
        str,
        input_option(
            "--array", metavar="NAME", help="Which array to take where a video has several; '*': each is a video."
        ),
    ] = "",
    follow_links: FollowLinks = False,
    fps: Annotated[
        float,
        sampling_option("--fps", help="Frames a second of these features, instead of times in the source; 0: unknown."),
    ] = 0.0,
    overwrite: Overwrite = False,
    quiet: Quiet = 0,
) -> None:
    """Turn features that others made into a feature file."""
    from vidrep.features.importing import import_features

    show_log(quiet=quiet)
    with progress_bar("import", quiet=quiet) as on_progress:
        summary = import_features(
            source,
            output,
            array=array,
            fps=fps,
            annotations=annotations.read(),
            follow_links=follow_links,
            overwrite=overwrite,
            on_progress=on_progress,
        )
    show_summary(f"{in_a_line(output)}: {_description(summary.features)}", quiet=quiet)
    report_failures(summary.failures, summary.failures_file)


def _description(features: "Features") -> str:
    shape = "x".join(map(str, features.frame_shape))
    return f"{len(features)} videos, {features.num_frames} frames of {shape} {features.dtype}"
