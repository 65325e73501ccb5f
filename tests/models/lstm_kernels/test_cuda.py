"""The recurrence for CUDA, in Triton's interpreter on the CPU and on a GPU where there is one; and its choice."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import Tensor

from vidrep.models.lstm_kernels.dispatch import choose_sequence
from vidrep.models.lstm_kernels.reference import LayerWeights

Deviations = dict[str, dict[str, float]]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(
            "cpu",
            marks=pytest.mark.skipif(
                find_spec("triton") is None, reason="triton is not installed: nothing to interpret"
            ),
        ),
        pytest.param(
            "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here to run the kernels on")
        ),
    ],
)
def deviations(request: pytest.FixtureRequest) -> Deviations:
    """Run cuda_comparisons.py, in Triton's interpreter or on the GPU, and return what it prints."""
    environment = os.environ | ({"TRITON_INTERPRET": "1"} if request.param == "cpu" else {})
    program = Path(__file__).with_name("cuda_comparisons.py")
    done = subprocess.run(
        [sys.executable, program, request.param], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def beyond(cases: dict[str, float], bound: float) -> dict[str, float]:
    return {case: deviation for case, deviation in cases.items() if not deviation <= bound}


def test_in_fp32_it_equals_the_other_recurrences(deviations: Deviations) -> None:
    """16 variants; outputs, last c and up to 7 gradients of each, from two others."""
    assert len(deviations["fp32"]) == 2 * 2 * 2 * (9 + 8 + 7 + 6)
    assert beyond(deviations["fp32"], 1e-5) == {}


def test_a_loss_of_the_last_h_or_c_alone_and_any_layout_of_memory(deviations: Deviations) -> None:
    assert len(deviations["odd uses"]) == 2 * (7 + 5) + (9 + 7)
    assert beyond(deviations["odd uses"], 1e-5) == {}


def test_in_bf16_its_error_is_about_that_of_the_recurrence_for_the_cpu(deviations: Deviations) -> None:
    ours, theirs = deviations["bf16"], deviations["cpu bf16"]
    assert len(ours) == len(theirs) == len(deviations["fp32"]) // 2
    assert sum(ours.values()) <= 1.3 * sum(theirs.values())
    # A relu whose argument changes its sign changes single values much.
    assert beyond({case: value for case, value in ours.items() if "tanh" in case}, 0.02) == {}
    assert beyond(ours, 0.1) == {}


def test_bits_do_not_depend_on_which_gradients_are_required(deviations: Deviations) -> None:
    assert len(deviations["same bits"]) == 2 * (10 + 8)
    assert [case for case, same in deviations["same bits"].items() if not same] == []


class Anywhere:
    """Has the attributes of a state on some device."""

    def __init__(self, dtype: torch.dtype, *, is_cuda: bool) -> None:
        self.dtype, self.is_cuda = dtype, is_cuda


def chosen(state: object, monkeypatch: pytest.MonkeyPatch, *, triton: bool = True) -> str:
    monkeypatch.setattr("vidrep.models.lstm_kernels.dispatch._has_triton", lambda: triton)
    weights = LayerWeights(None, torch.zeros(4, 1), torch.zeros(4), torch.zeros(3, 1))
    name: str = choose_sequence(state, weights).__name__  # type: ignore[arg-type]
    return name


@pytest.mark.skipif(find_spec("triton") is None, reason="triton is not installed")
def test_it_is_chosen_for_fp32_on_cuda_with_triton_only(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = Anywhere(torch.float32, is_cuda=True)
    assert chosen(gpu, monkeypatch) == "cuda_sequence"
    assert chosen(gpu, monkeypatch, triton=False) == "cpu_sequence"
    assert chosen(Anywhere(torch.float64, is_cuda=True), monkeypatch) == "cpu_sequence"
    assert chosen(Tensor([[1.0]]), monkeypatch) == "cpu_sequence"
