"""The operations of a CPU step, one by one: products by torch and by oneDNN, one decoder or two at once, activations.

    python benchmarks/matmul.py [--threads N] [--write]

--write writes docs/results/matmul.md. Methods take turns, round by round; medians. vidrep chooses its products by them.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from recording import ROOT, facts
from torch import Tensor

from vidrep.machine import available_cores, tune_malloc

# Name: batch, units; as in training_step.py.
SIZES = {"S": (64, 128), "M": (80, 512), "L": (80, 2048)}
TIME_STEPS, ROUNDS, SECONDS_A_TURN = 10, 9, 0.03
NUM_VALUES = 160_000

Methods = dict[str, Callable[[], object]]


def milliseconds(methods: Methods) -> dict[str, float]:
    """Let methods take turns; return the median of each, in ms a call."""
    found: dict[str, list[float]] = {name: [] for name in methods}
    for _ in range(ROUNDS):
        for name, do in methods.items():
            do()
            began, count = time.perf_counter(), 0
            while time.perf_counter() - began < SECONDS_A_TURN:
                do()
                count += 1
            found[name].append((time.perf_counter() - began) / count)
    return {name: 1000 * statistics.median(seconds) for name, seconds in found.items()}


def one_dnn(values: Tensor, weight: Tensor) -> Tensor:
    """Return values @ weight.T by oneDNN, through the operator that torch calls private."""
    product: Tensor = torch.ops.mkldnn._linear_pointwise(values, weight, None, "none", [], "")
    return product


def of_time_step(batch: int, units: int, dtype: torch.dtype) -> Methods:
    """Return the recurrent product of a time step, forward and back, and the packing of its matrix."""
    h, dz, matrix = (torch.randn(shape).to(dtype) for shape in ((batch, units), (batch, 4 * units), (4 * units, units)))
    packed = torch.ops.mkldnn._reorder_linear_weight(matrix, batch)
    return {
        "forward: torch": partial(torch.mm, h, matrix.t()),
        "oneDNN": partial(one_dnn, h, matrix),
        "oneDNN, packed": partial(one_dnn, h, packed),
        "packing": partial(torch.ops.mkldnn._reorder_linear_weight, matrix, batch),
        "back: torch": partial(torch.mm, dz, matrix),
        "back: oneDNN": partial(one_dnn, dz, matrix.t()),
    }


def of_gradient(batch: int, units: int, dtype: torch.dtype) -> Methods:
    """Return the gradient of the recurrent matrix, over all time steps, and the same turned round."""
    rows = TIME_STEPS * batch
    dz, h = torch.randn(rows, 4 * units).to(dtype), torch.randn(rows, units).to(dtype)
    return {
        "gradient: torch": partial(torch.mm, dz.t(), h),
        "gradient: oneDNN": partial(one_dnn, dz.t(), h.t()),
        "gradient turned round: oneDNN": partial(one_dnn, h.t(), dz.t()),
    }


def of_two_decoders(batch: int, units: int) -> Methods:
    """Return the recurrent products of two decoders, one after the other or in one, in fp32."""
    h, matrices, bias = torch.randn(2, batch, units), torch.randn(2, 4 * units, units), torch.randn(2, 1, 4 * units)
    turned = matrices.transpose(1, 2)

    def apart() -> None:
        for one, matrix in zip(h, matrices, strict=True):
            one_dnn(one, matrix)

    return {"two decoders: oneDNN twice": apart, "in one: torch": partial(torch.baddbmm, bias, h, turned)}


def page() -> list[str]:
    """Measure everything; return the lines of the page."""
    lines = [
        "# Products and activations, one by one",
        "",
        facts(),
        f"Made by `python benchmarks/matmul.py --write`, {torch.get_num_threads()} threads, medians of {ROUNDS} "
        f"interleaved rounds. Products of a time step are (B, H) by (H, 4H) forward, (B, 4H) by (4H, H) back; the "
        f"gradient's is (4H, {TIME_STEPS} B) by ({TIME_STEPS} B, H). S: B 64, H 128; M: 80, 512; L: 80, 2048.",
        "",
        "| ms | S fp32 | M fp32 | L fp32 | S bf16 | M bf16 | L bf16 |",
        "|---|---|---|---|---|---|---|",
    ]
    columns = []
    for dtype in (torch.float32, torch.bfloat16):
        for batch, units in SIZES.values():
            methods = of_time_step(batch, units, dtype) | of_gradient(batch, units, dtype)
            if dtype == torch.float32:
                methods |= of_two_decoders(batch, units)
            columns.append(milliseconds(methods))
    lines += [
        f"| {method} | {' | '.join(f'{one[method]:.3f}' if method in one else '' for one in columns)} |"
        for method in columns[0]
    ]
    values, buffer = torch.randn(NUM_VALUES), torch.empty(NUM_VALUES)
    activations = milliseconds(
        {
            "torch.tanh": partial(torch.tanh, values, out=buffer),
            "torch.sigmoid": partial(torch.sigmoid, values, out=buffer),
            "2 sigmoid(2x) - 1": lambda: torch.add(values, values, out=buffer).sigmoid_().mul_(2).sub_(1),
        }
    )
    seconds = "; ".join(f"{name} {ms:.3f} ms" for name, ms in activations.items())
    return [*lines, "", f"{NUM_VALUES:,} values in fp32: {seconds}."]


def main() -> None:
    """Print the page, and write it if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=available_cores(), help="default: all available cores")
    parser.add_argument("--write", action="store_true", help="write docs/results/matmul.md")
    given = parser.parse_args()
    tune_malloc()
    torch.set_num_threads(given.threads)
    lines = page()
    print("\n".join(lines))
    if given.write:
        (ROOT / "docs" / "results" / "matmul.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
