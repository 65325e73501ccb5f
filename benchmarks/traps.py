"""How to be wrong about a classifier: each trap of docs/evidence.md on data, with its figure.

VIDREP_DATA=... python benchmarks/traps.py      writes docs/results/traps.md

Shapes: V videos, D values of a video's mean feature, N candidates.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from recording import Recording, real_data

import vidrep
from vidrep.features.groups import groups_by_number
from vidrep.metrics.cosine import fit_nearest_neighbors
from vidrep.metrics.cross_validation import cross_validate_linear
from vidrep.metrics.intervals import Interval, share_interval, wilson_interval
from vidrep.metrics.paired import paired_difference
from vidrep.models.logistic_regression import COSTS, DEFAULT_COST, fit_linear
from vidrep.sequences.folds import Fold, grouped_folds

PROTOCOL = """\
**Protocol**, written before any of the figures below. All methods are logistic regression on a video's mean feature,
standardized, C = 0.01 where nothing else is said (the value that vidrep takes where nothing can be cross-validated).
tennis7: 371 clips of seven strokes, 53 of each, SqueezeNet features of every fourth frame; its groups are blocks of ten
neighboring numbers of a stroke, 42 in all. fc6: 108 videos of six classes of UCF-101, whose recordings are not known,
so each is a group of its own. "50 splits" are five folds of each of the seeds 0 to 9: one fifth of the videos tests,
four fifths train.

1. Neighbors: 50 splits that ignore groups against 50 of whole blocks; C chosen in the training part by five folds of
   the same kind; and the nearest neighbor by cosine.
2. One lucky split: the spread of the 50 splits of whole blocks; two methods that are equally good by construction, on
   two random halves of the values, drawn anew for each of 200 splits (seeds 0 to 39): how far apart they come on one
   split, and how often a paired 95 % interval over groups does not contain 0; and 50 draws of one labeled video a
   class of fc6, 36 test videos.
3. Badly regularized baselines: accuracy at each C from 1e-5 to 100, against C chosen by grouped folds of the training
   part, for tennis7 (five folds of blocks, seed 0), for fc6 with its 72 training videos, and for 50 draws of fc6 with
   1, 2, 3, 4, 5 and 6 labeled videos of its six classes; and, on tennis7, C chosen by folds that ignore groups.
4. Tuning on the test: candidates that differ by chance alone, on 64 values each drawn at random. Three fifths train,
   one fifth validates, one fifth tests (50 such splits of whole blocks of tennis7). The best of N by the test is
   reported by the test; the best of N by validation too. The difference is by how much the first is too good.
5. Labels that mean nothing, tennis7, 20 permutations: permuted over clips, five folds of blocks, as they are and with
   the best of 50 candidates of 4. chosen by each test fold; and permuted between whole blocks, with folds of blocks
   and with folds that ignore groups. Chance is 0.143.
6. Small test sets: the width of Wilson's interval, and of that over blocks on the given split of tennis7.

Whatever comes out is shown, also where a trap does no harm on these data.

Changed after a first run of everything: in 3. each C is fitted on its own, as a user of one C would do it, and no
longer from the weights of the C before. Where the solver stops early, at high C, that is up to two points."""
WEIGHTS = "$VIDREP_DATA/weights/squeezenet1_1_imagenet_fp16.pth"
BLOCK, NUM_FOLDS, CANDIDATE_VALUES = 10, 5, 64
NUMS_OF_CANDIDATES = (1, 2, 5, 10, 50)


@dataclass(frozen=True)
class VideoSet:
    """Labeled videos: rows (V, D), classes (V,), groups, and which are in the given test split."""

    rows: NDArray[np.float32]
    classes: NDArray[np.int64]
    groups: list[str]
    is_test: NDArray[np.bool_]

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return int(self.classes.max()) + 1

    def without_groups(self) -> "VideoSet":
        """Return the same videos, each a group of its own."""
        return replace(self, groups=[str(video) for video in range(len(self.rows))])

    def of(self, videos: Sequence[int]) -> "VideoSet":
        """Return some of the videos."""
        kept = list(videos)
        groups = [self.groups[video] for video in kept]
        return VideoSet(self.rows[kept], self.classes[kept], groups, self.is_test[kept])

    def folds(self, seed: int, num: int = NUM_FOLDS) -> list[Fold]:
        """Divide the videos into folds of whole groups."""
        return grouped_folds([str(one) for one in self.classes], self.groups, num, seed)

    def given_split(self) -> Fold:
        """Return the given training and test videos."""
        return Fold(np.flatnonzero(~self.is_test).tolist(), np.flatnonzero(self.is_test).tolist())


def main() -> None:
    """Run everything and write the page."""
    record = Recording("Traps: how to be wrong about a classifier, with figures", real_data())
    record.add(PROTOCOL)
    record.run(
        "vidrep extract cnn $VIDREP_DATA/tennis7 -o tennis7.h5 --model squeezenet1_1 "
        f"--weights {WEIGHTS} --region frame --precision fp32 --every 4 --splits $VIDREP_DATA/tennis7"
    )
    record.run("vidrep import $VIDREP_DATA/features/ucf101_fc6_small.h5 -o fc6.h5")
    tennis7, fc6 = video_set(record.folder / "tennis7.h5", BLOCK), video_set(record.folder / "fc6.h5", None)
    record.add("## 1. Neighboring clips\n\n" + neighbors(tennis7))
    record.add("## 2. One lucky split\n\n" + lucky_split(tennis7, fc6))
    record.add("## 3. Badly regularized baselines\n\n" + regularization(tennis7, fc6))
    record.add("## 4. Tuning on the test\n\n" + tuning_on_the_test(tennis7))
    record.add("## 5. Labels that mean nothing\n\n" + meaningless_labels(tennis7))
    record.add("## 6. Small test sets\n\n" + small_test_sets(tennis7))
    record.save("traps")


def video_set(path: Path, block: int | None) -> VideoSet:
    """Read the mean features of a file; groups are blocks of so many numbers, or single videos."""
    features = vidrep.open_features(path)
    rows, labels = features.to_numpy(pool="mean")
    classes = np.unique(labels, return_inverse=True)[1].astype(np.int64)
    groups = features.paths if block is None else groups_by_number(features.paths, features.labels, block)
    return VideoSet(rows, classes, groups, np.array([row.split == "test" for row in features.videos]))


def splits(videos: VideoSet, num_seeds: int = 10) -> Iterator[tuple[int, Fold]]:
    """Yield the seed and the fold of every split."""
    return ((seed, fold) for seed in range(num_seeds) for fold in videos.folds(seed))


def right(videos: VideoSet, fold: Fold, C: float = DEFAULT_COST) -> NDArray[np.bool_]:  # noqa: N803
    """Fit to the training videos of a fold; return which of its others are right."""
    train, test = videos.of(fold.train), videos.of(fold.validation)
    fitted = fit_linear(train.rows, train.classes, videos.num_classes, C)
    is_right: NDArray[np.bool_] = fitted.probabilities(test.rows).argmax(axis=1) == test.classes
    return is_right


def chosen_cost(videos: VideoSet) -> float:
    """Return the C of the highest accuracy in folds of the videos' groups."""
    return cross_validate_linear(videos.rows, videos.classes, videos.num_classes, videos.folds(seed=0)).setting


def neighbors(tennis7: VideoSet) -> str:
    """Compare splits that ignore groups with those of whole blocks."""
    lines = ["| 50 splits of tennis7 | method | mean | deviation | lowest | highest |", "|---|---|---|---|---|---|"]
    for name, videos in (("groups ignored", tennis7.without_groups()), ("whole blocks", tennis7)):
        linear = [right(videos, fold, chosen_cost(videos.of(fold.train))).mean() for _, fold in splits(videos)]
        nearest = [right_of_nearest(videos, fold).mean() for _, fold in splits(videos)]
        lines.append(f"| {name} | logistic regression | {spread(linear)} |")
        lines.append(f"| {name} | nearest neighbor | {spread(nearest)} |")
    fold = tennis7.given_split()
    given = right(tennis7, fold, chosen_cost(tennis7.of(fold.train))).mean()
    return "\n".join([*lines, "", f"On the given split (91 test clips) logistic regression has {given:.3f}."])


def right_of_nearest(videos: VideoSet, fold: Fold) -> NDArray[np.bool_]:
    """Return which videos of a fold have the class of the nearest training video."""
    train, test = videos.of(fold.train), videos.of(fold.validation)
    (fitted,) = fit_nearest_neighbors(train.rows, train.classes, videos.num_classes, (1,))
    is_right: NDArray[np.bool_] = fitted.probabilities(test.rows).argmax(axis=1) == test.classes
    return is_right


def spread(figures: Sequence[float]) -> str:
    """Return the cells mean, deviation, lowest and highest."""
    return f"{np.mean(figures):.3f} | {np.std(figures, ddof=1):.3f} | {min(figures):.3f} | {max(figures):.3f}"


def lucky_split(tennis7: VideoSet, fc6: VideoSet) -> str:
    """Show how figures of single splits and draws scatter, and how often equal methods seem to differ."""
    of_blocks = [right(tennis7, fold).mean() for _, fold in splits(tennis7)]
    draws = [right(fc6, drawn(fc6, [1] * fc6.num_classes, draw)).mean() for draw in range(50)]
    lines = [
        "| one figure, again and again | mean | deviation | lowest | highest |",
        "|---|---|---|---|---|",
        f"| tennis7, 50 splits of whole blocks | {spread(of_blocks)} |",
        f"| fc6, 50 draws of one labeled video a class | {spread(draws)} |",
        "",
        "Two equally good methods, on random halves of the values:",
        "",
        "| 200 splits | deviation of the difference | apart by 2 points or more | by 5 or more | "
        "interval of one split without 0 | of five folds together |",
        "|---|---|---|---|---|---|",
        f"| tennis7, whole blocks | {equal_methods(tennis7)} |",
        f"| fc6 | {equal_methods(fc6)} |",
    ]
    return "\n".join(lines)


def equal_methods(videos: VideoSet) -> str:
    """Return cells on the difference of two methods, each of which reads its random half of the values."""
    differences, is_apart, is_apart_together = [], [], []
    for seed in range(40):
        of_seed, tested = [], []
        for number, fold in enumerate(videos.folds(seed)):
            halves = np.random.default_rng([seed, number]).permutation(videos.rows.shape[1]).reshape(2, -1)
            of_a, of_b = (right(replace(videos, rows=videos.rows[:, half]), fold) for half in halves)
            of_seed.append((of_a, of_b))
            tested.append(videos.of(fold.validation).groups)
            differences.append(abs(of_a.mean() - of_b.mean()))
            is_apart.append(excludes_zero(of_a, of_b, tested[-1]))
        of_a, of_b = (np.concatenate(one) for one in zip(*of_seed, strict=True))
        is_apart_together.append(excludes_zero(of_a, of_b, list(chain(*tested))))
    deviation = np.sqrt(np.mean(np.square(differences)))
    shares = [np.mean(np.array(differences) > points / 100 - 1e-9) for points in (2, 5)]
    cells = [f"{share * 100:.0f} %" for share in (*shares, np.mean(is_apart), np.mean(is_apart_together))]
    return " | ".join([f"{deviation:.3f}", *cells])


def excludes_zero(of_a: NDArray[np.bool_], of_b: NDArray[np.bool_], groups: Sequence[str]) -> bool:
    """Return whether the paired 95 % interval over groups says that two methods differ."""
    paired = paired_difference(of_a, of_b, groups)
    assert paired.low is not None
    assert paired.high is not None
    return paired.low > 0 or paired.high < 0


def drawn(videos: VideoSet, nums: Sequence[int], draw: int) -> Fold:
    """Draw so many labeled training videos of each class; the given test videos test."""
    rng, given = np.random.default_rng(draw), videos.given_split()
    train = np.array(given.train)
    labeled = [
        video
        for number, num in enumerate(nums)
        for video in rng.permutation(train[videos.classes[train] == number])[:num].tolist()
    ]
    return Fold(sorted(labeled), given.validation)


def regularization(tennis7: VideoSet, fc6: VideoSet) -> str:
    """Show the accuracy at each C beside that of C chosen by grouped folds."""
    unequal = range(1, fc6.num_classes + 1)
    situations = {
        "tennis7, five folds of blocks": (tennis7, tennis7.folds(seed=0)),
        "fc6, 72 labeled videos": (fc6, [fc6.given_split()]),
        "fc6, 1 to 6 labeled videos a class": (fc6, [drawn(fc6, unequal, draw) for draw in range(50)]),
    }
    lines = [
        f"| accuracy with C = | {' | '.join(f'{cost:g}' for cost in COSTS)} | chosen by folds | C that they chose |",
        f"|---|{'---|' * (len(COSTS) + 2)}",
    ]
    for name, (videos, folds) in situations.items():
        at_each = [np.concatenate([right(videos, fold, cost) for fold in folds]).mean() for cost in COSTS]
        lines.append(f"| {name} | {' | '.join(f'{one:.3f}' for one in at_each)} | {with_chosen_cost(videos, folds)} |")
    ignoring = with_chosen_cost(tennis7, tennis7.folds(seed=0), ignores_groups=True)
    lines.append(f"| tennis7, C chosen by folds that ignore groups | {' | ' * len(COSTS)}{ignoring} |")
    return "\n".join(lines)


def with_chosen_cost(videos: VideoSet, folds: Sequence[Fold], *, ignores_groups: bool = False) -> str:
    """Return cells: accuracy with C chosen in the training part of each fold, and the values that were chosen."""
    chooses_by = videos.without_groups() if ignores_groups else videos
    costs = [chosen_cost(chooses_by.of(fold.train)) for fold in folds]
    found = np.concatenate([right(videos, fold, cost) for fold, cost in zip(folds, costs, strict=True)])
    return f"{found.mean():.3f} | {', '.join(f'{cost:g}' for cost in sorted(set(costs)))}"


def tuning_on_the_test(tennis7: VideoSet) -> str:
    """Compare the best of N candidates by the test with the best by validation, both measured by the test."""
    validation, test = (np.array(one) for one in zip(*candidate_accuracies(tennis7), strict=True))
    lines = [
        "| candidates | best by the test | best by validation | too good by |",
        "|---|---|---|---|",
    ]
    for num in NUMS_OF_CANDIDATES:
        by_test = test[:, :num].max(axis=1).mean()
        best = validation[:, :num].argmax(axis=1)
        by_validation = test[np.arange(len(test)), best].mean()
        lines.append(f"| {num} | {by_test:.3f} | {by_validation:.3f} | {by_test - by_validation:+.3f} |")
    return "\n".join(lines)


def candidate_accuracies(videos: VideoSet) -> Iterator[tuple[list[float], list[float]]]:
    """Yield the accuracies of all candidates on the validation and on the test videos, for each of 50 splits."""
    for seed in range(10):
        parts = [fold.validation for fold in videos.folds(seed)]
        for number in range(len(parts)):
            validation, test, *others = parts[number:] + parts[:number]
            train = sorted(chain(*others))
            of_candidates = candidates_right(videos, Fold(train, validation + test), seed=seed * NUM_FOLDS + number)
            of_validation, of_test = np.split(of_candidates, [len(validation)], axis=1)
            yield of_validation.mean(axis=1).tolist(), of_test.mean(axis=1).tolist()


def candidates_right(videos: VideoSet, fold: Fold, seed: int) -> NDArray[np.bool_]:
    """Return which videos of a fold each candidate, on some values drawn at random, has right: (N, V of the fold)."""
    rng, train, tested = np.random.default_rng(seed), videos.of(fold.train), videos.of(fold.validation)
    found = []
    for _ in range(max(NUMS_OF_CANDIDATES)):
        values = rng.permutation(videos.rows.shape[1])[:CANDIDATE_VALUES]
        fitted = fit_linear(train.rows[:, values], train.classes, videos.num_classes, DEFAULT_COST)
        found.append(fitted.probabilities(tested.rows[:, values]).argmax(axis=1) == tested.classes)
    return np.stack(found)


def meaningless_labels(tennis7: VideoSet) -> str:
    """Show what several ways to measure make of permuted labels."""
    found: dict[str, list[float]] = {}
    for seed in range(20):
        over_clips = replace(tennis7, classes=np.random.default_rng(seed).permutation(tennis7.classes))
        between_blocks = replace(tennis7, classes=permuted_between_blocks(tennis7, seed))
        tuned = [candidates_right(over_clips, fold, seed).mean(axis=1).max() for fold in over_clips.folds(seed)]
        for name, figure in {
            "over clips; folds of blocks": in_folds(over_clips, seed),
            "over clips; best of 50 candidates by the test, in each fold of blocks": float(np.mean(tuned)),
            "between blocks; folds of blocks": in_folds(between_blocks, seed),
            "between blocks; folds that ignore groups": in_folds(between_blocks.without_groups(), seed),
        }.items():
            found.setdefault(name, []).append(figure)
    lines = ["| labels permuted | mean | deviation | lowest | highest |", "|---|---|---|---|---|"]
    return "\n".join([*lines, *(f"| {name} | {spread(figures)} |" for name, figures in found.items())])


def in_folds(videos: VideoSet, seed: int) -> float:
    """Return the accuracy of all videos, each tested once."""
    return float(np.concatenate([right(videos, fold) for fold in videos.folds(seed)]).mean())


def permuted_between_blocks(videos: VideoSet, seed: int) -> NDArray[np.int64]:
    """Return classes, (V,): each block has the class of another block of its size, so that classes stay as large."""
    rng, groups = np.random.default_rng(seed), np.array(videos.groups)
    names, first, sizes = np.unique(groups, return_index=True, return_counts=True)
    classes = videos.classes.copy()
    for size in np.unique(sizes):
        of_size = np.flatnonzero(sizes == size)
        for block, other in zip(of_size, rng.permutation(of_size), strict=True):
            classes[groups == names[block]] = videos.classes[first[other]]
    return classes


def small_test_sets(tennis7: VideoSet) -> str:
    """Show the intervals of test sets of several sizes."""
    sizes, fold = (10, 20, 50, 100, 200, 500, 1000, 5000), tennis7.given_split()
    lines = [f"| test videos | {' | '.join(str(size) for size in sizes)} |", f"|---|{'---|' * len(sizes)}"]
    for percent in (50, 90):
        cells = [shown(wilson_interval(size * percent // 100, size)) for size in sizes]
        lines.append(f"| {percent} % right | {' | '.join(cells)} |")
    found, groups = right(tennis7, fold), tennis7.of(fold.validation).groups
    over_blocks, as_if_independent = share_interval(found, groups), wilson_interval(int(found.sum()), len(found))
    assert over_blocks is not None
    text = (
        f"tennis7, given split, C = {DEFAULT_COST:g}: {found.mean():.3f} of {len(found)} clips in {len(set(groups))} "
        f"blocks. As if clips were independent: {shown(as_if_independent)}; over blocks: {shown(over_blocks)}."
    )
    return "\n".join([*lines, "", text])


def shown(interval: Interval) -> str:
    """Return "0.400 to 0.600"."""
    return f"{interval.low:.3f} to {interval.high:.3f}"


if __name__ == "__main__":
    main()
