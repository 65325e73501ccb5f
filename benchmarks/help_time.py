"""How long `vidrep --help` and every subcommand's help take: median of 5 runs each, against 0.25 s.

    python benchmarks/help_time.py [--write]      writes docs/results/help.md

Each run is a new process of the console script beside this Python; runs of all commands are interleaved. Exits with 1
if a median is 0.25 s or more.
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

from recording import ROOT, facts
from typer.main import get_command

from vidrep_cli.main import app

ROUNDS = 5
LIMIT_SECONDS = 0.25


def all_commands() -> list[str]:
    """Return the words after `vidrep` of every command, groups included."""
    found = [""]
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        found += [name, *(f"{name} {sub}" for sub in getattr(command, "commands", {}))]
    return found


def seconds_of_help(command: str) -> float:
    """Run `vidrep COMMAND --help` once."""
    script = Path(sys.executable).with_name("vidrep")
    began = time.perf_counter()
    subprocess.run([script, *command.split(), "--help"], check=True, capture_output=True)
    return time.perf_counter() - began


def main() -> int:
    """Measure and print a table; return 1 if a median is over the limit."""
    taken: dict[str, list[float]] = {command: [] for command in all_commands()}
    for command in taken:
        seconds_of_help(command)  # once unmeasured: the first run writes byte code
    for _ in range(ROUNDS):
        for command, seconds in taken.items():
            seconds.append(seconds_of_help(command))
    lines = [
        f"{f'vidrep {command} --help'.replace('  ', ' '):36s} median {statistics.median(seconds):.3f} s   "
        f"{min(seconds):.3f} to {max(seconds):.3f} s"
        for command, seconds in taken.items()
    ]
    slowest = max(statistics.median(seconds) for seconds in taken.values())
    lines.append(f"slowest median {slowest:.3f} s, limit {LIMIT_SECONDS} s")
    print("\n".join(lines))
    if "--write" in sys.argv:
        title = (
            f"# How long help takes\n\nMade by `python benchmarks/help_time.py --write`; {ROUNDS} rounds, interleaved."
        )
        page = f"{title}\n\n{facts()}\n```\n{chr(10).join(lines)}\n```\n"
        (ROOT / "docs" / "results" / "help.md").write_text(page, encoding="utf-8")
    return int(slowest >= LIMIT_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
