"""What a format could not hold: annotations beside those that were read back from what was written."""

from collections import Counter

from ..errors import some_names
from .segment import Annotations
from .times import decimal

_EXACT = 1e-9  # seconds


def losses(asked: Annotations, kept: Annotations) -> list[str]:
    """Return in words what differs between annotations and those that a file keeps of them, [] if nothing does."""
    found = []
    lost_videos = len(asked.videos) - len(kept.videos)
    if lost_videos > 0:
        found.append(f"{lost_videos} of {len(asked.videos)} videos")
    if renamed := [name for name in kept.videos if name not in asked.watched]:
        found.append(f"names of videos (here {some_names(renamed, count=2)})")
    if len(kept.segments) != len(asked.segments):
        found.append(f"{len(asked.segments) - len(kept.segments)} of {len(asked.segments)} segments, by joining them")
    else:
        found += _times(asked, kept)
    for what in ("label", "subject", "group"):
        if count := _num_lost(asked, kept, what):
            found.append(f"the {what} of {count} segments")
    before, after = Counter(asked.watched.values()), Counter(kept.watched.values())
    if changed := sum(count for spans, count in (before - after).items() if spans):
        found.append(f"what was watched of {changed} videos" + (", in part" if any(after) else ""))
    elif added := sum(count for spans, count in (after - before).items() if spans):
        found.append(f"what was not watched of {added} videos")
    if count := len(asked.splits) - len(kept.splits):
        found.append(f"the split of {count} videos")
    if never := sorted(set(asked.labels) - set(kept.labels) - {one.label for one in asked.segments}):
        found.append(f"labels that never occur ({some_names(never, count=3)})")
    return found


def _num_lost(asked: Annotations, kept: Annotations, what: str) -> int:
    """Return how many segments have a label, subject or group that none has that was kept."""
    after = {getattr(one, what) for one in kept.segments}
    return sum(name != "" and name not in after for name in (getattr(one, what) for one in asked.segments))


def _times(asked: Annotations, kept: Annotations) -> list[str]:
    """Return by how much times differ, each compared with that of its rank."""
    most = max(
        (
            abs(before - after)
            for which in ("start", "end")
            for before, after in zip(_sorted(asked, which), _sorted(kept, which), strict=True)
        ),
        default=0.0,
    )
    return [f"times, by up to {decimal(round(most, 6))} s"] if most > _EXACT else []


def _sorted(annotations: Annotations, which: str) -> list[float]:
    return sorted(getattr(one, which) for one in annotations.segments)
