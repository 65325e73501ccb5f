"""A run of several models, which are trained one after the other, each in a folder of its own within it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

from ..config.kinds import AnyConfig
from ..config.reader import changed_settings, run_mapping
from ..config.settings import TrainingSettings
from ..devices import choose_device
from ..models.members import member_folder, write_members
from .collectives import Ranks
from .run import RunFolder
from .run_videos import RunVideos
from .session import SessionOptions

Result = TypeVar("Result")


@contextmanager
def run_of_several(
    run: RunFolder,
    config: AnyConfig,
    videos: RunVideos,
    options: SessionOptions,
    ranks: Ranks,
    *,
    recorded: Mapping[str, Any] | None = None,
) -> Iterator[None]:
    """Lock and prepare the folder around the models, as `RunFolder.prepared` does; all ranks enter.

    recorded: what config.toml holds besides the config and the groups.
    """
    device = ranks.device(choose_device(options.device))
    ranks.call_on_rank_zero(lambda: run.require_usable(resume=options.resume, overwrite=options.overwrite))
    with ranks.on_rank_zero(run.locked()):
        folder = run.prepared(
            {**run_mapping(config), **videos.recorded(), **(recorded or {})},
            videos,
            resume=options.resume,
            overwrite=options.overwrite,
            device=device,
            num_ranks=ranks.size,
            origin=options.origin,
            changes=changed_settings(config),
        )
        with ranks.on_rank_zero(folder):
            yield


def train_members(
    run: RunFolder,
    training: TrainingSettings,
    options: SessionOptions,
    ranks: Ranks,
    train_one: Callable[[RunFolder, TrainingSettings, SessionOptions], Result],
) -> list[Result]:
    """Train each model, or go on with it; one that is finished is left as it is.

    Whether one has begun is read on rank 0, whose folder it is.
    """
    results = []
    for number in range(1, training.ensemble + 1):
        member = RunFolder(member_folder(run.path, number))
        of_member = replace(options, resume=ranks.call_on_rank_zero(member.has_begun), overwrite=False)
        results.append(train_one(member, replace(training, member=number - 1, ensemble=1), of_member))
    return results


def finish_members(run: RunFolder, count: int, ranks: Ranks) -> None:
    """Record on rank 0 that all models are finished, so that they can be used."""

    def record() -> None:
        write_members(run.path, count)
        run.forget_earlier()

    ranks.call_on_rank_zero(record)
