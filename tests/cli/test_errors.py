"""Errors of the system: what the user can mend is one line, everything else is a bug of ours, with its traceback."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from running import one_line, vidrep

from vidrep_cli.refusals import remedy

FULL = Path("/dev/full")


def refuse(monkeypatch: pytest.MonkeyPatch, number: int, path: Path | None) -> None:
    """Let `vidrep info` meet an error of the system."""
    error = OSError(number, os.strerror(number), *([] if path is None else [str(path)]))

    def raise_it(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("vidrep.inference.info.info", raise_it)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS, errno.ENAMETOOLONG])
def test_a_refusal_of_a_path_that_was_given_is_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: int
) -> None:
    for refused in (tmp_path / "run", tmp_path / "run" / "model.json", tmp_path, tmp_path / ".run.7.tmp"):
        refuse(monkeypatch, number, refused)
        one_line(["info", tmp_path / "run"], 5, str(refused), os.strerror(number), "another path")


def test_a_disk_that_is_full_or_broken_is_one_line_wherever_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for number in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
        refuse(monkeypatch, number, Path("/elsewhere/file"))
        one_line(["info", tmp_path / "run"], 5, "/elsewhere/file", os.strerror(number), "free some space")


@pytest.mark.parametrize(
    ("number", "path"),
    [
        (errno.EACCES, "/elsewhere/file"),  # nobody asked for that file
        (errno.EACCES, None),
        (errno.ENOENT, "run"),  # the library checks what is there: this is not the user's
        (errno.EBADF, None),
        (errno.EISDIR, "run"),
    ],
)
def test_any_other_error_of_the_system_is_a_bug_of_ours(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: int, path: str | None
) -> None:
    refuse(monkeypatch, number, None if path is None else tmp_path / path)
    with pytest.raises(OSError, match=os.strerror(number)):
        vidrep("info", tmp_path / "run")


def test_a_bug_of_ours_has_a_traceback_and_exit_code_1(tmp_path: Path) -> None:
    script = (
        "import sys, vidrep.inference.info\n"
        "def info(path, *, verify): open(path)\n"
        "vidrep.inference.info.info = info\n"
        "from vidrep_cli.main import main\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "info", tmp_path / "no"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Traceback (most recent call last):")
    assert "FileNotFoundError" in done.stderr.splitlines()[-1]


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("words", [("--help",), ("extract", "cnn", "--help"), ("--version",)])
def test_standard_output_on_a_full_disk_is_one_line(words: tuple[str, ...]) -> None:
    with FULL.open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "vidrep_cli", *words], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60
        )
    assert done.returncode == 5
    assert done.stderr.startswith("vidrep: No space left on device; ")
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="pipes")
def test_a_reader_that_ends_early_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "vidrep_cli", "--help"], stdout=writing, stderr=subprocess.PIPE, text=True, timeout=60
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not FULL.exists(), reason="there is no /dev/full")
def test_the_work_goes_on_when_standard_error_is_on_a_full_disk(tmp_path: Path) -> None:
    sample = [sys.executable, "-m", "vidrep_cli", "sample", "-o", str(tmp_path / "clips"), "--per-class", "1"]
    with FULL.open("w") as full:
        done = subprocess.run(sample, stdout=subprocess.PIPE, stderr=full, text=True, timeout=60)
    assert done.returncode == 0
    assert done.stdout.startswith(f"{tmp_path / 'clips'}: 8 videos in 8 class folders")


@pytest.mark.parametrize(
    "command", ["extract patches", "extract cnn", "train", "finetune", "evaluate", "predict", "info"]
)
def test_plugins_are_loaded_before_anything_else(tmp_path: Path, command: str) -> None:
    plugin = tmp_path / "failing_plugin.py"
    plugin.write_text("from vidrep.errors import ConfigError\nraise ConfigError('met in the plug-in')")
    words: list[object] = [*command.split(), "no.h5", "-o", "run"]
    words = words[:-2] if command in ("evaluate", "predict", "info") else words
    rest = ["no.mp4"] if command == "predict" else []
    one_line([*words, *rest, "--plugin", plugin], 2, "met in the plug-in")
    one_line([*words, *rest, "--plugin", "no_such_module"], 2, "no_such_module", "no such module")


@pytest.mark.parametrize("name", ["json", "torch", "pytest"])
def test_a_plugin_file_takes_the_place_of_no_other_module(tmp_path: Path, name: str) -> None:
    plugin = tmp_path / f"{name}.py"
    plugin.write_text("raise ValueError('was loaded')")
    one_line(["info", "no.h5", "--plugin", plugin], 2, f"there is another module {name!r}; give the file another name")


def test_a_path_within_an_option_counts_as_given(tmp_path: Path) -> None:
    refused = OSError(errno.EACCES, "Permission denied", str(tmp_path / "a" / "b"))
    assert remedy(refused, [f"--output={tmp_path / 'a'}"]) is not None
    assert remedy(refused, [f"--output={tmp_path / 'c'}"]) is None
    assert remedy(OSError(errno.EACCES, "Permission denied", bytes(tmp_path / "a")), [str(tmp_path / "a")]) is not None
