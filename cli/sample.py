"""`vidrep sample`: a labelled folder of small real video files."""

from pathlib import Path
from typing import Annotated

import typer

from . import console
from .options import Quiet


def sample_command(
    output: Annotated[Path, typer.Option("--output", "-o", help="A new or empty folder.", show_default=False)],
    videos_per_class: Annotated[int, typer.Option("--per-class", help="Videos of each of the eight motions.")] = 40,
    test_fraction: Annotated[float, typer.Option("--test-fraction", help="Part of them whose split is test.")] = 0.25,
    frames: Annotated[int, typer.Option("--frames", help="Frames of each video.")] = 20,
    size: Annotated[int, typer.Option("--size", help="Pixels along each side.")] = 64,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Equal seeds make equal videos.")] = 0,
    quiet: Quiet = False,
) -> None:
    """Write a labelled folder of small videos, to try things on: eight motions that only the order of frames tells."""
    from vidrep.synthetic.samples import SampleConfig, write_samples

    config = SampleConfig(
        videos_per_class=videos_per_class, test_fraction=test_fraction, num_frames=frames, frame_size=size, seed=seed
    )
    with console.progress_bar("sample", quiet=quiet) as listen:
        summary = write_samples(output, config, on_progress=listen)
    if not quiet:
        typer.echo(
            f"{output}: {summary.num_videos} videos in 8 class folders ({console.size(summary.num_bytes)}), "
            f"labels and splits in {output / 'labels.csv'}"
        )
