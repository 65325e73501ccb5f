"""`vidrep import`: features that others made to a feature file."""

from pathlib import Path
from typing import Annotated

import typer

from . import console
from .options import Labels, Overwrite, Quiet, SplitNumber, Splits


def import_command(
    source: Annotated[
        Path,
        typer.Argument(
            help="A folder with one .npy or .npz a video (class folders as labels), or an .h5 of shape "
            "(videos, frames, values), or Moving MNIST's mnist_test_seq.npy.",
            show_default=False,
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="A feature file (.h5).", show_default=False)],
    fps: Annotated[float, typer.Option("--fps", help="Frames a second of these features, for their times.")] = 0.0,
    labels: Labels = None,
    splits: Splits = None,
    split_number: SplitNumber = 1,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Turn features that others made into a feature file."""
    from vidrep.features.annotation_files import read_annotations
    from vidrep.features.importing import import_features

    console.show_log(quiet=quiet)
    annotations = read_annotations(labels=labels, splits=splits, number=split_number)
    with console.progress_bar("import", quiet=quiet) as listen:
        summary = import_features(
            source, output, fps=fps, annotations=annotations, overwrite=overwrite, on_progress=listen
        )
    console.report_annotations(summary.missing, summary.unlisted)
    if not quiet:
        features = summary.features
        shape = "x".join(map(str, features.frame_shape))
        typer.echo(f"{output}: {len(features)} videos, {features.num_frames} frames of {shape} {features.dtype}")
    console.report_failures(summary.failures, summary.failures_file)
