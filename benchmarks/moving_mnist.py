"""Moving MNIST from the MNIST files: floor and baselines on 10,000 test sequences, and a short training beside them.

VIDREP_DATA=... python benchmarks/moving_mnist.py [--steps N]      writes docs/results/moving-mnist.md
"""

import argparse

from recording import Recording, real_data


def main() -> None:
    """Run everything and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=1500)
    steps = parser.parse_args().steps
    record = Recording("Moving MNIST: floor, baselines, and a short training", real_data())
    record.say(
        "Data: sequences generated from MNIST, two digits, 64x64, 10 frames seen and 10 predicted; training "
        "sequences from the training digits (seed 0), 10,000 test sequences from the test digits (seed 1). Figures "
        "are per frame, summed over 4096 pixels, free running. Made by "
        f"`python benchmarks/moving_mnist.py --steps {steps}`."
    )
    record.run("vidrep extract moving-mnist --mnist $VIDREP_DATA/mnist --videos 20000 --seed 0 -o train.h5")
    record.run(
        "vidrep extract moving-mnist --mnist $VIDREP_DATA/mnist --videos 10000 --seed 1 --digits test -o test.h5"
    )
    record.run(f"vidrep train train.h5 -o run --recipe moving-mnist-short --steps {steps} --threads 2")
    record.run("vidrep evaluate run test.h5 --threads 2")
    record.say(
        "Literature, frames 11-20: entropy floor 86.3 nats, mean frame 674 nats and squared error 153.1, zeros 173.9, "
        "last frame 285.9."
    )
    record.save("moving-mnist")


if __name__ == "__main__":
    main()
