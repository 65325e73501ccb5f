"""The files of a study that people read: table.md, table.csv and curves.png."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...files import write_text
from ...metrics.paired import PairedDifference
from ...viewing.curves import Curve, CurvePoint, write_curves
from .draws import By, Shots
from .summary import StudyEntry

_COLUMNS = (
    "method",
    "k",
    "labeled_videos",
    "draws",
    "accuracy",
    "deviation",
    "low",
    "high",
    "better_than_scratch",
    "scratch_low",
    "scratch_high",
    "best_baseline",
    "better_than_baseline",
    "baseline_low",
    "baseline_high",
)


@dataclass(frozen=True, kw_only=True)
class StudyReport:
    """What the tables and the picture of a study hold.

    data: a line on what was learned from and measured on. methods: {name: (how, learns from)}. progress: a line if not
    all is finished, else "".
    """

    data: str
    by: By
    entries: Sequence[StudyEntry]
    methods: Mapping[str, tuple[str, str]]
    verdict: str
    progress: str

    def write(self, folder: Path) -> None:
        """Publish the three files; raises OutputError if one cannot be written."""
        write_text(folder / "table.csv", self.csv())
        write_text(folder / "table.md", self.markdown())
        write_curves(
            folder / "curves.png",
            self._curves(),
            places=[_shown(one) for one in self.shots],
            title="Accuracy per test video, with 95 % intervals over draws and test groups",
            below=f"k: labeled {self.by} of each class",
        )

    @property
    def shots(self) -> list[Shots]:
        """The k with finished draws."""
        return list(dict.fromkeys(one.shots for one in self.entries))

    def markdown(self) -> str:
        """Return table.md."""
        parts = [
            "# Study of few labels",
            *([f"**{self.progress}**"] if self.progress else []),
            f"{self.verdict}.",
            f"{self.data}.",
            *(self._figures() if self.entries else []),
            "| method | what it does | what it learns from |\n|---|---|---|\n"
            + "\n".join(f"| {name} | {how} | {learns} |" for name, (how, learns) in self.methods.items()),
        ]
        return "\n\n".join(parts) + "\n"

    def _figures(self) -> list[str]:
        return [
            "Accuracy per test video, mean over draws (deviation between draws; where there is one draw, between "
            "seeds):",
            self._table(_accuracy, with_counts=True),
            "Accuracy minus that of the LSTM from scratch on the same draws and test videos (95 % interval over draws "
            "and groups of test videos; where there is one draw over seeds and groups, with one seed over groups "
            "alone):",
            self._table(lambda one: _cell(one.better)),
            "Accuracy minus that of the most accurate linear baseline at each k (the same interval):",
            self._table(lambda one: _cell(one.better_than_baseline, one.baseline)),
        ]

    def _table(self, cell: Callable[[StudyEntry], str], *, with_counts: bool = False) -> str:
        by_place = {(one.method, one.shots): one for one in self.entries}
        first = {shots: next(one for one in self.entries if one.shots == shots) for shots in self.shots}
        lines = ["| | " + " | ".join(_shown(one) for one in self.shots) + " |", "|---" * (1 + len(self.shots)) + "|"]
        if with_counts:
            lines.append("| labeled videos | " + " | ".join(f"{one.num_labeled:.4g}" for one in first.values()) + " |")
            lines.append("| draws | " + " | ".join(str(one.num_draws) for one in first.values()) + " |")
        for method in self.methods:
            cells = [cell(by_place[method, shots]) for shots in self.shots]
            if any(one != "-" for one in cells):
                lines.append(f"| {method} | {' | '.join(cells)} |")
        return "\n".join(lines)

    def csv(self) -> str:
        """Return table.csv: a row for each method and k, shares with six decimals."""
        text = io.StringIO(newline="")
        table = csv.writer(text, lineterminator="\n")
        table.writerow(_COLUMNS)
        for one in self.entries:
            table.writerow(
                [
                    *(one.method, one.shots, f"{one.num_labeled:g}", one.num_draws),
                    *map(_decimals, (one.accuracy, one.deviation, one.low, one.high)),
                    *_numbers(one.better),
                    one.baseline,
                    *_numbers(one.better_than_baseline),
                ]
            )
        return text.getvalue()

    def _curves(self) -> list[Curve]:
        places = {shots: number for number, shots in enumerate(self.shots)}
        return [
            Curve(
                name=method,
                points=[
                    CurvePoint(places[one.shots], one.accuracy, one.low, one.high)
                    for one in self.entries
                    if one.method == method
                ],
            )
            for method in self.methods
        ]


def _shown(shots: Shots) -> str:
    return "all" if shots == "all" else f"k = {shots}"


def _accuracy(entry: StudyEntry) -> str:
    return f"{entry.accuracy:.3f}" + ("" if entry.deviation is None else f" ({entry.deviation:.3f})")


def _cell(paired: PairedDifference | None, other: str = "") -> str:
    """Lay out a difference: "+0.110 (+0.078 to +0.141)"; of the one that others are compared with, "-"."""
    if paired is None:
        return f"{other} itself" if other else "-"
    interval = "" if paired.low is None else f" ({paired.low:+.3f} to {paired.high:+.3f})"
    return f"{paired.difference:+.3f}{interval}"


def _decimals(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"


def _numbers(paired: PairedDifference | None) -> list[str]:
    values = (None,) * 3 if paired is None else (paired.difference, paired.low, paired.high)
    return [_decimals(value) for value in values]
