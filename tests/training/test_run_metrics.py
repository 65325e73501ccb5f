"""metrics.jsonl and TensorBoard's events: whole lines only, and each step once after a resume."""

import errno
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from toy_training import train_toy, tree_of

from vidrep.errors import OutputError, Stopped
from vidrep.training import run_metrics
from vidrep.training.run_metrics import Metrics


def test_lines_after_a_step_and_half_lines_are_cut(tmp_path: Path) -> None:
    first = Metrics(tmp_path, step=0)
    for step in (5, 10, 15):
        first.append({"step": step})
    path = tmp_path / "metrics.jsonl"
    with path.open("a", encoding="utf-8") as file:
        file.write('{"step": 7')
    again = Metrics(tmp_path, step=10)
    assert path.read_text(encoding="utf-8") == '{"step": 5}\n{"step": 10}\n'
    again.append({"step": 20})
    assert path.read_text(encoding="utf-8") == '{"step": 5}\n{"step": 10}\n{"step": 20}\n'


def test_a_line_that_the_disk_refuses_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = Metrics(tmp_path, step=0)
    lines.append({"step": 5})
    before = (tmp_path / "metrics.jsonl").read_bytes()

    def fill(descriptor: int, content: bytes, offset: int) -> None:
        os.pwrite(descriptor, content[:4], offset)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(run_metrics, "write_at", fill)
    with pytest.raises(OutputError, match=r"metrics.jsonl: cannot be written \(No space left on device; needs 13 B"):
        lines.append({"step": 10})
    assert (tmp_path / "metrics.jsonl").read_bytes() == before


def test_events_that_the_disk_refuses_leave_nothing_and_print_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tensorboard")
    num_threads = threading.active_count()
    lines = Metrics(tmp_path, step=0)
    lines.append({"step": 5, "loss": 1.5})
    path = tmp_path / "tensorboard" / "events.out.tfevents.000001"
    before = path.read_bytes()

    def fill(descriptor: int, content: bytes, offset: int) -> None:
        if content.startswith(b"{"):
            os.pwrite(descriptor, content, offset)
            return
        os.pwrite(descriptor, content[:4], offset)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(run_metrics, "write_at", fill)
    with pytest.raises(OutputError, match=r"tfevents\.000001: cannot be written \(No space left on device"):
        lines.append({"step": 10, "loss": 1.25})
    assert path.read_bytes() == before and len(before) > 100
    assert threading.active_count() == num_threads
    assert capfd.readouterr() == ("", "")


def test_tensorboard_shows_every_metric_once(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    def scalars() -> dict[str, list[tuple[int, float]]]:
        shown = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
        shown.Reload()
        return {
            tag: [(event.step, float(event.tensor_proto.float_val[0])) for event in shown.Tensors(tag)]
            for tag in shown.Tags()["tensors"]
        } or {tag: [(event.step, event.value) for event in shown.Scalars(tag)] for tag in shown.Tags()["scalars"]}

    asked = iter(range(1, 100))
    with pytest.raises(Stopped):
        train_toy(tmp_path / "run", should_stop=lambda: next(asked) == 6)
    assert [step for step, _ in scalars()["validation/loss"]] == [2, 4, 6]
    # As after a kill between the events of step 6 and its checkpoint, with half an event at the end.
    (tmp_path / "run" / "checkpoints" / "00000006.pt").unlink()
    with (tmp_path / "run" / "tensorboard" / "events.out.tfevents.000001").open("ab") as file:
        file.write(b"half")
    train_toy(tmp_path / "run", resume=True)
    train_toy(tmp_path / "whole")
    lines = tree_of(tmp_path / "whole")["metrics"]
    expected = {
        "learning_rate": [(line["step"], line["learning_rate"]) for line in lines],
        "gradient_norm": [(line["step"], line["gradient_norm"]) for line in lines],
        "train/loss": [(line["step"], line["train"]["loss"]) for line in lines],
        "train/twice": [(line["step"], line["train"]["twice"]) for line in lines],
        "validation/loss": [(line["step"], line["validation"]["loss"]) for line in lines],
    }
    found = scalars()
    assert found.keys() == expected.keys() | {"speed/frames_per_second", "speed/data_share"}
    for tag, points in expected.items():
        assert [step for step, _ in found[tag]] == [2, 4, 6, 8, 10], tag
        assert [value for _, value in found[tag]] == pytest.approx([value for _, value in points], rel=1e-6), tag


def test_without_tensorboard_there_are_only_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*sys.modules]:
        if name.split(".")[0] == "tensorboard":
            monkeypatch.delitem(sys.modules, name)
    absent: Any = None
    monkeypatch.setitem(sys.modules, "tensorboard", absent)
    train_toy(tmp_path / "run")
    assert len(tree_of(tmp_path / "run")["metrics"]) == 5
    assert not (tmp_path / "run" / "tensorboard").exists()
