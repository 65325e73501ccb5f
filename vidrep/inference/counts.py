"""How often each name occurs, in words."""

from collections import Counter
from collections.abc import Iterable

from ..errors import some_names

MOST_NAMES = 1000
"""Of labels and classes: more than any data set has whose names a person reads."""


def counted(names: Iterable[str]) -> str:
    """Return "left 3, right 2", sorted by name; "(none) 2" for names that are empty."""
    counts = Counter(names)
    return some_names((f"{name or '(none)'} {count}" for name, count in sorted(counts.items())), count=MOST_NAMES)
