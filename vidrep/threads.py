"""CPU threads: how they wait for each other, and how many of them a training takes.

Torch's threads are those of OpenMP. Between two operations, and at the end of each, they wait in a loop before they
sleep: about 3 ms in GNU's library (libgomp), the one in torch's wheels for Linux. If another process uses a core, the
thread that is waited for does not run while another one loops, and a step of a small training takes many times as long
(docs/results/threads.md). So the loop is made short, and small work is computed by one thread. Imports no torch.
"""

import logging
import os
import sys

_log = logging.getLogger(__name__)

# How often a thread looks before it sleeps: about 10 microseconds, the time that waking one up takes.
_SPIN_COUNT = "1000"
# Variables of libgomp by which users choose how its threads wait.
_VARIABLES = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
# Multiply-adds of a time step, forward, from which a second thread gains more than waiting for it costs.
_LEAST_FOR_THREADS = 1 << 26

_has_warned = False


def limit_spinning() -> None:
    """Let threads of OpenMP sleep soon when they wait, in this process and those that it starts.

    Nothing happens if the user has set how they wait, or if torch is loaded: its library reads the variables then.
    """
    if "torch" not in sys.modules and not _is_waiting_chosen():
        os.environ["GOMP_SPINCOUNT"] = _SPIN_COUNT


def warn_of_spinning(num_threads: int) -> None:
    """Log a warning, once, if several threads are to compute and wait in long loops: torch was loaded before vidrep."""
    global _has_warned
    if num_threads == 1 or _has_warned or _is_waiting_chosen() or not sys.platform.startswith("linux"):
        return
    _has_warned = True
    _log.warning(
        "torch was imported before vidrep, so its %d threads wait in long loops, and a training can take many times as "
        "long beside other work; import vidrep first, or set GOMP_SPINCOUNT=%s before Python starts",
        num_threads,
        _SPIN_COUNT,
    )


def threads_for(*, input_size: int, hidden_size: int, num_layers: int, batch_size: int) -> int | None:
    """Return 1 if one thread suffices for an encoder of this size, or None if torch's own number is to compute it.

    The rule depends on sizes alone, never on a clock, so that the same training has the same bits. batch_size: windows
    that are computed at once.
    """
    weights = 4 * hidden_size * (input_size + hidden_size + 2 * hidden_size * (num_layers - 1))
    return 1 if batch_size * weights < _LEAST_FOR_THREADS else None


def _is_waiting_chosen() -> bool:
    return any(name in os.environ for name in _VARIABLES)
