"""Making cells, in this process or in several, which a killed main process takes with it.

A worker has a pipe of its own, gets one cell at a time, and publishes it itself: whatever ends it, no other cell is
lost.
"""

import multiprocessing
import os
import pickle
import shutil
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from ...config.settings import FinetuneConfig
from ...devices import choose_device, torch_settings
from ...errors import ResourceError, Stopped
from ...plugins import load_plugins, loaded_plugins
from ...training.loop import never
from ...training.trials import without_notes
from .cells import Cell, StudyFolder
from .draws import Units
from .methods import BASELINES, FrozenRun, LinearBaseline, Method, ScratchLstm
from .videos import StudyVideos

_POLL_SECONDS = 0.2
_LONGEST_END_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Work:
    """All that making a cell takes; it can be sent to another process.

    config: of the LSTM from scratch. runs: {name of a method: the run whose encoders it uses}.
    """

    folder: StudyFolder
    videos: StudyVideos
    units: Units
    config: FinetuneConfig
    runs: Mapping[str, Path]
    device: str
    threads: int
    should_stop: Callable[[], bool] = never

    @cached_property
    def methods(self) -> list[Method]:
        """Every method, in the order of tables; raises as `FrozenRun.load`."""
        device = choose_device(self.device)
        baselines: list[Method] = [LinearBaseline(name, self.videos) for name in BASELINES]
        scratch = ScratchLstm(
            self.videos, self.config, self.folder.training, self.device, self.threads, self.should_stop
        )
        runs = [FrozenRun.load(name, run, self.videos, device) for name, run in self.runs.items()]
        return [*baselines, scratch, *runs]

    def make(self, cell: Cell) -> None:
        """Learn, classify the test videos, and publish the cell."""
        with without_notes():
            method = next(one for one in self.methods if one.name == cell.method)
            predicted = method.predict(self.units.drawn(cell.shots, cell.draw), cell.seed)
        self.folder.write(cell, predicted)

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Let torch compute as the study has it."""
        with torch_settings(choose_device(self.device), threads=self.threads):
            yield


def make_cells(
    work: Work, cells: Sequence[Cell], *, workers: int, seconds: float | None, on_done: Callable[[int], None]
) -> bool:
    """Make cells in their order; return whether all are made: none is begun once so many seconds have passed.

    on_done: called with the number of cells made so far after each. Raises Stopped as soon as `work.should_stop` says
    so; the cells that were being made are lost. Raises ResourceError if a worker ends by itself.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    try:
        make = _make_here if workers == 1 else _make_in_workers
        num_made = 0
        for num_made in make(work, cells, workers, deadline):
            on_done(num_made)
    finally:
        shutil.rmtree(work.folder.training, ignore_errors=True)
    return num_made == len(cells)


def _is_over(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() >= deadline


def _make_here(work: Work, cells: Sequence[Cell], workers: int, deadline: float | None) -> Iterator[int]:
    with work.computing():
        for number, cell in enumerate(cells, start=1):
            if _is_over(deadline):
                return
            if work.should_stop():
                raise Stopped
            work.make(cell)
            yield number


def _make_in_workers(work: Work, cells: Sequence[Cell], workers: int, deadline: float | None) -> Iterator[int]:
    waiting, num_made = list(reversed(cells)), 0
    with ExitStack() as ending:
        pool = {}
        for _ in range(min(workers, len(cells))):
            worker = _Worker(work)
            ending.callback(worker.end)
            pool[worker.connection] = worker
        while pool:
            ready = wait(list(pool), timeout=_POLL_SECONDS)
            if work.should_stop():
                raise Stopped
            for connection in ready:
                assert isinstance(connection, Connection)
                num_made += pool[connection].receive()
                if not waiting or _is_over(deadline):
                    pool.pop(connection).end()
                else:
                    connection.send(waiting.pop())
            yield num_made


class _Worker:
    """The main process's side of one worker."""

    def __init__(self, work: Work) -> None:
        context: Any = multiprocessing.get_context("spawn")
        self.connection, other_end = context.Pipe()
        pickled = pickle.dumps(replace(work, should_stop=never))
        self._process = context.Process(
            target=run_worker, args=(other_end, loaded_plugins(), pickled), name="vidrep-study", daemon=True
        )
        try:
            self._process.start()
        finally:
            other_end.close()

    def receive(self) -> int:
        """Return how many cells the worker's message says are made, 0 from one that has just started.

        Raises what the worker raised.
        """
        try:
            message = self.connection.recv()
        except (EOFError, OSError) as error:
            self._process.join(_LONGEST_END_SECONDS)
            raise ResourceError(
                f"a worker ended by itself (exit code {self._process.exitcode}): out of memory, or a script whose "
                "calls are not under `if __name__ == '__main__'`; fewer --workers take less, and the same call goes on"
            ) from error
        if isinstance(message, BaseException):
            raise message
        assert isinstance(message, int)
        return message

    def end(self) -> None:
        self._process.kill()
        self._process.join(_LONGEST_END_SECONDS)
        self.connection.close()


def run_worker(connection: Connection, plugins: Sequence[str], pickled_work: bytes) -> None:
    """Make the cells that come through the pipe until the main process ends this one, or is gone.

    plugins: imported before `pickled_work` is unpickled, which may need them.
    """
    for number in (signal.SIGINT, signal.SIGTERM):  # they may reach the whole group: the main process decides
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_main_process, name="vidrep-parent-watch", daemon=True).start()
    load_plugins(plugins)
    work: Work = pickle.loads(pickled_work)
    with work.computing(), suppress(EOFError, BrokenPipeError, ConnectionResetError):
        connection.send(0)
        while True:
            cell = connection.recv()
            try:
                work.make(cell)
            except Exception as error:
                error.add_note(traceback.format_exc())
                connection.send(error)
            else:
                connection.send(1)


def _end_with_main_process() -> None:
    """End this process when the main one ends, even if that is killed."""
    main = multiprocessing.parent_process()
    if main is not None:
        main.join()
        os._exit(1)
