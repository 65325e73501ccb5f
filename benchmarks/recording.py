"""Runs command lines and keeps them with their output, as Markdown with the facts that a figure needs."""

import os
import platform
import shlex
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def real_data() -> Path:
    """Return the folder of real data that VIDREP_DATA names; see data/README.md."""
    folder = os.environ.get("VIDREP_DATA")
    if not folder:
        sys.exit("VIDREP_DATA does not name the folder of real data (data/README.md)")
    return Path(folder).resolve()


def facts() -> str:
    """Return date, commit, hardware class and versions, as a Markdown list."""
    import torch

    from vidrep.machine import processor_name

    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return (
        f"- date {datetime.now(UTC):%Y-%m-%d}, commit {commit.stdout.strip()}\n"
        f"- {processor_name()}, {os.cpu_count()} cores (shared with other work), {device}\n"
        f"- Python {platform.python_version()}, torch {torch.__version__}\n"
    )


class Recording:
    """Command lines run in a scratch folder, collected as Markdown."""

    def __init__(self, title: str, data: Path | None = None) -> None:
        self._data = data
        self._scratch = tempfile.TemporaryDirectory(prefix="vidrep-benchmark-")
        self.folder = Path(self._scratch.name)
        self._lines = [f"# {title}", "", facts()]

    def add(self, text: str) -> None:
        """Add a paragraph."""
        print(text, flush=True)
        self._lines += [text, ""]

    def run(self, command: str, *, keep: bool = True, codes: tuple[int, ...] = (0,)) -> str:
        """Run `vidrep ...` (as a shell would, with $VIDREP_DATA) and return its standard output.

        codes: exit codes with which to go on; with any other one it stops.
        """
        words = [os.path.expandvars(word) for word in shlex.split(command)]
        assert words[0] == "vidrep", "only vidrep is run"
        print(f"$ {command}", flush=True)
        began = time.monotonic()
        script = Path(sys.executable).with_name("vidrep")
        done = subprocess.run([script, *words[1:]], cwd=self.folder, capture_output=True, text=True, check=False)
        if done.returncode not in codes:
            sys.exit(f"{done.stdout}{done.stderr}exit code {done.returncode}")
        output = done.stdout.replace(str(self._data), "$VIDREP_DATA") if self._data else done.stdout
        print(f"{output}({time.monotonic() - began:.1f} s)\n", flush=True)
        if keep:
            self._lines += ["```", f"$ {command}", *output.rstrip().splitlines(), "```", ""]
        return done.stdout

    def save(self, name: str) -> None:
        """Write docs/results/NAME.md and remove the scratch folder."""
        path = ROOT / "docs" / "results" / f"{name}.md"
        path.write_text("\n".join(self._lines).rstrip() + "\n", encoding="utf-8")
        self._scratch.cleanup()
        print(f"written: {path.relative_to(ROOT)}")
