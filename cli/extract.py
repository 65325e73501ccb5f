"""`vidrep extract`: videos to features."""

from typing import TYPE_CHECKING, Annotated

import typer

from . import completion
from .extraction import ExtractionOptions, run_extraction
from .extractor_names import ExtractGroup
from .group import add_command
from .help import features_option, speed_option
from .moving_mnist import moving_mnist_command
from .options import CommonOptions, Device, GroupedAnnotationOptions, SamplingOptions, SourceOptions

if TYPE_CHECKING:
    from vidrep.extraction.extractors.extractor import Extractor

app = typer.Typer(
    cls=ExtractGroup,
    help="Compute features of every frame of videos. Plug-ins add extractors: extract NAME --plugin MODULE.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Resize = Annotated[
    str,
    features_option(
        "--resize",
        help="exact (torchvision's, antialiased) or fast (in whole numbers).",
        autocompletion=completion.one_of("exact", "fast"),
    ),
]


def patches_command(
    source: SourceOptions,
    sampling: SamplingOptions,
    annotations: GroupedAnnotationOptions,
    work: ExtractionOptions,
    common: CommonOptions,
    size: Annotated[int, features_option("--size", help="Pixels along each side.")] = 32,
    region: Annotated[
        str,
        features_option(
            "--region",
            help="frame (squeezed into the square) or center (cropped).",
            autocompletion=completion.one_of("frame", "center"),
        ),
    ] = "frame",
    color: Annotated[bool, features_option("--rgb/--gray", help="Keep the colors.")] = False,
    resize: Resize = "exact",
    crops: Annotated[
        int, features_option("--crops", min=0, help="Cut so many squares out of each video, at random.")
    ] = 0,
    grid: Annotated[
        int, features_option("--grid", min=1, help="Cut the region into so many cells along each side.")
    ] = 1,
    seed: Annotated[int, features_option("--seed", min=0, help="Seed of the places of --crops.")] = 0,
) -> None:
    """Pixels: every frame made small, uint8."""

    def build() -> "Extractor":
        from vidrep.extraction.extractors.patches import PatchExtractor

        return PatchExtractor(size=size, region=region, color=color, resize=resize, crops=crops, grid=grid, seed=seed)

    run_extraction(build, source, sampling, annotations, work, common)


def cnn_command(
    source: SourceOptions,
    sampling: SamplingOptions,
    annotations: GroupedAnnotationOptions,
    work: ExtractionOptions,
    common: CommonOptions,
    model: Annotated[
        str,
        features_option("--model", help="Any classification model of torchvision.", autocompletion=completion.models),
    ] = "mobilenet_v3_small",
    layer: Annotated[
        str | None, features_option("--layer", help="A node of its graph; default: what the last weighted layer reads.")
    ] = None,
    weights: Annotated[
        str,
        features_option(
            "--weights",
            metavar="NAME|FILE",
            help="DEFAULT (downloaded once), none (random), or a file.",
            autocompletion=completion.one_of("DEFAULT", "none"),
        ),
    ] = "DEFAULT",
    region: Annotated[
        str,
        features_option(
            "--region",
            help="center (the network's own crop) or frame (all of it, squeezed).",
            autocompletion=completion.one_of("center", "frame"),
        ),
    ] = "center",
    resize: Resize = "exact",
    device: Device = "auto",
    precision: Annotated[
        str,
        speed_option(
            "--precision",
            help="fp32, bf16, or auto: bf16 where the device has it.",
            autocompletion=completion.one_of(*completion.EXTRACTION_PRECISIONS),
        ),
    ] = "auto",
    batch_size: Annotated[int, speed_option("--batch-size", min=1, help="Frames that the network reads at once.")] = 32,
) -> None:
    """Activations of an image network, float16."""

    def build() -> "Extractor":
        from vidrep.extraction.extractors.cnn import CnnExtractor

        return CnnExtractor(
            model=model,
            layer=layer,
            weights=weights,
            region=region,
            resize=resize,
            device=device,
            precision=precision,
            batch_size=batch_size,
        )

    run_extraction(build, source, sampling, annotations, work, common)


add_command(app, "patches", patches_command)
add_command(app, "cnn", cnn_command)
add_command(app, "moving-mnist", moving_mnist_command)
