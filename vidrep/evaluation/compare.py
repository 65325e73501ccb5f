"""Runs compared with the first of them: on the same videos, paired, and by the settings that differ.

Shapes: S source videos, W windows.
"""

import csv
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..devices import choose_device, torch_settings
from ..errors import ConfigError, FeatureFileError, InputError, some_names
from ..features.annotations import Annotation
from ..features.groups import GroupRule
from ..features.store import Features, opened
from ..metrics.paired import PairedDifference, paired_difference
from ..metrics.prediction import window_errors
from ..metrics.predictor import ClassifierRun, Predictor
from ..metrics.predictor_file import predictor_of
from ..metrics.segmentation.metrics import video_f1
from ..metrics.verdicts import claim_in_words
from ..metrics.window_errors import PERSISTENCE, main_objective
from ..models.members import member_folders
from ..models.pretraining import PretrainingNetwork
from ..progress import Progress, ProgressListener, ignore_progress
from ..sequences.batches import FeatureBatchSet, VideoNumbers
from ..sequences.windows import sliding_windows
from ..training.preparation import require_sound, require_windows
from ..training.run_videos import CONFIG_NAME, VIDEOS_NAME
from .evaluate import NOT_TRAINED_ON, select_videos
from .kinds import EVALUATORS
from .request import EvaluationOptions, SelectedVideos, TrainedRun
from .segmentation import predicted_videos

_HASH_LENGTH = 12


@dataclass(frozen=True, kw_only=True)
class ComparedRun:
    """How a run does. score: see `Comparison.measure`. better: its score minus that of the first run; None for that."""

    run: str
    predictor: str
    score: float
    better: PairedDifference | None


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Runs measured on the same videos.

    measure: what a score is: of classifiers "accuracy per video", of pretrainings "squared error saved against
    persistence", the share of the error of repeating the last frame that the main objective saves, in each run's units.
    settings: {dotted key: what each run has, "-" for nothing}, where runs differ.
    """

    which: str
    num_videos: int
    num_left_out: int
    measure: str
    runs: list[ComparedRun]
    settings: dict[str, list[str]]

    @property
    def verdict(self) -> str:
        """One sentence on each later run: better or worse than the first, as far as the videos show it."""
        first, *others = self.runs
        claims = [f"{one.run} is {claim_in_words(one.better, first.run)}" for one in others if one.better is not None]
        return f"By {self.measure}, on {self.num_videos} videos, {'; '.join(claims)}"

    def to_json(self) -> dict[str, Any]:
        """Return everything, and the verdict, JSON-like."""
        return asdict(self) | {"verdict": self.verdict}


def compare(
    runs: Sequence[Path | str],
    features: Features | Path | str,
    *,
    split: str | None = None,
    annotations: Mapping[str, Annotation] | None = None,
    group_pattern: str | None = None,
    group_blocks: int | None = None,
    device: str = "auto",
    threads: int | None = None,
    on_progress: ProgressListener = ignore_progress,
) -> Comparison:
    """Measure two or more runs of one kind on the same videos of `features`, none of which a run was trained on.

    split, annotations, group_pattern, group_blocks: as of `evaluate`, with the lists of the first run. Intervals are
    over groups; of the groups that the runs were trained with, the fewest.

    Raises ConfigError for runs that cannot be compared, and what `evaluate` raises.
    """
    if len(runs) < 2:
        raise ConfigError(f"{len(runs)} run to compare: give two or more, and last the features")
    group_rule = GroupRule(group_pattern, group_blocks)
    with torch_settings(choose_device(device), threads=threads) as settings:
        trained = [TrainedRun.load(Path(run), settings.device) for run in runs]
        measure = _require_comparable(trained)
        features = opened(features)
        _require_features(trained, features)
        options = EvaluationOptions(split=split, annotations=annotations, group_rule=group_rule)
        options = EVALUATORS[trained[0].description.kind].with_lists(trained[0], features, options)
        selected = _common_videos(trained, features, options)
        require_sound(features, selected.indices)
        scores = []
        for number, run in enumerate(trained, start=1):
            scores.append(measure.score(run, selected, trained[0], options))
            on_progress(Progress(done=number, total=len(trained), unit="runs"))
        first = scores[0]
        return Comparison(
            which=selected.which,
            num_videos=first.num_videos,
            num_left_out=selected.num_left_out,
            measure=measure.name,
            runs=[
                ComparedRun(
                    run=str(run.folder),
                    predictor=score.predictor,
                    score=float(score.values.mean()),
                    better=None if score is first else paired_difference(score.values, first.values, first.groups),
                )
                for run, score in zip(trained, scores, strict=True)
            ],
            settings=_differing_settings([run.folder for run in trained]),
        )


class _Score(NamedTuple):
    """The scores of videos or windows, (S,) or (W,), their groups, and of how many videos they are."""

    predictor: str
    values: NDArray[np.float64]
    groups: Sequence[str]
    num_videos: int


class _Measure(NamedTuple):
    name: str
    require_comparable: Callable[[TrainedRun, TrainedRun], None]
    score: Callable[[TrainedRun, SelectedVideos, TrainedRun, EvaluationOptions], _Score]


def _require_comparable(runs: Sequence[TrainedRun]) -> _Measure:
    """Return what runs are compared by; raise ConfigError, naming two of them, if they cannot be."""
    first, *others = runs
    measure = _MEASURES[first.description.kind]
    for run in runs:
        EVALUATORS[run.description.kind].check(run, EvaluationOptions())
    for other in others:
        kinds = first.description.kind, other.description.kind
        if kinds[0] != kinds[1]:
            raise ConfigError(
                f"{first.folder} is a {kinds[0]} and {other.folder} a {kinds[1]}; compare runs of one kind"
            )
        measure.require_comparable(first, other)
    return measure


def _require_same_classes(first: TrainedRun, other: TrainedRun) -> None:
    ours, theirs = first.description.classes, other.description.classes
    if ours != theirs:
        alone = [
            f"{run.folder} alone has {some_names(names)}"
            for run, names in ((first, sorted({*ours} - {*theirs})), (other, sorted({*theirs} - {*ours})))
            if names
        ]
        raise ConfigError(
            f"{first.folder} and {other.folder} differ in their classes: {', '.join(alone)}; compare runs of the same "
            "classes"
        )


def _require_same_prediction(first: TrainedRun, other: TrainedRun) -> None:
    objectives = _objective_of(first), _objective_of(other)
    if objectives[0] != objectives[1]:
        raise ConfigError(
            f"{first.folder} is measured by its objective {objectives[0]}, {other.folder} by {objectives[1]}; compare "
            "runs of the same objective"
        )
    ours, theirs = first.description.windows, other.description.windows
    for name in ("context", "num_future"):
        if ours[name] != theirs[name]:
            raise ConfigError(
                f"windows.{name} is {ours[name]} in {first.folder} and {theirs[name]} in {other.folder}; compare runs "
                "that predict the same frames"
            )


def _require_features(runs: Sequence[TrainedRun], features: Features) -> None:
    for run in runs:
        try:
            run.require_features(features)
        except FeatureFileError as error:
            raise FeatureFileError(f"{run.folder} cannot be compared on {error}") from error


def _common_videos(runs: Sequence[TrainedRun], features: Features, options: EvaluationOptions) -> SelectedVideos:
    """Return the videos that every run may be measured on."""
    every = [select_videos(run.folder, features, options) for run in runs]
    fewest_groups = min(every, key=lambda one: len(set(one.annotated.groups)))
    common = sorted(set.intersection(*(set(one.indices) for one in every)))
    if not common:
        raise InputError(
            f"{features.path}: of each video one of the {len(runs)} runs was trained on it, or its weights were chosen "
            "by it; give features of others"
        )
    of_first = every[0]
    num_left_out = of_first.num_left_out + _num_sources(features, of_first.indices) - _num_sources(features, common)
    which = "videos that no run was trained on" if of_first.which == NOT_TRAINED_ON else of_first.which
    selected = replace(fewest_groups, indices=common, which=which, num_left_out=num_left_out)
    return EVALUATORS[runs[0].description.kind].select(runs[0], selected)


def _segmental_f1(run: TrainedRun, selected: SelectedVideos, first: TrainedRun, options: EvaluationOptions) -> _Score:
    """Return the segmental F1 at 50 % overlap of each video that is annotated."""
    predicted = predicted_videos(run, selected, options)
    scores = [video_f1(one, len(run.description.classes)) for one in predicted]
    return _Score(predictor_of(run.folder), np.array(scores), [one.group for one in predicted], len(scores))


def _accuracy(run: TrainedRun, selected: SelectedVideos, first: TrainedRun, options: EvaluationOptions) -> _Score:
    """Return whether what predicts is right, 0 or 1, for each source video."""
    classifier = ClassifierRun(run.folder, run.models, run.description, Predictor.load(run.folder))
    labels, groups = selected.annotated.labels, selected.annotated.groups
    found = classifier.predict(selected.features, selected.indices, device=run.device, groups=groups)
    classes = run.description.classes
    right = [classes[int(of_video.argmax())] == labels[video] for video, of_video in found.items()]
    return _Score(
        str(classifier.predictor), np.array(right, dtype=np.float64), [groups[video] for video in found], len(found)
    )


def _saved_error(run: TrainedRun, selected: SelectedVideos, first: TrainedRun, options: EvaluationOptions) -> _Score:
    """Return the share of the error of repeating the last frame that a pretraining saves in each window."""
    lengths, groups = run.description.windows, selected.annotated.groups
    num_context, num_future = lengths["context"], lengths["num_future"]
    stride = first.description.windows["stride"]  # so that all runs have the same windows
    windows = sliding_windows(selected.features, selected.indices, length=num_context + num_future, stride=stride)
    require_windows(windows, name="selected", advice="give longer videos")
    batches = FeatureBatchSet(windows, VideoNumbers.of(groups), run.device)
    errors = window_errors(run.model, batches, num_context=num_context, num_future=num_future, device=run.device)
    objective = _objective_of(run)
    saved = errors.saved(objective, PERSISTENCE)
    num_videos = _num_sources(selected.features, windows.videos)
    return _Score(objective, saved, [groups[video] for video in windows.videos.tolist()], num_videos)


def _num_sources(features: Features, videos: Sequence[int] | NDArray[np.int64]) -> int:
    return len(np.unique(features.source_videos[videos]))


def _objective_of(run: TrainedRun) -> str:
    """Return what a pretraining is compared by; raise ConfigError if it emits no frames."""
    network = run.model.network
    assert isinstance(network, PretrainingNetwork)
    if not network.frame_objectives:
        raise ConfigError(
            f"{run.folder}: no objective of it emits frames; compare the classifiers that are fine-tuned from it"
        )
    return main_objective(network.frame_objectives)


_MEASURES = {
    "segmentation": _Measure("segmental F1 at 50 % overlap per video", _require_same_classes, _segmental_f1),
    "classifier": _Measure("accuracy per video", _require_same_classes, _accuracy),
    "pretraining": _Measure("squared error saved against persistence", _require_same_prediction, _saved_error),
}


def _differing_settings(folders: Sequence[Path]) -> dict[str, list[str]]:
    """Return what is not the same in all runs: settings as they were trained with, and their number of videos."""
    every = [_recorded(folder) for folder in folders]
    keys = sorted(set().union(*every))
    values = {key: [of_run.get(key, "-") for of_run in every] for key in keys}
    return {key: of_runs for key, of_runs in values.items() if len(set(of_runs)) > 1}


def _recorded(folder: Path) -> dict[str, str]:
    """Read the settings of a run, of its first model where it has several, and how many videos it used."""
    member = member_folders(folder)[0]
    path = member / CONFIG_NAME
    try:
        settings = _dotted(tomllib.loads(path.read_text(encoding="utf-8")))
        path = member / VIDEOS_NAME
        with path.open(encoding="utf-8", newline="") as file:
            num_videos = sum(row["split"] != "test" for row in csv.DictReader(file))
    except (OSError, KeyError, UnicodeDecodeError, tomllib.TOMLDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read ({error}); is it a run folder?") from error
    return settings | {"videos trained on": str(num_videos)}


def _dotted(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    dotted: dict[str, str] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            dotted |= _dotted(value, f"{prefix}{key}.")
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            dotted[prefix + key] = text[:_HASH_LENGTH] if key.endswith("sha256") else text
    return dotted
