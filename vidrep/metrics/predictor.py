"""What a classifier run predicts with: its LSTM, which may be an ensemble, a linear baseline, or the average of both.

Shapes: W windows, S source videos, K classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from ..errors import InputError
from ..features.groups import choose_groups
from ..features.store import Features
from ..files import writing_file
from ..models.description import NETWORK_KINDS, ModelDescription, read_description
from ..models.logistic_regression import DEFAULT_COST, LinearClassifier
from ..models.members import member_folders
from ..models.pretrained import PretrainedEncoders
from ..models.saved import TrainedModel, load_model
from ..sequences.windows import VideoWindows
from .baselines import baseline_encoders, load_baselines
from .centering import log_alone, shared_groups
from .classification import average_over_windows, classification_windows, classify_windows
from .cross_validation import at_temperature, mean_by_number
from .predictor_file import PredictorKind, predictor_name, read_predictor, unusable_predictor, write_predictor
from .video_features import VIDEO_FEATURES, frames_of

PRETRAINED_NAME = "pretrained"
_WEIGHTS_NAME = "predictor.safetensors"
# Why runs of other kinds are none.
_OTHER_KINDS = {
    "pretraining": "which has no classes; `vidrep finetune` makes a classifier of it with --from",
    "segmentation": "which labels moments rather than whole videos; `vidrep predict` finds bouts with it",
}


@dataclass(frozen=True)
class Predictor:
    """Which of a run's classifiers predicts: its LSTM, logistic regression, or the average of their probabilities.

    reads, C: what logistic regression reads of a video, a name of VIDEO_FEATURES, and what it was fitted with.
    temperature: of the LSTM's probabilities, see `at_temperature`. linear: the fitted logistic regression, None if the
    LSTM predicts alone. final_temperature: of the probabilities of a linear part, or of an average, as a whole.
    """

    kind: PredictorKind = "lstm"
    reads: str = ""
    C: float = 0.0
    temperature: float = 1.0
    linear: LinearClassifier | None = field(default=None, compare=False)
    final_temperature: float = 1.0

    @classmethod
    def without_choice(cls, wanted: PredictorKind | Literal["auto"]) -> "Predictor":
        """Return what predicts where nothing is cross-validated: the wanted kind, the LSTM for "auto"."""
        return cls(wanted, "ordered bins", DEFAULT_COST) if wanted == "linear" or wanted == "average" else cls()

    def __str__(self) -> str:
        return predictor_name(self.kind, self.reads)

    @property
    def uncalibrated(self) -> "Predictor":
        """The same without temperatures."""
        return replace(self, temperature=1.0, final_temperature=1.0)

    def save(self, folder: Path) -> None:
        """Write it into a run folder; raises OutputError if that is impossible."""
        if self.linear is not None:
            content = save({"weight": self.linear.weight, "bias": self.linear.bias})
            with writing_file(folder / _WEIGHTS_NAME, num_bytes=len(content)) as file:
                file.write_at(content, 0)
        write_predictor(
            folder,
            self.kind,
            self.reads,
            C=self.C,
            temperature=self.temperature,
            final_temperature=self.final_temperature,
        )

    @classmethod
    def load(cls, folder: Path) -> "Predictor":
        """Read it from a run folder; a run without one predicts with its LSTM.

        Raises InputError if it cannot be read.
        """
        found = read_predictor(folder)
        if not found or found["kind"] == "lstm":
            return cls(**found)
        try:
            if found["reads"] not in VIDEO_FEATURES:
                raise ValueError(f"{found['reads']!r} is no feature of videos")
            return cls(**found, linear=LinearClassifier(**load_file(folder / _WEIGHTS_NAME)))
        except (OSError, ValueError, TypeError, SafetensorError) as error:
            raise unusable_predictor(folder, error) from error

    def combined(self, of_lstm: NDArray[np.float64], features: Features, videos: Sequence[int]) -> NDArray[np.float64]:
        """Return what predicts, (S, K), from what the LSTM makes of each source of some videos, (S, K).

        Sources are in their order; those without frames are left out.
        """
        if self.kind == "lstm":
            return self.mixed(of_lstm, None)
        assert self.linear is not None
        read = [video for video in videos if features.videos[video].length]
        numbers = np.unique(features.source_videos[read], return_inverse=True)[1]
        rows = VIDEO_FEATURES[self.reads].rows
        found = np.stack([self.linear.probabilities(rows(frames_of(features, video))).mean(axis=0) for video in read])
        return self.mixed(of_lstm, mean_by_number(found, numbers, len(of_lstm)))

    def mixed(self, of_lstm: NDArray[np.float64], of_linear: NDArray[np.float64] | None) -> NDArray[np.float64]:
        """Return what predicts from what each part makes of some videos or windows; of_linear: None for the LSTM."""
        of_lstm = at_temperature(of_lstm, self.temperature)
        if of_linear is None:
            return of_lstm
        mixed = of_linear if self.kind == "linear" else (of_lstm + of_linear) / 2
        return at_temperature(mixed, self.final_temperature)


@dataclass(frozen=True)
class ClassifierRun:
    """A finished classifier run: its networks, whose probabilities are averaged, and what predicts."""

    folder: Path
    models: Sequence[TrainedModel]
    description: ModelDescription
    predictor: Predictor

    @classmethod
    def load(cls, folder: Path) -> "ClassifierRun":
        """Read a run folder.

        Raises InputError for a run of another kind, and as `load_model` and `Predictor.load` do.
        """
        members = member_folders(folder)
        if (kind := read_description(members[0]).kind) != "classifier":
            raise InputError(f"{folder}: {NETWORK_KINDS[kind].noun}, {_OTHER_KINDS[kind]}")
        return cls.of_members(folder, members, Predictor.load(folder))

    @classmethod
    def of_members(cls, folder: Path, members: Sequence[Path], predictor: Predictor) -> "ClassifierRun":
        """Read the models of a run whose training need not be finished; raises as `load_model` does."""
        loaded = [load_model(member) for member in members]
        return cls(folder, [model for model, _ in loaded], loaded[0][1], predictor)

    def windows(self, features: Features, videos: Sequence[int]) -> VideoWindows:
        """Cut the windows that the networks read."""
        return classification_windows(features, videos, self.description)

    def classify(
        self,
        windows: VideoWindows,
        *,
        device: torch.device,
        shuffle_seed: int | None = None,
        groups: Sequence[str] | None = None,
    ) -> NDArray[np.float64]:
        """Return the class probabilities of all windows by the networks, (W, K); see `classify_windows`.

        A run with `classifier.center_groups` centers the windows of each group by their mean (transductive: the
        prediction for a clip depends on which clips of its group are here); how many videos are alone is logged.

        groups: (V,), of all videos of the features; None: those that the features name, else each source video's own.
        """
        numbers = self._shared_groups(windows, groups) if self.description.head.get("center_groups") else None
        every = [
            classify_windows(one, windows, device=device, shuffle_seed=shuffle_seed, groups=numbers)
            for one in self.models
        ]
        mean: NDArray[np.float64] = np.mean(every, axis=0)
        return mean

    def _shared_groups(self, windows: VideoWindows, groups: Sequence[str] | None) -> NDArray[np.int64]:
        features = windows.features
        chosen = choose_groups(features.videos, [""] * len(features)) if groups is None else groups
        numbers = shared_groups(features, windows.videos, chosen)
        log_alone(features, windows.videos, numbers)
        return numbers

    def baselines(
        self, features: Features, videos: Sequence[int], *, device: torch.device
    ) -> dict[str, NDArray[np.float64]]:
        """Return what each baseline makes of each source video, {name: (S, K)}, in the order of the videos."""
        loaded = load_baselines(self.folder)
        start = PretrainedEncoders.load([self.folder / PRETRAINED_NAME]) if loaded.need_encoders else None
        of_videos = loaded.probabilities(features, videos, baseline_encoders(start), device=device)
        read = [number for number, video in enumerate(videos) if features.videos[video].length]
        sources = features.source_videos[[videos[number] for number in read]]
        numbers = np.unique(sources, return_inverse=True)[1]
        num_sources = int(numbers.max()) + 1 if len(numbers) else 0
        return {name: mean_by_number(found[read], numbers, num_sources) for name, found in of_videos.items()}

    def predict(
        self,
        features: Features,
        videos: Sequence[int],
        *,
        device: torch.device,
        groups: Sequence[str] | None = None,
    ) -> dict[int, NDArray[np.float64]]:
        """Return the class probabilities of each source video by what predicts: {index of its first video: (K,)}.

        With `classifier.center_groups`, they depend on which videos of a group are classified together; groups: see
        `classify`.
        """
        windows = self.windows(features, videos)
        if len(windows) == 0:
            return {}
        of_lstm = average_over_windows(windows, self.classify(windows, device=device, groups=groups))
        chosen = self.predictor.combined(np.stack(list(of_lstm.values())), features, videos)
        return dict(zip(of_lstm, chosen, strict=True))
