"""Labels for new videos, from video files or from features."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ..devices import choose_device, torch_settings
from ..errors import some_names
from ..features.failures import Failure
from ..features.store import Features
from ..machine import tune_malloc
from ..metrics.predictor import ClassifierRun
from ..progress import ProgressListener, ignore_progress
from ..training.preparation import report_windows
from .counts import counted
from .inputs import InputOptions, predicted_inputs

_log = logging.getLogger(__name__)

# Videos with fewer frames than this, or this share of a window, are classified with a warning.
_LEAST_FRAMES, _LEAST_SHARE = 2, 0.25


@dataclass(frozen=True, kw_only=True)
class VideoPrediction:
    """The classes of one video: the likeliest label, and every class's probability, the likeliest first.

    path: of the file, as it is reached from what was given; of a video of features, its key.
    key: its name among the videos that were classified together.
    """

    path: str
    key: str
    label: str
    probabilities: dict[str, float]

    @property
    def probability(self) -> float:
        """The likeliest label's."""
        return self.probabilities[self.label]


@dataclass(frozen=True, kw_only=True, repr=False)
class Predictions:
    """Predictions in the order of the videos' keys, and the videos that could not, or not wholly, be read."""

    videos: list[VideoPrediction]
    failures: list[Failure]

    def __repr__(self) -> str:
        labels = counted(video.label for video in self.videos)
        return f"Predictions({len(self.videos)} videos: {labels}; {len(self.failures)} failures)"


def predict(
    run: Path | str,
    inputs: Features | Path | str | Sequence[Path | str],
    *,
    weights: Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    workers: int = 0,
    images: bool = False,
    frame_rate: float | None = None,
    on_progress: ProgressListener = ignore_progress,
) -> Predictions:
    """Classify videos: files, folders and patterns as `find_videos` takes them, or one feature file, opened or not.

    Features of videos are computed as those that the run was trained on were, by weights of the same hash.
    Videos with fewer than 2 frames, or than a quarter of a window, are classified with a warning.
    weights: the weights file, if it is to be that one; else it is searched for, in the run's folder first.
    workers: decoding processes, see `vidrep.extraction.extract.extract`; for few videos none are quicker.
    images, frame_rate: of still images and folders of frames, see `find_videos`.

    Raises InputError if the run is no classifier or cannot make features of videos, WeightsError if the weights are not
    the same, FeatureFileError if the features do not fit.
    """
    tune_malloc()
    with torch_settings(choose_device(device), threads=threads) as settings:
        classifier = ClassifierRun.load(Path(run))
        description = classifier.description
        options = InputOptions(
            weights=weights,
            device=device,
            threads=threads,
            workers=workers,
            images=images,
            frame_rate=frame_rate,
            on_progress=on_progress,
        )
        with predicted_inputs(Path(run), description, inputs, options) as given:
            found = {one.key: one for one in _classify(classifier, given.features, settings.device)}
        copies = [replace(found[first], key=copy) for copy, first in given.copies.items() if first in found]
        videos = [replace(one, path=given.paths.get(one.key, one.path)) for one in [*found.values(), *copies]]
        videos.sort(key=lambda one: one.key)
        return Predictions(videos=videos, failures=list(given.failures))


def _report_short(features: Features, length: int) -> None:
    """Log how many videos have few of the frames of a window, `length`: for an LSTM they hardly move."""
    least = max(_LEAST_FRAMES, math.ceil(_LEAST_SHARE * length))
    short = [row.path for row in features.videos if 0 < row.length < least]
    if short:
        _log.warning(
            "%d of %d videos are still images or have fewer than %d frames, a quarter of a window: their labels are "
            "guesses from what single frames look like: %s",
            len(short),
            len(features),
            least,
            some_names(short),
        )


def _classify(classifier: ClassifierRun, features: Features, device: torch.device) -> list[VideoPrediction]:
    """Classify each source video once, however many crops of it there are; log which are too short to be trusted."""
    predictions = []
    report_windows(features, range(len(features)), 1)
    _report_short(features, classifier.description.windows["length"])
    for index, of_video in classifier.predict(features, range(len(features)), device=device).items():
        ranked = sorted(zip(of_video.tolist(), classifier.description.classes, strict=True), key=lambda pair: -pair[0])
        by_label = {label: probability for probability, label in ranked}
        key = features.videos[index].source_key
        predictions.append(VideoPrediction(path=key, key=key, label=ranked[0][1], probabilities=by_label))
    return predictions
