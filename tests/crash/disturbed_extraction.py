"""The extraction that the tests in this folder disturb, and what must hold whatever happens to it."""

import contextlib
import hashlib
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vidrep.features.store import open_features

DRIVER = Path(__file__).with_name("driver.py")


@dataclass(frozen=True)
class Undisturbed:
    """The hashes of the outputs of the first half of the clips and of all, and how long the work on the latter took."""

    earlier: str
    final: str
    seconds: float


@dataclass(frozen=True)
class Ended:
    """How a run ended, and what it said."""

    code: int
    output: str
    errors: str


@dataclass(frozen=True)
class Extraction:
    """Twelve clips into one file; `first` are the first half of them, of which an earlier output may be."""

    clips: Path
    first: Path
    output: Path

    def command(self, **options: Any) -> list[str]:
        named = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
        return [sys.executable, str(DRIVER), str(self.clips), str(self.output), *named]

    def start(self, **options: Any) -> "subprocess.Popen[str]":
        """Start a run, and wait until it has the lock and begins."""
        process = subprocess.Popen(
            self.command(**options), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "begins\n"
        return process

    def kill_after(self, seconds: float, **options: Any) -> float | None:
        """Start a run and kill it so long after it began; return how long it took if it was through before."""
        process, began = self.start(**options), time.monotonic()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=seconds)
        took = time.monotonic() - began
        process.kill()
        process.communicate()
        assert process.returncode in (0, -signal.SIGKILL)
        return took if process.returncode == 0 else None

    def run(self, **options: Any) -> Ended:
        done = subprocess.run(self.command(**options), capture_output=True, text=True, encoding="utf-8")
        return Ended(done.returncode, done.stdout, done.stderr)

    def make_earlier(self, **options: Any) -> str:
        """Extract the first half of the clips; return the hash of the output."""
        assert Extraction(self.first, self.first, self.output).run(**options).code == 0
        return sha256(self.output)

    def names(self) -> list[str]:
        return sorted(path.name for path in self.output.parent.iterdir())

    def clear(self) -> None:
        """Make the folder of the output empty."""
        shutil.rmtree(self.output.parent, ignore_errors=True)
        self.output.parent.mkdir()

    def require_whole(self, *allowed: str | None) -> None:
        """The output, if it is one of those that may be there, can be read wholly."""
        if not self.output.exists():
            assert None in allowed
            return
        assert sha256(self.output) in allowed
        assert list(open_features(self.output).damaged()) == []

    def finish(self, final: str, **options: Any) -> None:
        """Run to the end: the output is the same as if nothing had happened, and nothing else is there."""
        ended = self.run(**options)
        assert ended.code == 0, ended.errors
        assert sha256(self.output) == final
        assert self.names() == [self.output.name]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
