"""What a study compares: ways to learn from the videos that a draw labels, and to classify the test videos.

Shapes: S source videos of split "test", H values of a representation.
"""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from ...config.settings import FinetuneConfig
from ...devices import choose_device
from ...errors import ConfigError, FeatureFileError, InputError
from ...extraction.compatibility import require_same_features
from ...metrics.cross_validation import VideoRows
from ...metrics.predictor import ClassifierRun
from ...metrics.representations import FrozenEncoder, represent
from ...metrics.row_classifiers import LabeledVideos, fit_best
from ...metrics.video_features import source_numbers, video_rows
from ...models.pretrained import PretrainedEncoders
from ...training.candidates import candidates
from ...training.classifier_training import train_classifier
from ...training.loop import never
from ...training.run import RunFolder
from ...training.run_videos import read_used_videos
from ...training.session import SessionOptions
from ...training.trials import with_steps
from .videos import StudyVideos

SCRATCH = "LSTM from scratch"
BASELINES = ("mean feature", "ordered bins")
"""Linear baselines, by the names of VIDEO_FEATURES."""

_FOLDS_SEED = 0
# Test videos whose features are in memory at once, and videos that are encoded at once.
_VIDEOS_AT_ONCE = 200
_OF_LABELED = "the labeled videos alone"


class Method(Protocol):
    """A way to learn from some labeled videos.

    name: what tables call it. is_random: whether a seed changes it. how: what it does. learns_from: which videos.
    """

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def is_random(self) -> bool: ...  # noqa: D102

    @property
    def how(self) -> str: ...  # noqa: D102

    @property
    def learns_from(self) -> str: ...  # noqa: D102

    def predict(self, labeled: Sequence[int], seed: int) -> NDArray[np.int64]:
        """Learn from labeled videos, indices of the features, and return the class of each test source, (S,)."""


@dataclass(frozen=True)
class LinearBaseline:
    """Logistic regression on one vector a video, with C chosen by folds of the labeled videos."""

    name: str
    videos: StudyVideos
    is_random: bool = field(default=False, init=False)
    how: str = field(default="logistic regression, C by folds of the labeled videos", init=False)
    learns_from: str = field(default=_OF_LABELED, init=False)

    def predict(self, labeled: Sequence[int], seed: int) -> NDArray[np.int64]:
        """See `Method`."""
        features = self.videos.features
        rows = {self.name: video_rows(features, labeled, self.name)}
        blocks = [
            {self.name: video_rows(features, some, self.name, most=len(some))} for some in _blocks(self.videos.test)
        ]
        return _fit_and_classify(self.videos, labeled, rows, blocks)


@dataclass(frozen=True)
class ScratchLstm:
    """The most promising candidate of `finetune` without a pretrained run; its last weights are kept.

    config: of that candidate. folder: where it trains, in a folder of this process that is removed.
    """

    videos: StudyVideos
    config: FinetuneConfig
    folder: Path
    device: str
    threads: int
    should_stop: Callable[[], bool] = never
    name: str = field(default=SCRATCH, init=False)
    is_random: bool = field(default=True, init=False)
    how: str = field(default="the first candidate of finetune, its steps by the number of windows", init=False)
    learns_from: str = field(default=_OF_LABELED, init=False)

    @classmethod
    def candidate(cls, config: FinetuneConfig, videos: StudyVideos) -> FinetuneConfig:
        """Return the settings of the candidate; those that were given stay. Raises ConfigError if they allow none."""
        return candidates(config, None, frame_size=videos.features.frame_size)[0].config

    def predict(self, labeled: Sequence[int], seed: int) -> NDArray[np.int64]:
        """See `Method`."""
        videos = self.videos.with_labels(list(labeled))
        config = replace(self.config, training=replace(self.config.training, seed=seed))
        folder = self.folder / str(os.getpid())
        shutil.rmtree(folder, ignore_errors=True)
        options = SessionOptions(device=self.device, threads=self.threads, should_stop=self.should_stop)
        train_classifier(RunFolder(folder), videos, with_steps(config, videos, labeled), None, options)
        trained = ClassifierRun.load(folder)
        found = trained.predict(videos.features, self.videos.test, device=choose_device(self.device))
        shutil.rmtree(folder, ignore_errors=True)
        return np.array([one.argmax() for one in found.values()], dtype=np.int64)


@dataclass(frozen=True)
class FrozenRun:
    """Logistic regression on what the frozen encoders of a run make of videos; C and what it reads are chosen by folds.

    start: the encoders. learns_from: which videos trained them.
    """

    name: str
    videos: StudyVideos
    start: PretrainedEncoders
    learns_from: str
    device: torch.device
    is_random: bool = field(default=False, init=False)
    how: str = field(
        default="logistic regression on the frozen encoder; C and what it reads by folds of the labeled videos",
        init=False,
    )

    @classmethod
    def load(cls, name: str, run: Path, videos: StudyVideos, device: torch.device) -> "FrozenRun":
        """Read a run's encoders.

        Raises FeatureFileError, with the difference, for a run of other features, InputError for one that was trained
        on test videos, ConfigError for one that learned labels of the training videos, and as `load_model` does.
        """
        start = PretrainedEncoders.load([run])
        try:
            require_same_features(videos.features, start.description)
        except FeatureFileError as error:
            raise FeatureFileError(f"{run} cannot be studied on {error}") from error
        of_test, of_train = _num_used(run, videos, videos.test), _num_used(run, videos, videos.train)
        if of_test:
            raise InputError(
                f"{run}: {of_test} of the {len(videos.test_sources)} test videos trained it, if without labels, or "
                "chose its weights; train it with the splits of the study (--labels, --splits)"
            )
        if of_train and start.description.classes:
            raise ConfigError(
                f"{run}: a classifier, which learned the labels of {of_train} videos that a draw may leave unlabeled; "
                "give runs of `vidrep train`"
            )
        others = "the labeled videos, and other videos than these"
        learned = f"the labeled videos, and {of_train} training videos without labels" if of_train else others
        return cls(name, videos, start, learned, device)

    @cached_property
    def _rows(self) -> Mapping[str, NDArray[np.float32]]:
        """The representations, {name: (V, H)}, of the videos that train and test; zeros for all others."""
        frozen, features = FrozenEncoder.pretrained(self.start), self.videos.features
        rows: dict[str, NDArray[np.float32]] = {}
        for some in _blocks([*self.videos.train, *self.videos.test]):
            for name, found in represent(frozen, features, some, device=self.device).items():
                of_all = rows.setdefault(name, np.zeros((len(features), found.rows.shape[1]), dtype=np.float32))
                of_all[np.array(some)[found.videos]] = found.rows
        return rows

    def predict(self, labeled: Sequence[int], seed: int) -> NDArray[np.int64]:
        """See `Method`."""
        return _fit_and_classify(self.videos, labeled, self._of(labeled), [self._of(self.videos.test)])

    def _of(self, videos: Sequence[int]) -> dict[str, VideoRows]:
        return {
            name: VideoRows(rows[list(videos)], np.arange(len(videos)), len(videos))
            for name, rows in self._rows.items()
        }


def _num_used(run: Path, videos: StudyVideos, some: Sequence[int]) -> int:
    """Count the source videos, of some, that trained a run or chose its weights."""
    content, rows = read_used_videos(run).content, videos.features.videos
    used = [video for video in some if {rows[video].checksum, rows[video].source_sha256} & content]
    return len({rows[video].source_key for video in used})


def _blocks(videos: Sequence[int]) -> list[Sequence[int]]:
    return [videos[start : start + _VIDEOS_AT_ONCE] for start in range(0, len(videos), _VIDEOS_AT_ONCE)]


def _fit_and_classify(
    videos: StudyVideos,
    labeled: Sequence[int],
    rows: Mapping[str, VideoRows],
    test: Sequence[Mapping[str, VideoRows]],
) -> NDArray[np.int64]:
    """Fit logistic regression to those rows of labeled videos that do best on folds; classify the test sources, (S,).

    rows: by name, of the positions in `labeled`. test: the same of the test videos, block by block.
    """
    first, numbers = source_numbers(videos.features, labeled)
    groups = [videos.labeled.annotated.groups[labeled[position]] for position in first]
    classes = videos.classes[[labeled[position] for position in first]]
    of_sources = {name: one.renumbered(numbers, len(first)) for name, one in rows.items()}
    fitted = fit_best("linear", of_sources, LabeledVideos.of(classes, groups, videos.num_classes, seed=_FOLDS_SEED))
    of_videos = np.concatenate(
        [one[fitted.reads].mean(fitted.classifier.probabilities(one[fitted.reads].rows)) for one in test]
    )
    _, test_numbers = source_numbers(videos.features, videos.test)
    found = VideoRows(np.empty((0, 0), np.float32), test_numbers, len(videos.test_sources)).mean(of_videos)
    predicted: NDArray[np.int64] = found.argmax(axis=1)
    return predicted
