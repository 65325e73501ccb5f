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
    long_videos: Annotated[
        int | None,
        output_option("--long-videos", help="So many videos of one motion after another, with their times."),
    ] = None,
    minutes: Annotated[float | None, output_option("--minutes", help="Length of each long video; default: 3.")] = None,
    overlaps: Annotated[
        bool, output_option("--overlaps", help="Two shapes in each long video: two motions at one time.")
    ] = False,
    frame_size: Annotated[
        int | None, output_option("--size", help="Pixels along each side; default: 64, of long videos 32.")
    ] = None,
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
    from vidrep.synthetic.long_videos import LongVideoConfig
    from vidrep.synthetic.samples import ANNOTATIONS, LABELS, SPLITS, ClipSet, SampleConfig, write_samples
    from vidrep.synthetic.source_samples import SourceSampleConfig

    config: ClipSet
    shared = _given(frame_size=frame_size, seed=seed, test_fraction=test_fraction)
    of_short = _given(videos_per_class=videos_per_class, num_frames=frames)
    if sources is None and unbalanced:
        raise ConfigError("--unbalanced is for --sources N; leave it out or give both")
    if long_videos is None and (minutes is not None or overlaps):
        raise ConfigError("--minutes and --overlaps are for --long-videos N; leave them out or give both")
    if sources is not None and long_videos is not None:
        raise ConfigError("--sources and --long-videos are two kinds of samples; give one of them")
    if of_short and (sources is not None or long_videos is not None):
        kind = "--sources" if long_videos is None else "--long-videos"
        raise ConfigError(f"--per-class and --frames are not for {kind}, which draws both numbers; leave them out")
    if long_videos is not None:
        long = _given(minutes=minutes)
        config = LongVideoConfig(num_videos=long_videos, overlaps=overlaps, **long, **shared)
    elif sources is not None:
        config = SourceSampleConfig(num_sources=sources, unbalanced=unbalanced, **shared)
    else:
        config = SampleConfig(**of_short, **shared)
    with progress_bar("sample", quiet=quiet) as on_progress:
        summary = write_samples(output, config, on_progress=on_progress)
    written = f"{output}: {summary.num_videos} videos"
    if long_videos is not None:
        tables = f" ({size(summary.num_bytes)}), times in {output / ANNOTATIONS}, splits in {output / SPLITS}"
    else:
        columns = "labels and splits" if sources is None else "labels, splits and groups"
        tables = f" in 8 class folders ({size(summary.num_bytes)}), {columns} in {output / LABELS}"
    show_summary(written + tables, quiet=quiet)


def _given(**settings: Any) -> dict[str, Any]:
    """Keep what is not None; the library's own defaults stand for the rest."""
    return {name: value for name, value in settings.items() if value is not None}
