"""Verdicts: sentences that claim no more than an interval shows."""

import pytest

from vidrep.metrics.paired import PairedDifference
from vidrep.metrics.verdicts import accuracy_verdict, claim, error_verdict

BETTER = PairedDifference(difference=0.2, low=0.1, high=0.3)
WORSE = PairedDifference(difference=-0.2, low=-0.3, high=-0.1)
OPEN = PairedDifference(difference=0.2, low=0.0, high=0.4)
NONE = PairedDifference(difference=0.5, low=None, high=None)
SAME = PairedDifference(difference=0.0, low=0.0, high=0.0)


@pytest.mark.parametrize(
    ("paired", "expected"), [(BETTER, "better"), (WORSE, "worse"), (OPEN, "open"), (NONE, "open"), (SAME, "equal")]
)
def test_an_interval_with_0_inside_or_none_at_all_leaves_it_open(paired: PairedDifference, expected: str) -> None:
    assert claim(paired) == expected


def test_claims_are_gathered_in_one_sentence() -> None:
    differences = {"a": OPEN, "b": BETTER, "c": BETTER, "d": WORSE, "e": NONE, "f": SAME}
    assert accuracy_verdict("The LSTM", differences) == (
        "The LSTM is better than b (+0.200, 95 % interval +0.100 to +0.300) and c (+0.200, 95 % interval +0.100 to "
        "+0.300); worse than d (-0.200, 95 % interval -0.300 to -0.100); as good as f (+0.000, 95 % interval +0.000 to "
        "+0.000); not shown to be better or worse than a (+0.200, 95 % interval +0.000 to +0.400) and e (+0.500, no "
        "interval)"
    )


def test_saved_errors_are_shown_as_changes_of_the_error() -> None:
    assert error_verdict("It", {"x": BETTER, "y": NONE}) == (
        "It is better than x (squared error -20.0 %, 95 % interval -30.0 to -10.0 %); not shown to be better or worse "
        "than y (squared error -50.0 %, no interval)"
    )
