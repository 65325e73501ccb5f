"""What a pretraining learns from: generated sequences, consecutive windows, micro-batches."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_features import circles, features_of, pretrain_config, write_mnist
from toy_training import assert_same, tree_of

from vidrep.config.settings import (
    EncoderSettings,
    MovingMnistSettings,
    OptimizerSettings,
    PretrainConfig,
    PretrainWindows,
)
from vidrep.errors import ConfigError, InputError, OutputError, Stopped
from vidrep.evaluation.evaluate import evaluate
from vidrep.evaluation.prediction import PredictionEvaluation
from vidrep.models.pretraining import PretrainingNetwork
from vidrep.models.saved import load_model
from vidrep.models.state import to_dict
from vidrep.synthetic.moving_mnist import Stream, stream_rng
from vidrep.training.pretrain import PretrainResult, train

# So small a rate that weights stay what they were, but for their last bits.
CONDITIONAL: dict[str, Any] = {"objective": {"future": {"conditional": True}}, "cell": {"lstm": {"peepholes": True}}}
STANDING_STILL = OptimizerSettings(name="sgd", learning_rate=1e-30, warmup_steps=0, lr_schedule="constant", clip_norm=0)


def validations(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def checkpoint(run: Path) -> dict[str, Any]:
    newest = max((run / "checkpoints").glob("*.pt"))
    content: dict[str, Any] = torch.load(newest, weights_only=True)
    return content


def on_mnist(folder: Path, name: str = "run", config: PretrainConfig | None = None, **options: Any) -> PretrainResult:
    mnist = write_mnist(folder / "mnist")
    return train(None, folder / name, config or mnist_config(), mnist=mnist, device="cpu", **options)


def mnist_config(**training: Any) -> PretrainConfig:
    return pretrain_config(
        encoder=EncoderSettings(hidden_size=6),
        windows=PretrainWindows(context=3, num_future=2),
        settings={"moving_mnist": MovingMnistSettings(canvas=32)},
        **training,
    )


def test_sequences_are_generated_as_training_goes(tmp_path: Path) -> None:
    result = on_mnist(tmp_path)
    _, description = load_model(result.folder)
    assert (description.frame_shape, description.dtype, description.likelihood) == ([32, 32], "uint8", "bernoulli")
    assert description.extractor == {
        "kind": "moving-mnist",
        "digits": "train",
        "digits_sha256": description.extractor["digits_sha256"],
        "num_digits": 2,
        "canvas": 32,
        "num_frames": 5,
        "displacement": 0.1,
        "seed": 0,
    }
    assert result.validation.num_windows == 1024
    assert (result.folder / "videos.csv").read_text().count("\n") == 1  # the head alone
    assert (result.num_train_videos, result.num_validation_videos) == (0, 0)


def test_what_is_measured_and_validated_comes_from_streams_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, int]] = []

    def recorded(stream: Stream, seed: int) -> np.random.Generator:
        asked.append((stream, seed))
        return stream_rng(stream, seed)

    monkeypatch.setattr("vidrep.training.pretraining_data.stream_rng", recorded)
    on_mnist(tmp_path, config=mnist_config(seed=1))
    assert asked == [("train", 1), ("validation", 1)]  # `evaluate` draws from "test", with seed 1 unless told otherwise


def test_it_goes_on_with_the_same_digits_only(tmp_path: Path) -> None:
    on_mnist(tmp_path)
    others = write_mnist(tmp_path / "others", num_digits=21)
    with pytest.raises(OutputError, match=r"resumed with a model of extractor.digits_sha256 '\w+', the run has '\w+'"):
        train(None, tmp_path / "run", mnist_config(), mnist=others, device="cpu", resume=True)


def test_nearly_all_digits_can_be_held_out_but_one(tmp_path: Path) -> None:
    on_mnist(tmp_path, config=mnist_config(validation_fraction=0.999))


def test_what_does_not_fit_into_memory_is_one_line(tmp_path: Path) -> None:
    config = replace(mnist_config(), moving_mnist=MovingMnistSettings(canvas=10_000_000))
    with pytest.raises(ConfigError, match=r"does not fit into memory; lower encoder.hidden_size") as caught:
        on_mnist(tmp_path, config=config)
    assert "\n" not in str(caught.value)


def test_without_an_objective_of_the_future_windows_are_context_alone(tmp_path: Path) -> None:
    config = pretrain_config(windows=PretrainWindows(), settings={"objectives": ("reconstruction",)})
    features = features_of(tmp_path, circles(num_frames=16))
    run = train(features, tmp_path / "run", config, device="cpu").folder
    windows = load_model(run)[1].windows
    assert (windows["context"], windows["num_future"]) == (16, 0)
    found = evaluate(run, features_of(tmp_path / "other", circles(num_frames=16, seed=9)), device="cpu")
    assert isinstance(found, PredictionEvaluation)
    assert found.metrics.by_objective.keys() == {"reconstruction"}


def test_generated_runs_with_one_seed_are_the_same_and_with_another_not(tmp_path: Path) -> None:
    weights = [
        (on_mnist(tmp_path, name, mnist_config(seed=seed)).folder / "model.safetensors").read_bytes()
        for name, seed in (("one", 0), ("same", 0), ("other", 1))
    ]
    assert weights[0] == weights[1] != weights[2]


def test_the_mean_frame_of_generated_sequences_is_stored(tmp_path: Path) -> None:
    model, _ = load_model(on_mnist(tmp_path).folder)
    mean = model.inputs.mean
    assert mean.shape == (32 * 32,)
    # Random digits have mean 0.5; two cover most of a canvas of 32.
    assert 0.4 < float(mean[32 * 16 + 16]) < 0.75
    assert float(mean.min()) >= 0
    np.testing.assert_allclose(float(mean[0]), float(mean[-1]), atol=0.1)  # no corner is preferred


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"windows": PretrainWindows(context=3, num_future=2, stride=3, stateful=True)},
            "windows.stateful is for videos",
        ),
        ({"moving_mnist": MovingMnistSettings(canvas=20)}, "canvas is 20, it must hold a digit of 28"),
    ],
)
def test_what_cannot_be_generated_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        on_mnist(tmp_path, config=replace(mnist_config(), **changes))
    assert not (tmp_path / "run").exists()


def test_features_or_digits_but_not_both_and_not_neither(tmp_path: Path) -> None:
    features, mnist = features_of(tmp_path, circles()), write_mnist(tmp_path / "mnist")
    for given in ((features, mnist), (None, None)):
        with pytest.raises(ConfigError, match="one of the two"):
            train(given[0], tmp_path / "run", mnist=given[1], device="cpu")
    with pytest.raises(InputError, match=r"nowhere: no such folder; --mnist DIR"):
        train(None, tmp_path / "run", mnist=tmp_path / "nowhere", device="cpu")


def stateful_config(**settings: Any) -> PretrainConfig:
    return pretrain_config(
        encoder=EncoderSettings(hidden_size=5, num_layers=2),
        windows=PretrainWindows(context=2, num_future=1, stride=2, stateful=True),
        optimizer=STANDING_STILL,
        batch_size=1,
        **settings,
    )


@pytest.mark.parametrize("steps", [1, 4, 5, 6])
def test_the_state_is_carried_through_a_video_and_starts_anew_with_the_next(tmp_path: Path, steps: int) -> None:
    """Videos of 10 frames have four windows of 2 + 1 at 0, 2, 4 and 6: after step 4 a new video begins."""
    features = features_of(tmp_path, circles(2, num_frames=10, classes=("left",)))
    config = stateful_config(steps=steps, validate_every=steps, validation_fraction=0.5)
    run = train(features, tmp_path / "run", config, device="cpu").folder
    model, _ = load_model(run)
    network = model.network
    assert isinstance(network, PretrainingNetwork)
    [video] = [
        index
        for index, row in enumerate(features.videos)
        if f"{row.path},left,train" in (run / "videos.csv").read_text()
    ]
    num_windows = (steps - 1) % 4 + 1
    frames = model.inputs(torch.from_numpy(np.array(features.rows(video)))[: 2 * num_windows, None])
    with torch.no_grad():
        expected = to_dict(network.encode(frames).state)
    carried = checkpoint(run)["state"]
    assert carried.keys() == {"state.0.h", "state.0.c", "state.1.h", "state.1.c"}
    for name, tensor in carried.items():
        torch.testing.assert_close(tensor, expected[name], rtol=1e-5, atol=1e-6)


def first_validation(folder: Path, name: str, config: PretrainConfig) -> dict[str, Any]:
    features = features_of(folder, circles(8, num_frames=10))
    return validations(train(features, folder / name, config, device="cpu", precision="fp32").folder)[0]


@pytest.mark.parametrize("num_micro_batches", [2, 3, 8])
@pytest.mark.parametrize("stateful", [False, True])
def test_micro_batches_teach_what_the_whole_batch_does(tmp_path: Path, num_micro_batches: int, stateful: bool) -> None:
    found = []
    for number in (1, num_micro_batches):
        config = pretrain_config(
            encoder=EncoderSettings(hidden_size=5),
            settings=CONDITIONAL,
            steps=3,
            validate_every=3,
            batch_size=8,
            gradient_accumulation=number,
        )
        if stateful:
            config = replace(config, windows=PretrainWindows(context=2, num_future=2, stride=2, stateful=True))
        found.append(first_validation(tmp_path, f"run{number}", config))
    assert found[1]["gradient_norm"] == pytest.approx(found[0]["gradient_norm"], rel=1e-4)
    assert found[1]["train"] == pytest.approx(found[0]["train"], rel=1e-5)
    assert found[1]["validation"] == pytest.approx(found[0]["validation"], rel=1e-5)


def test_recomputed_windows_teach_what_others_do(tmp_path: Path) -> None:
    found = []
    for size in (0, 2):
        config = pretrain_config(
            encoder=EncoderSettings(hidden_size=5, num_layers=2),
            settings=CONDITIONAL,
            steps=3,
            validate_every=3,
            recompute_every=size,
        )
        found.append(first_validation(tmp_path, f"run{size}", config))
    assert found[1]["gradient_norm"] == pytest.approx(found[0]["gradient_norm"], rel=1e-4)
    assert found[1]["train"] == pytest.approx(found[0]["train"], rel=1e-5)


def test_a_summed_objective_has_the_gradient_of_the_mean_times_the_values(tmp_path: Path) -> None:
    norms = []
    for reduction in ("mean", "sum"):
        optimizer = replace(STANDING_STILL, reduction=reduction)
        config = pretrain_config(
            encoder=EncoderSettings(hidden_size=5), optimizer=optimizer, steps=1, validate_every=1, batch_size=4
        )
        config = replace(config, windows=PretrainWindows(context=3, num_future=3))
        norms.append(first_validation(tmp_path, reduction, config)["gradient_norm"])
    assert norms[1] / norms[0] == pytest.approx(3 * 4 * 4, rel=1e-4)  # frames, windows, values


def test_fewer_frames_are_reconstructed_where_it_is_asked_for(tmp_path: Path) -> None:
    config = replace(
        pretrain_config(encoder=EncoderSettings(hidden_size=5), optimizer=STANDING_STILL, steps=1, validate_every=1),
        windows=PretrainWindows(context=4, num_reconstructed=1, num_future=2),
    )
    features = features_of(tmp_path, circles(8, num_frames=6))
    run = train(features, tmp_path / "run", config, device="cpu").folder
    model, description = load_model(run)
    network = model.network
    assert isinstance(network, PretrainingNetwork)
    held_out = [
        row.path for row in features.videos if f"{row.path},{row.label},validation" in (run / "videos.csv").read_text()
    ]
    total = []
    for key in held_out:
        frames = model.inputs(torch.from_numpy(np.array(features.rows(features.index(key))))[:, None])
        with torch.no_grad():
            last = network.frame_objectives["reconstruction"].predict(network.encode(frames[:4]), 1)[-1]
        total.append(float((last - frames[3]).square().sum()))
    assert description.windows["num_reconstructed"] == 1
    assert validations(run)[0]["validation"]["reconstruction"] == pytest.approx(np.mean(total), rel=1e-5)


@pytest.mark.parametrize("kind", ["generated", "stateful", "conditional, recomputed, in micro-batches"])
def test_ten_steps_are_seven_and_three_wherever_batches_come_from(tmp_path: Path, kind: str) -> None:
    config = mnist_config() if kind == "generated" else pretrain_config(gradient_accumulation=2, recompute_every=2)
    if kind == "stateful":
        config = replace(config, windows=PretrainWindows(context=2, num_future=2, stride=2, stateful=True))
    if kind.startswith("conditional"):
        config = replace(config, encoder=EncoderSettings(hidden_size=5, dropout=0.3), **CONDITIONAL)
    features = None if kind == "generated" else features_of(tmp_path, circles(num_frames=10))
    mnist = write_mnist(tmp_path / "mnist") if kind == "generated" else None
    asked = iter(range(1, 100))

    def run(name: str, **options: Any) -> Path:
        return train(features, tmp_path / name, config, mnist=mnist, device="cpu", **options).folder

    whole = run("whole")
    with pytest.raises(Stopped, match="stopped at step 7 of 10; --resume goes on from there"):
        run("resumed", should_stop=lambda: next(asked) == 7)
    resumed = run("resumed", resume=True)
    assert_same(tree_of(whole), tree_of(resumed))


def test_bf16_learns_nearly_the_same(tmp_path: Path) -> None:
    features = features_of(tmp_path, circles(8, num_frames=10))
    encoder = EncoderSettings(hidden_size=8, num_layers=2)
    config = pretrain_config(encoder=encoder, settings=CONDITIONAL, steps=20, validate_every=20)
    found = {}
    for precision in ("fp32", "bf16"):
        run = train(features, tmp_path / precision, config, device="cpu", precision=precision).folder
        found[precision] = validations(run)[0]["train"]["loss"]
        assert checkpoint(run)["numerics"]["precision"] == precision
        assert {value.dtype for value in checkpoint(run)["model"].values()} == {torch.float32}
    assert found["bf16"] != found["fp32"]
    assert found["bf16"] == pytest.approx(found["fp32"], rel=0.01)
