"""Killed at any moment and started again, an extraction ends in the same bytes; what was published stays whole."""

import random
import signal
import sys
import time

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")


@pytest.mark.parametrize("earlier", [False, True], ids=["new", "over an earlier output"])
@pytest.mark.parametrize(
    ("seed", "num_kills"), [(0, 2), *(pytest.param(seed, 10, marks=pytest.mark.slow) for seed in range(1, 6))]
)
def test_killed_at_random_moments(extraction, undisturbed, seed, num_kills, earlier):
    moments, before = random.Random(seed), undisturbed.earlier if earlier else None
    kills = 0
    while kills < num_kills:
        extraction.clear()
        if earlier:
            extraction.make_earlier()
        for _ in range(moments.randint(1, 3)):
            process = extraction.start()
            time.sleep(moments.uniform(0, undisturbed.seconds))
            process.kill()
            process.communicate()
            assert process.returncode in (0, -signal.SIGKILL)
            kills += process.returncode == -signal.SIGKILL
            extraction.require_whole(before, undisturbed.final)
        extraction.finish(undisturbed.final)
