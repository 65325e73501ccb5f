"""The golden losses of the released code's configs beside those of the paper's recipes.

    python benchmarks/released.py

writes docs/results/released.md.
"""

import sys
import tempfile
from pathlib import Path

from recording import ROOT, Recording

SHOWN = (1, 5, 10, 15, 20)  # steps
MODELS = ("mnist-1layer", "mnist-2layer", "patches")


def losses() -> dict[str, list[float]]:
    """Train the recipes of tests/golden_losses.py: {recipe: the training loss of every step}."""
    sys.path.insert(0, str(ROOT / "tests"))
    from golden_losses import golden_losses

    with tempfile.TemporaryDirectory(prefix="vidrep-benchmark-") as folder:
        return golden_losses(Path(folder))


def table(found: dict[str, list[float]]) -> str:
    """Return the losses of some steps, a released recipe below the paper's."""
    lines = [f"| recipe | {' | '.join(f'step {step}' for step in SHOWN)} |", "|---|" + "---|" * len(SHOWN)]
    lines += [
        f"| `{recipe}` | {' | '.join(f'{found[recipe][step - 1]:.3f}' for step in SHOWN)} |"
        for model in MODELS
        for recipe in (f"srivastava-{model}", f"released-{model}")
    ]
    return "\n".join(lines)


def main() -> None:
    """Train, and write the page."""
    record = Recording("The released configs beside the paper's: golden losses")
    record.add(
        "`srivastava-*` are the paper's models, `released-*` the configs of its released code (29407a8); "
        "[training.md](../training.md) has what differs. Training losses a frame, both decoders' added, of the recipes "
        "made small: 16 units with initial weights and velocities ten times as large, batches of 4, windows of 4 + 4 "
        "frames of made-up digits or 4 + 3 of made-up features, fp32, one thread, seed 0. "
        "tests/training/test_golden.py holds all 20 steps. Patches are standardized in the paper's recipe alone, so "
        "the losses of that pair have different units. Made by `python benchmarks/released.py`."
    )
    record.add(table(losses()))
    record.add(
        "[The lost gradient](lost-gradient.md) has both recipes of one layer at 128 units, on real digits, after more "
        "steps."
    )
    record.save("released")


if __name__ == "__main__":
    main()
