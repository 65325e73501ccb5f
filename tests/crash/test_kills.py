"""Killed at any moment and started again, an extraction ends in the same bytes; what was published stays whole."""

import random
import sys

import pytest
from disturbed_extraction import Extraction, Undisturbed

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")


@pytest.mark.parametrize("earlier", [False, True], ids=["new", "over an earlier output"])
@pytest.mark.parametrize(
    ("seed", "num_kills"), [(0, 2), *(pytest.param(seed, 10, marks=pytest.mark.slow) for seed in range(1, 6))]
)
def test_killed_at_random_moments(
    extraction: Extraction, undisturbed: Undisturbed, seed: int, num_kills: int, earlier: bool
) -> None:
    moments, before = random.Random(seed), undisturbed.earlier if earlier else None
    kills, span = 0, undisturbed.seconds
    while kills < num_kills:
        extraction.clear()
        if earlier:
            extraction.make_earlier()
        for attempt in range(moments.randint(1, 3)):
            took = extraction.kill_after(moments.uniform(0, span), workers=moments.choice((0, 2)))
            kills += took is None
            if took is not None and attempt == 0:
                span = took  # the machine is quicker than it was
            extraction.require_whole(before, undisturbed.final)
        extraction.finish(undisturbed.final, workers=moments.choice((0, 2)))
