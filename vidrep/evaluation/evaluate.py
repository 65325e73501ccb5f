"""Metrics of a trained run on videos that it did not train on, with baselines beside them."""

import logging
from collections.abc import Mapping
from pathlib import Path

from ..devices import choose_device, torch_settings
from ..errors import ConfigError, InputError, LabelError, some_names
from ..features.annotations import AnnotatedVideos, Annotation, annotate
from ..features.groups import GroupRule
from ..features.store import Features, opened
from ..progress import ProgressListener, ignore_progress
from ..segments.segment import Annotations
from ..training.nested_validation import FOLDS_FOLDER, RESULTS_NAME
from ..training.preparation import require_sound
from ..training.run_videos import UsedVideos, read_used_videos
from .kinds import EVALUATORS, Evaluation
from .request import EvaluationOptions, SelectedVideos, TrainedRun

_log = logging.getLogger(__name__)

NOT_TRAINED_ON = "videos that the run was not trained on"


def evaluate(
    run: Path | str,
    features: Features | Path | str | None = None,
    *,
    mnist: Path | str | None = None,
    num_digits: int | None = None,
    num_sequences: int = 10_000,
    seed: int = 1,
    num_future: int | None = None,
    split: str | None = None,
    annotations: Mapping[str, Annotation] | None = None,
    segments: Annotations | None = None,
    group_pattern: str | None = None,
    group_blocks: int | None = None,
    shuffle_frames: bool = False,
    probe: bool = False,
    filmstrip: Path | str | None = None,
    errors: Path | str | None = None,
    predictions: Path | str | None = None,
    reliability: Path | str | None = None,
    device: str = "auto",
    threads: int | None = None,
    on_progress: ProgressListener = ignore_progress,
) -> Evaluation:
    """Measure a run on the videos of `features` that it did not train on, or on Moving MNIST of the test digits.

    mnist: a folder with the IDX files of MNIST, in place of features: a pretraining is measured on `num_sequences`
        sequences, those that `generate_moving_mnist` writes for the same digits and seed, with the run's own canvas and
        displacement and `num_digits` digits; None takes the run's own number, or 2.
    num_future: frames that a pretraining predicts, if not as many as in training.
    split: measure on the videos of this split, whatever the run was trained on. None takes those of split "test" if
        there are any, else all; videos that trained the run, or by which its weights were chosen, are left out, in the
        second case with the other videos of their groups.
    annotations, group_pattern, group_blocks: labels, splits and groups in place of the file's; for None, those of the
        lists that the run was trained with by --labels or --splits, as they are now. A rule that made the groups in
        training makes them here too, unless another is given.
    segments: annotations with time for a run that labels frames, of `vidrep.read_segments`; for None, those that it was
        trained with, as they are now.
    shuffle_frames: classify windows whose frames are in random order (seed 0), to measure what their order is worth.
    probe: measure also what classifiers make of a pretraining's frozen encoder, see `vidrep.evaluation.probe`.
    filmstrip: a PNG of a few windows, the true frames above those that a pretraining emits.
    errors, predictions: CSV files of the videos that a classifier takes for another class than they have, the worst
        first, and of all videos in their order, with the probability of each class. Of a run that labels frames: of
        the bouts that it missed or that are wrong, and of all bouts, see `BoutResult`.
    reliability: a PNG that shows how well a classifier's probabilities agree with its accuracy.

    A video is identified as one that the run was trained on by its content: its rows of features or its source file.
    How many of those have another label now than a classifier learned is logged.

    Raises InputError if no video is left or the run is not one for such sequences, FeatureFileError if the features do
    not fit the run, are damaged or are not finite, LabelError for a probe without labels, ConfigError for options that
    are unknown or contradict the run.
    """
    if (features is None) == (mnist is None):
        raise ConfigError("give a run either features or a folder of MNIST digits to be measured on, one of the two")
    options = EvaluationOptions(
        mnist=_path(mnist),
        num_digits=num_digits,
        num_sequences=num_sequences,
        seed=seed,
        num_future=num_future,
        split=split,
        annotations=annotations,
        segments=segments,
        group_rule=GroupRule(group_pattern, group_blocks),
        shuffle_frames=shuffle_frames,
        probe=probe,
        filmstrip=_path(filmstrip),
        errors=_path(errors),
        predictions=_path(predictions),
        reliability=_path(reliability),
        on_progress=on_progress,
    )
    with torch_settings(choose_device(device), threads=threads) as settings:
        trained = TrainedRun.load(Path(run), settings.device)
        evaluator = EVALUATORS[trained.description.kind]
        evaluator.check(trained, options)
        if features is None:
            return evaluator.on_sequences(trained, options)
        features = opened(features)
        trained.require_features(features)
        _warn_of_training_digits(features)
        options = evaluator.with_lists(trained, features, options)
        selected = select_videos(trained.folder, features, options)
        selected = evaluator.select(trained, selected)
        require_sound(features, selected.indices)
        return evaluator.on_features(trained, selected, options)


def _path(given: Path | str | None) -> Path | None:
    return None if given is None else Path(given)


def _warn_of_training_digits(features: Features) -> None:
    if (features.settings.get("kind"), features.settings.get("digits")) == ("moving-mnist", "train"):
        _log.warning(
            "%s: made from the training digits of MNIST, which the run may have been trained on; for figures of unseen "
            "digits give --mnist FOLDER, or features of vidrep extract moving-mnist --digits test",
            features.path,
        )


def select_videos(run: Path, features: Features, options: EvaluationOptions) -> SelectedVideos:
    """Return the videos to measure a run on: of the split that is asked for, else those that it did not train on.

    Raises InputError if there are none.
    """
    before, split = read_used_videos(run), options.split
    annotated = _annotated(features, options, before)
    used = {
        index
        for index, row in enumerate(features.videos)
        if row.checksum in before.content or (row.source_sha256 and row.source_sha256 in before.content)
    }
    if split is not None:
        chosen = [index for index, name in enumerate(annotated.splits) if name == split]
        if not chosen:
            raise InputError(f"{features.path}: no video has the split {split!r}; give --labels or --splits")
        if used.intersection(chosen):
            _log.warning("the run was trained on %d of these %d videos", len(used.intersection(chosen)), len(chosen))
        return SelectedVideos(features, annotated, chosen, f"videos of split {split!r}", 0)
    has_test = "test" in annotated.splits
    candidates = [index for index in range(len(features)) if not has_test or annotated.splits[index] == "test"]
    groups = before.groups | {annotated.groups[index] for index in used}
    if not has_test:
        used = {index for index in candidates if annotated.groups[index] in groups}
    chosen = [index for index in candidates if index not in used]
    # A video without a hash is a group by its key, which says nothing of another file's video of that name.
    named = {
        annotated.groups[index] for index in chosen if annotated.groups[index] != features.videos[index].source_key
    }
    if divided := sorted(groups & named):
        names = some_names(divided)
        _log.warning("the given splits divide %d groups, and are kept: %s trained the run too", len(divided), names)
    if not chosen:
        of_folds = run / FOLDS_FOLDER / RESULTS_NAME
        tested = f", or read {of_folds}: what its folds tested" if of_folds.is_file() else ""
        raise InputError(
            f"{features.path}: the run was trained on, or its weights were chosen by, all of its videos; give features "
            f"of others{tested}"
        )
    which = "videos of split 'test'" if has_test else NOT_TRAINED_ON
    sources = features.source_videos
    num_left_out = len({*sources[candidates].tolist()} - {*sources[chosen].tolist()})
    return SelectedVideos(features, annotated, chosen, which, num_left_out)


def _annotated(features: Features, options: EvaluationOptions, before: UsedVideos) -> AnnotatedVideos:
    """Annotate features, whose groups are made as in training unless a rule is given."""
    if not options.group_rule.is_given and before.group_rule.is_given:
        try:
            return annotate(features, options.annotations, before.group_rule)
        except LabelError as error:
            _log.warning("groups are not made as in training: %s", error)
    return annotate(features, options.annotations, options.group_rule)
