"""What only a GPU can show, in one call of less than 9 minutes: prints tables, writes gpu.json and filmstrip.png.

    PYTHONPATH=. PYTHONUNBUFFERED=1 python benchmarks/gpu.py --mnist FOLDER [--seconds 480] [--output DIR]
        [--parts equality,steps,...]

The output is the folder that the environment variable OUT names, or --output. Training: equality with the CPU in
float64, and of captured steps with those they stand for; steps of the 2-layer model against their floor, counted from
operations and bytes and from ceilings that this run measures, against an eager loop with peepholes, and stacks against
cuDNN; sequences/s from digits to weights; and as much training of `modern-mnist-2layer-conditional` as the seconds
leave, with its figures on test sequences. Extraction: see gpu_extraction.py. A part that fails does not take the others
with it, but the exit code is 1, as it is where equality is not reached. Without a GPU everything runs small on the CPU,
to show that the script works; its figures mean nothing then, and its first line is a warning.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path


def main() -> None:
    """Measure, write, print."""
    # Here, as processes that decode videos import this file too.
    import torch
    from gpu_parts import PARTS, Benchmark, run_all
    from gpu_tables import has_failed, tables
    from gpu_training import ON_GPU

    from vidrep.machine import available_cores, tune_malloc

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = os.environ.get("VIDREP_DATA")
    parser.add_argument("--mnist", type=Path, default=data and Path(data) / "mnist", help="default: $VIDREP_DATA/mnist")
    parser.add_argument("--seconds", type=float, default=480.0, help="how long all of it takes, about")
    parser.add_argument("--output", type=Path, default=os.environ.get("OUT"), help="default: $OUT")
    parser.add_argument("--parts", default=",".join(PARTS), help="which, with commas between them")
    given = parser.parse_args()
    parts = set(given.parts.split(","))
    if not parts <= set(PARTS):
        parser.error(f"--parts {given.parts}: allowed are {', '.join(PARTS)}")
    if given.mnist is None and parts & {"end to end", "learning"}:
        parser.error("give --mnist, the folder of MNIST's files, or set VIDREP_DATA")
    tune_malloc()
    if not ON_GPU:
        torch.set_num_threads(available_cores())
    output = None if given.output is None else Path(given.output)
    benchmark = Benchmark(output, parts, given.seconds)
    with tempfile.TemporaryDirectory(prefix="vidrep-benchmark-") as name:
        run_all(benchmark, given.mnist, Path(name), filmstrip=(output or Path(name)) / "filmstrip.png")
    print()
    for line in tables(benchmark.found):
        print(line)
    sys.exit(1 if has_failed(benchmark.found) else 0)


if __name__ == "__main__":
    main()
