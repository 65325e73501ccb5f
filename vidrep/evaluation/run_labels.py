"""Labels of a run: the lists that it was trained with, and labels that are others now than those that it learned."""

import csv
import logging
import shlex
from collections.abc import Mapping
from pathlib import Path

from ..errors import InputError, some_names
from ..features.annotation_files import read_annotations
from ..features.annotations import Annotation, merge
from ..features.store import Features
from ..training.history import read_history
from ..training.run_videos import VIDEOS_NAME
from .request import SelectedVideos

_log = logging.getLogger(__name__)


def lists_of_run(run: Path, features: Features) -> Mapping[str, Annotation]:
    """Read the lists that a run was trained with (--labels, --splits), as they are now; {} if there are none.

    Lists that cannot be read any more, or name none of the videos, are not used. Either is logged.
    """
    history = read_history(run)
    options = history[0].options if history else {}
    labels, splits = options.get("labels", []), options.get("splits")
    if not (labels or splits):
        return {}
    given = shlex.join([word for path in labels for word in ("--labels", path)] + (["--splits", splits] * bool(splits)))
    try:
        annotations = read_annotations(
            labels=labels,
            splits=splits,
            number=options.get("split_number", 1),
            extend=options.get("labels_extend", False),
        )
        videos = features.videos
        merge([row.path for row in videos], [row.label for row in videos], [row.split for row in videos], annotations)
    except InputError as error:
        _log.warning("the run was trained with %s, and without it this is measured: %s", given, error)
        return {}
    _log.info("labels are those that the run was trained with, %s, as they are now; --labels gives others", given)
    return annotations


def log_other_labels(run: Path, selected: SelectedVideos) -> None:
    """Log how many videos have another label now than when they trained a classifier, found by content, if any have.

    Raises InputError if the run's videos.csv cannot be read.
    """
    try:
        with (run / VIDEOS_NAME).open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["split"] != "test"]
        learned = {row[column]: row["label"] for row in rows for column in ("source_sha256", "checksum") if row[column]}
    except (OSError, KeyError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{run}: {VIDEOS_NAME} cannot be read ({error}); is it a run folder?") from error
    others: dict[str, str] = {}
    for row, label in zip(selected.features.videos, selected.annotated.labels, strict=True):
        before = learned.get(row.source_sha256, learned.get(row.checksum, label))
        if before != label:
            others[row.source_key] = f"{row.source_key} ({before}, now {label or 'unlabeled'})"
    if others:
        names = some_names(others.values())
        _log.warning("%d videos have other labels than those that the run learned: %s", len(others), names)
