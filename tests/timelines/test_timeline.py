"""What is no timeline is refused."""

import numpy as np
import pytest

from vidrep.segments.segment import Span
from vidrep.timelines.timeline import Timeline

VALUES = np.array([[0.5, 0.5], [1, 0]], dtype=np.float32)


def timeline(edges: list[float], values: np.ndarray = VALUES, *, background: str | None = None) -> Timeline:
    return Timeline("a.mp4", np.array(edges), values, ("groom", "rear"), background, False)


def test_a_timeline_has_a_length_and_a_span() -> None:
    one = timeline([0.5, 0.7, 0.7])
    assert len(one) == 2
    assert one.span == Span(0.5, 0.7)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"probabilities \(2, 2\) and 2 edges; needed are \(1, 2\)"):
        timeline([0, 1])
    with pytest.raises(ValueError, match="edges of frames fall, or are no numbers"):
        timeline([0, 2, 1])
    with pytest.raises(ValueError, match="edges of frames fall, or are no numbers"):
        timeline([0, 1, float("nan")])
    with pytest.raises(ValueError, match="1 probabilities are not in 0 to 1"):
        timeline([0, 1, 2], np.array([[0.5, np.nan], [1, 0]], dtype=np.float32))
    with pytest.raises(ValueError, match="background 'rest' is not one of the labels groom, rear"):
        timeline([0, 1, 2], background="rest")
