"""`vidrep symbols`: the series of videos as letters."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from .argument_order import require_order
from .completion import run_folders
from .console import show_log, show_summary
from .help import features_option, input_option, output_option
from .layout import in_a_line, table
from .options import CommonOptions, Features, Overwrite

if TYPE_CHECKING:
    from vidrep.symbolic.results import Symbols

_SHOWN = 5


def symbols_command(
    features: Features,
    output: Annotated[
        Path, output_option("--output", "-o", metavar="FOLDER", help="A new folder.", show_default=False)
    ],
    common: CommonOptions,
    series: Annotated[
        str | None,
        features_option(
            "--series",
            metavar="NAME",
            help="motion (mean squared difference from the frame before), column:N, component:N or surprise:RUN "
            "(errors of a pretrained run's predictions); default: motion.",
        ),
    ] = None,
    tolerance: Annotated[
        float | None,
        features_option("--tolerance", help="Of the pieces, in standard deviations of the series; default: 0.1."),
    ] = None,
    alpha: Annotated[
        float | None,
        features_option(
            "--alpha", help="How far pieces of one letter are apart, in standard deviations of pieces; default: 0.5."
        ),
    ] = None,
    run: Annotated[
        Path | None,
        input_option(
            "--from",
            metavar="RUN",
            help="A run of --recipe symbols: take its letters, and list how unlikely each piece is.",
            autocompletion=run_folders,
        ),
    ] = None,
    forecast: Annotated[
        int, output_option("--forecast", min=0, help="Write so many values to come of each video, by the run.")
    ] = 0,
    overwrite: Overwrite = False,
) -> None:
    """Turn a series of each video into letters: straight pieces, and a letter for pieces that are alike."""
    from vidrep.symbolic.codebook import SymbolSettings
    from vidrep.symbolic.symbols import symbols

    require_order("symbols", FEATURES=features)
    show_log(quiet=common.quiet)
    given = {"series": series, "tolerance": tolerance, "alpha": alpha}
    chosen = {name: value for name, value in given.items() if value is not None}
    settings = SymbolSettings(**chosen) if chosen else None  # type: ignore[arg-type]
    found = symbols(features, output, settings, run=run, num_forecast=forecast, overwrite=overwrite)
    show_summary(_summary(found), below=_surprises(found), quiet=common.quiet)


def _summary(found: "Symbols") -> str:
    return (
        f"{in_a_line(found.folder)}: {len(found.videos)} videos, {found.num_values:,} values of "
        f"{found.codebook.settings.series} in {found.num_pieces:,} pieces of {len(found.codebook.letters)} letters; "
        f"off by {found.pieces_error:.3f} standard deviations as pieces, {found.symbols_error:.3f} as letters"
    )


def _surprises(found: "Symbols") -> str:
    """Lay out the least likely pieces, the worst first."""
    worst = sorted(found.surprises, key=lambda one: -one.nats)[:_SHOWN]
    rows = [[one.video, f"{one.start:.2f}", f"{one.end:.2f}", one.symbol, f"{one.nats:.2f}"] for one in worst]
    return table(["least likely", "from (s)", "to (s)", "letter", "nats"], rows) if rows else ""
