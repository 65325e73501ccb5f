"""The recurrence for CUDA: in Triton's interpreter on the CPU, on a GPU where there is one, and when it is chosen."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import Tensor

from vidrep.models.lstm_kernels.cpu import cpu_sequence
from vidrep.models.lstm_kernels.dispatch import choose_sequence

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
    """What cuda_comparisons.py found, in Triton's interpreter or on the GPU."""
    environment = os.environ | ({"TRITON_INTERPRET": "1"} if request.param == "cpu" else {})
    program = Path(__file__).with_name("cuda_comparisons.py")
    done = subprocess.run(
        [sys.executable, program, request.param], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def worst(cases: dict[str, float], factor: float = 1.0) -> dict[str, float]:
    return {case: deviation for case, deviation in cases.items() if not deviation <= factor}


def test_in_fp32_it_is_the_other_recurrences(deviations: Deviations) -> None:
    """16 variants; outputs, last c and up to 7 gradients of each, from two others."""
    assert len(deviations["fp32"]) == 2 * 2 * 2 * (9 + 8 + 7 + 6)
    assert worst(deviations["fp32"], 1e-5) == {}


def test_a_loss_of_the_last_h_or_c_alone_and_any_layout_of_memory(deviations: Deviations) -> None:
    assert len(deviations["odd uses"]) == 2 * (7 + 5) + (9 + 7)
    assert worst(deviations["odd uses"], 1e-5) == {}


def test_in_bf16_it_is_about_as_near_to_the_truth_as_the_fast_recurrence(deviations: Deviations) -> None:
    ours, theirs = deviations["bf16"], deviations["fast bf16"]
    assert len(ours) == len(theirs) == len(deviations["fp32"]) // 2
    assert sum(ours.values()) <= 1.3 * sum(theirs.values())
    # A relu that flips at its kink changes single values much.
    assert worst({case: value for case, value in ours.items() if "tanh" in case}, 0.02) == {}
    assert worst(ours, 0.1) == {}


def test_bits_stay_the_same_whichever_way_it_is_asked(deviations: Deviations) -> None:
    assert len(deviations["same bits"]) == 2 * (10 + 8)
    assert [case for case, same in deviations["same bits"].items() if not same] == []


class Anywhere:
    """Looks like a state on some device."""

    def __init__(self, dtype: torch.dtype, *, is_cuda: bool) -> None:
        self.dtype, self.is_cuda = dtype, is_cuda


def chosen(state: object, monkeypatch: pytest.MonkeyPatch, *, triton: bool = True) -> str:
    monkeypatch.setattr("vidrep.models.lstm_kernels.dispatch._has_triton", lambda: triton)
    return choose_sequence(state).__name__  # type: ignore[arg-type]


@pytest.mark.skipif(find_spec("triton") is None, reason="triton is not installed")
def test_it_is_chosen_for_fp32_on_cuda_with_triton_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = Anywhere(torch.float32, is_cuda=True)
    assert chosen(gpu, monkeypatch) == "cuda_sequence"
    assert chosen(gpu, monkeypatch, triton=False) == "fast_sequence"
    assert chosen(Anywhere(torch.float64, is_cuda=True), monkeypatch) == "fast_sequence"
    assert choose_sequence(Tensor([1.0])) is cpu_sequence
