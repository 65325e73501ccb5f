"""The pieces of benchmarks/capacity.py: what is counted, what is to be learned, and going on."""

import importlib
import json
import math
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def capacity(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("capacity")


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_mutual_information_of_random_labels(capacity: ModuleType) -> None:
    assert capacity.mutual_information(100, 1.0) == 100
    assert capacity.mutual_information(100, 0.5) == 0
    # 1 - H(3/4) = 1 - (2 - 3/4 log2 3) bits a label
    assert capacity.mutual_information(8, 0.75) == pytest.approx(8 * (0.75 * math.log2(3) - 1), abs=1e-12)
    assert capacity.mutual_information(8, 0.25) == capacity.mutual_information(8, 0.75)


def test_numbers_kept_counts_the_explained_values(capacity: ModuleType) -> None:
    true = torch.tensor([[1.0, 2.0, -2.0], [-1.0, 2.0, 2.0]])
    assert capacity.numbers_kept(true, true) == 3
    assert capacity.numbers_kept(torch.zeros_like(true), true) == 0
    # The first value is told, the second is half of what it is, the third is unknown: 1 + 3/4 + 0.
    assert capacity.numbers_kept(true * torch.tensor([1.0, 0.5, 0.0]), true) == 1.75


def test_a_linear_readout_keeps_no_more_numbers_than_it_reads(capacity: ModuleType) -> None:
    rng = np.random.default_rng(0)
    true = rng.normal(size=(5000, 12))
    states = np.tanh(true @ rng.normal(size=(12, 5)))
    weights, *_ = np.linalg.lstsq(states, true, rcond=None)
    kept = capacity.numbers_kept(torch.from_numpy(states @ weights), torch.from_numpy(true))
    assert 3 < kept < 5.05


def test_random_labels_are_of_vectors_that_are_read_again(capacity: ModuleType) -> None:
    inputs, labels = capacity.random_labels(200, generator())
    assert inputs.shape == (5, 200, 16)
    assert all(torch.equal(one, inputs[0]) for one in inputs)
    assert labels.shape == (200, 1)
    assert set(labels.flatten().tolist()) == {0.0, 1.0}


def test_past_inputs_are_said_in_their_order(capacity: ModuleType) -> None:
    inputs, targets = capacity.past_inputs(3, generator())
    assert inputs.shape == (8, 3, 8)
    assert all(torch.equal(targets[item], inputs[:, item].flatten()) for item in range(3))


def test_copying_shows_letters_blanks_and_signals(capacity: ModuleType) -> None:
    inputs, letters = capacity.copying(5, generator())
    read = inputs.argmax(-1)
    assert inputs.shape == (16, 5, 10)
    assert torch.equal(inputs.sum(-1), torch.ones(16, 5))
    assert torch.equal(read[:4], letters)
    assert int(letters.max()) < 8
    assert (read[4:12] == 8).all()
    assert (read[12:] == 9).all()


def test_adding_is_the_sum_of_the_two_marked_numbers(capacity: ModuleType) -> None:
    inputs, sums = capacity.adding(50, generator())
    numbers, marks = inputs.unbind(-1)
    assert inputs.shape == (40, 50, 2)
    assert torch.equal(marks[:20].sum(0), torch.ones(50))
    assert torch.equal(marks[20:].sum(0), torch.ones(50))
    for item in range(50):
        assert float(sums[item]) == pytest.approx(float(numbers[marks[:, item] == 1, item].sum()), abs=1e-6)


def test_scores_of_right_and_of_worthless_predictions(capacity: ModuleType) -> None:
    _, labels = capacity.random_labels(64, generator())
    assert capacity.TASKS["labels"].score(2 * labels[None] - 1, labels) == 64
    _, letters = capacity.copying(64, generator())
    right = torch.nn.functional.one_hot(letters, 8).float()
    assert capacity.TASKS["copying"].score(right, letters) == 1
    assert capacity.TASKS["copying"].score(right.roll(1, dims=-1), letters) == 0
    _, sums = capacity.adding(64, generator())
    assert capacity.TASKS["adding"].score(sums[None], sums) == 1
    assert capacity.TASKS["adding"].score(sums.mean().expand(1, 64, 1), sums) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_every_cell_is_as_wide_as_its_parameters_allow(capacity: ModuleType, depth: int) -> None:
    point = next(capacity.points())
    for task in capacity.TASKS.values():
        for cell in capacity.GATE_BIASES:
            width = capacity.largest_width(task, cell, depth)
            fits, too_wide = (
                capacity.Network(task, cell, depth, some, point).num_parameters for some in (width, width + 1)
            )
            assert fits <= task.parameters < too_wide


def test_parameters_of_a_layer_are_counted(capacity: ModuleType) -> None:
    point = next(capacity.points())
    # 4 gates of W, U and b, and the readout
    network = capacity.Network(capacity.TASKS["adding"], "lstm", 1, 7, point)
    assert network.num_parameters == 4 * 7 * (2 + 7 + 1) + 7 + 1


def small(capacity: ModuleType, name: str) -> Any:
    return replace(capacity.TASKS[name], parameters=100, search_steps=2, steps=3)


def test_what_is_measured_is_kept_and_not_measured_again(
    capacity: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(capacity, "TASKS", {name: small(capacity, name) for name in capacity.TASKS})
    monkeypatch.setattr(capacity, "NUM_POINTS", 2)
    monkeypatch.setattr(capacity, "DEPTHS", (1,))
    monkeypatch.setattr(capacity, "NUM_TEST", 8)
    file = tmp_path / "capacity.json"
    assert len(capacity.go_on(file, minutes=-1)) == 0
    first = capacity.go_on(file, minutes=1)
    assert len(first) == 4 * len(capacity.GATE_BIASES)
    assert json.loads(file.read_text()) == first
    monkeypatch.setattr(capacity, "measure", lambda *_: pytest.fail("measured again"))
    assert capacity.go_on(file, minutes=1) == first
    assert capacity.whole_tasks(first) == list(capacity.TASKS)
    del first["adding lstm 1"]
    assert capacity.whole_tasks(first) == ["labels", "recall", "copying"]
    capacity.draw(first, tmp_path / "capacity.png")
    assert (tmp_path / "capacity.png").stat().st_size > 0
    for name in capacity.whole_tasks(first):
        lines = list(capacity.table(name, first))
        assert sum(line.startswith(("| lstm |", "| rnn |")) for line in lines) == (4 if name == "labels" else 2)
