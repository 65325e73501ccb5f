"""Joining the processes that torchrun started, to train one model together."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

from ..errors import Stopped
from .collectives import SINGLE_PROCESS, Ranks

_is_main_process = True
_joined: Ranks | None = None
_group_numbers = count()


def is_one_of_several() -> bool:
    """Return whether torchrun, or a launcher that sets the same variables, started this process and others."""
    return int(os.environ.get("WORLD_SIZE") or 1) > 1 and {"RANK", "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys()


def is_main_process() -> bool:
    """Return whether this process prints: always, unless it joined others, of which rank 0 prints for all."""
    return _is_main_process


@contextmanager
def joined_ranks() -> Iterator[Ranks]:
    """Join the processes that torchrun started, for a block that all of them run; an inner block is part of the outer.

    An error that leaves the block on one rank leaves it on all of them, as soon as they wait for each other.
    Raises TrainingError if a rank cannot be reached, was killed, or vanished with its host.
    """
    global _joined, _is_main_process
    if _joined is not None or not is_one_of_several():
        yield _joined or SINGLE_PROCESS
        return
    from .process_group import ProcessGroup  # imports torch

    # A process may join several times, for one training after the other.
    group = _joined = ProcessGroup(f"vidrep/{next(_group_numbers)}")
    _is_main_process = group.is_main_process
    try:
        yield group
        group.call_on_rank_zero(lambda: None)  # no rank closes its connections while another one works
    except Stopped:  # raised on all ranks at the same step
        raise
    except Exception as error:
        group.report(error)
        raise
    finally:
        _joined, _is_main_process = None, group.is_main_process
        group.close()
