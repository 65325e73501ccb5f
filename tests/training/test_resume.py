"""Checkpoints and what they promise: stopped anywhere, a training goes on to the same bits."""

import json
import logging
import math
import re
import zipfile
from itertools import count
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
import torch
from toy_training import KilledError, assert_same, killed_after, toy_task, train_toy, tree_of

from vidrep.config.settings import OptimizerSettings
from vidrep.errors import InputError, OutputError, Stopped, TrainingError
from vidrep.files import NewFile
from vidrep.models.lstm_kernels.matmul import library
from vidrep.progress import Progress
from vidrep.training import loop
from vidrep.training.checkpoints import Checkpoints
from vidrep.training.run import RunFolder
from vidrep.training.step import TrainingStep
from vidrep.training.task import divide_batch

OPTIMIZERS = get_args(get_type_hints(OptimizerSettings)["name"])
LR_SCHEDULES = get_args(get_type_hints(OptimizerSettings)["lr_schedule"])
# The rate of "plateau" falls after steps 4, 6 and 10.
LOSSES = {2: 3.0, 4: 4.0, 6: 5.0, 8: 2.0, 10: 2.5}


def checkpoints(run: Path) -> list[int]:
    """Return the steps of all checkpoints; nothing else is beside them."""
    return sorted(int(path.stem) for path in (run / "checkpoints").iterdir())


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("lr_schedule", LR_SCHEDULES)
def test_ten_steps_are_five_and_five(tmp_path: Path, name: Any, lr_schedule: Any) -> None:
    """Between two validations, with dropout, momentum, clipped velocity, weight decay and three micro-batches."""
    optimizer = OptimizerSettings(
        name=name,
        lr_schedule=lr_schedule,
        learning_rate=0.01,
        clip_velocity=1e-3,
        warmup_steps=3,
        weight_decay=0.01,
        lr_step=2,
        lr_gamma=0.5,
        plateau_patience=1,
    )

    def run(path: Path, **options: Any) -> None:
        task = toy_task(gradient_accumulation=3, scripted=LOSSES)
        train_toy(path, optimizer, task=task, gradient_accumulation=3, checkpoint_every=5, **options)

    run(tmp_path / "whole")
    with pytest.raises(KilledError):
        run(tmp_path / "resumed", on_progress=killed_after(5))
    assert (checkpoints(tmp_path / "resumed")[-1], tree_of(tmp_path / "resumed")["metrics"][-1]["step"]) == (5, 4)
    run(tmp_path / "resumed", resume=True, seed=99)
    whole = tree_of(tmp_path / "whole")
    assert_same(tree_of(tmp_path / "resumed"), whole)
    rates = [line["learning_rate"] for line in whole["metrics"]]
    shares: dict[str, list[float]] = {
        "constant": [2 / 3, 1, 1, 1, 1],
        "cosine": [2 / 3, *(0.5 * (1 + math.cos(math.pi * past / 7)) for past in (0, 2, 4, 6))],
        "step": [2 / 3, 0.5, 0.25, 0.125, 0.0625],
        "plateau": [2 / 3, 1, 0.5, 0.25, 0.25],
        "one_cycle": [0.52, *(4e-6 + (1 - 4e-6) / 2 * (1 + math.cos(math.pi * past / 7)) for past in (1, 3, 5, 7))],
    }
    assert rates == pytest.approx([0.01 * share for share in shares[lr_schedule]])


@pytest.mark.parametrize("step", [1, 2, 6, 9])
def test_stopped_after_any_step_it_reports_that_and_goes_on(tmp_path: Path, step: int) -> None:
    train_toy(tmp_path / "whole")
    asked = count(1)
    with pytest.raises(Stopped, match=f"^stopped at step {step} of 10; --resume goes on from there$"):
        train_toy(tmp_path / "resumed", should_stop=lambda: next(asked) == step)
    assert checkpoints(tmp_path / "resumed")[-1] == step
    train_toy(tmp_path / "resumed", resume=True, seed=99)
    assert_same(tree_of(tmp_path / "resumed"), tree_of(tmp_path / "whole"))


def test_a_training_that_is_asked_to_stop_at_the_end_has_ended(tmp_path: Path) -> None:
    asked = count(1)
    assert train_toy(tmp_path / "run", should_stop=lambda: next(asked) == 10).steps == 10
    asked = count(1)
    outcome = train_toy(
        tmp_path / "early", task=toy_task(scripted=LOSSES), patience=2, should_stop=lambda: next(asked) == 6
    )
    assert (outcome.steps, outcome.stopped_early) == (6, True)


def test_the_last_few_checkpoints_stay(tmp_path: Path) -> None:
    train_toy(tmp_path / "run")
    assert checkpoints(tmp_path / "run") == [8, 10]
    with pytest.raises(KilledError):
        train_toy(tmp_path / "every", checkpoint_every=3, keep_checkpoints=4, on_progress=killed_after(9))
    assert checkpoints(tmp_path / "every") == [4, 6, 8, 9]


def test_an_older_checkpoint_is_removed_only_when_the_new_one_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = NewFile.write_at

    def refuse_one(file: NewFile, content: Any, offset: int) -> None:
        if Path(file._path).name == "00000006.pt":
            raise OutputError("full")
        write(file, content, offset)

    with monkeypatch.context() as patched, pytest.raises(OutputError, match="full"):
        patched.setattr(NewFile, "write_at", refuse_one)
        train_toy(tmp_path / "run", keep_checkpoints=1)
    assert checkpoints(tmp_path / "run") == [4]
    train_toy(tmp_path / "run", resume=True, keep_checkpoints=1)
    assert checkpoints(tmp_path / "run") == [10]
    train_toy(tmp_path / "whole")
    assert_same(tree_of(tmp_path / "run"), tree_of(tmp_path / "whole"))


def test_from_a_damaged_checkpoint_one_goes_back_to_the_one_before(tmp_path: Path) -> None:
    train_toy(tmp_path / "whole")
    train_toy(tmp_path / "run")
    newest = tmp_path / "run" / "checkpoints" / "00000010.pt"
    newest.write_bytes(newest.read_bytes()[:-100])
    model = (tmp_path / "run" / "model.safetensors").read_bytes()
    with pytest.raises(InputError, match=r"00000010.pt: not a .*; remove it to go on from 00000008.pt$") as caught:
        train_toy(tmp_path / "run", resume=True)
    assert "\n" not in str(caught.value)
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == model
    newest.unlink()
    train_toy(tmp_path / "run", resume=True, seed=99)
    assert_same(tree_of(tmp_path / "run"), tree_of(tmp_path / "whole"))


def test_a_flipped_bit_in_a_checkpoint_is_found(tmp_path: Path) -> None:
    train_toy(tmp_path / "run")
    newest = tmp_path / "run" / "checkpoints" / "00000010.pt"
    with zipfile.ZipFile(newest) as archive:  # in the middle of the largest tensor
        largest = max(archive.infolist(), key=lambda one: one.file_size)
    content = bytearray(newest.read_bytes())
    content[largest.header_offset + 200] ^= 4
    newest.write_bytes(content)
    with pytest.raises(InputError, match=r"00000010.pt: not a checkpoint that can be read \(.*\); remove it to go on"):
        train_toy(tmp_path / "run", resume=True)


@pytest.mark.parametrize("line", ["no JSON\n", '{"no": "step"}\n', "[]\n"])
def test_metrics_that_no_training_wrote_are_named(tmp_path: Path, line: str) -> None:
    train_toy(tmp_path / "run")
    metrics = tmp_path / "run" / "metrics.jsonl"
    metrics.write_text(metrics.read_text(encoding="utf-8") + line, encoding="utf-8")
    with pytest.raises(InputError, match=r"metrics.jsonl: not the metrics of a run \(.*\); remove it") as caught:
        train_toy(tmp_path / "run", resume=True)
    assert "\n" not in str(caught.value)


def test_checkpoints_by_the_clock(tmp_path: Path) -> None:
    """A second passes with every question to the clock: 5 a step, and a checkpoint is due after 15."""
    ticks, saved = count(), list[int]()

    def listen(progress: Progress) -> None:
        saved.append(checkpoints(tmp_path / "run")[-1] if (tmp_path / "run" / "checkpoints").exists() else 0)

    options: dict[str, Any] = {"validate_every": 100, "checkpoint_minutes": 0.25}
    train_toy(tmp_path / "run", clock=lambda: float(next(ticks)), on_progress=listen, **options)
    assert saved == [0, 0, 0, 4, 4, 4, 7, 7, 7, 10]
    train_toy(tmp_path / "never", clock=lambda: float(next(ticks)), **options | {"checkpoint_minutes": 0})
    assert checkpoints(tmp_path / "never") == [10]


@pytest.mark.parametrize("gradient_accumulation", [2, 4, 6, 100])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_micro_batches_add_up_to_the_batch(tmp_path: Path, gradient_accumulation: int, reduction: str) -> None:
    runs = {}
    for name, count_of in (("whole", 1), ("divided", gradient_accumulation)):
        task = toy_task(dropout=0.0, gradient_accumulation=count_of, reduction=reduction)
        optimizer = OptimizerSettings(name="sgd", learning_rate=0.01, warmup_steps=0, clip_norm=0.5)
        train_toy(tmp_path / name, optimizer, task=task)
        runs[name] = tree_of(tmp_path / name)
    for name, value in runs["whole"]["model"].items():
        torch.testing.assert_close(runs["divided"]["model"][name], value, rtol=0, atol=1e-6)
    for one, other in zip(runs["whole"]["metrics"], runs["divided"]["metrics"], strict=True):
        assert one["gradient_norm"] == pytest.approx(other["gradient_norm"], rel=1e-4)
        assert one["train"] == pytest.approx(other["train"], rel=1e-4)


def test_micro_batches_are_as_equal_as_can_be() -> None:
    assert divide_batch(7, 3) == [slice(0, 2), slice(2, 4), slice(4, 7)]
    assert divide_batch(2, 5) == [slice(0, 1), slice(1, 2)]


def test_a_line_of_metrics(tmp_path: Path) -> None:
    losses: list[float] = []
    ticks = count()
    outcome = train_toy(
        tmp_path / "run",
        clock=lambda: float(next(ticks)),
        on_progress=lambda progress: losses.append(progress.metrics["loss"]),
    )
    assert outcome.data_share == 1 / 2
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4, 6, 8, 10]
    for number, line in enumerate(lines):
        mean = np.mean(losses[2 * number : 2 * number + 2])
        assert line["train"] == pytest.approx({"loss": mean, "twice": 2 * mean})
        assert line["validation"] == {"loss": 1 / line["step"]}
        # A step asks the clock three times, a second each: at its beginning, with its data, and at its end.
        assert line["speed"] == {"frames_per_second": 18 / 2, "data_share": 1 / 2}
    assert lines[0].keys() == {"step", "learning_rate", "gradient_norm", "train", "validation", "speed"}


@pytest.mark.parametrize(("at_once", "num_read"), [(1, 10), (2, 7), (3, 5), (20, 5)])
def test_metrics_that_are_read_some_steps_later_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int, num_read: int
) -> None:
    """Validations, checkpoints and a stop between, each of which counts all steps before it."""
    settings: dict[str, Any] = {"validate_every": 5, "checkpoint_every": 4, "keep_checkpoints": 9}
    train_toy(tmp_path / "each", **settings)
    monkeypatch.setitem(loop._STEPS_READ_AT_ONCE, "cpu", at_once)
    shown: list[float] = []
    train_toy(tmp_path / "later", on_progress=lambda progress: shown.append(progress.metrics["loss"]), **settings)
    assert_same(tree_of(tmp_path / "later"), tree_of(tmp_path / "each"))
    assert len(shown) == 10
    assert len(set(shown)) == num_read
    asked = count(1)
    with pytest.raises(Stopped):
        train_toy(tmp_path / "stopped", should_stop=lambda: next(asked) == 7, **settings)
    train_toy(tmp_path / "stopped", resume=True, **settings)
    assert_same(tree_of(tmp_path / "stopped"), tree_of(tmp_path / "each"))


@pytest.mark.parametrize(("bad", "noticed", "kept"), [(1, 1, 0), (3, 4, 0), (7, 8, 5), (9, 10, 5)])
def test_a_bad_step_that_is_noticed_later_is_named_and_is_in_no_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: int, noticed: int, kept: int
) -> None:
    monkeypatch.setitem(loop._STEPS_READ_AT_ONCE, "cpu", 3)
    run, steps = TrainingStep.run, count(1)
    done: list[int] = []

    def run_badly(*passed: Any) -> dict[str, torch.Tensor]:
        done.append(next(steps))
        return run(*passed) | ({"loss": torch.tensor(math.nan)} if done[-1] == bad else {})

    monkeypatch.setattr(TrainingStep, "run", run_badly)
    with pytest.raises(TrainingError, match=f"the loss is nan at step {bad}; "):
        train_toy(tmp_path / "run", validate_every=5)
    assert done[-1] == noticed
    found = [int(path.stem) for path in (tmp_path / "run").glob("checkpoints/*.pt")]
    assert found == ([kept] if kept else [])


def test_the_reported_norm_is_the_one_before_clipping(tmp_path: Path) -> None:
    norms = {}
    for name, clip_norm, clip_value in (("free", 0.0, 0.0), ("norm", 1e-3, 0.0), ("value", 0.0, 1e-6)):
        settings = OptimizerSettings(clip_norm=clip_norm, clip_value=clip_value)
        train_toy(tmp_path / name, settings, task=toy_task(dropout=0.0), steps=1)
        norms[name] = tree_of(tmp_path / name)["metrics"][0]["gradient_norm"]
    assert norms["free"] > 0.01
    assert norms == dict.fromkeys(norms, norms["free"])


def test_weights_that_are_not_finite_are_never_kept(tmp_path: Path) -> None:
    """A loss whose gradient is finite can still throw the weights out of what a float can be."""
    with pytest.raises(KilledError):
        train_toy(tmp_path / "run", on_progress=killed_after(4))
    before = tree_of(tmp_path / "run")
    task = toy_task()

    def put_infinity(progress: Progress) -> None:
        if progress.done == 5:
            with torch.no_grad():
                task.model.network.get_parameter("head.projection.bias")[0] = math.inf

    run = TrainingStep.run
    message = r"a weight is not finite at step 6; .*; the weights of step 4 and the last checkpoint are kept in .*run$"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("vidrep.training.step.clip_gradient", lambda model, settings: torch.tensor(1.0))
        patched.setattr(TrainingStep, "run", lambda *passed: run(*passed) | {"loss": torch.tensor(1.0)})
        with pytest.raises(TrainingError, match=message):
            train_toy(tmp_path / "run", task=task, resume=True, on_progress=put_infinity)
    assert_same(tree_of(tmp_path / "run"), before)


def test_other_numerics_are_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    asked = count(1)
    with pytest.raises(Stopped):
        train_toy(tmp_path / "run", should_stop=lambda: next(asked) == 3)
    path = tmp_path / "run" / "checkpoints" / "00000003.pt"
    content = torch.load(path, weights_only=True)
    assert content["numerics"] == {
        "device": "cpu",
        "threads": "1",
        "precision": "fp32",
        "matmul": library(torch.float32, torch.device("cpu")),
        "torch": str(torch.__version__),
        "ranks": "1",
    }
    torch.save(content | {"numerics": content["numerics"] | {"threads": "7", "torch": "2.10.0"}}, path)
    with caplog.at_level(logging.WARNING, logger="vidrep"):
        train_toy(tmp_path / "run", resume=True)
    (message,) = caplog.messages
    assert message == (
        f"{tmp_path / 'run'} goes on with threads 1, not 7; torch {torch.__version__}, not 2.10.0: "
        "the result may differ in the last bits"
    )


def test_a_second_training_into_one_folder_is_refused(tmp_path: Path) -> None:
    message = re.escape(f"{tmp_path / 'run'} is being written by process ")
    first, second = RunFolder(tmp_path / "run").locked(), RunFolder(tmp_path / "run").locked()
    with first, pytest.raises(OutputError, match=message), second:
        raise AssertionError


def test_an_unusable_checkpoint_is_reported_where_there_is_none_too(tmp_path: Path) -> None:
    assert str(Checkpoints(tmp_path / "none").unusable("of another run")) == (
        f"{tmp_path / 'none'}: of another run; --overwrite starts anew"
    )
