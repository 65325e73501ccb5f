"""Features that others made: import VGG-16 fc6 sequences of UCF-101, train and finetune on them.

VIDREP_DATA=... python benchmarks/fc6.py      writes docs/results/fc6.md
"""

from recording import Recording, real_data


def main() -> None:
    """Run everything and write the page."""
    record = Recording("Imported VGG-16 fc6 features of UCF-101, 6 classes", real_data())
    record.add(
        "Data: 108 videos of 6 classes of UCF-101, 25 frames of 4096 values each, labels and split of the file. "
        "A linear model is near the ceiling here: this shows that percept-shaped features run, not which method is "
        "better. Made by `python benchmarks/fc6.py`."
    )
    record.run("vidrep import $VIDREP_DATA/features/ucf101_fc6_small.h5 -o fc6.h5")
    record.run("vidrep info fc6.h5 --verify")
    windows = "--set windows.context=13 --set windows.num_future=8 --set windows.stride=2"
    small = "--steps 200 --set encoder.hidden_size=256"
    record.run(f"vidrep train fc6.h5 -o pretrained --recipe composite {small} {windows} --threads 2")
    classified = "--set windows.length=16 --set windows.stride=8"
    record.run(f"vidrep finetune fc6.h5 --from pretrained -o actions --no-auto --steps 100 {classified} --threads 2")
    record.run("vidrep evaluate actions fc6.h5 --threads 2")
    record.save("fc6")


if __name__ == "__main__":
    main()
