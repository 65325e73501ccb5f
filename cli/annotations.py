"""`vidrep annotations`: annotations with time from one format into another."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import show_log, show_summary
from .help import input_option, output_option
from .layout import in_a_line
from .options import Overwrite, Quiet

if TYPE_CHECKING:
    from vidrep.segments.frame_clock import FrameClock


def annotations_command(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILES",
            help="Files of annotations with time, or folders of them: CSV, BORIS, ELAN, DeepEthogram, SimBA, "
            "ActivityNet, Audacity, SubRip, WebVTT.",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        output_option(
            "--output",
            "-o",
            metavar="PATH",
            help="A file, or a folder for a format of one video a file.",
            show_default=False,
        ),
    ],
    format: Annotated[
        str,
        output_option(
            "--format",
            help="csv, tsv, boris, boris-aggregated, elan, elan-text, deepethogram, simba, activitynet, audacity, srt "
            "or vtt; default: by the ending of the output.",
        ),
    ] = "",
    features: Annotated[
        Path | None,
        input_option(
            "--features", metavar="FILE", help="A feature file, whose times make seconds of the numbers of frames."
        ),
    ] = None,
    frame_rate: Annotated[
        float | None,
        input_option("--frame-rate", metavar="X", help="Frames a second, where there are no features of the videos."),
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = 0,
) -> None:
    """Convert annotations with time: what happens when in a video, in the formats of other tools."""
    from vidrep.segments.reading import counts, read_segments
    from vidrep.segments.writing import write_segments

    show_log(quiet=quiet)
    clock = _frame_clock(features, frame_rate)
    annotations = read_segments(inputs, frame_clock=clock)
    files = write_segments(annotations, output, format=format, frame_clock=clock, overwrite=overwrite)
    several = f" ({len(files)} files)" if len(files) > 1 else ""
    show_summary(f"{in_a_line(output)}{several}: {counts(annotations)}", quiet=quiet)


def _frame_clock(features: Path | None, frame_rate: float | None) -> "FrameClock | None":
    from vidrep.errors import ConfigError
    from vidrep.features.store import open_features
    from vidrep.segments.frame_clock import ConstantRate, FeatureTimes

    if features is not None and frame_rate is not None:
        raise ConfigError("--features and --frame-rate: give one of the two")
    if features is not None:
        return FeatureTimes(open_features(features))
    return None if frame_rate is None else ConstantRate(frame_rate)
