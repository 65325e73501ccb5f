"""The tables of a reproduction as Markdown: our figures beside the paper's, and how each was made."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from ..metrics.prediction import TEACHER_FORCED
from .paper_figures import RELEASED_LOG, Figure, PaperModel

_OBJECTIVES = ("future", "reconstruction")
_TRIVIAL = ("mean frame", "persistence", "zeros", "entropy floor")


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What a part's result.json holds.

    errors: {objective: {predictor: mean error of a frame}}. training: sizes and steps. machine: hardware, software,
    commit, date. seconds, processor_seconds: of training and measuring, on the clock and of all cores together, since
    it was resumed if it was.
    """

    num_windows: int
    errors: Mapping[str, Mapping[str, float]]
    training: Mapping[str, Any]
    machine: Mapping[str, str]
    seconds: float
    processor_seconds: float
    resumed: bool


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of a table: "moving-mnist" or "patches", the variant of the model, the recipe, and what was measured."""

    table: str
    model: PaperModel
    recipe: str
    measured: Measured

    def error(self, objective: str, predictor: str = "model") -> float | None:
        """Return the mean error of a frame, None if the model has no such objective."""
        return self.measured.errors.get(objective, {}).get(predictor)


def tables(rows: Sequence[Row], *, whole: bool, stand_in: bool) -> str:
    """Return all tables; stand_in: whether the patches are of generated clips."""
    size = "the recipes as they are" if whole else "SMALL: the recipes' models and steps were cut, see the last table"
    parts = [
        f"# The tables of Srivastava et al. 2015, {'whole' if whole else 'small'}",
        f"Made by `vidrep reproduce`; {size}. Decoders run free; conditional ones are also "
        "shown teacher-forced, with the true frame before each. Figures of the paper are of two layers of 2048 units; "
        "recalled ones are from memory and were not confirmed. Lower is better.",
    ]
    digits = [row for row in rows if row.table == "moving-mnist"]
    patches = [row for row in rows if row.table == "patches"]
    parts += ["## Moving MNIST, two digits, nats a frame", _moving_mnist(digits)]
    if patches:
        parts += ["## Image patches of 32x32, squared error a frame", _patches(patches, stand_in=stand_in)]
    else:
        parts += ["Image patches are left out: give features of them with `--patches`."]
    parts += [
        "Few labels and action recognition need labeled features of your own: `vidrep study` draws few-label curves, "
        "`benchmarks/action_recognition.py` makes the tables of UCF-101 and HMDB-51.",
        "## How each row was made",
        _how(rows),
    ]
    return "\n\n".join(parts) + "\n"


def _moving_mnist(rows: Sequence[Row]) -> str:
    windows = rows[0].measured.num_windows
    lines = _errors(rows, ("frames 11-20", "frames 1-10, reconstructed"), lambda model: model.nats)
    log = " | ".join(f"{RELEASED_LOG[name]:.1f}" for name in _OBJECTIVES)
    lines.append(f"| the released code's log: one layer, step 17,700, on training data | earlier release | {log} | |")
    head = f"{windows:,} sequences of MNIST's test digits, seed 1; the paper has a fixed set of 10,000."
    return "\n".join([head, "", *lines, "", *_orders(rows, lambda model: model.nats)])


def _patches(rows: Sequence[Row], *, stand_in: bool) -> str:
    what = (
        "of GENERATED clips: no figure here compares with the paper's, which are of UCF-101; their order may"
        if stand_in
        else "of the features given; the paper's are of UCF-101"
    )
    head = (
        f"Patches {what}. RGB values divided by 255, squared error summed over a frame; whether the paper halves it, "
        "as the released code does, is not known to us. The released config reads 10 frames and predicts 10, the "
        "others 16 and 13."
    )
    lines = _errors(rows, ("predicted", "reconstructed"), lambda model: model.patches)
    return "\n".join([head, "", *lines, "", *_orders(rows, lambda model: model.patches)])


def _errors(rows: Sequence[Row], heads: Sequence[str], paper: Callable[[PaperModel], Figure | None]) -> list[str]:
    """Return a table of errors: trivial predictions, then every row."""
    lines = [f"| model | recipe | {heads[0]} | {heads[1]} | paper, {heads[0]} |", "|---|---|---|---|---|"]
    for name in _TRIVIAL:
        found = [_first(rows, objective, name) for objective in _OBJECTIVES]
        if any(one is not None for one in found):
            lines.append(f"| {name} | | {' | '.join(map(_number, found))} | |")
    for row in rows:
        cells = " | ".join(_of_model(row, objective) for objective in _OBJECTIVES)
        lines.append(f"| {row.model.name} | `{row.recipe}` | {cells} | {paper(row.model) or ''} |")
    return lines


def _of_model(row: Row, objective: str) -> str:
    """Return the error of a model that runs free and, of a conditional decoder, with teacher forcing."""
    forced = row.error(objective, TEACHER_FORCED)
    return _number(row.error(objective)) + ("" if forced is None else f" (teacher-forced {_number(forced)})")


def _first(rows: Sequence[Row], objective: str, predictor: str) -> float | None:
    return next((error for row in rows if (error := row.error(objective, predictor)) is not None), None)


def _orders(rows: Sequence[Row], paper: Callable[[PaperModel], Figure | None]) -> list[str]:
    """Return a sentence for each recipe on the order of its models, beside the paper's."""
    sentences = []
    for recipe in dict.fromkeys(row.recipe for row in rows):
        found = [
            (row.model.name, error, figure.value)
            for row in rows
            if row.recipe == recipe and (figure := paper(row.model)) and (error := row.error("future")) is not None
        ]
        if len(found) > 1:
            ours, of_paper = ("; ".join(name for name, *_ in sorted(found, key=itemgetter(key))) for key in (1, 2))
            same = "as in the paper" if ours == of_paper else f"in the paper: {of_paper}"
            sentences.append(f"Best first, `{recipe}`: {ours} ({same}).")
    return sentences


def _how(rows: Sequence[Row]) -> str:
    lines = [
        "| table | model | recipe | units x layers | parameters | optimizer | batch | steps (kept) | time | cores |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        made = row.measured.training
        time = f"{row.measured.seconds:,.0f} s{' since it was resumed' if row.measured.resumed else ''}"
        lines.append(
            f"| {row.table} | {row.model.name} | `{row.recipe}` | {made['units']} x {made['layers']} "
            f"| {made['parameters']:,} | {made['optimizer']} | {made['batch_size']} "
            f"| {made['steps']:,} ({made['best_step']:,}) | {time} | {row.measured.processor_seconds:,.0f} s |"
        )
    made_by = "; ".join(
        ", ".join(dict.fromkeys(row.measured.machine[name] or "no commit" for row in rows))
        for name in ("hardware", "software", "commit", "date")
    )
    total, of_cores = (
        sum(getattr(row.measured, name) for row in rows) / 60 for name in ("seconds", "processor_seconds")
    )
    times = f"{total:,.0f} minutes in all, and {of_cores:,.0f} of all cores together"
    return "\n".join([*lines, "", f"{times}. Machine, software, commit, date: {made_by}."])


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
