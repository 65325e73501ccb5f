"""Several ranks train what one does; if one fails, is killed or is asked to stop, all of them end."""

import json
import random
import signal
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from several_ranks import SeveralRanks
from toy_training import assert_same, tree_of

from vidrep.errors import ConfigError, TrainingError
from vidrep.training import process_group
from vidrep.training.collectives import SINGLE_PROCESS, Ranks
from vidrep.training.ranks import is_main_process, is_one_of_several, joined_ranks

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="fork")

KINDS = ["pretrain", "finetune", "contrast"]
# The same sums in another order, in fp32, over ten steps.
RELATIVE_TOLERANCE = 2e-5
STATEFUL = {"windows.stateful": True, "windows.stride": 3}
NO_DROPOUT = {"encoder.dropout": 0.0, "classifier.dropout": 0.0}
DROPOUT = {"encoder.dropout": 0.4}
LOST = "TrainingError: one of 2 processes was killed, or has not answered for 10 minutes; the same command with "


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeveralRanks]:
    made = SeveralRanks(tmp_path_factory.mktemp("several"))
    yield made
    made.close()


def curve(run: Path) -> dict[str, list[float]]:
    """Return every metric of every validation but speeds: {name: [...]}."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    flat = [
        {"gradient_norm": line["gradient_norm"]}
        | {f"{group}.{name}": value for group in ("train", "validation") for name, value in line[group].items()}
        for line in lines
    ]
    return {name: [line[name] for line in flat] for name in flat[0]}


def codes(answers: list[dict[str, Any]]) -> list[int]:
    return [answer["code"] for answer in answers]


class RankOf(Ranks):
    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size


def test_shards_make_up_the_batch() -> None:
    assert [RankOf(rank, 3).shard(7) for rank in range(3)] == [slice(0, 2), slice(2, 4), slice(4, 7)]
    assert SINGLE_PROCESS.shard(7) == slice(0, 7)
    with pytest.raises(ConfigError, match="batch_size 2: 3 processes share each batch; give at least 3, or start at m"):
        RankOf(0, 3).shard(2)


def test_a_single_process_joins_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.setenv("RANK", "3")  # as some cluster's own variable
    assert is_main_process() and not is_one_of_several()
    monkeypatch.setenv("WORLD_SIZE", "")
    assert not is_one_of_several()
    with joined_ranks() as joined:
        assert joined is SINGLE_PROCESS
    for name, value in {"WORLD_SIZE": "4", "MASTER_ADDR": "a", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    # Clusters set these for every command: one that joins no others must print.
    assert is_one_of_several() and is_main_process()


@pytest.mark.parametrize(("port", "reason"), [("9", "timed out"), ("x", "invalid literal")])
def test_an_address_that_cannot_be_reached_is_named(monkeypatch: pytest.MonkeyPatch, port: str, reason: str) -> None:
    monkeypatch.setattr(process_group, "_EXCHANGE_TIMEOUT", timedelta(milliseconds=10))
    for name, value in {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": port}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(TrainingError, match=rf"MASTER_PORT localhost:{port} \(.*{reason}.*\); give "), joined_ranks():
        pass
    assert is_main_process()


def test_each_process_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: dict[str, str] = {}

    def device(rank: int, local_rank: int, gpus: list[str]) -> str:
        monkeypatch.setattr(torch.cuda, "device_count", lambda: len(gpus))
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda number: SimpleNamespace(uuid=gpus[number]))
        monkeypatch.setattr(torch.cuda, "set_device", lambda number: None)
        monkeypatch.setenv("LOCAL_RANK", str(local_rank))
        joined: Any = object.__new__(process_group.ProcessGroup)
        joined.rank = rank
        joined._store = SimpleNamespace(compare_set=lambda key, _, value: taken.setdefault(key, value).encode())
        return str(joined.device(torch.device("cuda")))

    assert [device(number, number, ["a", "b"]) for number in (0, 1)] == ["cuda:0", "cuda:1"]
    assert device(2, 1, ["c"]) == "cuda:0"  # SLURM with --gpus-per-task=1
    for rank, local_rank, gpus in ((3, 2, ["d", "e"]), (4, 1, ["c"])):
        with pytest.raises(ConfigError, match=f"has {len(gpus)} GPUs and more processes; give --nproc-per-node"):
            device(rank, local_rank, gpus)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("pretrain", {}),
        ("generated", {}),
        ("pretrain", {"encoder.cell": "rnn", "cell.rnn.spectral_norm": 0.9}),
        (
            "pretrain",
            STATEFUL | {"training.gradient_accumulation": 2, "optimizer.reduction": "sum", "optimizer.clip_norm": 0.5},
        ),
        ("finetune", {**NO_DROPOUT, "training.gradient_accumulation": 2}),
        ("finetune", {**NO_DROPOUT, "optimizer.reduction": "sum"}),
    ],
)
def test_one_two_and_three_ranks_have_the_same_curve(
    several: SeveralRanks, tmp_path: Path, kind: str, settings: dict[str, Any]
) -> None:
    curves = {}
    for size in (1, 2, 3):
        answers = several(tmp_path / str(size), ranks=size, kind=kind, settings=settings)
        assert codes(answers) == [0] * size, answers
        # The same bits on every rank: weights, and what rank 0 measured.
        assert len({json.dumps({**answer, "seconds": 0, "is_main_process": 0}) for answer in answers}) == 1, answers
        curves[size] = curve(tmp_path / str(size))
    for size in (2, 3):
        assert curves[size].keys() == curves[1].keys()
        for name, metrics in curves[1].items():
            assert curves[size][name] == pytest.approx(metrics, rel=RELATIVE_TOLERANCE, abs=1e-7), name
    losses = curves[1]["train.loss"]
    assert len(set(losses)) == 3


@pytest.mark.parametrize(
    ("kind", "settings"), [("contrast", {}), ("contrast", {"optimizer.reduction": "sum"}), ("composite and views", {})]
)
def test_two_ranks_compare_the_views_of_the_whole_batch(
    several: SeveralRanks, tmp_path: Path, kind: str, settings: dict[str, Any]
) -> None:
    """Shards of 2 and 3 clips: with the negatives of its own shard alone, a rank would have another loss."""
    curves = []
    for size in (1, 2):
        run = tmp_path / str(size)
        answers = several(run, ranks=size, kind=kind, settings=settings, group=r"^(\w+)/")
        assert codes(answers) == [0] * size, answers
        assert len({answer["weights"] for answer in answers}) == 1
        curves.append(curve(run))
    assert curves[0].keys() == curves[1].keys() >= {"train.loss", "validation.loss"}
    for name, metrics in curves[0].items():
        assert curves[1][name] == pytest.approx(metrics, rel=RELATIVE_TOLERANCE, abs=1e-7), name
    assert len(set(curves[0]["train.loss"])) == 3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("victim", [0, 1])
def test_either_rank_killed_the_other_ends_and_both_go_on_to_the_same_bits(
    several: SeveralRanks, tmp_path: Path, kind: str, victim: int
) -> None:
    settings = DROPOUT | (STATEFUL if kind == "pretrain" else {})
    options: dict[str, Any] = {"ranks": 2, "kind": kind, "settings": settings}
    whole = several(tmp_path / "whole", **options)
    killed = several(tmp_path / "run", kill=[victim, 7], **options)
    assert killed[victim]["code"] == -signal.SIGKILL
    assert killed[1 - victim]["code"] == 7 and killed[1 - victim]["error"].startswith(LOST), killed
    assert killed[1 - victim]["error"].endswith(")") and "onnection" in killed[1 - victim]["error"], killed
    assert killed[1 - victim]["is_main_process"] and killed[1 - victim]["seconds"] < 10
    resumed = several(tmp_path / "run", resume=True, **options)
    assert codes(resumed) == [0, 0], resumed
    assert [answer["weights"] for answer in resumed] == [whole[0]["weights"]] * 2
    assert_same(tree_of(tmp_path / "run"), tree_of(tmp_path / "whole"))


@pytest.mark.parametrize("victim", [0, 2])
def test_of_several_that_lose_a_rank_one_prints(several: SeveralRanks, tmp_path: Path, victim: int) -> None:
    answers = several(tmp_path / "run", ranks=3, kill=[victim, 4])
    assert answers.pop(victim)["code"] == -signal.SIGKILL
    for answer in answers:
        assert answer["code"] == 7 and answer["error"].startswith(LOST.replace("2 processes", "3 processes")), answers
        assert answer["seconds"] < 10
    assert answers[0]["error"] == answers[1]["error"]
    assert [answer["is_main_process"] for answer in answers].count(True) == 1, answers
    if victim:
        assert answers[0]["is_main_process"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_killed_at_random_moments(several: SeveralRanks, tmp_path: Path, kind: str, seed: int) -> None:
    moments, num_kills = random.Random(seed), 0
    options: dict[str, Any] = {"ranks": 2, "kind": kind, "settings": DROPOUT | (STATEFUL if kind == "pretrain" else {})}
    span = several(tmp_path / "whole", **options)[0]["seconds"]
    for number in range(8):
        run = tmp_path / str(number)
        victim = moments.randrange(2)
        for _ in range(moments.randint(1, 3)):
            going_on = (run / "config.toml").exists()
            killed = several(run, kill_after=[victim, moments.uniform(0, span)], resume=going_on, **options)
            assert killed[victim]["code"] in (0, -signal.SIGKILL), killed
            # torchrun ends a process that still waits for the other to join.
            assert killed[1 - victim]["code"] in (0, 7, -signal.SIGTERM), killed
            num_kills += killed[victim]["code"] != 0 and killed[1 - victim]["code"] == 7
        finished = several(run, resume=(run / "config.toml").exists(), **options)
        assert codes(finished) == [0, 0], finished
        assert_same(tree_of(run), tree_of(tmp_path / "whole"))
    assert num_kills >= 4


@pytest.mark.parametrize("asked", [0, 1])
def test_a_rank_that_is_asked_to_stop_stops_all(several: SeveralRanks, tmp_path: Path, asked: int) -> None:
    options: dict[str, Any] = {"ranks": 2, "settings": DROPOUT}
    several(tmp_path / "whole", **options)
    stopped = several(tmp_path / "run", stop=[asked, 5], **options)
    message = "Stopped: stopped at step 5 of 10; --resume goes on from there"
    assert [(answer["code"], answer["error"]) for answer in stopped] == [(130, message)] * 2
    assert codes(several(tmp_path / "run", resume=True, **options)) == [0, 0]
    assert_same(tree_of(tmp_path / "run"), tree_of(tmp_path / "whole"))


def test_the_reason_of_one_rank_is_raised_on_all(several: SeveralRanks, tmp_path: Path) -> None:
    first, second = several(tmp_path / "run", ranks=2, missing=1)
    kind, _, message = second["error"].partition(": ")
    assert kind == "FeatureFileError" and "missing.h5: no such file" in message
    assert first["error"].startswith(f"{kind}: rank 1 on ") and first["error"].endswith(f": {message}")
    assert codes([first, second]) == [3, 3] and (first["is_main_process"], second["is_main_process"]) == (True, False)
    first, second = several(tmp_path / "run", ranks=2, other_seed=1)
    assert second["error"] == "InputError: other settings than on rank 0; give every process the same"
    assert first["error"].startswith("InputError: rank 1 on ") and codes([first, second]) == [3, 3]
    for option, value, shown in (("precision", "bf16", " (bf16)"), ("resume", True, "")):
        _, second = several(tmp_path / "run", ranks=2, other=[1, option, value])
        assert second["error"] == f"InputError: other {option}{shown} than on rank 0; give every process the same"
    assert not (tmp_path / "run").exists()
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "file").touch()
    first, second = several(tmp_path / "taken", ranks=2)
    assert codes([first, second]) == [5, 5]
    assert first["error"].startswith("OutputError: ") and "taken exists; give a new folder" in first["error"]
    assert second["error"].startswith("OutputError: rank 0 on ") and second["error"].endswith(first["error"][13:])
    assert max(answer["seconds"] for answer in (first, second)) < 8


def test_a_checkpoint_belongs_to_any_number_of_ranks(several: SeveralRanks, tmp_path: Path) -> None:
    several(tmp_path / "whole", ranks=1, settings=STATEFUL)
    assert codes(several(tmp_path / "run", ranks=2, settings=STATEFUL, stop=[0, 5])) == [130, 130]
    checkpoint = torch.load(tmp_path / "run" / "checkpoints" / "00000005.pt", weights_only=True)
    assert checkpoint["numerics"]["ranks"] == "2"
    assert json.loads((tmp_path / "run" / "environment.json").read_text(encoding="utf-8"))["ranks"] == 2
    assert {name: state.shape for name, state in checkpoint["state"].items()} == {
        "state.0.h": (5, 5),
        "state.0.c": (5, 5),
    }
    (alone,) = several(tmp_path / "run", ranks=1, settings=STATEFUL, resume=True)
    too_short, warning = alone["warnings"]
    assert "1 of 15 videos are shorter than a window of 5 frames and are left out: left/short.npy" in too_short
    assert warning.endswith("goes on with ranks 1, not 2: the result may differ in the last bits")
    for name, metrics in curve(tmp_path / "whole").items():
        assert curve(tmp_path / "run")[name] == pytest.approx(metrics, rel=RELATIVE_TOLERANCE, abs=1e-7), name


def test_random_numbers_depend_on_seed_rank_and_step_alone(several: SeveralRanks, tmp_path: Path) -> None:
    forth, back = (several(tmp_path, ranks=2, draw=steps) for steps in ([1, 2, 3], [3, 2, 1]))
    assert [answer["drawn"] for answer in forth] == [answer["drawn"][::-1] for answer in back]
    assert len({number for answer in forth for number in answer["drawn"]}) == 6


SELECTING: dict[str, Any] = {
    "selection.enabled": True,
    "selection.folds": 2,
    "training.steps": 4,
    "training.ensemble": 2,
    "training.batch_size": 4,
    "classifier.head": "mean",
    "transforms": ["standardize"],
}


def chosen_in(run: Path) -> dict[str, Any]:
    results: dict[str, Any] = json.loads((run / "selection" / "results.json").read_text(encoding="utf-8"))
    return results


@pytest.mark.slow
def test_two_ranks_choose_what_one_does(several: SeveralRanks, tmp_path: Path) -> None:
    for size in (1, 2):
        settings = SELECTING | NO_DROPOUT | {"training.steps": 2, "training.ensemble": 1}
        answers = several(tmp_path / str(size), ranks=size, kind="finetune", settings=settings)
        assert codes(answers) == [0] * size, answers
        assert len({answer["weights"] for answer in answers}) == 1
    one, two = (chosen_in(tmp_path / str(size)) for size in (1, 2))
    assert one["candidate"] == two["candidate"] and one["predictor"] == two["predictor"]
    losses = [{tried["name"]: tried["log_loss"] for tried in results["tried"]} for results in (one, two)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4) and len(losses[0]) >= 5
    curves = [curve(tmp_path / size / "members" / "1") for size in "12"]
    assert curves[1]["train.loss"] == pytest.approx(curves[0]["train.loss"], rel=RELATIVE_TOLERANCE)


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [1.0, 2.0, 3.0])
def test_a_rank_killed_while_it_chooses_both_go_on_to_the_same_bits(
    several: SeveralRanks, tmp_path: Path, seconds: float
) -> None:
    options: dict[str, Any] = {"ranks": 2, "kind": "finetune", "settings": SELECTING | DROPOUT}
    several(tmp_path / "whole", **options)
    killed = several(tmp_path / "run", kill_after=[1, seconds], **options)
    assert killed[1]["code"] in (0, -signal.SIGKILL)
    resumed = several(tmp_path / "run", resume=(tmp_path / "run" / "config.toml").exists(), **options)
    assert codes(resumed) == [0, 0], resumed
    assert chosen_in(tmp_path / "run") == chosen_in(tmp_path / "whole")
    for member in "12":
        assert_same(tree_of(tmp_path / "run" / "members" / member), tree_of(tmp_path / "whole" / "members" / member))


def test_two_ranks_label_frames_as_one_does(several: SeveralRanks, tmp_path: Path) -> None:
    for size in (1, 2):
        settings = {"encoder.dropout": 0.0, "segmenter.dropout": 0.0}
        answers = several(tmp_path / str(size), ranks=size, kind="segments", settings=settings)
        assert codes(answers) == [0] * size, answers
        assert len({answer["weights"] for answer in answers}) == 1
    for part in ("selection/balanced", "members/1"):
        one, two = (curve(tmp_path / str(size) / part) for size in (1, 2))
        assert one.keys() == two.keys()
        for name, values in one.items():
            assert two[name] == pytest.approx(values, rel=RELATIVE_TOLERANCE, abs=1e-7), name


def test_a_head_is_fitted_by_rank_zero_for_all(several: SeveralRanks, tmp_path: Path) -> None:
    several(tmp_path / "start", ranks=1, settings={"training.steps": 2})
    fitted: dict[str, Any] = {
        "kind": "finetune",
        "settings": {"classifier.head": "logistic", "classifier.transfer": "frozen"},
        "start": str(tmp_path / "start"),
    }
    answers = [answer for ranks in (1, 2) for answer in several(tmp_path / f"{ranks}", ranks=ranks, **fitted)]
    assert codes(answers) == [0, 0, 0], answers
    assert len({answer["weights"] for answer in answers}) == 1
    assert answers[1]["best_loss"] == answers[2]["best_loss"]
    assert [answer["best_loss"] for answer in answers] == pytest.approx([answers[0]["best_loss"]] * 3, rel=1e-6)
