"""What a process may use of this machine: its processor and cores, and memory that it keeps."""

import ctypes
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# Options of glibc's mallopt, from malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
# The best first; older versions of glibc refuse more than 32 MiB.
_MMAP_THRESHOLDS = (1 << 30, 32 << 20)


def available_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor_name() -> str:
    """Return what the processor is called, as far as the system says."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def tune_malloc() -> None:
    """Ask the C library to keep freed memory for the next layer, where that is glibc; elsewhere do nothing.

    Otherwise it gives every large activation back to the system, which clears it page by page for the next one: up to
    half of the time of a network on a CPU. One arena, since others hand out no blocks as large as activations are.
    A library that refuses the thresholds stays as it is: any other option alone would end its own adaptation to
    large blocks, which serves better than half of the options.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None or not any(mallopt(_M_MMAP_THRESHOLD, num_bytes) for num_bytes in _MMAP_THRESHOLDS):
        return
    if mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1):
        mallopt(_M_ARENA_MAX, 1)


@contextmanager
def torch_on_one_core() -> Iterator[None]:
    """Let torch, if it is loaded, compute with one thread within the block, and as before after it.

    Several threads for one operation wait for each other; beside other work that costs many times what it gains.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
