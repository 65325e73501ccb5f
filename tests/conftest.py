"""Fixtures for all tests: real data, small features, one torch thread, fp32, random state put back."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data; skipped, with the reason, where there is none."""
    folder = os.environ.get("VIDREP_DATA")
    if not folder:
        pytest.skip("VIDREP_DATA does not name the folder of real data (data/README.md)")
    path = Path(folder)
    assert path.is_dir(), f"VIDREP_DATA names {path}, which is no folder"
    return path


@pytest.fixture(autouse=True)
def _same_random_state_afterwards() -> Iterator[None]:
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002 - to see that nobody uses it
    yield
    torch.set_rng_state(torch_state)
    np.random.set_state(numpy_state)  # noqa: NPY002


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Small tensors on two shared cores are slower with more threads, and tests run two at a time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True, scope="session")
def _no_native_bf16() -> Iterator[None]:
    """Precision "auto" is fp32 in tests, so that they compare the same on a machine with native bf16 and on another."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(torch.cpu, "get_capabilities", dict, raising=False)
        yield
