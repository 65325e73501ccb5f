"""How often each name occurs, in words."""

from collections import Counter
from collections.abc import Iterable


def counted(names: Iterable[str]) -> str:
    """Return "left 3, right 2", sorted by name; "(none) 2" for names that are empty."""
    counts = Counter(names)
    return ", ".join(f"{name or '(none)'} {count}" for name, count in sorted(counts.items()))
