"""`vidrep export-features`: a feature file in the files of other tools."""

from pathlib import Path
from typing import Annotated

from .argument_order import require_order
from .completion import one_of
from .console import show_log, show_summary
from .help import output_option
from .layout import in_a_line
from .options import Features, Overwrite, Quiet


def export_features_command(
    features: Features,
    output: Annotated[
        Path, output_option("--output", "-o", metavar="FOLDER", help="A folder for a file a video.", show_default=False)
    ],
    format: Annotated[
        str,
        output_option(
            "--format",
            help="npy (frames, values), actionformer, mstcn (values, frames) or cbas (HDF5).",
            autocompletion=one_of("npy", "actionformer", "mstcn", "cbas"),
        ),
    ] = "npy",
    overwrite: Overwrite = False,
    quiet: Quiet = 0,
) -> None:
    """Write features for other tools: ActionFormer, MS-TCN, CBAS, or a .npy a video."""
    from vidrep.features.exporting import export_features

    require_order("export-features", FEATURES=features)
    show_log(quiet=quiet)
    made = export_features(features, output, format, overwrite=overwrite)
    show_summary(
        f"{in_a_line(output)}: {made.num_videos} videos, {made.num_frames} frames of {made.width} values for {format}",
        quiet=quiet,
    )
