"""Fitting a head at once to what a frozen encoder makes of all training windows, in place of optimizer steps.

Shapes: N windows, H width of the encoder's outputs.
"""

import time
from collections.abc import Callable

import torch

from ..errors import Stopped
from ..models.classifier import Classifier
from ..models.heads.fitted_head import FittedHead
from ..models.saved import load_weights, read_weights, save_model
from ..progress import Progress, ProgressListener
from ..sequences.batches import BatchSet
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
    windows: BatchSet,
    *,
    resume: bool,
    on_progress: ProgressListener,
    should_stop: Callable[[], bool],
    ranks: Ranks,
) -> TrainingOutcome:
    """Fit the head of a task's classifier to all training windows on rank 0, validate it on all ranks, and save it.

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
    task.model.eval()
    with torch.inference_mode():
        validation = task.validate()
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
    windows: BatchSet,
    speed: Speed,
    on_progress: ProgressListener,
    should_stop: Callable[[], bool],
) -> None:
    """Fit the head to the representations (N, H) and the classes (N,) of all windows."""
    network = task.model.eval().network
    assert isinstance(network, Classifier) and isinstance(network.head, FittedHead)
    representations, classes = [], []
    for indices in batches_of(windows, _WINDOWS_AT_ONCE):
        if should_stop():
            raise Stopped("stopped before the head was fitted; --resume fits it anew")
        began = time.monotonic()
        batch = windows.batch(indices)
        waited = time.monotonic() - began
        assert batch.classes is not None
        with torch.no_grad():
            representations.append(network.representations(task.model.inputs, batch).cpu())
        classes.append(batch.classes.cpu())
        num_frames = len(batch.frames) * len(indices)
        speed.add(num_frames=num_frames, seconds=time.monotonic() - began, waited=waited)
        on_progress(Progress(done=int(indices[-1]) + 1, total=len(windows), unit="windows"))
    network.head.fit(torch.cat(representations), torch.cat(classes))
