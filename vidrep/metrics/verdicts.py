"""What paired differences come to, in one sentence."""

from collections.abc import Callable, Mapping, Sequence

from .paired import PairedDifference

_CLAIMS = {
    "better": "better than {}",
    "worse": "worse than {}",
    "equal": "as good as {}",
    "open": "not shown to be better or worse than {}",
}


def claim(paired: PairedDifference) -> str:
    """Return what an interval shows of the first of two: "better", "worse", "equal" if nothing differs, or "open"."""
    if paired.low is None or paired.high is None:
        return "open"
    if paired.low == paired.high == 0:
        return "equal"
    return "better" if paired.low > 0 else "worse" if paired.high < 0 else "open"


def claim_in_words(paired: PairedDifference, other: str) -> str:
    """Say what an interval shows of the first of two: "better than OTHER (+0.123, 95 % interval ...)"."""
    return _CLAIMS[claim(paired)].format(f"{other} ({accuracy_difference(paired)})")


def accuracy_verdict(subject: str, differences: Mapping[str, PairedDifference]) -> str:
    """Say in one sentence what a classifier is better or worse than.

    differences: its accuracy minus that of each other one, by name; one or more.
    """
    return _sentence(subject, differences, accuracy_difference)


def error_verdict(subject: str, saved: Mapping[str, PairedDifference]) -> str:
    """Say in one sentence what a prediction is better or worse than.

    saved: the share of each other one's squared error that it saves, by name; one or more.
    """
    return _sentence(subject, saved, _error_difference)


def accuracy_difference(paired: PairedDifference) -> str:
    """Describe a difference of accuracies: "+0.123, 95 % interval +0.045 to +0.201"."""
    interval = "no interval" if paired.low is None else f"95 % interval {paired.low:+.3f} to {paired.high:+.3f}"
    return f"{paired.difference:+.3f}, {interval}"


def _error_difference(saved: PairedDifference) -> str:
    interval = "no interval"
    if saved.low is not None and saved.high is not None:
        interval = f"95 % interval {-100 * saved.high:+.1f} to {-100 * saved.low:+.1f} %"
    return f"squared error {-100 * saved.difference:+.1f} %, {interval}"


def _sentence(
    subject: str, differences: Mapping[str, PairedDifference], describe: Callable[[PairedDifference], str]
) -> str:
    claims: dict[str, list[str]] = {kind: [] for kind in _CLAIMS}
    for name, paired in differences.items():
        claims[claim(paired)].append(f"{name} ({describe(paired)})")
    parts = [_CLAIMS[kind].format(_listed(names)) for kind, names in claims.items() if names]
    return f"{subject} is {'; '.join(parts)}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
