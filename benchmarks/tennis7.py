"""tennis7 with the given SqueezeNet weights: extract, train, finetune, evaluate, predict; three seeds.

VIDREP_DATA=... python benchmarks/tennis7.py      writes docs/results/tennis7.md
"""

import json
import statistics

from recording import Recording, real_data

SEEDS = (0, 1, 2)
PRETRAIN = "--steps 400 --set model.hidden_size=256 --set model.dropout=0.2 --set windows.stride=4"
FINETUNE = "--steps 300 --set model.hidden_size=256 --set windows.length=32 --set optimiser.learning_rate=3e-4"


def main() -> None:
    """Run everything and write the page."""
    record = Recording("tennis7: 371 clips of seven tennis strokes, SqueezeNet features", real_data())
    record.say(
        "Data: tennis7, its own lists (280 training and 91 test clips, divided by blocks of clip numbers, since "
        "neighbours share player and court). Made by `python benchmarks/tennis7.py`. The test clips chose nothing: "
        "weights are chosen by a tenth of the training clips, and settings were chosen by the loss on those."
    )
    splits = "--splits $VIDREP_DATA/tennis7"
    weights = "--weights $VIDREP_DATA/weights/squeezenet1_1_imagenet_fp16.pth"
    record.run(f"vidrep extract cnn $VIDREP_DATA/tennis7 -o tennis7.h5 --model squeezenet1_1 {weights} {splits}")
    record.run("vidrep info tennis7.h5 --verify")
    results: dict[str, list[float]] = {}
    for seed in SEEDS:
        keep = seed == SEEDS[0]
        common = f"--seed {seed} --threads 2 --quiet" if not keep else f"--seed {seed} --threads 2"
        record.run(f"vidrep train tennis7.h5 -o pretrained{seed} {PRETRAIN} {common}", keep=keep)
        for start, option in (("pretrained", f"--from pretrained{seed} "), ("scratch", "")):
            run = f"{start}-classifier{seed}"
            record.run(f"vidrep finetune tennis7.h5 {option}-o {run} {FINETUNE} {common}", keep=keep)
            if keep:
                record.run(f"vidrep evaluate {run} tennis7.h5")
            figures = json.loads(record.run(f"vidrep evaluate {run} tennis7.h5 --json", keep=False))
            results.setdefault(f"LSTM, {start}", []).append(figures["per_video"]["accuracy"])
            for name, accuracy in figures["baselines"].items() if start == "scratch" else ():
                results.setdefault(name, []).append(accuracy["accuracy"])
    record.run("vidrep predict pretrained-classifier0 $VIDREP_DATA/tennis7/serve/serve53.mp4 --quiet")
    lines = [
        f"| {name} | {statistics.mean(values):.3f} | {', '.join(f'{value:.3f}' for value in values)} |"
        for name, values in results.items()
    ]
    record.say(
        "Accuracy per video on the 91 test clips (one standard error of a single figure is about 0.05):\n\n"
        "| classifier | mean over seeds | each |\n|---|---|---|\n" + "\n".join(lines)
    )
    record.save("tennis7")


if __name__ == "__main__":
    main()
