"""Do two commits learn the same? The first 20 losses of some small recipes under each, and the largest difference.

    python benchmarks/compare_commits.py BEFORE [AFTER]

AFTER is the checkout if it is not given. Exits with 1 if a loss differs by more than --tolerance, relative.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recording import ROOT


@contextmanager
def code_of(commit: str | None) -> Iterator[Path]:
    """Give a folder with the code of a commit; None is the checkout itself."""
    if commit is None:
        yield ROOT
        return
    with tempfile.TemporaryDirectory(prefix="vidrep-commit-") as name:
        folder = Path(name) / "code"
        subprocess.run(["git", "worktree", "add", "--quiet", "--detach", folder, commit], cwd=ROOT, check=True)
        try:
            yield folder
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", folder], cwd=ROOT, check=True)


def losses_of(commit: str | None) -> dict[str, list[float]]:
    """Train under a commit's code, in a process of its own."""
    with code_of(commit) as folder:
        script = ROOT / "tests" / "golden_losses.py"
        result = subprocess.run(
            [sys.executable, script],
            env=os.environ | {"PYTHONPATH": str(folder)},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    losses: dict[str, list[float]] = json.loads(result.stdout)
    return losses


def main() -> int:
    """Compare, print a table, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before")
    parser.add_argument("after", nargs="?")
    parser.add_argument("--tolerance", type=float, default=1e-4)
    given = parser.parse_args()
    before, after = losses_of(given.before), losses_of(given.after)
    print(f"| recipe | loss of step 20, {given.before} | {given.after or 'checkout'} | largest relative difference |")
    print("|---|---|---|---|")
    largest = 0.0
    for recipe, losses in before.items():
        differences = [abs(one - other) / abs(one) for one, other in zip(losses, after[recipe], strict=True)]
        largest = max(largest, *differences)
        print(f"| {recipe} | {losses[-1]:.6g} | {after[recipe][-1]:.6g} | {max(differences):.1e} |")
    return int(largest > given.tolerance)


if __name__ == "__main__":
    sys.exit(main())
