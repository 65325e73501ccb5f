"""How often 95 % intervals of a paired difference over draws and test groups hold the true difference.

python benchmarks/interval_coverage.py                  writes docs/results/interval-coverage.md
python benchmarks/interval_coverage.py --sets 2000      those without resampling: docs/results/interval-coverage-2000.md

Simulated correctness of two classifiers, with a difference that is known by its formula; see `simulated`.
"""

import argparse
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from recording import ROOT, facts
from scipy.special import stdtrit

from vidrep.metrics.crossed import crossed_interval, crossed_variance
from vidrep.metrics.intervals import bootstrap_interval

NUM_SETS, NUM_RESAMPLES = 200, 1000
MEANS = (0.8, 0.4)
"""Of the two classifiers, on the scale of `simulated`: accuracies of about .7 and .6."""
SHARES = {"draws": (0.5, 0.1, 0.1), "groups": (0.1, 0.6, 0.1), "both": (0.4, 0.4, 0.3)}
"""Deviations of the effects of draws, of groups and of draws within groups: what most of the chance is in."""
DRAWS, GROUPS, VIDEOS_A_GROUP = (3, 5, 8, 20), (10, 30), (3, 6)
NORMAL = NormalDist()

Differences = NDArray[np.float64]
IntervalOf = Callable[[Differences, list[str], int], tuple[float, float]]


@dataclass(frozen=True)
class Situation:
    """What is simulated."""

    num_draws: int
    num_groups: int
    mostly: str


def simulated(situation: Situation, rng: np.random.Generator) -> tuple[Differences, list[str], float]:
    """Return differences of correctness, (R, V), groups, (V,), and the true difference.

    A classifier m is right on a video v of group g after draw r where mean_m + a_mr + b_g + b_mg + c_mrg + d_v + e_mrv
    is positive, all but the mean normal: draws, groups (of both classifiers, and of each), draws within groups, videos
    (of both, deviation 1) and the rest (deviation 1). So m is right with probability Phi(mean_m / total deviation).
    """
    draw, group, within = SHARES[situation.mostly]
    sizes = rng.integers(VIDEOS_A_GROUP[0], VIDEOS_A_GROUP[1] + 1, size=situation.num_groups)
    group_of = np.repeat(np.arange(situation.num_groups), sizes)
    of_both = (rng.normal(size=situation.num_groups) * group)[group_of] + rng.normal(size=len(group_of))
    right = []
    for mean in MEANS:
        of_draws = rng.normal(size=(situation.num_draws, 1)) * draw
        of_groups = (rng.normal(size=situation.num_groups) * group)[group_of]
        of_pairs = (rng.normal(size=(situation.num_draws, situation.num_groups)) * within)[:, group_of]
        rest = rng.normal(size=of_pairs.shape)
        right.append((mean + of_draws + of_groups + of_pairs + of_both + rest > 0).astype(np.float64))
    total = math.sqrt(draw**2 + 2 * group**2 + within**2 + 1 + 1)
    true = NORMAL.cdf(MEANS[0] / total) - NORMAL.cdf(MEANS[1] / total)
    return right[0] - right[1], [str(number) for number in group_of], true


def crossed(values: Differences, groups: list[str], seed: int) -> tuple[float, float]:
    """Return what `vidrep study` reports."""
    interval = crossed_interval(values, groups)
    assert interval is not None
    return interval


def groups_alone(values: Differences, groups: list[str], seed: int) -> tuple[float, float]:
    """Return what the benchmark before reported: a percentile bootstrap over groups of the mean over draws."""
    interval = bootstrap_interval(values.mean(axis=0), groups, seed=seed, num_resamples=NUM_RESAMPLES)
    assert interval is not None
    return interval


def resampled(values: Differences, groups: list[str], seed: int) -> Iterator[tuple[Differences, Differences]]:
    """Yield draws and groups drawn with replacement: the sums of groups after each draw, (R, G), and sizes, (G,)."""
    group_of = np.unique(groups, return_inverse=True)[1]
    sums: Differences = np.stack([np.bincount(group_of, weights=row) for row in values])
    sizes, rng = np.bincount(group_of).astype(np.float64), np.random.default_rng(seed)
    for _ in range(NUM_RESAMPLES):
        rows, columns = (rng.integers(number, size=number) for number in sums.shape)
        yield sums[np.ix_(rows, columns)], sizes[columns]


def percentile(values: Differences, groups: list[str], seed: int) -> tuple[float, float]:
    """Return the percentiles of a bootstrap over draws and groups."""
    means = [sums.sum() / (len(sums) * sizes.sum()) for sums, sizes in resampled(values, groups, seed)]
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)


def normal(values: Differences, groups: list[str], seed: int) -> tuple[float, float]:
    """Return the mean -+ 1.96 of the deviation that `vidrep study` takes, whatever its degrees of freedom."""
    parts = crossed_variance(values, groups)
    half = NORMAL.inv_cdf(0.975) * math.sqrt(parts.of_draws + parts.of_groups)
    return parts.mean - half, parts.mean + half


def bootstrap_t(values: Differences, groups: list[str], seed: int) -> tuple[float, float]:
    """Return the bootstrap-t interval over draws and groups, each resample studentized by its own deviation."""
    parts, found = crossed_variance(values, groups), []
    for sums, sizes in resampled(values, groups, seed):
        num_draws, num_groups = sums.shape
        of_draws = sums.sum(axis=1) / sizes.sum()
        mean = of_draws.mean()
        terms = (sums.mean(axis=0) - sizes * mean) * num_groups / sizes.sum()
        variance = of_draws.var(ddof=1) / num_draws + np.square(terms).sum() / (num_groups * (num_groups - 1))
        found.append((mean - parts.mean) / math.sqrt(max(variance, 1e-12)))
    deviation = math.sqrt(parts.of_draws + parts.of_groups)
    low, high = np.percentile(found, (2.5, 97.5))
    return parts.mean - float(high) * deviation, parts.mean - float(low) * deviation


def shared_once(values: Differences, groups: list[str], seed: int) -> tuple[float, float]:
    """Return Student's t interval with the variance of draws within groups, which both parts hold, taken off once."""
    parts, group_of = crossed_variance(values, groups), np.unique(groups, return_inverse=True)[1]
    sizes = np.bincount(group_of)
    num_draws, num_groups = len(values), len(sizes)
    sums = np.stack([np.bincount(group_of, weights=row) for row in values])
    terms = (sums - sizes * values.mean(axis=1, keepdims=True)) * num_groups / len(group_of)
    rest = np.square(terms - terms.mean(axis=0)).sum() / ((num_draws - 1) * (num_groups - 1) * terms.size)
    variance = max(parts.of_draws + parts.of_groups - float(rest), parts.of_draws, parts.of_groups)
    half = float(stdtrit(parts.degrees, 0.975)) * math.sqrt(variance)
    return parts.mean - half, parts.mean + half


CROSSED = "**Student's t, `crossed_interval`**"
WITHOUT_RESAMPLING: dict[str, IntervalOf] = {
    CROSSED: crossed,
    "Student's t, what both parts hold taken off once": shared_once,
    "normal, the variance of `crossed_interval`": normal,
}
INTERVALS: dict[str, IntervalOf] = {
    CROSSED: crossed,
    "percentile bootstrap over draws and groups": percentile,
    "bootstrap-t over draws and groups": bootstrap_t,
    "normal, the same variance": normal,
    "percentile bootstrap over groups alone": groups_alone,
}


def coverage(
    situation: Situation, intervals: Mapping[str, IntervalOf], num_sets: int
) -> dict[str, tuple[float, float]]:
    """Return how often each interval holds the true difference, in percent, and how wide it is in the mean."""
    rng = np.random.default_rng(0)
    held: dict[str, list[bool]] = {name: [] for name in intervals}
    widths: dict[str, list[float]] = {name: [] for name in intervals}
    for seed in range(num_sets):
        values, groups, true = simulated(situation, rng)
        for name, interval_of in intervals.items():
            low, high = interval_of(values, groups, seed)
            held[name].append(low <= true <= high)
            widths[name].append(high - low)
    return {name: (100 * float(np.mean(held[name])), float(np.mean(widths[name]))) for name in intervals}


def main() -> None:
    """Simulate everything, and write the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sets", type=int, default=NUM_SETS)
    num_sets = parser.parse_args().sets
    intervals = INTERVALS if num_sets == NUM_SETS else WITHOUT_RESAMPLING
    name = "interval-coverage" if num_sets == NUM_SETS else f"interval-coverage-{num_sets}"
    situations = [Situation(*one) for one in product(DRAWS, GROUPS, SHARES)]
    found = {}
    for situation in situations:
        found[situation] = coverage(situation, intervals, num_sets)
        print(situation, found[situation], flush=True)
    head = "| draws | groups | chance is mostly in | " + " | ".join(intervals) + " |"
    rows = [
        f"| {one.num_draws} | {one.num_groups} | {one.mostly} | "
        + " | ".join(f"{held:.1f} % ({width:.2f})" for held, width in found[one].values())
        + " |"
        for one in situations
    ]
    means = " | ".join(f"{np.mean([found[one][column][0] for one in situations]):.1f} %" for column in intervals)
    table = "\n".join([head, "|---" * (3 + len(intervals)) + "|", *rows, f"| all | | | {means} |"])
    options = "" if num_sets == NUM_SETS else f" --sets {num_sets}"
    page = (
        f"# How often an interval holds the true difference\n\n{facts()}\n"
        f"Made by `python benchmarks/interval_coverage.py{options}`. {_described()}\n\n"
        f"How often the interval holds the true difference (and its mean width), {num_sets} data sets a row; one "
        f"standard error of a share of 95 % is {100 * math.sqrt(0.95 * 0.05 / num_sets):.1f} %:\n\n{table}\n"
    )
    (ROOT / "docs" / "results" / f"{name}.md").write_text(page, encoding="utf-8")
    print(page)


def _described() -> str:
    shares = "; ".join(f"{name}: {draw}, {group}, {within}" for name, (draw, group, within) in SHARES.items())
    return (
        "Two classifiers are simulated on the same draws and test videos: m is right on a video v of group g after "
        "draw r where mean_m + a_mr + b_g + b_mg + c_mrg + d_v + e_mrv > 0, all but the mean normal, so that the true "
        f"difference of their accuracies is known: Phi(mean / total deviation). Means {MEANS[0]} and {MEANS[1]}; the "
        "videos' d and the rest e have deviation 1; groups have "
        f"{VIDEOS_A_GROUP[0]} to {VIDEOS_A_GROUP[1]} videos; deviations of a, of both b, and of c: {shares}. Seed 0; "
        f"{NUM_RESAMPLES} resamples of a bootstrap."
    )


if __name__ == "__main__":
    main()
