"""Cores are those that this process may use, and freed memory stays with it."""

import os
import subprocess
import sys

import pytest
import torch

from vidrep.machine import available_cores, torch_on_one_core

linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks the Linux kernel or glibc")


@linux_only
def test_cores_are_those_this_process_may_use() -> None:
    allowed = os.sched_getaffinity(0)
    assert available_cores() == len(allowed)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert available_cores() == 1
    finally:
        os.sched_setaffinity(0, allowed)


def test_where_the_system_does_not_tell_all_cores_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert available_cores() == 7
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert available_cores() == 1


# Page faults of 20 arrays of 64 MB, one after the other; a page is 4 kB at least.
FAULTS = """
import resource, sys
import numpy as np
from vidrep.machine import tune_malloc

if sys.argv[1] == "keep":
    tune_malloc()
np.ones(8 << 20)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    np.ones(8 << 20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@linux_only
def test_freed_memory_stays() -> None:
    def faults(choice: str) -> int:
        command = [sys.executable, "-c", FAULTS, choice]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    if (usual := faults("give back")) < 20 * 20:
        pytest.skip(f"this C library keeps freed memory as it is ({usual} page faults)")
    assert faults("keep") * 4 < usual


def test_elsewhere_memory_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr("ctypes.CDLL", None)  # it is not to be called
    from vidrep.machine import tune_malloc

    tune_malloc()


def test_torch_on_one_core_is_undone() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with pytest.raises(ValueError, match="out"), torch_on_one_core():
            assert torch.get_num_threads() == 1
            raise ValueError("out")
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_torch_is_not_loaded_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch")
    with torch_on_one_core():
        assert "torch" not in sys.modules
