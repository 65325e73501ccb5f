"""How long `vidrep train --recipe few-labels` takes an encoder: 400 updates on 1,000 clips of 16 frames of 2048 values.

python benchmarks/few_labels_time.py      writes docs/results/few-labels-time.md
"""

import tempfile
import time
from pathlib import Path

import numpy as np
from recording import ROOT, facts

import vidrep
from vidrep.features.store import Features

NUM_CLIPS, NUM_FRAMES, FRAME_SIZE, NUM_GROUPS, LIMIT = 1000, 16, 2048, 20, 120


def write_features(folder: Path) -> Features:
    """Import random sequences, float16, in 20 groups."""
    rng = np.random.default_rng(0)
    for number in range(NUM_CLIPS):
        path = folder / "arrays" / f"group{number % NUM_GROUPS:02d}" / f"{number:04d}.npy"
        path.parent.mkdir(parents=True, exist_ok=True)
        np.save(path, rng.standard_normal((NUM_FRAMES, FRAME_SIZE)).astype(np.float16))
    vidrep.import_features(folder / "arrays", folder / "features.h5")
    return vidrep.open_features(folder / "features.h5")


def main() -> None:
    """Measure once, and write the page."""
    with tempfile.TemporaryDirectory(prefix="vidrep-few-labels-time-") as name:
        folder = Path(name)
        features = write_features(folder)
        config = vidrep.load_recipe(vidrep.PretrainConfig, "few-labels", changes={"training.ensemble": 1})
        began, began_cpu = time.monotonic(), time.process_time()
        result = vidrep.train(features, folder / "run", config, group_pattern=r"group\d+", device="cpu")
        seconds, cpu = time.monotonic() - began, time.process_time() - began_cpu
    setting = (
        f"{NUM_CLIPS:,} clips of {NUM_FRAMES} x {FRAME_SIZE} random float16 values in {NUM_GROUPS} groups, "
        f"{result.outcome.steps} updates, one encoder, the recipe's defaults"
    )
    rows = {
        "`vidrep.train`, on the clock": seconds,
        "the same, of all cores together": cpu,
        "its updates and validations, on the clock": result.outcome.seconds,
        "limit, on the clock": LIMIT,
    }
    table = "\n".join(f"| {name} | {value:.0f} |" for name, value in rows.items())
    page = (
        f"# Wall time of few-labels\n\n{facts()}\nMade by `python benchmarks/few_labels_time.py`: {setting}.\n\n"
        f"| | seconds |\n|---|---|\n{table}\n"
    )
    (ROOT / "docs" / "results" / "few-labels-time.md").write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
