"""`vidrep sample`: a labeled folder of small real video files."""

from pathlib import Path
from typing import Annotated, Any

from .console import show_summary
from .help import labels_option, output_option
from .layout import size
from .options import Quiet
from .progress import progress_bar


def sample_command(
    output: Annotated[
        Path, output_option("--output", "-o", metavar="FOLDER", help="A new or empty folder.", show_default=False)
    ],
    videos_per_class: Annotated[
        int | None, output_option("--per-class", help="Videos of each of the eight motions; default: 40.")
    ] = None,
    frames: Annotated[int | None, output_option("--frames", help="Frames of each video; default: 20.")] = None,
    sources: Annotated[
        int | None,
        output_option(
            "--sources", help="Videos of so many sources, each with its own look and camera: 3 to 6 of each motion."
        ),
    ] = None,
    unbalanced: Annotated[
        bool, output_option("--unbalanced", help="Training sources show the motions in very unequal shares.")
    ] = False,
    frame_size: Annotated[int, output_option("--size", help="Pixels along each side.")] = 64,
    seed: Annotated[int, output_option("--seed", min=0, help="Equal seeds make equal videos.")] = 0,
    test_fraction: Annotated[
        float | None,
        labels_option(
            "--test-fraction",
            help="Fraction of the videos, or of the sources, whose split is test; default: 0.25, of sources a third.",
        ),
    ] = None,
    quiet: Quiet = 0,
) -> None:
    """Write a labeled folder of small videos.

    They show eight motions, which only the order of their frames distinguishes.
    """
    from vidrep.errors import ConfigError
    from vidrep.synthetic.samples import ClipSet, SampleConfig, write_samples
    from vidrep.synthetic.source_samples import SourceSampleConfig

    config: ClipSet
    shared = _given(frame_size=frame_size, seed=seed, test_fraction=test_fraction)
    own = _given(videos_per_class=videos_per_class, num_frames=frames)
    if sources is None:
        if unbalanced:
            raise ConfigError("--unbalanced is for --sources N; leave it out or give both")
        config = SampleConfig(**own, **shared)
    else:
        if own:
            raise ConfigError(
                "--per-class and --frames are not for --sources, which draws both numbers; leave them out"
            )
        config = SourceSampleConfig(num_sources=sources, unbalanced=unbalanced, **shared)
    with progress_bar("sample", quiet=quiet) as on_progress:
        summary = write_samples(output, config, on_progress=on_progress)
    columns = "labels and splits" if sources is None else "labels, splits and groups"
    show_summary(
        f"{output}: {summary.num_videos} videos in 8 class folders ({size(summary.num_bytes)}), "
        f"{columns} in {output / 'labels.csv'}",
        quiet=quiet,
    )


def _given(**settings: Any) -> dict[str, Any]:
    """Keep what is not None; the library's own defaults stand for the rest."""
    return {name: value for name, value in settings.items() if value is not None}
