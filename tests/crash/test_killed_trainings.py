"""A training killed at any moment, or with a disk that fails at any file operation: --resume ends in the same bits."""

import json
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from small_features import circles, features_of, pretrain_config
from toy_training import assert_same, tree_of

from vidrep.models.saved import load_model
from vidrep.training.pretrain import train

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="fork, and /proc says which file a descriptor is of")

NUM_SHARES = 10
OTHER_KINDS = ("finetune", "transfer", "overwrite")


class Trainings:
    """Trainings of one kind into one folder, by a process that stays; and what comes out if nothing disturbs them."""

    def __init__(self, kind: str, folder: Path) -> None:
        features = features_of(folder, circles())
        self._earlier = folder / "earlier" if kind == "overwrite" else None
        if self._earlier:
            train(features, self._earlier, pretrain_config(steps=2, validate_every=2, seed=5), device="cpu")
        if kind == "transfer":
            train(features, folder / "pretrained", pretrain_config(steps=2, validate_every=2), device="cpu")
        driver = Path(__file__).with_name("training_driver.py")
        self._process = subprocess.Popen(
            [sys.executable, str(driver), kind, str(features.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.run = folder / "out" / "run"
        self.clear()
        self._log = folder / "log"
        assert self.train(log=str(self._log))["code"] == 0
        self.operations = self._log.read_text(encoding="utf-8").splitlines()
        self._undisturbed = self.content()
        self.clear()
        self.seconds = self.train()["seconds"]
        assert_same(self.content(), self._undisturbed)

    def train(self, **request: Any) -> dict[str, Any]:
        """Train, or go on; return the exit code, the message, and the seconds."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"run": str(self.run), **request}) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def clear(self) -> None:
        shutil.rmtree(self.run.parent, ignore_errors=True)
        self.run.parent.mkdir()
        if self._earlier:
            shutil.copytree(self._earlier, self.run)

    def content(self) -> dict[str, Any]:
        """Return all that must be the same bits; nothing half done is there."""
        assert [path.name for path in self.run.parent.iterdir()] == ["run"]
        files = [path for path in self.run.rglob("*") if path.is_file()]
        assert not [path for path in files if path.name.startswith(".")]
        # Which candidates are tried is planned by the time that they take.
        places = ("selection/*.json", "folds/*.json", "predictor.json", "ensemble.json", "bouts.json")
        chosen = [path for place in places for path in self.run.glob(place)]
        texts = [path for path in files if path.suffix in (".toml", ".csv")]
        rest = {
            str(path.relative_to(self.run)): path.read_bytes() for path in texts + chosen if path.name != "plan.json"
        }
        names = sorted(
            str(path.relative_to(self.run)) for path in self.run.rglob("*") if "tensorboard" not in path.parts
        )
        weights = {str(path.relative_to(self.run)): load_file(path) for path in self.run.rglob("*.safetensors")}
        trained = sorted(path.parent for path in self.run.rglob("metrics.jsonl"))
        trees = {str(folder.relative_to(self.run)): tree_of(folder) for folder in trained}
        return {"trees": trees, "names": names, "weights": weights} | rest

    def require_whole(self) -> None:
        """What is there under its name can be read."""
        for path in self.run.rglob("checkpoints/[0-9]*"):
            torch.load(path, weights_only=True)
        for path in self.run.rglob("*.safetensors"):
            load_file(path)
        for path in self.run.rglob("*.json"):
            json.loads(path.read_text(encoding="utf-8"))
        if self._earlier:  # one of the two can be used at any moment
            load_model(self.run if (self.run / "model.json").exists() else self.run.with_name(".run.before"))

    def finish(self) -> None:
        """Go on to the end, which is the same as if nothing had happened."""
        ended = self.train()
        assert ended["code"] == 0, ended
        assert_same(self.content(), self._undisturbed)

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture(
    scope="module",
    params=[
        "pretrain",
        *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("finetune", "transfer", "overwrite")),
    ],
)
def trainings(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trainings]:
    made = Trainings(request.param, tmp_path_factory.mktemp(request.param))
    yield made
    made.close()


def chosen(num_operations: int, share: int | None) -> list[int]:
    """Return a tenth of all operations' numbers, or a few of them, spread."""
    if share is None:
        return [1 + (num_operations - 1) * tenth // 9 for tenth in range(10)]
    return list(range(1 + share, num_operations + 1, NUM_SHARES))


shares = pytest.mark.parametrize(
    "share", [None, *(pytest.param(share, marks=pytest.mark.slow) for share in range(NUM_SHARES))]
)


def test_every_change_on_disk_is_recorded(trainings: Trainings) -> None:
    published = [line.split(" ", 1)[1] for line in trainings.operations if line.startswith("replace ")]
    names = [Path(path).name.removeprefix(".").rsplit(".", 2)[0] for path in published]
    for name in ("config.toml", "videos.csv", "environment.json", "model.safetensors", "model.json"):
        assert name in names
    assert [name for name in names if name.endswith(".pt")] == [f"{step:08d}.pt" for step in (3, 4, 6, 8)]
    lines = [line.split()[0] for line in trainings.operations if line.endswith("metrics.jsonl")]
    assert [name for name in lines if name != "unlink"] == ["open", "pwrite", "fsync"] * 2  # an earlier run's may go
    removed = [Path(line.split(" ", 1)[1]).name for line in trainings.operations if line.startswith("unlink ")]
    assert [name for name in removed if name in ("00000003.pt", "00000004.pt", ".run.lock")] == removed[-3:]


@shares
def test_killed_at_an_operation(trainings: Trainings, share: int | None) -> None:
    numbers = chosen(len(trainings.operations), share)
    for number in numbers:
        trainings.clear()
        assert trainings.train(fault="SIGKILL", at=number)["code"] == -signal.SIGKILL
        trainings.require_whole()
        trainings.finish()
    assert len(numbers) >= 5


@shares
def test_a_disk_that_fails_at_an_operation(trainings: Trainings, share: int | None) -> None:
    numbers = chosen(len(trainings.operations), share)
    for number in numbers:
        trainings.clear()
        ended = trainings.train(fault=("ENOSPC", "EIO")[number % 2], at=number)
        operation = trainings.operations[number - 1]
        if operation.endswith("unlink " + str(trainings.run.with_name(".run.lock"))):
            assert ended["code"] == 0  # such a file locks no process out
        else:
            assert (ended["code"], ended["error"].count("\n")) == (5, 0), (operation, ended)
            assert str(trainings.run.parent) in ended["error"]
        trainings.require_whole()
        trainings.finish()
    assert len(numbers) >= 5


@pytest.mark.parametrize(
    ("seed", "num_kills"), [(0, 3), *(pytest.param(seed, 20, marks=pytest.mark.slow) for seed in range(1, 6))]
)
def test_killed_at_random_moments(trainings: Trainings, seed: int, num_kills: int) -> None:
    moments, kills, span = random.Random(seed), 0, trainings.seconds
    while kills < num_kills:
        trainings.clear()
        for attempt in range(moments.randint(1, 3)):
            ended = trainings.train(kill_after=moments.uniform(0, span))
            assert ended["code"] in (0, -signal.SIGKILL), ended
            kills += ended["code"] != 0
            if ended["code"] == 0 and attempt == 0:
                span *= 0.9  # the machine is quicker than it was
            trainings.require_whole()
        trainings.finish()
