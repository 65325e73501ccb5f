"""The tables of benchmarks/gpu.py, and what it aims at."""

from collections.abc import Iterator
from typing import Any

from gpu_extraction import table as extraction_table
from gpu_training import ON_GPU

# Shares of the floor to reach on an H200, and the floors expected there, in ms.
LEAST_SHARES = {80: 0.70, 256: 0.75, 1024: 0.75}
EXPECTED_FLOORS = {80: 3.0, 256: 5.2, 1024: 17.1}
LEAST_TIMES_FASTER_THAN_LOOP, MOST_NATS, WANTED_NATS = 4.0, 341.2, 250.0


def tables(found: dict[str, Any]) -> Iterator[str]:
    """Yield all tables, with the aims last."""
    yield f"{found['device']}; {found['cores']} cores, torch {found['torch']}, products in {found['precision']}"
    yield ""
    yield from measurements(found)
    yield "| aim, on an H200 | found | |"
    yield "|---|---|---|"
    for aim, value, reached in aims(found):
        report = "not measured" if reached is None else "reached" if reached else "not reached"
        yield f"| {aim} | {value} | {report} |"
    for part, why in found["left_out"].items():
        yield f"LEFT OUT: {part}: {why}"
    for name, error in found["errors"].items():
        yield f"FAILED: {name}: {error}"


def measurements(found: dict[str, Any]) -> Iterator[str]:
    """Yield the tables of whatever was found."""
    if "equality" in found:
        yield "| against float64 on the CPU | loss | gradient, the worst weight's | at most |"
        yield "|---|---|---|---|"
        for name, errors in found["equality"].items():
            yield f"| {name} | {errors['loss']:.1e} | {errors['gradient']:.1e} | {errors['most']:.0e} |"
        yield ""
    if "captured" in found:
        metrics = found["captured"]
        result = "not captured" if metrics is None else f"{metrics['loss']:.1e}, at most {metrics['most']:.0e}"
        yield f"Losses of 8 captured steps against the same steps kernel by kernel: {result}."
        yield ""
    if "ceilings" in found:
        best = found["ceilings"]
        yield (
            f"Best product {best['flops_per_second'] / 1e12:,.2f} TFLOP/s, copy {best['bytes_per_second'] / 1e12:,.3f} "
            "TB/s read and written."
        )
        yield ""
    yield from step_tables(found)
    yield from stack_table(found)
    yield from training_lines(found)
    if "extraction" in found:
        yield from extraction_table(found["extraction"])
        yield ""


def numbered(found: dict[str, Any], name: str) -> dict[int, Any]:
    """Return what was found at each batch size."""
    return {int(key.removeprefix(name)): one for key, one in found.items() if key.startswith(f"{name} ")}


def step_tables(found: dict[str, Any]) -> Iterator[str]:
    """Yield the table of steps."""
    if not (steps := numbered(found, "steps")):
        return
    yield (
        "| step of the 2-layer model, ms (median, fastest to slowest) | batch | share of the floor | TFLOP/s "
        "| peak GB |"
    )
    yield "|---|---|---|---|---|"
    for batch, at in steps.items():
        floor = at["floor"]
        yield (
            f"| floor {1e3 * floor['seconds']:.2f}: compute-bound {1e3 * floor['compute']:.2f}, bandwidth-bound "
            f"{1e3 * floor['bandwidth']:.2f}, optimizer {1e3 * floor['weights']:.2f} (expected on an H200: "
            f"{EXPECTED_FLOORS.get(batch, 'none')}) | {batch} | | | |"
        )
        for name in ("ours", "ours without peepholes", "peephole loop"):
            step = at[name]
            spread = f"{1e3 * step['seconds']:.2f} ({1e3 * step['fastest']:.2f} to {1e3 * step['slowest']:.2f})"
            peak = "" if step["peak_bytes"] is None else f"{step['peak_bytes'] / 1e9:.1f}"
            yield (
                f"| {name}: {spread} | {batch} | {floor['seconds'] / step['seconds']:.0%} "
                f"| {floor['flops'] / step['seconds'] / 1e12:,.2f} | {peak} |"
            )
    yield ""


def stack_table(found: dict[str, Any]) -> Iterator[str]:
    """Yield the table of stacks."""
    if not (stacks := numbered(found, "stacks")):
        return
    yield (
        "| stack of 2 layers, forward and backward, no peepholes | ours, ms | nn.LSTM, its weights in one buffer, ms "
        "| times faster |"
    )
    yield "|---|---|---|---|"
    for batch, at in stacks.items():
        times = at["nn.LSTM"] / at["ours"]
        yield f"| batch {batch} | {1e3 * at['ours']:.2f} | {1e3 * at['nn.LSTM']:.2f} | {times:.2f} |"
    yield ""


def training_lines(found: dict[str, Any]) -> Iterator[str]:
    """Yield a line for each whole training."""
    for batch, whole in numbered(found, "end to end").items():
        yield (
            f"End to end, batch {batch}: {whole['sequences_per_second']:,.0f} sequences/s, "
            f"{whole['data_share']:.1%} of the time spent waiting for data."
        )
        yield ""
    if (learned := found.get("learning")) is not None:
        yield (
            f"{learned['steps']:,} steps in {learned['training_seconds']:.0f} s; {learned['sequences']:,} test "
            f"sequences: future {learned['future_nats']:.1f}, reconstruction {learned['reconstruction_nats']:.1f} "
            f"nats/frame, free running; entropy floor {learned['entropy_floor']:.1f}."
        )
        yield ""


def aims(found: dict[str, Any]) -> Iterator[tuple[str, str, bool | None]]:
    """Yield each aim, what was found, and whether that reaches it; None where nothing was measured, or not on a GPU."""
    yield from equality_aims(found)
    for batch, least in LEAST_SHARES.items():
        at, share, faster = found.get(f"steps {batch}"), None, None
        if at is not None:
            share = at["floor"]["seconds"] / at["ours"]["seconds"]
            faster = at["peephole loop"]["seconds"] / at["ours"]["seconds"]
        yield f"batch {batch}: at least {least:.0%} of the floor", *judged(share, least, "{:.0%}")
        name = f"batch {batch}: at least {LEAST_TIMES_FASTER_THAN_LOOP:.0f} times the eager peephole loop"
        yield name, *judged(faster, LEAST_TIMES_FASTER_THAN_LOOP, "{:.1f} times")
        stack = found.get(f"stacks {batch}")
        ratio = None if stack is None else stack["nn.LSTM"] / stack["ours"]
        yield f"batch {batch}: not slower than cuDNN without peepholes", *judged(ratio, 1.0, "{:.2f} times")
    learned = found.get("learning")
    for most in (MOST_NATS, WANTED_NATS):
        name = f"future frames, free running: at most {most} nats/frame in less than 10 minutes"
        nats = None if learned is None else learned["future_nats"]
        yield name, "" if nats is None else f"{nats:.1f}", nats <= most if nats is not None and ON_GPU else None


def equality_aims(found: dict[str, Any]) -> Iterator[tuple[str, str, bool | None]]:
    """Yield the aims that hold on any device; without them all figures of speed mean nothing."""
    for name, errors in found.get("equality", {}).items():
        both = errors["loss"], errors["gradient"]
        reached = all(error <= errors["most"] for error in both)
        yield f"{name}: at most {errors['most']:.0e} from float64", "{:.1e}, {:.1e}".format(*both), reached
    if (metrics := found.get("captured")) is not None:
        name = f"captured steps: at most {metrics['most']:.0e} from those they stand for"
        yield name, f"{metrics['loss']:.1e}", metrics["loss"] <= metrics["most"]


def has_failed(found: dict[str, Any]) -> bool:
    """Whether a part failed, or computes something else."""
    return bool(found["errors"]) or not all(reached for _, _, reached in equality_aims(found))


def judged(value: float | None, least: float, form: str) -> tuple[str, bool | None]:
    """Return a figure as it is shown, and whether it is large enough, if it is a GPU's."""
    return ("", None) if value is None else (form.format(value), value >= least if ON_GPU else None)
