"""The videos of a study: those that a draw may label, and those that test.

Shapes: V videos of the features, S source videos of split "test".
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...config.settings import FinetuneConfig
from ...errors import LabelError, some_names
from ...features.annotations import Annotation
from ...features.groups import GroupRule
from ...features.store import Features
from ...metrics.intervals import LEAST_GROUPS
from ...metrics.video_features import source_numbers
from ...sequences.split import VideoSplit
from ...training.finetuning_data import FinetuneVideos, labeled_videos
from ...training.preparation import require_sound

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class StudyVideos:
    """Labeled videos with frames: `train` may be labeled by a draw, `test` measures. Both are indices of the features.

    labeled: all of them, with their classes and groups.
    """

    labeled: FinetuneVideos
    train: list[int]
    test: list[int]

    @classmethod
    def of(
        cls, features: Features, annotations: Mapping[str, Annotation] | None, group_rule: GroupRule
    ) -> "StudyVideos":
        """Take the videos of splits train and validation as `train`; those of split test as `test`.

        Raises LabelError if no labeled video is of split "test" or the others have fewer than two labels, and what
        `finetune` raises for labels and features.
        """
        labeled = labeled_videos(
            features, replace(FinetuneConfig(), test_fraction=0.0), annotations=annotations, group_rule=group_rule
        )
        if not labeled.split.test:
            raise LabelError(
                f"{features.path}: no labeled video has the split 'test', on which a study measures all methods; give "
                "--labels FILE.csv with a column split, or --splits FOLDER"
            )
        with_frames = [row.length > 0 for row in features.videos]
        train = [video for video in sorted(labeled.split.train + labeled.split.validation) if with_frames[video]]
        test = _known(labeled, [video for video in labeled.split.test if with_frames[video]])
        require_sound(features, test)
        videos = cls(labeled=labeled, train=train, test=test)
        if len(set(videos.test_groups)) < LEAST_GROUPS:
            _log.warning(
                "no intervals: the test videos are in %d groups, and fewer than %d show too little",
                len(set(videos.test_groups)),
                LEAST_GROUPS,
            )
        return videos

    @property
    def features(self) -> Features:
        """What the videos are of."""
        return self.labeled.features

    @property
    def classes(self) -> NDArray[np.int64]:
        """The class of each video, (V,), -1 for none."""
        assert self.labeled.numbers.classes is not None
        return self.labeled.numbers.classes

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.labeled.classes)

    @cached_property
    def test_sources(self) -> list[int]:
        """The first video of each test source, (S,): crops of one video are measured as one."""
        first, _ = source_numbers(self.features, self.test)
        return [self.test[position] for position in first]

    @property
    def true(self) -> NDArray[np.int64]:
        """The class of each test source, (S,)."""
        return self.classes[self.test_sources]

    @property
    def test_groups(self) -> list[str]:
        """The group of each test source, (S,)."""
        return [self.labeled.annotated.groups[video] for video in self.test_sources]

    def with_labels(self, labeled: list[int]) -> FinetuneVideos:
        """Return the videos for a training on some of them."""
        return self.labeled.with_split(VideoSplit(train=labeled, validation=[], test=self.test))


def _known(labeled: FinetuneVideos, test: list[int]) -> list[int]:
    """Leave out test videos with a label that no training video has."""
    assert labeled.numbers.classes is not None
    known = [video for video in test if labeled.numbers.classes[video] >= 0]
    labels = labeled.annotated.labels
    if len(known) < len(test):
        unknown = some_names(sorted({labels[video] for video in set(test) - set(known)}))
        _log.warning("test videos are left out whose label no training video has: %s", unknown)
    if not known:
        raise LabelError(
            f"{labeled.features.path}: no test video has a label of the training videos, which are "
            f"{some_names(labeled.classes)}; give --labels or --splits"
        )
    return known
