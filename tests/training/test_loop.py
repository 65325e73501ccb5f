"""The training loop: what it promises of going on, stopping and keeping, for both trainings."""

import errno
import math
import os
from itertools import count
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

import pytest
import torch
from safetensors.torch import load_file
from small_features import circles, features_of, finetune_config, pretrain_config
from toy_training import KilledError, assert_same, killed_after, tree_of

from vidrep import files
from vidrep.config.settings import EncoderSettings, OptimizerSettings
from vidrep.errors import InputError, OutputError, Stopped, TrainingError
from vidrep.features.store import Features
from vidrep.progress import Progress
from vidrep.training.checkpoints import VERSION, Checkpoints
from vidrep.training.finetune import finetune
from vidrep.training.loop import TrainingOutcome
from vidrep.training.pretrain import train
from vidrep.training.run_metrics import Metrics
from vidrep.training.step import TrainingStep
from vidrep.training.task import Task

Kind = Literal["pretrain", "finetune"]


@pytest.fixture
def features(tmp_path: Path) -> Features:
    return features_of(tmp_path, circles())


def run_training(
    kind: Kind, features: Features, output: Path, optimizer: OptimizerSettings | None = None, **options: Any
) -> TrainingOutcome:
    """Train for 10 steps, with dropout on, validating after every 5; options of the config or of the function."""
    names = ("resume", "overwrite", "should_stop", "on_progress")
    passed = {name: options.pop(name) for name in names if name in options}
    if kind == "pretrain":
        pretraining = pretrain_config(optimizer=optimizer, **options)
        return train(features, output, pretraining, device="cpu", **passed).outcome
    encoder = EncoderSettings(hidden_size=5, num_layers=2, dropout=0.5)
    config = finetune_config(encoder=encoder, optimizer=optimizer, **options)
    return finetune(features, output, config, device="cpu", **passed).outcome


def checkpoints(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "checkpoints").iterdir())


def checkpoint(run: Path) -> dict[str, Any]:
    """Load the newest."""
    content: dict[str, Any] = torch.load(run / "checkpoints" / checkpoints(run)[-1], weights_only=True)
    return content


def assert_same_run(one: Path, other: Path) -> None:
    assert_same(tree_of(one), tree_of(other))
    names = {path.name for path in one.iterdir()}
    assert names == {path.name for path in other.iterdir()}
    assert {"metrics.jsonl", "model.safetensors", "model.json", "config.toml", "videos.csv"} <= names
    assert not any(name.startswith(".") for name in [*names, *checkpoints(one)])
    for name in names - {"checkpoints", "metrics.jsonl", "history.jsonl", "tensorboard"}:  # some hold times
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


OPTIMIZERS = get_args(get_type_hints(OptimizerSettings)["name"])
LR_SCHEDULES = get_args(get_type_hints(OptimizerSettings)["lr_schedule"])


@pytest.mark.parametrize("kind", ["pretrain", "finetune"])
@pytest.mark.parametrize(
    ("name", "lr_schedule"),
    [
        pytest.param(name, lr_schedule, marks=() if number % 4 == place else pytest.mark.slow)
        for number, name in enumerate(OPTIMIZERS)
        for place, lr_schedule in enumerate(LR_SCHEDULES)
    ],
)
def test_ten_steps_are_five_and_five_bit_for_bit(
    tmp_path: Path, features: Features, kind: Kind, name: Any, lr_schedule: Any
) -> None:
    """With dropout, momentum and two micro-batches a batch, between two validations."""
    optimizer = OptimizerSettings(name=name, lr_schedule=lr_schedule, warmup_steps=2, weight_decay=0.01, lr_step=3)
    settings = {"gradient_accumulation": 2, "validate_every": 4, "checkpoint_every": 5}
    run_training(kind, features, tmp_path / "whole", optimizer, **settings)
    with pytest.raises(KilledError):
        run_training(kind, features, tmp_path / "resumed", optimizer, on_progress=killed_after(5), **settings)
    assert checkpoint(tmp_path / "resumed")["position"]["step"] == 5
    assert checkpoint(tmp_path / "resumed")["position"]["num_summed"] == 1
    outcome = run_training(kind, features, tmp_path / "resumed", optimizer, resume=True, **settings)
    assert outcome.steps == 10
    assert_same_run(tmp_path / "whole", tmp_path / "resumed")
    assert [line["step"] for line in tree_of(tmp_path / "whole")["metrics"]] == [4, 8, 10]


@pytest.mark.parametrize("kind", ["pretrain", "finetune"])
@pytest.mark.parametrize("step", [1, 4, 7, 9])
def test_killed_at_any_step_it_ends_the_same(tmp_path: Path, features: Features, kind: Kind, step: int) -> None:
    run_training(kind, features, tmp_path / "whole")
    with pytest.raises(KilledError):
        run_training(kind, features, tmp_path / "resumed", on_progress=killed_after(step))
    run_training(kind, features, tmp_path / "resumed", resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "resumed")


@pytest.mark.parametrize("published", ["save_model", "append_metrics"])
def test_killed_in_the_middle_of_a_validation_it_ends_the_same(
    tmp_path: Path, features: Features, monkeypatch: pytest.MonkeyPatch, published: str
) -> None:
    run_training("pretrain", features, tmp_path / "whole")

    def kill(*_: Any, **__: Any) -> None:
        raise KilledError

    with monkeypatch.context() as patched, pytest.raises(KilledError):
        if published == "save_model":  # the model is there, nothing else is
            patched.setattr(Metrics, "append", kill)
        else:  # model and metrics are there, the checkpoint is not
            patched.setattr(Checkpoints, "save", kill)
        run_training("pretrain", features, tmp_path / "resumed")
    assert (tmp_path / "resumed" / "model.safetensors").is_file()
    run_training("pretrain", features, tmp_path / "resumed", resume=True)
    assert_same_run(tmp_path / "whole", tmp_path / "resumed")


@pytest.mark.parametrize("kind", ["pretrain", "finetune"])
def test_a_finished_run_is_resumed_without_a_step(tmp_path: Path, features: Features, kind: Kind) -> None:
    for name in ("once", "twice"):
        first = run_training(kind, features, tmp_path / name)
    again = run_training(kind, features, tmp_path / "twice", resume=True, on_progress=killed_after(10))
    assert (again.steps, again.best_step, again.best_loss) == (first.steps, first.best_step, first.best_loss)
    assert_same_run(tmp_path / "once", tmp_path / "twice")


@pytest.mark.parametrize("kind", ["pretrain", "finetune"])
def test_the_same_seed_gives_the_same_weights_whatever_was_drawn_before(
    tmp_path: Path, features: Features, kind: Kind
) -> None:
    before = torch.get_rng_state()
    run_training(kind, features, tmp_path / "one")
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(17)
    run_training(kind, features, tmp_path / "other")
    assert_same_run(tmp_path / "one", tmp_path / "other")
    run_training(kind, features, tmp_path / "another seed", seed=1)
    one, other = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "another seed"))
    assert not any(torch.equal(one[name], other[name]) for name in one if name.endswith("recurrent_weight"))


class ScriptedLosses:
    """Validation losses in a given order, in place of measured ones."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, losses: list[float]) -> None:
        self.left = list(losses)
        monkeypatch.setattr(Task, "validate", lambda task: {"loss": self.left.pop(0)})


def test_patience_ends_a_run_and_the_best_and_the_last_weights_are_kept(
    tmp_path: Path, features: Features, monkeypatch: pytest.MonkeyPatch
) -> None:
    ScriptedLosses(monkeypatch, [5.0, 6.0, 3.0, 4.0, 3.0, 0.0])
    outcome = run_training("pretrain", features, tmp_path / "run", steps=12, validate_every=2, patience=2)
    assert outcome.stopped_early
    assert (outcome.steps, outcome.best_step, outcome.best_loss) == (10, 6, 3.0)
    ScriptedLosses(monkeypatch, [5.0, 6.0, 3.0])
    with pytest.raises(KilledError):
        run_training(
            "pretrain",
            features,
            tmp_path / "until the best",
            steps=12,
            validate_every=2,
            patience=2,
            on_progress=killed_after(6),
        )
    best = dict(checkpoint(tmp_path / "until the best")["model"])
    assert_same(load_file(tmp_path / "run" / "model.safetensors"), best)
    last = checkpoint(tmp_path / "run")
    assert last["position"] == {
        "step": 10,
        "best_loss": 3.0,
        "best_step": 6,
        "num_validations_since_best": 2,
        "num_plateaus": 0,
        "sums": {},
        "num_summed": 0,
    }
    assert any(not torch.equal(last["model"][name], value) for name, value in best.items())


def test_patience_is_counted_on_over_a_resume(
    tmp_path: Path, features: Features, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: dict[str, Any] = {"steps": 20, "validate_every": 2, "patience": 3}
    ScriptedLosses(monkeypatch, [3.0, 4.0, 5.0])
    with pytest.raises(KilledError):
        run_training("pretrain", features, tmp_path / "run", on_progress=killed_after(6), **settings)
    ScriptedLosses(monkeypatch, [4.0, 0.0])
    outcome = run_training("pretrain", features, tmp_path / "run", resume=True, **settings)
    assert (outcome.steps, outcome.best_step, outcome.stopped_early) == (8, 2, True)
    again = run_training("pretrain", features, tmp_path / "run", resume=True, **settings)
    assert (again.steps, again.stopped_early) == (8, True)


def test_without_patience_a_run_never_stops_early(
    tmp_path: Path, features: Features, monkeypatch: pytest.MonkeyPatch
) -> None:
    ScriptedLosses(monkeypatch, [1.0, 2.0, 2.0, 2.0, 2.0])
    outcome = run_training("pretrain", features, tmp_path / "run", validate_every=2, patience=0)
    assert (outcome.steps, outcome.best_step, outcome.stopped_early) == (10, 2, False)


def test_a_loss_that_is_not_finite_stops_and_keeps_what_was_good(
    tmp_path: Path, features: Features, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, steps = TrainingStep.run, count(1)
    with pytest.raises(KilledError):
        run_training("pretrain", features, tmp_path / "good", on_progress=killed_after(5))
    monkeypatch.setattr(
        TrainingStep,
        "run",
        lambda *passed: run(*passed) | ({"loss": torch.tensor(math.nan)} if next(steps) == 7 else {}),
    )
    with pytest.raises(
        TrainingError,
        match=r"the loss is nan at step 7; start anew with a lower .* the weights of step 5 and the last .* kept",
    ) as caught:
        run_training("pretrain", features, tmp_path / "bad")
    assert "\n" not in str(caught.value)
    assert_same_run(tmp_path / "good", tmp_path / "bad")


def test_an_overwritten_run_comes_back_if_the_new_one_comes_to_nothing(
    tmp_path: Path, features: Features, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_training("pretrain", features, tmp_path / "run")
    before = {file.name: file.read_bytes() for file in (tmp_path / "run").iterdir() if file.is_file()}
    assert "model.safetensors" in before
    with monkeypatch.context() as patched:
        patched.setattr("vidrep.training.step.clip_gradient", lambda model, settings: torch.tensor(math.inf))
        with pytest.raises(TrainingError, match="there was no checkpoint yet"):
            run_training("pretrain", features, tmp_path / "run", overwrite=True)
    after = {file.name: file.read_bytes() for file in (tmp_path / "run").iterdir() if file.is_file()}
    assert after == before
    run_training("pretrain", features, tmp_path / "run", overwrite=True)
    assert sorted(file.name for file in tmp_path.iterdir() if "run" in file.name) == ["run"]


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("kind", ["pretrain", "finetune"])
def test_an_overwritten_run_comes_back_if_the_new_one_is_stopped_before_it_has_a_model(
    tmp_path: Path, features: Features, kind: Kind
) -> None:
    run_training(kind, features, tmp_path / "run")
    before, asked = files_of(tmp_path / "run"), count(1)
    with pytest.raises(Stopped, match="stopped before it had a model; the run that it was to replace is back"):
        run_training(kind, features, tmp_path / "run", overwrite=True, should_stop=lambda: next(asked) == 3)
    assert files_of(tmp_path / "run") == before
    asked = count(1)
    with pytest.raises(Stopped, match="stopped at step 7 of 10; --resume goes on from there"):
        run_training(kind, features, tmp_path / "run", overwrite=True, should_stop=lambda: next(asked) == 7)
    assert files_of(tmp_path / "run") != before
    run_training(kind, features, tmp_path / "run", resume=True)
    assert sorted(file.name for file in tmp_path.iterdir() if "run" in file.name) == ["run"]


@pytest.mark.parametrize("kind", ["pretrain", "finetune"])
def test_an_overwritten_run_comes_back_if_nothing_can_be_written(
    tmp_path: Path, features: Features, monkeypatch: pytest.MonkeyPatch, kind: Kind
) -> None:
    run_training(kind, features, tmp_path / "run")
    before = files_of(tmp_path / "run")

    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched, pytest.raises(OutputError, match="No space left on device"):
        patched.setattr(files, "write_at", refuse)
        run_training(kind, features, tmp_path / "run", overwrite=True)
    assert files_of(tmp_path / "run") == before


def test_a_gradient_that_is_not_finite_stops_before_the_weights_are_kept(
    tmp_path: Path, features: Features, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidrep.training.step.clip_gradient", lambda model, settings: torch.tensor(math.inf))
    with pytest.raises(TrainingError, match="the norm of the gradient is inf at step 1"):
        run_training("pretrain", features, tmp_path / "run")
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_a_validation_loss_that_is_not_finite_is_in_no_checkpoint(
    tmp_path: Path, features: Features, monkeypatch: pytest.MonkeyPatch
) -> None:
    ScriptedLosses(monkeypatch, [1.0, math.nan])
    with pytest.raises(TrainingError, match="the validation loss is nan at step 10"):
        run_training("pretrain", features, tmp_path / "run")
    assert checkpoint(tmp_path / "run")["position"]["step"] == 5


@pytest.mark.parametrize("kind", ["pretrain", "finetune"])
def test_it_goes_on_with_the_same_settings_only(tmp_path: Path, features: Features, kind: Kind) -> None:
    run_training(kind, features, tmp_path / "run")
    for changes, message in (
        ({"steps": 8}, "training.steps 8, the run has 10"),
        ({"seed": 3}, "training.seed 3, the run has 0"),
        ({"optimizer": OptimizerSettings(warmup_steps=3)}, "optimizer.warmup_steps 3, the run has 2"),
    ):
        with pytest.raises(OutputError, match=f"run: resumed with {message}"):
            run_training(kind, features, tmp_path / "run", resume=True, **changes)
    other: Kind = "finetune" if kind == "pretrain" else "pretrain"
    with pytest.raises(OutputError, match=r"run: resumed with"):
        run_training(other, features, tmp_path / "run", resume=True)


@pytest.mark.parametrize("kind", ["pretrain", "finetune"])
def test_it_goes_on_with_the_same_videos_only(tmp_path: Path, features: Features, kind: Kind) -> None:
    run_training(kind, features, tmp_path / "run")
    table = (tmp_path / "run" / "videos.csv").read_bytes()
    more = features_of(tmp_path / "more", circles() | {"left/new.npy": circles(seed=9)["left/00.npy"]})
    with pytest.raises(OutputError, match="not those that the run began with: 1 new"):
        run_training(kind, more, tmp_path / "run", resume=True)
    changed = features_of(tmp_path / "changed", circles(seed=1))
    with pytest.raises(OutputError, match=r"not those that the run began with: \d+ with other features"):
        run_training(kind, changed, tmp_path / "run", resume=True)
    assert (tmp_path / "run" / "videos.csv").read_bytes() == table


def test_it_goes_on_from_the_same_pretrained_run_only(tmp_path: Path, features: Features) -> None:
    run_training("pretrain", features, tmp_path / "wide")
    run_training("pretrain", features, tmp_path / "other", seed=1)
    config = finetune_config(encoder=EncoderSettings(dropout=0.5))
    finetune(features, tmp_path / "run", config, pretrained=tmp_path / "wide", device="cpu")
    with pytest.raises(OutputError, match=r"resumed with started_from.encoder_sha256 '\w+', the run has '\w+'"):
        finetune(features, tmp_path / "run", config, pretrained=tmp_path / "other", device="cpu", resume=True)
    finetune(features, tmp_path / "run", config, pretrained=tmp_path / "wide", device="cpu", resume=True)


def test_nothing_to_resume_is_refused(tmp_path: Path, features: Features) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("none", "empty"):
        with pytest.raises(InputError, match="no run to resume; leave --resume out to start one"):
            run_training("pretrain", features, tmp_path / name, resume=True)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("content", [b"", b"no checkpoint", "foreign", "half"])
def test_a_damaged_checkpoint_is_refused_and_the_model_kept(
    tmp_path: Path, features: Features, content: bytes | str
) -> None:
    run_training("pretrain", features, tmp_path / "run")
    path = tmp_path / "run" / "checkpoints" / "00000010.pt"
    model = (tmp_path / "run" / "model.safetensors").read_bytes()
    if content == "foreign":
        torch.save({"version": VERSION, "model": {}}, path)
    else:
        path.write_bytes(path.read_bytes()[:500] if content == "half" else content)  # type: ignore[arg-type]
    message = r"00000010.pt: not a checkpoint .*; remove it to go on from 00000005.pt"
    with pytest.raises(InputError, match=message) as caught:
        run_training("pretrain", features, tmp_path / "run", resume=True)
    assert "\n" not in str(caught.value)
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == model


def test_a_checkpoint_of_another_version_is_refused(tmp_path: Path, features: Features) -> None:
    run_training("pretrain", features, tmp_path / "run")
    folder = tmp_path / "run" / "checkpoints"
    torch.save(checkpoint(tmp_path / "run") | {"version": 2}, folder / "00000010.pt")
    (folder / "00000005.pt").unlink()
    with pytest.raises(InputError, match="a checkpoint of version 2; this vidrep reads version 3; --overwrite starts"):
        run_training("pretrain", features, tmp_path / "run", resume=True)
    (folder / "00000010.pt").rename(folder / "last.pt")
    with pytest.raises(InputError, match=r"last.pt: a checkpoint of version 1; this vidrep goes on from 3 only"):
        run_training("pretrain", features, tmp_path / "run", resume=True)


def test_progress_names_steps_and_losses(tmp_path: Path, features: Features) -> None:
    reports: list[Progress] = []
    run_training("pretrain", features, tmp_path / "run", on_progress=reports.append)
    assert [progress.done for progress in reports] == list(range(1, 11))
    assert {progress.total for progress in reports} == {10}
    assert {"loss", "best validation loss", "steps/s"} <= reports[-1].metrics.keys()


def test_a_run_with_a_model_is_never_replaced_by_an_older_one(tmp_path: Path, features: Features) -> None:
    """As after a crash between the first validation and the removal of the run that was set aside."""
    run_training("pretrain", features, tmp_path / "run")
    older = tmp_path / ".run.before"
    older.mkdir()
    (older / "config.toml").write_text("older")
    with pytest.raises(Stopped, match="the run that it was to replace is back"):
        run_training("pretrain", features, tmp_path / "run", overwrite=True, should_stop=lambda: True)
    assert (tmp_path / "run" / "config.toml").read_text() != "older"
    assert (tmp_path / "run" / "model.safetensors").exists()
    run_training("pretrain", features, tmp_path / "run", overwrite=True)
    assert (tmp_path / "run" / "model.safetensors").exists()
    assert not older.exists()
