"""Cores are those that this process may use, and freed memory stays with it."""

import os
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch

from vidrep.machine import available_cores, torch_on_one_core, tune_malloc

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


# Page faults of 20 rounds of three arrays of 24 MB at a time; a page is 4 kB at least. An old glibc refuses thresholds
# of more than 32 MiB; its own adaptation keeps one such array, not three.
FAULTS = """
import ctypes, resource, sys
import numpy as np
from vidrep.machine import tune_malloc

class OldLibrary:
    def __init__(self, name):
        self._library = real(name)

    def mallopt(self, option, value):
        return 0 if option == -3 and value > 32 << 20 else self._library.mallopt(option, value)

real = ctypes.CDLL
if sys.argv[1] == "old":
    ctypes.CDLL = OldLibrary
if sys.argv[1] != "give back":
    tune_malloc()

def layers():
    return [np.ones(3 << 20) for _ in range(3)]

layers()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    layers()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@linux_only
@pytest.mark.parametrize("library", ["this", "old"])
def test_freed_memory_stays(library: str) -> None:
    def faults(choice: str) -> int:
        command = [sys.executable, "-c", FAULTS, choice]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    if (usual := faults("give back")) < 20 * 20:
        pytest.skip(f"this C library keeps freed memory as it is ({usual} page faults)")
    assert faults(library) * 4 < usual


TRIM_THRESHOLD, MMAP_THRESHOLD, ARENA_MAX = -1, -3, -8
REST = [(TRIM_THRESHOLD, (1 << 31) - 1), (ARENA_MAX, 1)]


@linux_only
@pytest.mark.parametrize(
    ("refuses", "accepted"),
    [
        (lambda option, value: False, [(MMAP_THRESHOLD, 1 << 30), *REST]),
        (lambda option, value: option == MMAP_THRESHOLD and value > 32 << 20, [(MMAP_THRESHOLD, 32 << 20), *REST]),
        (lambda option, value: option == MMAP_THRESHOLD, []),
        (lambda option, value: option == TRIM_THRESHOLD, [(MMAP_THRESHOLD, 1 << 30)]),
        (lambda option, value: True, []),
    ],
    ids=["nothing", "more than 32 MiB", "the first threshold", "the second threshold", "everything"],
)
def test_where_the_library_refuses_the_threshold_nothing_else_changes(
    monkeypatch: pytest.MonkeyPatch, refuses: Callable[[int, int], bool], accepted: list[tuple[int, int]]
) -> None:
    changed = []

    def mallopt(option: int, value: int) -> int:
        if refuses(option, value):
            return 0
        changed.append((option, value))
        return 1

    monkeypatch.setattr("ctypes.CDLL", lambda name: SimpleNamespace(mallopt=mallopt))
    tune_malloc()
    assert changed == accepted


@linux_only
def test_a_library_without_such_options_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = []
    monkeypatch.setattr("ctypes.CDLL", lambda name: loaded.append(name))
    tune_malloc()
    assert loaded == [None]


def test_elsewhere_memory_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr("ctypes.CDLL", None)  # it is not to be called
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
