"""Labels for new videos, from video files or from features."""

import logging
import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from ..devices import choose_device, torch_settings
from ..errors import InputError, some_names
from ..extraction.compatibility import require_same_features
from ..extraction.extract import ExtractSummary, extract
from ..extraction.extractors.extractor import Extractor
from ..extraction.from_settings import build_extractor, recorded_sampling
from ..features.failures import Failure
from ..features.parts_folder import is_marked
from ..features.store import SUFFIXES, Features, open_features
from ..machine import tune_malloc
from ..metrics.predictor import ClassifierRun
from ..models.description import NETWORK_KINDS, ModelDescription
from ..progress import ProgressListener, ignore_progress
from ..training.preparation import report_windows, require_sound
from ..video.sources import VideoSource, find_videos
from .counts import counted

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
        if not description.classes:
            raise InputError(
                f"{run}: {NETWORK_KINDS[description.kind].noun}, which has no classes; `vidrep finetune` makes a "
                "classifier of it with --from"
            )
        if isinstance(inputs, Path | str):
            inputs = [inputs]
        if isinstance(inputs, Features) or (len(inputs) == 1 and _is_feature_file(Path(inputs[0]))):
            features = inputs if isinstance(inputs, Features) else open_features(inputs[0])
            require_same_features(features, description)
            require_sound(features, range(len(features)))
            return Predictions(videos=_classify(classifier, features, settings.device), failures=[])
        if any(_is_feature_file(Path(one)) for one in inputs):
            raise InputError(f"{len(inputs)} inputs, a feature file among them; give one feature file, or videos alone")
        sources = find_videos(inputs, images=images, frame_rate=frame_rate, split_folders=False, class_folders=False)
        extractor = build_extractor(description.extractor, weights=weights, near=[Path(run)], device=device)
        with tempfile.TemporaryDirectory(prefix="vidrep-predict-") as folder:
            summary = _extract(sources, Path(folder), extractor, description, workers, threads, on_progress)
            found = {one.key: one for one in _classify(classifier, open_features(summary.output), settings.device)}
        copies = [replace(found[first], key=copy) for copy, first in summary.changes.copies.items() if first in found]
        path_of = {source.key: str(source.path) for source in sources}
        videos = [replace(one, path=path_of[one.key]) for one in [*found.values(), *copies]]
        videos.sort(key=lambda one: one.key)
        return Predictions(videos=videos, failures=summary.failures)


def _extract(
    sources: Sequence[VideoSource],
    folder: Path,
    extractor: Extractor,
    description: ModelDescription,
    workers: int,
    threads: int | None,
    on_progress: ProgressListener,
) -> ExtractSummary:
    try:
        return extract(
            sources,
            folder / "features.h5",
            extractor,
            sampling=recorded_sampling(description.extractor),
            video_stream=description.extractor.get("video_stream"),
            workers=workers,
            threads=threads,
            on_progress=on_progress,
        )
    except InputError as error:
        # The list of failures that it names goes with the folder.
        raise InputError(str(error).partition(" (every reason")[0]) from error


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


def _is_feature_file(path: Path) -> bool:
    return path.suffix in SUFFIXES or is_marked(path)


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
