"""`modern-mnist-small` on endless Moving MNIST: learning curve, figures, pictures.

    VIDREP_DATA=... python benchmarks/moving_mnist.py [--steps N]      writes docs/results/moving-mnist.md and pictures

Figures are of 10,000 fixed test sequences with two digits, of others with one and three, and of a roll-out of 100
frames, beside the entropy floor and trivial predictions.
"""

import argparse
import json
import shutil
from pathlib import Path

from recording import ROOT, Recording, real_data

PICTURES = ROOT / "docs" / "results"
THREADS = 2
VALIDATIONS_SHOWN = 16


def learning_curve(run: Path) -> str:
    """Return the table of losses by step, from metrics.jsonl."""
    validations = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    every = -(-len(validations) // VALIDATIONS_SHOWN)
    shown = [
        line
        for number, line in enumerate(validations, start=1)
        if number % every == 0 or number in (1, len(validations))
    ]
    lines = [
        "| step | training: reconstruction, future | held-out digits: reconstruction, future | learning rate "
        "| gradient norm | frames/s | waiting for data |",
        "|---|---|---|---|---|---|---|",
    ]
    for line in shown:
        train, held_out, speed = line["train"], line["validation"], line["speed"]
        lines.append(
            f"| {line['step']} | {train['reconstruction']:.1f}, {train['future']:.1f} "
            f"| {held_out['reconstruction']:.1f}, {held_out['future']:.1f} | {line['learning_rate']:.1e} "
            f"| {line['gradient_norm']:.4f} | {speed['frames_per_second']:.0f} | {100 * speed['data_share']:.1f} % |"
        )
    return "\n".join(lines)


def main() -> None:
    """Train, measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, help="another number of steps than the recipe's, to try the script")
    given = parser.parse_args()
    record = Recording("Moving MNIST: a small model, 20 minutes on two cores", real_data())
    steps = f" --steps {given.steps}" if given.steps else ""
    record.add(
        "The recipe `modern-mnist-small`: composite, one layer of 512 units, AdamW, sequences made from MNIST's "
        "training digits (seed 0) as training goes, a tenth of the digits held out to choose the weights. Figures "
        "are per frame, free running. The data range of SSIM and PSNR is 1. Made by "
        f"`python benchmarks/moving_mnist.py{steps}`."
    )
    record.run(f"vidrep train --mnist $VIDREP_DATA/mnist -o run --recipe modern-mnist-small --threads {THREADS}{steps}")
    record.add("Learning curve, nats/frame:")
    record.add(learning_curve(record.folder / "run"))
    evaluate = f"vidrep evaluate run --mnist $VIDREP_DATA/mnist --threads {THREADS}"
    record.add("Two digits, as in training; filmstrip: true frames above the model's, the context left of the line.")
    record.run(f"{evaluate} --filmstrip two.png")
    record.add("![two digits](moving-mnist-two.png)")
    record.add("Out of domain: one digit, three digits.")
    record.run(f"{evaluate} --num-digits 1")
    record.run(f"{evaluate} --num-digits 3 --filmstrip three.png")
    record.add("![three digits](moving-mnist-three.png)")
    record.add("A roll-out of 100 frames, 1,000 sequences; it was trained to predict 10.")
    record.run(f"{evaluate} --num-future 100 --sequences 1000")
    record.run(f"{evaluate} --num-future 100 --sequences 2 --filmstrip long.png", keep=False)
    record.add("![100 frames](moving-mnist-long.png)")
    record.add(
        "Literature, frames 11-20: entropy floor 86.3 nats, mean frame 674 nats and squared error 153.1, zeros 173.9, "
        "persistence 285.9; the paper's composite model, 2 layers of 2048 with conditional future decoder, 341.2 nats."
    )
    for name in ("two", "three", "long"):
        shutil.copyfile(record.folder / f"{name}.png", PICTURES / f"moving-mnist-{name}.png")
    record.save("moving-mnist")


if __name__ == "__main__":
    main()
