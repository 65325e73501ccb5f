"""tennis7 with the given SqueezeNet weights: extract, train, finetune, evaluate, predict; three seeds.

VIDREP_DATA=... python benchmarks/tennis7.py      writes docs/results/tennis7.md
"""

import json
import statistics

from recording import Recording, real_data

SEEDS = (0, 1, 2)
REGIONS = ("center", "frame")
PRETRAIN = (
    "--steps 250 --set encoder.hidden_size=256 --set encoder.dropout=0.2 --set windows.context=16 "
    "--set windows.num_future=13 --set windows.stride=4"
)
FINETUNE = (
    "--steps 150 --set encoder.hidden_size=256 --set windows.length=32 --set windows.stride=8 "
    "--set optimizer.learning_rate=3e-4"
)


def main() -> None:
    """Run everything and write the page."""
    record = Recording("tennis7: 371 clips of seven tennis strokes, SqueezeNet features", real_data())
    record.add(
        "Data: tennis7, its own lists (280 training and 91 test clips, divided by blocks of clip numbers, since "
        "neighbors share player and court). Made by `python benchmarks/tennis7.py`. The test clips chose nothing: "
        "weights are chosen by a tenth of the training clips, settings by blocks of them. Results of both regions are "
        "here, as blocks of the training clips did not show which is better."
    )
    tables = [_measure(record, region) for region in REGIONS]
    record.run("vidrep predict center-pretrained-classifier0 $VIDREP_DATA/tennis7/serve/serve53.mp4 --quiet")
    record.add(
        "Accuracy per video on the 91 test clips; one standard error of a single figure is about 0.05. Pretrained and "
        "scratch are the LSTM from a pretrained encoder and from random weights; the others are its baselines.\n\n"
        + "\n".join(["| classifier | mean over seeds | each |\n|---|---|---|", *tables])
    )
    record.save("tennis7")


def _measure(record: Recording, region: str) -> str:
    """Extract, train, finetune and evaluate with one region of the frames; return the rows of the table."""
    weights = "--weights $VIDREP_DATA/weights/squeezenet1_1_imagenet_fp16.pth"
    record.run(
        f"vidrep extract cnn $VIDREP_DATA/tennis7 -o {region}.h5 --model squeezenet1_1 {weights} --region {region} "
        "--precision fp32 --splits $VIDREP_DATA/tennis7"
    )
    record.run(f"vidrep info {region}.h5 --verify")
    results: dict[str, list[float]] = {}
    for seed in SEEDS:
        keep = seed == SEEDS[0]
        common = f"--seed {seed} --threads 2"
        record.run(f"vidrep train {region}.h5 -o {region}-pretrained{seed} {PRETRAIN} {common}", keep=keep)
        for start, option in (("pretrained", f"--from {region}-pretrained{seed} "), ("scratch", "")):
            run = f"{region}-{start}-classifier{seed}"
            record.run(f"vidrep finetune {region}.h5 {option}-o {run} {FINETUNE} {common}", keep=keep)
            if keep:
                record.run(f"vidrep evaluate {run} {region}.h5")
            metrics = json.loads(record.run(f"vidrep evaluate {run} {region}.h5 --json", keep=False))
            results.setdefault(f"LSTM, {start}", []).append(metrics["per_video"]["accuracy"])
            if start == "scratch":
                for name, accuracy in metrics["baselines"].items():
                    results.setdefault(name, []).append(accuracy["accuracy"])
    return "\n".join(
        f"| {region}: {name} | {statistics.mean(values):.3f} | {', '.join(f'{value:.3f}' for value in values)} |"
        for name, values in results.items()
    )


if __name__ == "__main__":
    main()
