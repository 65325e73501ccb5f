"""A trained classifier in Python: frames to probabilities, and videos to embeddings.

Shapes: T time, B batch of windows, D values of a frame, K classes, V videos, H width of the encoder's outputs.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..devices import choose_device
from ..errors import InputError
from ..extraction.compatibility import require_same_features
from ..features.store import Features, opened
from ..metrics.predictor import ClassifierRun
from ..metrics.representations import FrozenEncoder, represent
from ..metrics.video_features import VIDEO_FEATURES
from ..models.classifier import Classifier
from ..models.inputs import to_original_units
from ..models.saved import TrainedModel


class LoadedClassifier:
    """A run of `vidrep finetune`, with all of its models and what predicts.

    classes: the names of the K classes. num_frames: of a window, as the run reads them.
    """

    def __init__(self, run: ClassifierRun, device: torch.device) -> None:
        self._run, self._device = run, device
        self.classes = list(run.description.classes)
        self.num_frames = int(run.description.windows["length"])
        for model in run.models:
            model.to(device).eval()

    def __repr__(self) -> str:
        description, models = self._run.description, len(self._run.models)
        shape = "x".join(map(str, description.frame_shape))
        return (
            f"LoadedClassifier({str(self._run.folder)!r}, {len(self.classes)} classes, predictor "
            f"{str(self._run.predictor)!r}, {models} model{'s' if models > 1 else ''}, windows of {self.num_frames} "
            f"frames of {shape} {description.dtype})"
        )

    @torch.inference_mode()
    def __call__(self, frames: Tensor | NDArray[np.generic]) -> NDArray[np.float64]:
        """Return the class probabilities of windows of frames as they are in a feature file: (T, B, D) -> (B, K).

        Each column is one window, or all of a video that is read at once; `vidrep.predict` cuts videos into the windows
        that the run reads. A frame may have its own shape in place of D.

        Raises InputError for frames of another size.
        """
        stored = self._stored(frames)
        every = [self._network(model)(model.inputs(stored)).double().cpu().numpy() for model in self._run.models]
        mean: NDArray[np.float64] = np.mean(every, axis=0)
        predictor = self._run.predictor
        if predictor.linear is None:
            return predictor.mixed(mean, None)
        rows, linear = VIDEO_FEATURES[predictor.reads].rows, predictor.linear
        columns = to_original_units(stored).cpu().numpy().transpose(1, 0, 2)
        return predictor.mixed(mean, np.stack([linear.probabilities(rows(one)).mean(axis=0) for one in columns]))

    @torch.inference_mode()
    def frame_probabilities(self, frames: Tensor | NDArray[np.generic]) -> NDArray[np.float64]:
        """Return the networks' class probabilities at every frame: (T, B, D) -> (T, B, K).

        Those of a frame depend on the frames before it, not on later ones. With a bidirectional encoder, and one that
        learned by collocation, whose attention is over the whole window, they depend on all frames that are given.

        Raises InputError for frames of another size, and for a run whose head has none for single frames.
        """
        stored = self._stored(frames)
        found = []
        for model in self._run.models:
            network = self._network(model)
            logits = network.head.frame_logits(network.encoder(model.inputs(stored))[0])
            if logits is None:
                head = self._run.description.head["name"]
                raise InputError(
                    f"{self._run.folder}: its head, {head}, has no probabilities of frames; every_step has them"
                )
            found.append(logits.softmax(dim=-1).double().cpu().numpy())
        mean: NDArray[np.float64] = np.mean(found, axis=0)
        return mean

    def embed(self, features: Features | Path | str) -> NDArray[np.float32]:
        """Return what the encoders make of each video, (V, H), in the order of `features.paths`.

        It is the top layer's output after the last frame of a window (of a backward direction, after the first), on
        average over the video's windows, with those of several models side by side; NaN for a video without a frame.

        Raises FeatureFileError for features that are not those of the run.
        """
        features, description = opened(features), self._run.description
        require_same_features(features, description)
        embedded = []
        for model in self._run.models:
            frozen = FrozenEncoder.of(description, model.inputs, self._network(model).encoder)
            found = represent(frozen, features, range(len(features)), device=self._device)["last h"]
            of_model = np.full((len(features), found.rows.shape[1]), np.nan, dtype=np.float32)
            of_model[found.videos] = found.rows
            embedded.append(of_model)
        return np.concatenate(embedded, axis=1)

    def _stored(self, frames: Tensor | NDArray[np.generic]) -> Tensor:
        stored = torch.as_tensor(frames).to(self._device)
        stored = stored.flatten(2) if stored.ndim > 2 else stored
        wanted = self._run.description.frame_size
        if stored.ndim != 3 or stored.shape[2] != wanted or not len(stored):
            raise InputError(
                f"{self._run.folder}: frames of shape {tuple(frames.shape)}; it takes (time, windows, {wanted})"
            )
        return stored

    @staticmethod
    def _network(model: TrainedModel) -> Classifier:
        assert isinstance(model.network, Classifier)
        return model.network


def load_classifier(run: Path | str, *, device: str = "auto") -> LoadedClassifier:
    """Load a run of `vidrep finetune` for use in Python; raises InputError if it is none, or is damaged."""
    loaded = ClassifierRun.load(Path(run))
    return LoadedClassifier(loaded, choose_device(device))
