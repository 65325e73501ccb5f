"""Calibration of classifiers before and after their temperature, on tennis7 and on sample clips of sources.

VIDREP_DATA=... python benchmarks/calibration.py      writes docs/results/calibration.md and two PNGs beside it

The protocol, docs/results/calibration-protocol.md, was written before.
"""

import json
import shutil

from recording import ROOT, Recording, real_data
from tennis7 import write_annotations

SEEDS = (0, 1)


def main() -> None:
    """Train, measure and write the page."""
    record = Recording("Calibration: before and after the temperature", real_data())
    record.add(
        "Made by `python benchmarks/calibration.py`, by the [protocol](calibration-protocol.md). ECE: expected "
        "calibration error, 15 bins (Guo et al. 2017). Perfectly calibrated predictions of 91 videos of seven classes "
        "have one of 0.12 on average, 0.07 to 0.17 in nine of ten cases (simulated), since the accuracy of a bin of "
        "few videos is mostly chance."
    )
    record.run("vidrep sample -o clips --sources 16", keep=False)
    record.run("vidrep extract patches clips -o samples.h5 --size 16 --labels clips/labels.csv --threads 1", keep=False)
    measure(record, "samples", "samples.h5", "")
    write_annotations(real_data() / "tennis7", record.folder / "tennis.csv")
    record.run(
        "vidrep extract cnn $VIDREP_DATA/tennis7 -o tennis.h5 --model squeezenet1_1 --weights "
        "$VIDREP_DATA/weights/squeezenet1_1_imagenet_fp16.pth --region frame --every 3 --threads 1",
        keep=False,
    )
    measure(record, "tennis7", "tennis.h5", "--labels tennis.csv")
    record.save("calibration")


def measure(record: Recording, name: str, features: str, labels: str) -> None:
    """Train by folds and by validation, two seeds each, and lay out what `evaluate` finds on the test videos."""
    lines = [
        "| temperature fitted on | seed | predicts | temperatures | accuracy | ECE before | ECE after "
        "| log loss before | log loss after |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for fitted_on, options in (("folds", "--budget 2 --steps 60"), ("validation videos", "--no-auto --steps 60")):
        for seed in SEEDS:
            run = f"{name}-{options.split()[0].strip('-')}-{seed}"
            record.run(f"vidrep finetune {features} -o {run} --seed {seed} {options} {labels} --threads 1", keep=False)
            picture = f"--reliability {run}.png"
            result = json.loads(
                record.run(f"vidrep evaluate {run} {features} --json {picture} {labels} --threads 1", keep=False)
            )
            found = result["calibration"]
            errors = [found[when]["expected_calibration_error"] for when in ("before", "after")]
            losses = [found[when]["log_loss"] for when in ("before", "after")]
            lines.append(
                f"| {fitted_on} | {seed} | {result['predictor']} | {found['temperature']:.2f}, "
                f"{found['final_temperature']:.2f} | {result['predicted']['accuracy']:.3f} | "
                f"{' | '.join(f'{one:.3f}' for one in errors + losses)} |"
            )
            if seed == 0 and fitted_on == "folds":
                shutil.copyfile(record.folder / f"{run}.png", ROOT / "docs" / "results" / f"calibration-{name}.png")
    record.add(f"## {name}: {result['num_videos']} test videos\n\n" + "\n".join(lines))
    record.add(f"![Reliability of seed 0, by folds](calibration-{name}.png)")


if __name__ == "__main__":
    main()
