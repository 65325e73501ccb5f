"""`vidrep train` and `vidrep finetune` as processes that are asked to stop."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from small_features import circles, features_of

SMALL = ["--threads", "1", "--device", "cpu", "--set", "encoder.hidden_size=4", "--set", "training.checkpoint_every=1"]
WINDOWS = {
    "train": ["--set", "windows.context=3", "--set", "windows.num_future=2"],
    "finetune": ["--no-auto", "--set", "windows.length=4"],
}


def newest_step(run: Path) -> int:
    return max((int(path.stem) for path in (run / "checkpoints").glob("*.pt")), default=0)


def wait_for_checkpoint(process: "subprocess.Popen[bytes]", run: Path, *, after: int) -> None:
    deadline = time.monotonic() + 60
    while newest_step(run) <= after:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def started(command: str, features: Path, run: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A training that has saved a checkpoint; killed at the end if it still runs."""
    words = [command, str(features), "-o", str(run), "--steps", "1000000", *SMALL, *WINDOWS[command]]
    with subprocess.Popen(
        [sys.executable, "-m", "vidrep_cli", *words],
        stderr=subprocess.PIPE,
        # Even if these tests run in the background, where a shell has Ctrl-C ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        try:
            wait_for_checkpoint(process, run, after=0)
            yield process
        finally:
            process.kill()


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
@pytest.mark.parametrize(
    ("command", "number"), [("train", signal.SIGTERM), pytest.param("finetune", signal.SIGINT, marks=pytest.mark.slow)]
)
def test_a_signal_ends_it_with_a_checkpoint(tmp_path: Path, command: str, number: signal.Signals) -> None:
    features, run = features_of(tmp_path, circles()).path, tmp_path / "run"
    with started(command, features, run) as process:
        process.send_signal(number)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 128 + number, stderr
    assert stderr.decode().splitlines()[-2:] == [
        "stopping; what is finished is kept (once more: at once)",
        f"vidrep: stopped at step {newest_step(run)} of 1000000; --resume goes on from there",
    ]
    assert sorted(path.name for path in tmp_path.iterdir() if "run" in path.name) == ["run"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_it_trains_on_and_ends_well_when_nobody_reads_its_progress(tmp_path: Path) -> None:
    features, run = features_of(tmp_path, circles()).path, tmp_path / "run"
    with started("train", features, run) as process:
        assert process.stderr is not None
        process.stderr.close()
        wait_for_checkpoint(process, run, after=newest_step(run))
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 128 + signal.SIGTERM
