"""`vidrep extract moving-mnist`: bouncing digits as a feature file."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

from .completion import one_of
from .console import show_summary
from .help import features_option, input_option
from .options import NewFeatureFile, Overwrite, Quiet
from .progress import progress_bar

if TYPE_CHECKING:
    from vidrep.synthetic.mnist import MnistSplit


def moving_mnist_command(
    output: NewFeatureFile,
    mnist: Annotated[
        Path | None,
        input_option(
            "--mnist", metavar="FOLDER", help="Folder with the IDX files of MNIST, .gz or not; default: download them."
        ),
    ] = None,
    digits: Annotated[
        str, input_option("--digits", help="Whose digits: train or test.", autocompletion=one_of("train", "test"))
    ] = "train",
    videos: Annotated[int, features_option("--videos", "-n", help="Sequences to make.")] = 1000,
    num_digits: Annotated[int, features_option("--num-digits", help="Digits in each sequence.")] = 2,
    canvas: Annotated[int, features_option("--canvas", help="Pixels along each side.")] = 64,
    frames: Annotated[int, features_option("--frames", help="Frames of each sequence.")] = 20,
    displacement: Annotated[
        float, features_option("--displacement", help="Of a digit, per frame, as a fraction of its range.")
    ] = 0.1,
    seed: Annotated[int, features_option("--seed", min=0, help="Equal seeds make equal sequences.")] = 0,
    overwrite: Overwrite = False,
    quiet: Quiet = 0,
) -> None:
    """Moving MNIST, generated: bouncing digits, uint8."""
    from vidrep.synthetic.generate import generate_moving_mnist
    from vidrep.synthetic.moving_mnist import MovingMnistConfig

    config = MovingMnistConfig(num_digits=num_digits, canvas=canvas, num_frames=frames, displacement=displacement)
    with progress_bar("moving-mnist", quiet=quiet) as on_progress:
        features = generate_moving_mnist(
            output,
            num_videos=videos,
            mnist=mnist,
            split=cast("MnistSplit", digits),
            config=config,
            seed=seed,
            overwrite=overwrite,
            on_progress=on_progress,
        )
    show_summary(f"{output}: {len(features)} sequences of {frames} frames, {digits} digits, seed {seed}", quiet=quiet)
