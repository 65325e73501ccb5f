"""The metrics of bouts from their definitions, in plain loops and exact fractions.

A bout is (start, end, label) or (start, end, label, score), its times whole numbers of frames.
"""

from collections.abc import Sequence
from fractions import Fraction

Bout = tuple[int, int, int]
Detection = tuple[int, int, int, float]


def runs(labels: Sequence[int], background: int) -> list[Bout]:
    """Frames of one label, one after the other; neither the background nor -1."""
    found: list[Bout] = []
    for frame, label in enumerate(labels):
        if frame and labels[frame - 1] == label and found and found[-1][1] == frame:
            found[-1] = (found[-1][0], frame + 1, label)
        elif label not in (background, -1):
            found.append((frame, frame + 1, label))
    return found


def tiou(first: Sequence[float], second: Sequence[float]) -> Fraction:
    shared = max(0, int(min(first[1], second[1]) - max(first[0], second[0])))
    return Fraction(shared, int(first[1] - first[0] + second[1] - second[0]) - shared)


def matches(true: Sequence[Bout], predicted: Sequence[Bout], overlap: Fraction) -> list[tuple[Bout, Bout]]:
    """Each predicted bout asks for its best true one alone; who comes first gets it."""
    found: list[tuple[Bout, Bout]] = []
    taken: set[int] = set()
    for one in predicted:
        best, reached = -1, Fraction(0)
        for index, target in enumerate(true):
            if target[2] == one[2] and tiou(one, target) > reached:
                best, reached = index, tiou(one, target)
        if best >= 0 and reached >= overlap and best not in taken:
            taken.add(best)
            found.append((true[best], one))
    return found


def f1(videos: Sequence[tuple[list[Bout], list[Bout]]], overlap: Fraction) -> Fraction | None:
    right = sum(len(matches(true, predicted, overlap)) for true, predicted in videos)
    total = sum(len(true) + len(predicted) for true, predicted in videos)
    return Fraction(2 * right, total) if total else None


def edit_distance(first: Sequence[int], second: Sequence[int]) -> int:
    table = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
    for i in range(len(first) + 1):
        for j in range(len(second) + 1):
            if not i or not j:
                table[i][j] = i + j
            else:
                replaced = table[i - 1][j - 1] + (first[i - 1] != second[j - 1])
                table[i][j] = min(table[i - 1][j] + 1, table[i][j - 1] + 1, replaced)
    return table[-1][-1]


def edit_score(true: Sequence[Bout], predicted: Sequence[Bout]) -> Fraction:
    longest = max(len(true), len(predicted))
    if not longest:
        return Fraction(1)
    return 1 - Fraction(edit_distance([one[2] for one in true], [one[2] for one in predicted]), longest)


def boundary_errors(true: Sequence[Bout], predicted: Sequence[Bout], edges: set[int]) -> list[int]:
    found = []
    for target, one in matches(true, predicted, Fraction(1, 2)):
        found += [abs(one[side] - target[side]) for side in (0, 1) if target[side] not in edges]
    return found


def average_precision(
    true: Sequence[Sequence[Bout]], predicted: Sequence[Sequence[Detection]], label: int, threshold: Fraction
) -> Fraction | None:
    """Over all points of recall, the largest precision at that recall or above."""
    num_true = sum(one[2] == label for video in true for one in video)
    if not num_true:
        return None
    ranked = [(video, one) for video, found in enumerate(predicted) for one in found if one[2] == label]
    ranked.sort(key=lambda item: -item[1][3])  # stable: by video, then by start
    taken: set[tuple[int, int]] = set()
    points: list[tuple[Fraction, Fraction]] = []  # recall, precision
    for count, (video, one) in enumerate(ranked, start=1):
        best, reached = -1, Fraction(-1)
        for index, target in enumerate(true[video]):
            is_free = target[2] == label and (video, index) not in taken
            if is_free and tiou(one, target) > reached:
                best, reached = index, tiou(one, target)
        if best >= 0 and reached >= threshold:
            taken.add((video, best))
        points.append((Fraction(len(taken), num_true), Fraction(len(taken), count)))
    area = Fraction(0)
    for hit in range(1, num_true + 1):
        precisions = [precision for recall, precision in points if recall >= Fraction(hit, num_true)]
        area += max(precisions, default=Fraction(0))
    return area / num_true
