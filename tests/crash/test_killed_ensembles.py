"""Killed at any moment, what trains several models goes on to the same bits: choices, folds, ensembles; contrast."""

import random
import signal
import sys
from collections.abc import Iterator

import pytest
from test_killed_trainings import Trainings, chosen

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="fork, and /proc says which file a descriptor is of"),
]

KINDS = ("contrast", "ensemble", "folds", "segments", "selection")


@pytest.fixture(scope="module", params=KINDS)
def trainings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trainings]:
    made = Trainings(request.param, tmp_path_factory.mktemp(request.param))
    yield made
    made.close()


def test_killed_at_an_operation(trainings: Trainings) -> None:
    for number in chosen(len(trainings.operations), None):
        trainings.clear()
        assert trainings.train(fault="SIGKILL", at=number)["code"] == -signal.SIGKILL
        trainings.require_whole()
        trainings.finish()


def test_killed_while_something_is_published(trainings: Trainings) -> None:
    """Where a file that is half written, or not yet in its place, must not stay."""
    published = [number for number, line in enumerate(trainings.operations, 1) if line.startswith("replace ")]
    for number in random.Random(0).sample(published, 7):
        trainings.clear()
        assert trainings.train(fault="SIGKILL", at=number)["code"] == -signal.SIGKILL
        trainings.finish()


def test_killed_at_random_moments(trainings: Trainings) -> None:
    moments, kills = random.Random(0), 0
    for _ in range(6):
        trainings.clear()
        for _ in range(moments.randint(1, 3)):
            ended = trainings.train(kill_after=moments.uniform(0, trainings.seconds))
            assert ended["code"] in (0, -signal.SIGKILL), ended
            kills += ended["code"] != 0
            trainings.require_whole()
        trainings.finish()
    assert kills >= 3
