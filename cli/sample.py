"""`vidrep sample`: a labeled folder of small real video files."""

from pathlib import Path
from typing import Annotated

import typer

from .help import labels_option, output_option
from .layout import size
from .options import Quiet
from .progress import progress_bar


def sample_command(
    output: Annotated[
        Path, output_option("--output", "-o", metavar="FOLDER", help="A new or empty folder.", show_default=False)
    ],
    videos_per_class: Annotated[int, output_option("--per-class", help="Videos of each of the eight motions.")] = 40,
    frames: Annotated[int, output_option("--frames", help="Frames of each video.")] = 20,
    frame_size: Annotated[int, output_option("--size", help="Pixels along each side.")] = 64,
    seed: Annotated[int, output_option("--seed", min=0, help="Equal seeds make equal videos.")] = 0,
    test_fraction: Annotated[
        float, labels_option("--test-fraction", help="Fraction of the videos whose split is test.")
    ] = 0.25,
    quiet: Quiet = False,
) -> None:
    """Write a labeled folder of small videos.

    They show eight motions, which only the order of their frames distinguishes.
    """
    from vidrep.synthetic.samples import SampleConfig, write_samples

    config = SampleConfig(
        videos_per_class=videos_per_class,
        test_fraction=test_fraction,
        num_frames=frames,
        frame_size=frame_size,
        seed=seed,
    )
    with progress_bar("sample", quiet=quiet) as on_progress:
        summary = write_samples(output, config, on_progress=on_progress)
    if not quiet:
        typer.echo(
            f"{output}: {summary.num_videos} videos in 8 class folders ({size(summary.num_bytes)}), "
            f"labels and splits in {output / 'labels.csv'}"
        )
