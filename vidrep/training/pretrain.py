"""Pretraining: the composite model learns, without labels, to reconstruct the past and predict the future."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ..config import PretrainConfig
from ..devices import choose_device, set_threads
from ..errors import InputError
from ..features.labels import Labelling
from ..features.store import Features
from ..models.composite import CompositeModel
from ..models.saved import ModelDescription, ScaledModel, load_model
from ..progress import ProgressListener, ignore_progress
from ..sequences.partition import partition_videos
from ..sequences.resident import CopiedWindows, DeviceWindows, windows_on
from ..sequences.samplers import EndlessSampler
from ..sequences.windows import Windows, cut_windows
from .loop import TrainingOutcome, train
from .prediction import PredictionFigures, prediction_figures
from .preparation import (
    building_model,
    choose_batch_size,
    choose_values,
    fit_scaler,
    lay_over,
    require_sound,
    require_windows,
    seeded,
    thin_out,
)
from .run import RunFolder, RunVideos


@dataclass(frozen=True, kw_only=True)
class PretrainResult:
    """What a pretraining came to: its run folder, how it went, and the best weights' figures on held-apart videos."""

    folder: Path
    outcome: TrainingOutcome
    validation: PredictionFigures
    num_train_videos: int
    num_validation_videos: int
    num_parameters: int


def pretrain(
    features: Features,
    output: Path | str,
    config: PretrainConfig | None = None,
    *,
    device: str = "auto",
    threads: int | None = None,
    listed: Mapping[str, Labelling] | None = None,
    resume: bool = False,
    overwrite: bool = False,
    on_progress: ProgressListener = ignore_progress,
) -> PretrainResult:
    """Train a composite model on features, without their labels, into the run folder `output`.

    Videos whose split is "test" are not touched; a part of the others is held apart, by video, to choose the weights.
    device: "auto", "cpu", "cuda" or "mps". listed: labels and splits laid over the file's. resume: go on from the
    run's checkpoint. overwrite: start anew where a run is.

    Raises InputError if there is no window to train on, FeatureFileError for damaged rows and values that are not
    finite, OutputError for a folder that is in use or a resumed run that was another, TrainingError for a loss that is
    not finite.
    """
    config = config or PretrainConfig()
    run = RunFolder(Path(output))
    run.require_usable(resume=resume, overwrite=overwrite)
    set_threads(threads)
    torch_device = choose_device(device)
    videos = lay_over(features, listed)
    parts = partition_videos(
        [row.path for row in features.videos],
        ["" for _ in features.videos],  # which videos are held apart must not depend on labels
        [split or "train" for split in videos.splits] if any(videos.splits) else videos.splits,
        groups=[row.source_sha256 or row.path for row in features.videos],
        validation_fraction=config.training.validation_fraction,
        test_fraction=0.0,
        seed=config.training.seed,
    )
    if not parts.validation:
        raise InputError(
            f"{features.path}: there is only one video to train on, and one more is needed to choose the weights by; "
            "use more videos"
        )
    length = config.windows.seen + config.windows.predicted
    windows, validation_windows = (
        cut_windows(features, part, length=length, stride=config.windows.stride)
        for part in (parts.train, parts.validation)
    )
    for part, name in ((windows, "training"), (validation_windows, "validation")):
        require_windows(part, name=name, advice="lower windows.seen or windows.predicted, or use more videos")
    values = choose_values(features, config.values)
    require_sound(features, parts.train + parts.validation)
    scaler = fit_scaler(features, parts.train, values)
    arguments = {"frame_size": features.frame_size, **asdict(config.model)}
    with seeded(config.training.seed, torch_device):
        with building_model():
            model = ScaledModel(scaler, CompositeModel(values=values, **arguments)).to(torch_device)
        run.prepare(
            config,
            RunVideos(features.videos, videos.labels, parts),
            resume=resume,
            overwrite=overwrite,
            device=torch_device,
        )
        batch_size = choose_batch_size(windows, config.training.batch_size)
        task = _PretrainTask(
            model=model,
            description=ModelDescription(
                kind="composite",
                arguments=arguments,
                frame_shape=list(features.frame_shape),
                dtype=features.dtype,
                values=values,
                extractor=features.settings,
                windows=asdict(config.windows),
            ),
            windows=windows_on(windows, torch_device),
            validation_windows=thin_out(validation_windows),
            batch_size=batch_size,
            sampler=EndlessSampler(len(windows), batch_size, config.training.seed),
            seen=config.windows.seen,
            device=torch_device,
        )
        outcome = train(task, run, config.training, config.optimiser, resume=resume, on_progress=on_progress)
    best, _ = load_model(run.path)
    figures = prediction_figures(
        best, task.validation_windows, seen=config.windows.seen, predicted=config.windows.predicted, device=torch_device
    )
    return PretrainResult(
        folder=run.path,
        outcome=outcome,
        validation=figures,
        num_train_videos=len(parts.train),
        num_validation_videos=len(parts.validation),
        num_parameters=sum(parameter.numel() for parameter in model.parameters()),
    )


@dataclass
class _PretrainTask:
    """The composite model's loss: the costs of both decoders, added 1:1, per value of a frame."""

    model: ScaledModel
    description: ModelDescription
    windows: DeviceWindows
    validation_windows: Windows
    batch_size: int
    sampler: EndlessSampler
    seen: int
    device: torch.device

    def loss(self, step: int) -> Tensor:
        """Return the loss of the step's batch."""
        return torch.stack(list(self._costs(self.windows, self.sampler.batch(step)).values())).sum()

    def validate(self) -> dict[str, float]:
        """Return the loss on the held-apart windows, in all and of each decoder."""
        totals: defaultdict[str, float] = defaultdict(float)
        windows = CopiedWindows(self.validation_windows, self.device)
        for indices in self.validation_windows.batches(self.batch_size):
            for decoder, cost in self._costs(windows, indices).items():
                totals[decoder] += float(cost) * len(indices) / len(self.validation_windows)
        return {"loss": sum(totals.values()), **totals}

    def _costs(self, windows: DeviceWindows, indices: NDArray[np.int64]) -> dict[str, Tensor]:
        """Compute each decoder's mean cost per value of a frame: nats for probabilities, else squared error."""
        frames = self.model.scaler(windows.gather(indices))
        seen, coming = frames[: self.seen], frames[self.seen :]
        prediction = self.model.model(seen, len(coming))
        cost = F.binary_cross_entropy_with_logits if self.model.scaler.values == "probability" else F.mse_loss
        costs = {"reconstruction": (prediction.reconstruction, seen), "future": (prediction.future, coming)}
        return {name: cost(emitted, truth) for name, (emitted, truth) in costs.items() if emitted is not None}
