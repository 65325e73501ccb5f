"""What a training computes with: bf16 end to end where the device has it, and the caller's settings afterwards."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from small_features import circles, features_of, finetune_config, pretrain_config

from vidrep.config.settings import EncoderSettings, OptimizerSettings
from vidrep.devices import choose_precision
from vidrep.errors import Stopped
from vidrep.evaluation.classification import ClassificationEvaluation
from vidrep.evaluation.evaluate import evaluate
from vidrep.evaluation.prediction import PredictionEvaluation
from vidrep.features.store import Features
from vidrep.inference.predict import predict
from vidrep.training.finetune import finetune
from vidrep.training.pretrain import train

SPLITS = {f"{name}/{n:02d}.npy": "test" if n > 6 else "train" for name in ("left", "right") for n in range(10)}


@pytest.fixture
def features(tmp_path: Path) -> Features:
    return features_of(tmp_path, circles(10, num_frames=10), SPLITS)


def precision_of(run: Path) -> str:
    newest = max((run / "checkpoints").glob("*.pt"))
    return str(torch.load(newest, weights_only=True)["numerics"]["precision"])


def losses_of(run: Path) -> list[float]:
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)[split]["loss"] for line in lines for split in ("train", "validation")]


def pipeline(folder: Path, features: Features) -> tuple[Path, Path, list[float]]:
    """Pretrain, fine-tune and evaluate with the default precision; return both runs and the errors measured."""
    optimizer = OptimizerSettings(learning_rate=0.01, warmup_steps=2)
    config = pretrain_config(
        encoder=EncoderSettings(hidden_size=8, num_layers=2),
        optimizer=optimizer,
        settings={"objective": {"future": {"conditional": True}}, "cell": {"lstm": {"peepholes": True}}},
        steps=20,
        validate_every=10,
    )
    pretrained = train(features, folder / "pretrained", config, device="cpu").folder
    start = EncoderSettings(dropout=0.3)
    tuning = finetune_config(encoder=start, optimizer=optimizer, steps=20, validate_every=10, length=10)
    tuned = finetune(features, folder / "tuned", tuning, pretrained=pretrained, device="cpu").folder
    prediction, classes = evaluate(pretrained, features, device="cpu"), evaluate(tuned, features, device="cpu")
    assert isinstance(prediction, PredictionEvaluation) and isinstance(classes, ClassificationEvaluation)
    assert classes.num_videos == 6
    model = prediction.metrics.by_objective["future"]["squared_error"]["model"]
    return pretrained, tuned, [*model.per_time_step, classes.per_video.accuracy]


def test_auto_is_bf16_from_pretraining_to_evaluation_where_the_processor_has_it(
    tmp_path: Path, features: Features, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other tests run in fp32 on every machine (conftest.py); here the processor reports native bf16."""
    in_fp32 = pipeline(tmp_path / "fp32", features)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)
    assert choose_precision("auto", torch.device("cpu")) == ("bf16", torch.bfloat16)
    in_bf16 = pipeline(tmp_path / "bf16", features)
    for one, other in zip(in_fp32[:2], in_bf16[:2], strict=True):
        assert (precision_of(one), precision_of(other)) == ("fp32", "bf16")
        expected, found = losses_of(one), losses_of(other)
        assert all(map(math.isfinite, found))
        assert found == pytest.approx(expected, rel=0.03)
        assert found != expected
    assert in_bf16[2][:-1] == pytest.approx(in_fp32[2][:-1], rel=0.05)
    assert in_bf16[2][-1] == pytest.approx(in_fp32[2][-1], abs=1 / 6 + 1e-9)


def torch_state() -> dict[str, Any]:
    return {
        "threads": torch.get_num_threads(),
        "matmul": torch.get_float32_matmul_precision(),
        "tf32": torch.backends.cudnn.allow_tf32,
        "default dtype": torch.get_default_dtype(),
        "gradients": torch.is_grad_enabled(),
        "random numbers": torch.get_rng_state().tolist(),
    }


def test_every_call_gives_the_settings_of_torch_back(tmp_path: Path, features: Features) -> None:
    pretrained, tuned = tmp_path / "pretrained", tmp_path / "tuned"
    small = EncoderSettings(dropout=0.3)
    inside: list[int] = []

    def listen(progress: object) -> None:
        inside.append(torch.get_num_threads())

    calls: dict[str, Callable[..., Any]] = {
        "train": lambda **how: train(features, pretrained, pretrain_config(steps=2), **how),
        "finetune": lambda **how: finetune(
            features, tuned, finetune_config(encoder=small, steps=2), pretrained=pretrained, **how
        ),
        "evaluate a pretraining": lambda **how: evaluate(pretrained, features, **how),
        "evaluate a classifier": lambda **how: evaluate(tuned, features, **how),
        "predict": lambda **how: predict(tuned, [features.path], **how),
    }
    before = torch_state()
    assert before["threads"] == 1
    for name, call in calls.items():
        listening = {} if name == "predict" else {"on_progress": listen}
        inside.clear()
        call(device="cpu", threads=2, **listening)
        assert set(inside) == ({2} if listening else set()), name
        assert torch_state() == before, name


def test_a_call_that_fails_gives_them_back_too(tmp_path: Path, features: Features) -> None:
    class FailedError(Exception):
        pass

    def fail(progress: object) -> None:
        raise FailedError

    before = torch_state()
    for number, precision in enumerate(("fp32", "bf16")):
        with pytest.raises(FailedError):
            train(
                features,
                tmp_path / str(number),
                pretrain_config(),
                device="cpu",
                precision=precision,
                threads=2,
                on_progress=fail,
            )
        assert torch_state() == before


def recorded_threads(run: Path) -> tuple[int, str]:
    """Return the threads in environment.json and in the newest checkpoint."""
    newest = max((run / "checkpoints").glob("*.pt"))
    in_checkpoint = str(torch.load(newest, weights_only=True)["numerics"]["threads"])
    return json.loads((run / "environment.json").read_text(encoding="utf-8"))["threads"], in_checkpoint


def test_small_work_takes_one_thread_and_leaves_the_callers_number(tmp_path: Path, features: Features) -> None:
    torch.set_num_threads(2)
    run = train(features, tmp_path / "run", pretrain_config(steps=2), device="cpu").folder
    assert recorded_threads(run) == (1, "1")
    assert torch.get_num_threads() == 2


def test_large_work_takes_torchs_own_number(
    tmp_path: Path, features: Features, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vidrep.threads._LEAST_FOR_THREADS", 0)
    torch.set_num_threads(2)
    run = train(features, tmp_path / "run", pretrain_config(steps=2), device="cpu").folder
    assert recorded_threads(run) == (2, "2")


def test_a_resumed_run_takes_the_threads_that_it_had(
    tmp_path: Path, features: Features, caplog: pytest.LogCaptureFixture
) -> None:
    """The rule would give one thread; the run was started with two, stopped, and goes on with two."""
    config = pretrain_config(steps=4)

    with pytest.raises(Stopped):
        train(features, tmp_path / "run", config, device="cpu", threads=2, should_stop=lambda: True)
    assert recorded_threads(tmp_path / "run") == (2, "2")
    inside: list[int] = []
    train(
        features,
        tmp_path / "run",
        config,
        device="cpu",
        resume=True,
        on_progress=lambda progress: inside.append(torch.get_num_threads()),
    )
    assert set(inside) == {2}
    assert recorded_threads(tmp_path / "run") == (2, "2")
    assert [record.getMessage() for record in caplog.records if "goes on with" in record.getMessage()] == []


def test_a_run_that_records_no_threads_goes_on_by_the_rule(tmp_path: Path, features: Features) -> None:
    config = pretrain_config(steps=4)
    with pytest.raises(Stopped):
        train(features, tmp_path / "run", config, device="cpu", threads=2, should_stop=lambda: True)
    (tmp_path / "run" / "environment.json").unlink()
    torch.set_num_threads(2)
    train(features, tmp_path / "run", config, device="cpu", resume=True)
    assert recorded_threads(tmp_path / "run") == (1, "1")
