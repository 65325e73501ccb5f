"""`torchrun -m vidrep_cli train`, with two processes."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_features import circles, features_of

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")

SMALL = ["--threads", "1", "--device", "cpu", "--set", "encoder.hidden_size=4", "--set", "training.checkpoint_every=1"]
SMALL += ["--set", "windows.context=3", "--set", "windows.num_future=2"]


def start(
    *words: str, launcher: tuple[str, ...] = ("--standalone", "--nproc-per-node", "2")
) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "torch.distributed.run", *launcher, "-m", "vidrep_cli", "train", *words, *SMALL]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # Even if these tests run in the background, where a shell has Ctrl-C ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def said(stderr: str) -> list[str]:
    """Return our lines among torchrun's."""
    return [line for line in stderr.splitlines() if re.match("train: |vidrep: |warning: |stopping", line)]


@pytest.mark.slow
def test_one_of_two_processes_speaks(tmp_path: Path) -> None:
    features, run = features_of(tmp_path, circles()).path, tmp_path / "run"
    stdout, stderr = (process := start(str(features), "-o", str(run), "--steps", "10")).communicate(timeout=120)
    assert process.returncode == 0, stderr
    assert stdout.count("10 steps in") == 1 and stdout.count("free running") == 1
    lines = said(stderr)
    assert [line.split("  ")[0] for line in lines] == [f"train: {step} of 10 steps" for step in (2, 4, 6, 8, 10)]


@pytest.mark.slow
def test_ctrl_c_stops_both_with_a_checkpoint(tmp_path: Path) -> None:
    features, run = features_of(tmp_path, circles()).path, tmp_path / "run"
    process = start(str(features), "-o", str(run), "--steps", "1000000")
    deadline = time.monotonic() + 120
    while not any((run / "checkpoints").glob("*.pt")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=120)
    newest = sorted((run / "checkpoints").glob("*.pt"))[-1]
    assert said(stderr)[-2:] == [
        "stopping; what is finished is kept (once more: at once)",
        f"vidrep: stopped at step {int(newest.stem)} of 1000000; --resume goes on from there",
    ]
    assert sorted(path.name for path in tmp_path.iterdir() if "run" in path.name) == ["run"]


@pytest.mark.slow
def test_two_hosts(tmp_path: Path) -> None:
    """Two launchers with a process each, as on two hosts; only the second one's features are missing at first."""
    features, port = features_of(tmp_path, circles()).path, 20_000 + hash(str(tmp_path)) % 20_000
    for name, where, codes in (("failing", tmp_path / "no.h5", (1, 1)), ("run", features, (0, 0))):
        processes = [
            start(
                str(where if node else features),
                "-o",
                str(tmp_path / name),
                "--steps",
                "10",
                launcher=tuple(f"--nnodes=2 --node-rank={node} --master-addr=localhost --master-port={port}".split()),
            )
            for node in (0, 1)
        ]
        told = [process.communicate(timeout=120) for process in processes]
        assert tuple(process.returncode for process in processes) == codes, told
        assert said(told[1][1]) == [] and told[1][0] == ""
        if name == "failing":
            (line,) = said(told[0][1])
            assert re.match(r"vidrep: rank 1 on .*no\.h5: no such file", line)
        else:
            assert told[0][0].count("10 steps in") == 1
        port += 1
