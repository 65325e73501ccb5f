"""A study of few labels: how good methods are that learn from the same few labeled videos, and what the data support.

In its folder:
study.json      the settings, the videos with their labels and groups, the runs by their hash, and the draws
cells/          what each method makes of the test videos after each draw and seed; each file is written once
table.md, table.csv, curves.png     what the finished cells come to
"""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from ...config.reader import to_mapping
from ...config.settings import FinetuneConfig
from ...devices import choose_device
from ...errors import ConfigError, Stopped
from ...features.annotations import Annotation
from ...features.checksum import content_digest
from ...features.groups import GroupRule
from ...features.store import Features, opened
from ...files import remove
from ...locking import locking_output
from ...progress import Progress, ProgressListener, ignore_progress
from ...training.loop import never
from .cells import Cell, StudyFolder, planned_cells
from .draws import By, Shots, Units, possible_shots
from .methods import FrozenRun, ScratchLstm
from .report import StudyReport
from .summary import StudyEntry, summarize
from .verdict import study_verdict
from .videos import StudyVideos
from .work import Work, make_cells

_log = logging.getLogger(__name__)

USUAL_SHOTS: tuple[Shots, ...] = (1, 2, 4, 8, 16, "all")


@dataclass(frozen=True, kw_only=True)
class StudyResult:
    """What a study came to: an entry for each method and k, and one sentence.

    data: a line on what was learned from and measured on. by: what k counts. num_done of num_cells are finished.
    """

    folder: Path
    data: str
    by: By
    num_done: int
    num_cells: int
    entries: list[StudyEntry]
    verdict: str

    @property
    def progress(self) -> str:
        """A line if not all is finished, else ""."""
        return "" if self.num_done == self.num_cells else _partial(self.num_done, self.num_cells)

    def to_json(self) -> dict[str, Any]:
        """Return everything, JSON-like."""
        return asdict(self) | {"folder": str(self.folder)}


def study(
    features: Features | Path | str,
    output: Path | str,
    *,
    runs: Sequence[Path | str] = (),
    config: FinetuneConfig | None = None,
    annotations: Mapping[str, Annotation] | None = None,
    group_pattern: str | None = None,
    group_blocks: int | None = None,
    by: By | Literal["auto"] = "auto",
    shots: Sequence[Shots] = USUAL_SHOTS,
    draws: int = 5,
    seeds: int = 1,
    budget_minutes: float | None = None,
    workers: int = 1,
    device: str = "auto",
    threads: int = 1,
    should_stop: Callable[[], bool] = never,
    on_progress: ProgressListener = ignore_progress,
) -> StudyResult:
    """Compare methods that learn from the same few labels, on the videos of split "test", in the folder `output`.

    Each of `draws` draws labels k videos, or k groups, of each class of the other videos. From these learn: logistic
    regression on mean features and on ordered bins, an LSTM from scratch, with `seeds` seeds, and logistic regression
    on the frozen encoders of each run. Killed or stopped, the same call goes on with the cells that are left.

    runs: of `train` on the same kind of features, with the same splits.
    config: settings of the LSTM from scratch; the others are those of the first candidate of `finetune`.
    by: what k counts; "auto" takes groups if any holds several training videos.
    shots: the k; "all" labels everything, once. Those that a class is too small for are left out, which is logged.
    budget_minutes: no cell is begun after so many minutes; the result says that it is partial.
    workers: processes; with more than one, a script needs its calls under `if __name__ == "__main__"`.
    threads: CPU threads of each process; part of the settings, since the last bits of an LSTM depend on it.

    Raises ConfigError for options that are not allowed, LabelError if there is no test split, one class, or no k that
    is possible, OutputError if the folder holds a study of other settings or another process works in it, what
    `FrozenRun.load` raises for runs that do not fit, and Stopped as soon as `should_stop` says so.
    """
    _require_allowed(draws=draws, seeds=seeds, workers=workers, threads=threads, budget_minutes=budget_minutes)
    folder = StudyFolder(Path(output))
    with locking_output(folder.path):
        videos = StudyVideos.of(opened(features), annotations, GroupRule(group_pattern, group_blocks))
        units = Units.of(videos, by)
        every_shots = possible_shots(units, shots, videos.labeled.classes)
        work = Work(
            folder=folder,
            videos=videos,
            units=units,
            config=ScratchLstm.candidate(config or FinetuneConfig(), videos),
            runs=_named(runs),
            device=choose_device(device).type,
            threads=threads,
            should_stop=should_stop,
        )
        cells = planned_cells(work.methods, every_shots, draws=draws, seeds=seeds)
        folder.begin(_settings(work, every_shots, draws, seeds), {"draws": _drawn(work, cells)})
        for leftover in folder.leftovers():
            remove(leftover)
        num_done = _make(work, cells, workers, budget_minutes, on_progress)
        return _report(work, cells, num_done)


def _require_allowed(*, budget_minutes: float | None, **counts: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise ConfigError(f"{count} {name}: give 1 or more")
    if budget_minutes is not None and budget_minutes <= 0:
        raise ConfigError(f"a budget of {budget_minutes:g} minutes; give more than 0")


def _named(runs: Sequence[Path | str]) -> dict[str, Path]:
    """Name runs by their folders, or where two have one name by their paths; raises ConfigError for one given twice."""
    paths = [Path(run) for run in runs]
    counts = Counter(path.name for path in paths)
    named = {path.name if counts[path.name] == 1 and path.name else path.as_posix(): path for path in paths}
    if len(named) < len(paths):
        raise ConfigError(f"runs {', '.join(map(str, paths))}: one is given twice")
    return named


def _settings(work: Work, every_shots: Sequence[Shots], draws: int, seeds: int) -> dict[str, Any]:
    """Return what a study that goes on must have the same."""
    videos, rows = work.videos, work.videos.features.videos
    annotated = videos.labeled.annotated

    def labels(some: Sequence[int]) -> dict[str, list[str]]:
        return {rows[video].path: [annotated.labels[video], annotated.groups[video]] for video in some}

    return {
        "by": work.units.by,
        "k": list(every_shots),
        "draws": draws,
        "seeds": seeds,
        "methods": [one.name for one in work.methods],
        "scratch": to_mapping(work.config),
        "runs": {one.name: one.start.sha256 for one in work.methods if isinstance(one, FrozenRun)},
        "device": work.device,
        "threads": work.threads,
        "features": content_digest(row.checksum for row in rows),
        "train": labels(videos.train),
        "test": labels(videos.test),
    }


def _drawn(work: Work, cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """Return the videos that each draw labels, by their keys; of "all" it goes without saying."""
    rows = work.videos.features.videos
    return [
        {"k": shots, "draw": draw, "videos": [rows[video].path for video in work.units.drawn(shots, draw)]}
        for shots, draw in dict.fromkeys((cell.shots, cell.draw) for cell in cells)
        if shots != "all"
    ]


def _make(
    work: Work, cells: Sequence[Cell], workers: int, budget_minutes: float | None, on_progress: ProgressListener
) -> int:
    """Make the cells that are not there; return how many are there then."""
    there = _read(work, cells)
    missing = [cell for cell in cells if cell not in there]
    _log.info(
        "k counts labeled %s of each class; %d methods on %s: %d cells%s",
        work.units.by,
        len(work.methods),
        _counted(1 + max(cell.draw for cell in cells), "draw"),
        len(cells),
        f", of which {len(there)} are there" if there else "",
    )

    def on_done(num_made: int) -> None:
        on_progress(Progress(done=num_made, total=len(missing), unit="cells"))

    seconds = None if budget_minutes is None else 60 * budget_minutes
    try:
        make_cells(work, missing, workers=workers, seconds=seconds, on_done=on_done)
    except Stopped as error:
        raise Stopped(f"{_partial(len(_read(work, cells)), len(cells))}") from error
    return len(_read(work, cells))


def _read(work: Work, cells: Sequence[Cell]) -> Mapping[Cell, Any]:
    videos = work.videos
    return work.folder.read(cells, num_sources=len(videos.true), num_classes=videos.num_classes)


def _partial(num_done: int, num_cells: int) -> str:
    return f"Partial: {num_done} of {num_cells} cells are finished; the same command goes on"


def _report(work: Work, cells: Sequence[Cell], num_done: int) -> StudyResult:
    """Summarize the finished cells, and publish the tables and the picture."""
    videos, units = work.videos, work.units
    sources = videos.features.source_videos
    entries = summarize(
        cells,
        _read(work, cells),
        true=videos.true,
        groups=videos.test_groups,
        num_labeled={
            key: len({*sources[units.drawn(*key)].tolist()})
            for key in dict.fromkeys((cell.shots, cell.draw) for cell in cells)
        },
    )
    result = StudyResult(
        folder=work.folder.path,
        data=_data(work, cells),
        by=units.by,
        num_done=num_done,
        num_cells=len(cells),
        entries=entries,
        verdict=study_verdict(entries, units.by),
    )
    StudyReport(
        data=result.data,
        by=units.by,
        entries=entries,
        methods={one.name: (one.how, one.learns_from) for one in work.methods},
        verdict=result.verdict,
        progress=result.progress,
    ).write(work.folder.path)
    return result


def _data(work: Work, cells: Sequence[Cell]) -> str:
    videos = work.videos
    num_train = len({*videos.features.source_videos[videos.train].tolist()})
    draws, seeds = (_counted(1 + max(getattr(cell, name) for cell in cells), name) for name in ("draw", "seed"))
    return (
        f"{videos.num_classes} classes; {num_train} training videos, of which draws label k {work.units.by} of each "
        f"class; {len(videos.true)} test videos in {len(set(videos.test_groups))} groups. {draws}, {seeds} of the LSTM "
        "from scratch"
    )


def _counted(number: int, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}"
