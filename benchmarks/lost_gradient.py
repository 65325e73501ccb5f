"""What the gradient changes that the paper's released code loses: small models with and without it.

    VIDREP_DATA=... python benchmarks/lost_gradient.py [--steps N] [--seeds N] [--dry-run]

writes docs/results/lost-gradient.md. Both decoders of the composite model start from the encoder's last state (h, c).
The released CUDA code (29407a8) adds their gradients of h, but writes that of c over what is there: the reconstruction
decoder's comes first and is lost. `ReconstructionWithoutCellGradient` does the same; it is registered by this file
alone, which is a plug-in too:

    PYTHONPATH=benchmarks vidrep train --plugin lost_gradient --recipe released-mnist-1layer \
        --set 'objectives=["reconstruction_without_cell_gradient", "future"]' \
        --set objective.reconstruction_without_cell_gradient.conditional=true --mnist MNIST -o RUN
"""

import argparse
import json
import multiprocessing
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from recording import Recording, real_data

import vidrep
from vidrep.models.cells.lstm import LSTMState
from vidrep.models.objectives.objective import Encoded, Loss, Window
from vidrep.models.objectives.reconstruction import Reconstruction
from vidrep.registry import OBJECTIVES

JOBS = 2  # processes side by side, one thread each
WITH, WITHOUT = "reconstruction", "reconstruction_without_cell_gradient"
SMALL: dict[str, Any] = {
    "encoder.hidden_size": 128,
    "moving_mnist.num_digits": 1,
    "moving_mnist.canvas": 40,
    "training.batch_size": 32,
    "training.validation_fraction": 0.02,
    "training.patience": 0,
}
RECIPES = ("modern-mnist-small", "srivastava-mnist-1layer", "released-mnist-1layer")


@OBJECTIVES.register(WITHOUT)
class ReconstructionWithoutCellGradient(Reconstruction):
    """Reconstruction whose gradient reaches the encoder through its last h alone, in every layer, and not through c."""

    def forward(self, encoded: Encoded, window: Window) -> Loss:
        """Return the loss of the target frames; it is that of `Reconstruction`."""
        state = tuple(LSTMState(layer.h, layer.c.detach()) for layer in encoded.state)
        return super().forward(encoded._replace(state=state), window)


def measure(recipe: str, objective: str, steps: int, seed: int, mnist: Path) -> dict[str, float]:
    """Train once, with one thread; return the last losses a frame, in training and on held-out digits."""
    whole = vidrep.load_recipe(vidrep.PretrainConfig, recipe)
    settings = {
        **SMALL,
        "objectives": [objective, "future"],
        f"objective.{objective}.conditional": whole.objective["reconstruction"].conditional,
        "training.seed": seed,
        "training.steps": steps,
        "training.validate_every": steps // 4,
    }
    config = vidrep.load_recipe(vidrep.PretrainConfig, recipe, changes=settings)
    with tempfile.TemporaryDirectory(prefix="vidrep-benchmark-") as folder:
        run = vidrep.train(None, Path(folder) / "run", config, mnist=mnist, device="cpu", precision="fp32", threads=1)
        last = json.loads((run.folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    return {
        f"{which} {name}": last[which][objective if name == "reconstruction" else name]
        for which in ("train", "validation")
        for name in ("reconstruction", "future")
    }


def setting(steps: int, seeds: Sequence[int]) -> str:
    """Return in words what `measure` trains and returns."""
    return (
        "Recipes made small: Moving MNIST generated as training goes, one digit on a canvas of 40x40 pixels, 10 frames "
        f"of context and 10 predicted; 128 units, batches of 32, {steps} steps, fp32, {JOBS} processes of one thread, "
        f"seeds {', '.join(map(str, seeds))}. nats/frame: after the last step on 1,024 sequences of held-out digits, "
        "free running; and in training the mean of the last quarter, conditional decoders being teacher-forced. A cell "
        "has one figure a seed."
    )


def table(found: Mapping[tuple[str, str], list[dict[str, float]]]) -> str:
    """Return the figures of every seed, with and without the gradient, and the mean difference."""
    lines = [
        "| recipe | gradient of c | held-out digits: future | reconstruction | training: future | reconstruction |",
        "|---|---|---|---|---|---|",
    ]
    keys = ("validation future", "validation reconstruction", "train future", "train reconstruction")
    for recipe in RECIPES:
        both = {name: found[recipe, name] for name in (WITH, WITHOUT)}
        for name, word in ((WITH, "both decoders'"), (WITHOUT, "the future decoder's")):
            cells = [", ".join(f"{run[key]:.2f}" for run in both[name]) for key in keys]
            lines.append(f"| `{recipe}` | {word} | {' | '.join(cells)} |")
        differences = [
            statistics.mean(lost[key] - kept[key] for kept, lost in zip(both[WITH], both[WITHOUT], strict=True))
            for key in keys
        ]
        lines.append(f"| | *lost - kept, mean* | {' | '.join(f'{one:+.2f}' for one in differences)} |")
    return "\n".join(lines)


def main() -> None:
    """Train every recipe with and without the gradient, with every seed, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seeds", type=int, default=2, help="how many, 0 being the first")
    parser.add_argument("--dry-run", action="store_true", help="write no page")
    given = parser.parse_args()
    mnist, seeds = real_data() / "mnist", tuple(range(given.seeds))
    record = Recording("The gradient that the released code loses", real_data())
    with ProcessPoolExecutor(JOBS, multiprocessing.get_context("spawn")) as pool:
        waiting = {
            (recipe, name): [pool.submit(measure, recipe, name, given.steps, seed, mnist) for seed in seeds]
            for recipe in RECIPES
            for name in (WITH, WITHOUT)
        }
        found = {key: [future.result() for future in futures] for key, futures in waiting.items()}
    record.add(
        "Both decoders of the composite model start from the encoder's last h and c. The released CUDA code (29407a8) "
        "adds their gradients of h, but the future decoder's gradient of c overwrites the reconstruction decoder's; "
        f"vidrep adds both. {setting(given.steps, seeds)} With one seed both begin with the same weights and see the "
        f"same batches. Made by `python benchmarks/lost_gradient.py --steps {given.steps}`."
    )
    record.add(table(found))
    if not given.dry_run:
        record.save("lost-gradient")


if __name__ == "__main__":
    main()
