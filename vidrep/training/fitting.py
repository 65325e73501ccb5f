"""Fitting a head at once to what a frozen encoder makes of all training windows, in place of optimizer steps.

Shapes: N windows, H width of the encoder's outputs.
"""

import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from ..errors import Stopped
from ..metrics.centering import center_groups, log_alone, shared_groups
from ..models.classifier import Classifier
from ..models.saved import load_weights, read_weights, save_model
from ..progress import Progress, ProgressListener
from ..sequences.batches import FeatureBatchSet
from ..sequences.window_batch import WindowBatch
from ..sequences.windows import batches_of
from .collectives import Ranks
from .loop import TrainingOutcome
from .position import device_of
from .run import RunFolder
from .run_metrics import Metrics, Speed
from .task import Task

# Fixed, so that the last bits of a representation depend on neither settings nor the number of ranks.
_WINDOWS_AT_ONCE = 64


def run_fitting(
    task: Task,
    run: RunFolder,
    windows: FeatureBatchSet,
    *,
    resume: bool,
    on_progress: ProgressListener,
    should_stop: Callable[[], bool],
    ranks: Ranks,
) -> TrainingOutcome:
    """Fit the head of a task's classifier to all training windows, validate it and save it, on rank 0.

    A resumed run that has its model is validated again, and stays as it is.

    Raises Stopped if rank 0 was asked to stop before the head was fitted, OutputError if the disk refuses.
    """
    began, speed = time.monotonic(), Speed()
    is_done = resume and ranks.call_on_rank_zero(run.has_model)
    if is_done:
        ranks.call_on_rank_zero(lambda: _load(task, run))
    else:
        ranks.call_on_rank_zero(lambda: _fit(task, windows, speed, on_progress, should_stop))
    ranks.broadcast(task.model.state_dict().values())
    validation = ranks.call_on_rank_zero(lambda: _validate(task))
    if ranks.is_rank_zero and not is_done:
        Metrics(run.path, step=-1).append({"step": 0, "validation": validation, "speed": speed.take()})
        save_model(run.path, task.description, task.model.state_dict())
        run.forget_earlier()
    return TrainingOutcome(
        steps=0,
        best_step=0,
        best_loss=validation["loss"],
        seconds=time.monotonic() - began,
        stopped_early=False,
        data_share=speed.data_share,
    )


def _load(task: Task, run: RunFolder) -> None:
    device = device_of(task)
    load_weights(task.model, read_weights(run.path), run.path)
    task.model.to(device)


def _fit(
    task: Task,
    windows: FeatureBatchSet,
    speed: Speed,
    on_progress: ProgressListener,
    should_stop: Callable[[], bool],
) -> None:
    """Fit the head to the representations (N, H) and the classes (N,) of all windows, and set its center first."""
    head = _classifier(task).fitted_head
    parts = []
    for indices in batches_of(windows, _WINDOWS_AT_ONCE):
        if should_stop():
            raise Stopped("stopped before the head was fitted; --resume fits it anew")
        began = time.monotonic()
        batch = windows.batch(indices)
        waited = time.monotonic() - began
        parts.append(_read(task, batch))
        num_frames = len(batch.frames) * len(indices)
        speed.add(num_frames=num_frames, seconds=time.monotonic() - began, waited=waited)
        on_progress(Progress(done=int(indices[-1]) + 1, total=len(windows), unit="windows"))
    representations, classes = map(torch.cat, zip(*parts, strict=True))
    if head.center is not None:
        head.center.copy_(representations.double().mean(dim=0))
        representations = _centered(windows, representations - head.center.cpu(), logs=True)
    head.fit(representations, classes)


@torch.no_grad()
def _validate(task: Task) -> dict[str, float]:
    """Return the metrics of the held-out windows; they are read before any is classified, as groups may be centered."""
    network, windows = _classifier(task), task.validation
    assert isinstance(windows, FeatureBatchSet)
    parts = [_read(task, windows.batch(indices)) for indices in batches_of(windows, _WINDOWS_AT_ONCE)]
    representations, classes = map(torch.cat, zip(*parts, strict=True))
    if network.center_groups:
        representations = _centered(windows, representations, logs=False)
    logits = network.fitted_head.logits(representations.to(device_of(task))).cpu().double()
    is_right = logits.argmax(dim=-1).eq(classes)
    return {"loss": float(F.cross_entropy(logits, classes)), "window_accuracy": float(is_right.double().mean())}


def _classifier(task: Task) -> Classifier:
    network = task.model.eval().network
    assert isinstance(network, Classifier)
    return network


def _read(task: Task, batch: WindowBatch) -> tuple[Tensor, Tensor]:
    """Return what the head reads of the windows of a batch, (B, H), and their classes, (B,), on the CPU."""
    assert batch.classes is not None
    with torch.no_grad():
        representations = _classifier(task).representations(task.model.inputs(batch.frames, batch.valid), batch.valid)
    return representations.cpu(), batch.classes.cpu()


def _centered(windows: FeatureBatchSet, representations: Tensor, *, logs: bool) -> Tensor:
    """Center the representations of all windows, (N, H), by group."""
    of_features = windows.windows
    numbers = shared_groups(of_features.features, of_features.videos, windows.numbers.groups)
    if logs:
        log_alone(of_features.features, of_features.videos, numbers)
    return torch.from_numpy(center_groups(representations.numpy(), numbers))
