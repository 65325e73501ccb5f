"""`vidrep import`: features that others made to a feature file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import show_log, show_summary
from .help import sampling_option
from .options import AnnotationOptions, NewFeatureFile, Overwrite, Quiet
from .problems import report_annotations, report_failures
from .progress import progress_bar

if TYPE_CHECKING:
    from vidrep.features.store import Features


def import_command(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="A folder with one .npy or .npz a video (class folders as labels), or an .h5 of shape "
            "(videos, frames, values), or Moving MNIST's mnist_test_seq.npy.",
            show_default=False,
        ),
    ],
    output: NewFeatureFile,
    annotations: AnnotationOptions,
    fps: Annotated[
        float, sampling_option("--fps", help="Frames a second of these features, for their times; 0: unknown.")
    ] = 0.0,
    overwrite: Overwrite = False,
    quiet: Quiet = 0,
) -> None:
    """Turn features that others made into a feature file."""
    from vidrep.features.importing import import_features

    show_log(quiet=quiet)
    with progress_bar("import", quiet=quiet) as on_progress:
        summary = import_features(
            source, output, fps=fps, annotations=annotations.read(), overwrite=overwrite, on_progress=on_progress
        )
    report_annotations(summary.missing, summary.unlisted)
    show_summary(f"{output}: {_description(summary.features)}", quiet=quiet)
    report_failures(summary.failures, summary.failures_file)


def _description(features: "Features") -> str:
    shape = "x".join(map(str, features.frame_shape))
    return f"{len(features)} videos, {features.num_frames} frames of {shape} {features.dtype}"
