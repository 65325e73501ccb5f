"""What the data of a study support, in one sentence."""

from collections.abc import Sequence

from ...metrics.paired import PairedDifference
from ...metrics.verdicts import claim
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
    """Gather the k of each claim: "better than OTHER at k = 1 (+0.110, +0.078 to +0.141), not shown to differ ..."."""
    places: dict[str, list[str]] = {kind: [] for kind in _CLAIMS}
    for shots, paired in differences:
        if paired is not None:
            kind = claim(paired)
            places[kind].append(f"{shots} ({described(paired)})" if kind in ("better", "worse") else str(shots))
    parts: list[str] = []
    for kind, some in places.items():
        if some:
            parts.append(f"{_CLAIMS[kind]} {'it' if parts else other} at k = {_listed(some)}")
    return ", ".join(parts)


def described(paired: PairedDifference) -> str:
    """Return a difference with its interval, if there is one: "+0.110, +0.078 to +0.141"."""
    interval = "" if paired.low is None or paired.high is None else f", {paired.low:+.3f} to {paired.high:+.3f}"
    return f"{paired.difference:+.3f}{interval}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
