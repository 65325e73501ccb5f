"""What a classifier run predicts with: its LSTM, which may be an ensemble, a linear baseline, or the average of both.

Shapes: W windows, S source videos, K classes.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import InputError
from ..features.store import Features
from ..files import write_text
from ..models.description import ModelDescription
from ..models.members import member_folders
from ..models.pretrained import PretrainedEncoders
from ..models.saved import TrainedModel, load_model
from ..sequences.windows import VideoWindows
from .baselines import Baselines, baseline_encoders, load_baselines
from .classification import average_over_windows, classification_windows, classify_windows
from .cross_validation import mean_by_number

PREDICTOR_NAME, PRETRAINED_NAME = "predictor.json", "pretrained"
PredictorKind = Literal["lstm", "linear", "average"]
_FORMAT, _VERSION = "vidrep-predictor", 1


@dataclass(frozen=True)
class Predictor:
    """Which of a run's classifiers predicts; linear: the name of the baseline that does, or that is averaged with."""

    kind: PredictorKind = "lstm"
    linear: str = ""

    def __str__(self) -> str:
        names = {"lstm": "LSTM", "linear": self.linear, "average": f"average of LSTM and {self.linear}"}
        return names[self.kind]

    def save(self, folder: Path) -> None:
        """Write it into a run folder; raises OutputError if that is impossible."""
        content = {"format": _FORMAT, "version": _VERSION, **asdict(self)}
        write_text(folder / PREDICTOR_NAME, json.dumps(content, indent=2, ensure_ascii=False) + "\n")

    @classmethod
    def load(cls, folder: Path) -> "Predictor":
        """Read it from a run folder; a run without one predicts with its LSTM.

        Raises InputError if it cannot be read.
        """
        path = folder / PREDICTOR_NAME
        if not path.is_file():
            return cls()
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            found = content.pop("format"), content.pop("version")
            predictor = cls(**content)
            if found != (_FORMAT, _VERSION) or predictor.kind not in ("lstm", "linear", "average"):
                raise ValueError(f"{found[0]} version {found[1]}, predictor {predictor.kind!r}")
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"{path}: names no predictor ({error})") from error
        return predictor


@dataclass(frozen=True)
class ClassifierRun:
    """A finished classifier run: its networks, whose probabilities are averaged, and what predicts."""

    folder: Path
    models: Sequence[TrainedModel]
    description: ModelDescription
    predictor: Predictor

    @classmethod
    def load(cls, folder: Path) -> "ClassifierRun":
        """Read a run folder; raises as `load_model` and `Predictor.load` do."""
        loaded = [load_model(member) for member in member_folders(folder)]
        return cls(folder, [model for model, _ in loaded], loaded[0][1], Predictor.load(folder))

    def windows(self, features: Features, videos: Sequence[int]) -> VideoWindows:
        """Cut the windows that the networks read."""
        return classification_windows(features, videos, self.description)

    def classify(
        self, windows: VideoWindows, *, device: torch.device, shuffle_seed: int | None = None
    ) -> NDArray[np.float64]:
        """Return the class probabilities of all windows by the networks, (W, K); see `classify_windows`."""
        every = [classify_windows(one, windows, device=device, shuffle_seed=shuffle_seed) for one in self.models]
        mean: NDArray[np.float64] = np.mean(every, axis=0)
        return mean

    def baselines(
        self, features: Features, videos: Sequence[int], *, device: torch.device, names: Sequence[str] | None = None
    ) -> dict[str, NDArray[np.float64]]:
        """Return what each baseline makes of each source video, {name: (S, K)}, in the order of the videos.

        names: which baselines, all if None.
        """
        loaded = load_baselines(self.folder)
        if names is not None:
            loaded = Baselines(tuple(one for one in loaded.every if one.name in names))
        start = PretrainedEncoders.load([self.folder / PRETRAINED_NAME]) if loaded.need_encoders else None
        of_videos = loaded.probabilities(features, videos, baseline_encoders(start), device=device)
        read = [number for number, video in enumerate(videos) if features.videos[video].length]
        sources = features.source_videos[[videos[number] for number in read]]
        numbers = np.unique(sources, return_inverse=True)[1]
        num_sources = int(numbers.max()) + 1 if len(numbers) else 0
        return {name: mean_by_number(found[read], numbers, num_sources) for name, found in of_videos.items()}

    def predict(
        self, features: Features, videos: Sequence[int], *, device: torch.device
    ) -> dict[int, NDArray[np.float64]]:
        """Return the class probabilities of each source video by what predicts: {index of its first video: (K,)}."""
        windows = self.windows(features, videos)
        if len(windows) == 0:
            return {}
        of_lstm = average_over_windows(windows, self.classify(windows, device=device))
        if self.predictor.kind == "lstm":
            return of_lstm
        of_linear = self.baselines(features, videos, device=device, names=[self.predictor.linear])
        return dict(zip(of_lstm, self.chosen(np.stack(list(of_lstm.values())), of_linear), strict=True))

    def chosen(
        self, of_lstm: NDArray[np.float64], of_baselines: Mapping[str, NDArray[np.float64]]
    ) -> NDArray[np.float64]:
        """Return what predicts, from what the LSTM, (S, K), and baselines by name, (S, K) each, make of videos."""
        if self.predictor.kind == "lstm":
            return of_lstm
        linear = of_baselines[self.predictor.linear]
        return linear if self.predictor.kind == "linear" else (of_lstm + linear) / 2
