"""What the data of a study support, in one sentence."""

from collections.abc import Sequence

from ...metrics.paired import PairedDifference
from ...metrics.verdicts import accuracy_difference, claim
from .draws import By, Shots
from .methods import BASELINES, SCRATCH
from .summary import StudyEntry

_CLAIMS = {"better": "better than", "worse": "worse than", "equal": "as good as", "open": "not shown to differ from"}


def study_verdict(entries: Sequence[StudyEntry], by: By) -> str:
    """Say in one sentence at which k each run is better or worse than the LSTM from scratch and the best baseline.

    Without a run it is the LSTM from scratch that is compared with the best baseline.
    """
    if not entries:
        return "No draw is finished for all methods yet"
    runs = [name for name in dict.fromkeys(one.method for one in entries) if name not in (SCRATCH, *BASELINES)]
    clauses = [_of_method(name, [one for one in entries if one.method == name]) for name in runs or [SCRATCH]]
    return f"By accuracy with k labeled {by} of each class, {'; '.join(clauses)}"


def _of_method(name: str, entries: Sequence[StudyEntry]) -> str:
    differences = [(one.shots, one.better) for one in entries]
    parts = [] if name == SCRATCH else [_claims(f"the {SCRATCH}", differences)]
    parts.append(_claims("the best linear baseline", [(one.shots, one.better_than_baseline) for one in entries]))
    return f"{f'the {name}' if name == SCRATCH else name} is {', and '.join(parts)}"


def _claims(other: str, differences: Sequence[tuple[Shots, PairedDifference | None]]) -> str:
    """Gather the k of each claim: "better than OTHER at k = 1 and 2 (...), not shown to differ from it at k = all"."""
    gathered: dict[str, dict[Shots, PairedDifference]] = {kind: {} for kind in _CLAIMS}
    for shots, paired in differences:
        if paired is not None:
            gathered[claim(paired)][shots] = paired
    parts: list[str] = []
    for kind, some in gathered.items():
        if some:
            by = f" ({_size([*some.values()])})" if kind in ("better", "worse") else ""
            parts.append(f"{_CLAIMS[kind]} {'it' if parts else other} at k = {_listed([*map(str, some)])}{by}")
    return ", ".join(parts)


def _size(every: Sequence[PairedDifference]) -> str:
    """Return one difference with its interval, or the least and the greatest of several."""
    if len(every) == 1:
        return accuracy_difference(every[0])
    differences = sorted((one.difference for one in every), key=abs)
    return f"differences of {differences[0]:+.3f} to {differences[-1]:+.3f}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
