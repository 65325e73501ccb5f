"""`vidrep extract` as a process: asked to stop, refused a taken output, given paths on standard input."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from vidrep.features.store import open_features
from vidrep.locking import locking_output
from vidrep.video.writing import write_h264

CLIPS = Path(__file__).parents[2] / "data" / "clips"
SMALL = ["--size", "16"]


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "vidrep_cli", "extract", "patches", *map(str, arguments)]


def run(*arguments: object, stdin: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(command(*arguments), input=stdin, capture_output=True, timeout=120)


@pytest.fixture
def much_work(tmp_path: Path) -> Path:
    """A folder that looks like 2,000 videos of 200 frames: more than a minute of work."""
    folder = tmp_path / "clips"
    noise = np.random.default_rng(0).integers(0, 256, (200, 64, 64, 3), dtype=np.uint8)
    write_h264(folder / "0000.mp4", noise, frames_per_second=25)
    for number in range(1, 2000):
        (folder / f"{number:04}.mp4").symlink_to("0000.mp4")
    return folder


def as_in_the_foreground() -> None:
    """Heed Ctrl-C even if these tests run in the background, where a shell has it ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.skipif(sys.platform == "win32", reason="signals and links")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_well(tmp_path: Path, much_work: Path, number: signal.Signals) -> None:
    process = subprocess.Popen(
        command(much_work, "-o", tmp_path / "f.h5", "--workers", "2", *SMALL),
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=as_in_the_foreground,
    )
    parts, deadline = tmp_path / "f.h5.parts", time.monotonic() + 60
    while not any(parts.glob("part-*.h5")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    asked = time.monotonic()
    os.killpg(process.pid, number)  # as a terminal or a batch system does: the workers too
    _, stderr = process.communicate(timeout=60)
    assert time.monotonic() - asked < 10
    assert process.returncode == 128 + number
    lines = stderr.decode().splitlines()
    assert lines[-2:] == [
        "stopping; what is finished is kept (once more: at once)",
        "vidrep: stopped as asked; what is finished is kept, and the same command goes on",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clips", "f.h5.parts"]
    features = open_features(parts)
    assert 50 <= len(features) < 2000
    assert {row.length for row in features.videos} == {200}


def test_a_taken_output_is_refused_before_anything_heavy(tmp_path: Path) -> None:
    script = (
        "import sys; from vidrep_cli.main import app; from typer.testing import CliRunner\n"
        "result = CliRunner().invoke(app, sys.argv[1:])\n"
        "print(result.stderr, 'torch' in sys.modules, 'cv2' in sys.modules, result.exit_code)"
    )
    arguments = command(CLIPS, "-o", tmp_path / "f.h5")[3:]
    with locking_output(tmp_path / "f.h5"):
        done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, timeout=60)
    assert f"is being written by process {os.getpid()} on host {socket.gethostname()}" in done.stdout
    assert done.stdout.rstrip().endswith("False False 5")


def test_paths_on_standard_input(tmp_path: Path) -> None:
    odd = tmp_path / "odd"
    odd.mkdir()
    given = ["-dash first.mp4", "línea ünï.mp4"]
    if sys.platform != "win32":
        given.append("two\nlines.mp4")
    for name, clip in zip(given, sorted((CLIPS / "up").iterdir()), strict=False):
        (odd / name).write_bytes(clip.read_bytes())
    annotations = "\0".join(str(odd / name) for name in given).encode()
    done = run("-", "-o", tmp_path / "f.h5", "--workers", "1", *SMALL, stdin=annotations)
    assert done.returncode == 0, done.stderr
    assert sorted(row.path for row in open_features(tmp_path / "f.h5").videos) == sorted(given)


def test_a_video_on_standard_input_is_one_line(tmp_path: Path) -> None:
    done = run("-", "-o", tmp_path / "f.h5", *SMALL, stdin=next((CLIPS / "up").iterdir()).read_bytes())
    assert done.returncode == 3
    assert done.stderr.decode().splitlines() == [
        "vidrep: standard input holds binary data, such as a video itself; '-' reads a list of paths: write the video "
        "to a file first, then name that file"
    ]


def test_a_dry_run_says_what_it_would_take(tmp_path: Path) -> None:
    done = run(CLIPS, "-o", tmp_path / "f.h5", "--dry-run", *SMALL)
    lines = done.stdout.decode().splitlines()
    assert lines[0].startswith("32 videos, 8 class folders -> ")
    assert lines[1].startswith("about 640 frames to do, ")
    assert lines[2].startswith(f"disk: {640 * (16 * 16 + 8) / 1000:.1f} kB in the end; ")
    assert list(tmp_path.iterdir()) == []
