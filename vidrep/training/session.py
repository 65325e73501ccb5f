"""One session of training: what pretraining and fine-tuning share, from the agreement of ranks to the finished run."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import torch

from ..config.kinds import AnyConfig
from ..config.reader import changed_settings, run_mapping
from ..devices import choose_device, cpu_threads, is_out_of_memory, torch_settings
from ..errors import ConfigError
from ..machine import tune_malloc
from ..models.description import ModelDescription
from ..models.encoder import Numerics
from ..models.saved import TrainedModel
from ..progress import ProgressListener, ignore_progress
from ..sequences.batches import FeatureBatchSet
from ..threads import threads_for, warn_of_spinning
from .collectives import Ranks
from .fitting import run_fitting
from .history import Origin
from .loop import TrainingOutcome, never, run_training
from .ranks import joined_ranks
from .run import RunFolder
from .run_videos import RunVideos
from .task import Task, TaskData

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class SessionOptions:
    """What a training is called with besides its data and its config; nothing of it changes what is learned."""

    device: str = "auto"
    """"auto", "cpu", "cuda" or "mps"."""
    threads: int | None = None
    """CPU threads of one operation; None: a resumed run's, or 1 if the model is small, or torch's own number."""
    resume: bool = False
    """Go on from the run's checkpoint."""
    overwrite: bool = False
    """Start anew where a run is."""
    should_stop: Callable[[], bool] = never
    """Asked after every step; then a checkpoint is written and Stopped is raised."""
    on_progress: ProgressListener = ignore_progress
    origin: Origin = field(default_factory=Origin)
    """Recorded in the run."""


class SessionContext(NamedTuple):
    """Where and how a session computes."""

    run: RunFolder
    device: torch.device
    numerics: Numerics
    ranks: Ranks


def ignore_run(run: RunFolder) -> None:
    """Do nothing once the run folder is there: the default."""


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What pretraining or fine-tuning has prepared to be trained.

    config: with nothing left "auto". videos: for videos.csv. source: the settings of the features. stateful: whether
    windows of a video follow each other. fitted_to: all training windows, to which the head of a frozen encoder is
    fitted; None for a training by optimizer steps. recorded: what config.toml holds besides the config. on_start:
    called once the run folder is there.
    """

    config: AnyConfig
    model: TrainedModel
    description: ModelDescription
    data: TaskData
    videos: RunVideos
    source: Mapping[str, Any]
    stateful: bool = False
    fitted_to: FeatureBatchSet | None = None
    recorded: Mapping[str, Any] = field(default_factory=dict)
    on_start: Callable[[RunFolder], None] = ignore_run


def run_session(
    run: RunFolder,
    config: AnyConfig,
    options: SessionOptions,
    *,
    prepare: Callable[[SessionContext], Prepared],
    finish: Callable[[SessionContext, Prepared], Result],
) -> tuple[TrainingOutcome, Prepared, Result]:
    """Agree with the other ranks, lock the run folder, prepare, train and finish.

    finish: called on rank 0 once the training is done; all ranks get its result.
    """
    tune_malloc()
    with (
        joined_ranks() as ranks,
        torch_settings(
            ranks.device(choose_device(options.device)), precision=config.training.precision, threads=options.threads
        ) as (device, precision, compute_dtype),
    ):
        ranks.require_same(resume=options.resume, device=device.type, precision=precision, settings=config)
        ranks.call_on_rank_zero(lambda: run.require_usable(resume=options.resume, overwrite=options.overwrite))
        numerics = Numerics(
            compute_dtype=compute_dtype if precision == "bf16" else None,
            recompute_every=config.training.recompute_every,
        )
        context = SessionContext(run, device, numerics, ranks)
        with ranks.on_rank_zero(run.locked()), explaining_out_of_memory(), seeded(config.training.draw_seed, device):
            prepared = prepare(context)
            with cpu_threads(_num_threads(context, prepared, options)):
                outcome = _train(context, prepared, options, precision, changes=changed_settings(config))
                result = ranks.call_on_rank_zero(lambda: finish(context, prepared))
    return outcome, prepared, result


def _num_threads(context: SessionContext, prepared: Prepared, options: SessionOptions) -> int | None:
    """Return the CPU threads of a training; None for torch's own number.

    They are those that were asked for; else those that a resumed run had, so that it goes on with the same bits; else
    those of the rule, on a CPU.
    """
    if options.threads is not None:
        return options.threads
    recorded = context.ranks.call_on_rank_zero(context.run.recorded_threads) if options.resume else None
    if recorded is not None or context.device.type != "cpu":
        return recorded
    encoder = prepared.description.encoder
    windows_at_once = prepared.data.batch_size // (context.ranks.size * prepared.config.training.gradient_accumulation)
    return threads_for(
        input_size=prepared.model.inputs.output_size,
        hidden_size=encoder["hidden_size"],
        num_layers=encoder["num_layers"],
        batch_size=max(1, windows_at_once),
    )


def _train(
    context: SessionContext, prepared: Prepared, options: SessionOptions, precision: str, changes: Mapping[str, Any]
) -> TrainingOutcome:
    run, device, _, ranks = context
    config = prepared.config
    if device.type == "cpu":
        warn_of_spinning(torch.get_num_threads())
    task = Task(
        prepared.model.to(device),
        prepared.description,
        prepared.data,
        config.training,
        reduction=config.optimizer.reduction,
        device=device,
        stateful=prepared.stateful,
        ranks=ranks,
    )
    ranks.require_same(data=(prepared.source, prepared.videos.table()))
    folder = run.prepared(
        {**run_mapping(config), **prepared.recorded},
        prepared.videos,
        resume=options.resume,
        overwrite=options.overwrite,
        device=device,
        num_ranks=ranks.size,
        origin=options.origin,
        changes=changes,
    )
    with ranks.on_rank_zero(folder), explaining_out_of_memory(prepared.data.batch_size):
        ranks.call_on_rank_zero(lambda: prepared.on_start(run))
        if prepared.fitted_to is not None:
            return run_fitting(
                task,
                run,
                prepared.fitted_to,
                resume=options.resume,
                on_progress=options.on_progress,
                should_stop=options.should_stop,
                ranks=ranks,
            )
        return run_training(
            task,
            run,
            config.training,
            config.optimizer,
            precision=precision,
            resume=options.resume,
            on_progress=options.on_progress,
            should_stop=options.should_stop,
            ranks=ranks,
        )


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's random numbers, on the CPU and on `device`, and put their state back afterwards."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


@contextmanager
def explaining_out_of_memory(batch_size: int = 0) -> Iterator[None]:
    """Turn a lack of memory, on the CPU or a GPU, into a ConfigError that names what takes less.

    batch_size: windows of a step, if they are what takes it; half of them are recommended to a GPU, since all but the
    weights and the optimizer's state grows with them.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        where, less = "memory", "lower encoder.hidden_size, encoder.num_layers or training.batch_size"
        if isinstance(error, torch.OutOfMemoryError) and torch.cuda.is_available():
            free, total = torch.cuda.mem_get_info()
            others = max(0, total - free - torch.cuda.memory_reserved())
            where = f"the GPU's {_gibibytes(total)}, of which other processes have {_gibibytes(others)}"
            half = batch_size // 2
            if half:
                less = f"training.batch_size {half} takes about half; or lower encoder.hidden_size or num_layers"
        raise ConfigError(
            f"the training does not fit into {where}; {less}, or set training.gradient_accumulation or "
            "training.recompute_every"
        ) from error


def _gibibytes(num_bytes: int) -> str:
    return f"{num_bytes / 2**30:.1f} GiB"
