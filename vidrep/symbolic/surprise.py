"""The surprise of frames: how far each is from what a pretrained run predicts of it from the frames before."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..errors import InputError
from ..extraction.compatibility import require_same_features
from ..features.store import Features
from ..metrics.prediction import window_errors
from ..metrics.window_errors import FUTURE, MODEL
from ..models.members import member_folders
from ..models.pretraining import PretrainingNetwork
from ..models.saved import WEIGHTS_NAME, TrainedModel, load_model
from ..sequences.batches import FeatureBatchSet, VideoNumbers
from ..sequences.windows import sliding_windows
from .abba import Floats


@dataclass(frozen=True)
class NextFramePredictor:
    """A run that predicts the future, of several models the first, and the number of frames that it reads for that."""

    model: TrainedModel
    num_context: int

    @classmethod
    def load(cls, run: Path, features: Features) -> "NextFramePredictor":
        """Read a run folder; raises InputError if it predicts no frames, FeatureFileError if it is of others, and as
        `load_model` does."""
        model, description = load_model(_model_folder(run))
        network = model.network
        if not isinstance(network, PretrainingNetwork) or FUTURE not in network.frame_objectives:
            raise InputError(
                f"{run}: does not predict frames; give a run of `vidrep train` with the objective {FUTURE}"
            )
        require_same_features(features, description)
        return cls(model, network.num_context)

    def errors(self, features: Features, video: int) -> Floats:
        """Return the squared error of each frame of a video but the first `num_context`, in the model's own units."""
        windows = sliding_windows(features, [video], length=self.num_context + 1, stride=1)
        if not len(windows):
            return np.zeros(0)
        device = torch.device("cpu")
        batches = FeatureBatchSet(windows, VideoNumbers.of(features.paths), device)
        errors = window_errors(self.model, batches, num_context=self.num_context, num_future=1, device=device)
        return errors.by_objective[FUTURE][MODEL]


def weights_digest(run: Path) -> str:
    """Return a hash of the weights of the model that a run predicts frames with; raises InputError without one."""
    path = _model_folder(run) / WEIGHTS_NAME
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(f"{run}: not a finished run ({path.name}: {error.strerror})") from error


def _model_folder(run: Path) -> Path:
    return member_folders(run)[0]
