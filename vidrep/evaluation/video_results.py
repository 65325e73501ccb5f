"""What a classifier makes of each video that it is measured on, and CSV files of that."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ..features.table import VideoRow
from ..files import write_text

COLUMNS = ["video", "path", "group", "true", "predicted", "probability"]


@dataclass(frozen=True, kw_only=True)
class VideoResult:
    """What a classifier makes of one source video.

    video: its key; path: its file, '' if the features do not record a folder. true, predicted: classes.
    probabilities: of each class.
    """

    video: str
    path: str
    group: str
    true: str
    predicted: str
    probabilities: dict[str, float]

    @property
    def is_right(self) -> bool:
        """Whether the prediction is the label."""
        return self.true == self.predicted

    @property
    def probability(self) -> float:
        """Of the predicted class."""
        return self.probabilities[self.predicted]

    @property
    def probability_of_true(self) -> float:
        """Of the label."""
        return self.probabilities[self.true]


def source_path(row: VideoRow) -> str:
    """Return the file of a video's source from its root's folder on, '' if the features do not record that."""
    if not row.root or row.source_key.startswith(f"{row.root}/"):  # the key has the root in front already
        return row.source_key if row.root else ""
    return str(PurePosixPath(row.root, row.source_key))


def worst_first(videos: Iterable[VideoResult]) -> list[VideoResult]:
    """Return the mistakes among videos, that with the lowest probability of its label first."""
    mistakes = [one for one in videos if not one.is_right]
    return sorted(mistakes, key=lambda one: (one.probability_of_true, one.video))


def write_table(path: Path, videos: Sequence[VideoResult], classes: Sequence[str]) -> None:
    """Publish a CSV file of videos, one a row, with a column "probability of CLASS" for each class.

    Raises OutputError if it cannot be written.
    """
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow([*COLUMNS, *(f"probability of {name}" for name in classes)])
    for one in videos:
        probabilities = [one.probability, *(one.probabilities[name] for name in classes)]
        table.writerow(
            [one.video, one.path, one.group, one.true, one.predicted, *(f"{value:.6f}" for value in probabilities)]
        )
    write_text(path, text.getvalue())
