"""Heads that are fitted to a frozen encoder: no steps, the same bits however often, saved as any model."""

import json
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.linear_model import LogisticRegression
from small_features import circles, features_of, finetune_config, pretrain_config

from vidrep.config.settings import ClassifierSettings, EncoderSettings, FinetuneConfig
from vidrep.errors import ConfigError, OutputError, Stopped
from vidrep.evaluation.evaluate import evaluate
from vidrep.features.store import Features
from vidrep.inference.info import info
from vidrep.models.classifier import Classifier
from vidrep.models.heads.fitted_head import FittedHead
from vidrep.models.saved import load_model
from vidrep.training import fitting
from vidrep.training.finetune import FinetuneResult, finetune
from vidrep.training.pretrain import train

HEADS = {"prototypes": {"temperature": 0.2}, "logistic": {"C": 10.0, "reads": "mean"}}
SPLITS = {"left/05.npy": "validation", "right/05.npy": "validation", "left/06.npy": "test", "right/06.npy": "test"}


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Features:
    """Videos of 6 frames, so that windows of 4 every 2 are two a video, and some of a single padded window."""
    videos = circles(7, num_frames=6)
    videos["left/01.npy"] = videos["left/01.npy"][:3]
    return features_of(tmp_path_factory.mktemp("features"), videos, dict.fromkeys(videos, "train") | SPLITS)


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory, features: Features) -> Path:
    config = pretrain_config(encoder=EncoderSettings(hidden_size=12))
    return train(features, tmp_path_factory.mktemp("start") / "run", config, device="cpu").folder


def config_of(head: str, **classifier: Any) -> FinetuneConfig:
    settings = ClassifierSettings(head=head, **{"transfer": "frozen"} | classifier)
    encoder = EncoderSettings(dropout=0.5)
    return finetune_config(classifier=settings, encoder=encoder, settings={"head": {head: HEADS[head]}})


@pytest.fixture(params=HEADS)
def head(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def fit(features: Features, pretrained: Path, tmp_path: Path, head: str) -> Callable[..., FinetuneResult]:
    def finetune_it(name: str = "run", **options: Any) -> FinetuneResult:
        start = None if options.get("resume") else pretrained
        return finetune(features, tmp_path / name, config_of(head), pretrained=start, device="cpu", **options)

    return finetune_it


def representations(run: Path, features: Features, split: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what the head reads of every window of a split, one window at a time without padding, and the classes."""
    model, description = load_model(run)
    network = model.network
    assert isinstance(network, Classifier) and isinstance(network.head, FittedHead)
    found, classes = [], []
    for index, row in enumerate(features.videos):
        for start in (0, 2) if row.length == 6 else (0,):
            if row.split == split:
                window = torch.from_numpy(np.array(features.rows(index)[start : start + 4]))
                with torch.no_grad():
                    outputs, _ = network.encoder(model.inputs(window.unsqueeze(1)))
                reads = network.head.settings.reads
                found.append(outputs[-1, 0] if reads == "last" else outputs[:, 0].mean(dim=0))
                classes.append(description.classes.index(row.label))
    return torch.stack(found), torch.tensor(classes)


def test_the_head_is_fitted_to_all_training_windows(
    fit: Callable[..., FinetuneResult], features: Features, head: str
) -> None:
    result = fit()
    outcome = result.outcome
    assert (outcome.steps, outcome.best_step, outcome.stopped_early) == (0, 0, False)
    assert 0 < outcome.data_share < 1
    trained, classes = representations(result.folder, features, "train")
    assert len(trained) == 19
    held_out, right = representations(result.folder, features, "validation")
    state = load_file(result.folder / "model.safetensors")
    if head == "prototypes":
        units = trained / trained.norm(dim=1, keepdim=True)
        expected = torch.stack([units[classes == one].mean(dim=0) for one in (0, 1)])
        torch.testing.assert_close(state["network.head.prototypes"], expected)
        cosines = torch.nn.functional.cosine_similarity(held_out.unsqueeze(1), expected, dim=2)
        logits = cosines / 0.2
    else:
        rows, others = trained.double().numpy(), held_out.double().numpy()
        mean, deviation = rows.mean(axis=0), rows.std(axis=0)
        model = LogisticRegression(C=10.0, max_iter=1000).fit((rows - mean) / deviation, classes.numpy())
        logits = torch.from_numpy(model.predict_log_proba((others - mean) / deviation)).float()
        weight = model.coef_[0] / deviation
        np.testing.assert_allclose(state["network.head.weight"][1], weight, rtol=1e-3, atol=1e-4)
    (line,) = [json.loads(text) for text in (result.folder / "metrics.jsonl").read_text().splitlines()]
    loss = torch.nn.functional.cross_entropy(logits, right)
    assert line["step"] == 0 and line["speed"]["frames_per_second"] > 0
    assert line["validation"]["loss"] == pytest.approx(float(loss), rel=1e-3) == outcome.best_loss
    assert line["validation"]["window_accuracy"] == float((logits.argmax(dim=1) == right).float().mean())


def test_such_a_run_is_a_run(fit: Callable[..., FinetuneResult], features: Features, pretrained: Path) -> None:
    folder = fit().folder
    expected = (
        "baselines.safetensors config.toml environment.json history.jsonl metrics.jsonl model.json model.safetensors"
    )
    assert sorted({one.name for one in folder.iterdir()} - {"tensorboard"}) == [
        *expected.split(),
        "predictor.json",
        "pretrained",
        "videos.csv",
    ]
    there, here = load_file(pretrained / "model.safetensors"), load_file(folder / "model.safetensors")
    kept = {name for name in here if name.startswith(("network.encoder.", "inputs."))}
    assert all(torch.equal(here[name], there[name]) for name in kept) and kept
    assert evaluate(folder, features, device="cpu").num_videos == 2
    assert info(folder)["last validation"].startswith("step 0, loss ")


def test_it_is_fitted_to_the_same_bits(fit: Callable[..., FinetuneResult], monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = (load_file(fit(name).folder / "model.safetensors") for name in ("one", "other"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def contents(folder: Path) -> dict[str, bytes]:
    """Read the files of a run, but for that of its starts, which grows with each."""
    return {
        file.name: file.read_bytes() for file in folder.iterdir() if file.is_file() and file.name != "history.jsonl"
    }


def test_a_resumed_run_that_has_its_model_is_done(
    fit: Callable[..., FinetuneResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = fit()
    before = contents(first.folder)
    monkeypatch.setattr(fitting, "_fit", None)
    again = fit(resume=True)
    assert again.outcome.best_loss == first.outcome.best_loss
    assert contents(first.folder) == before


def test_stopped_before_it_was_fitted_it_is_fitted_by_a_resume(
    fit: Callable[..., FinetuneResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fit("whole").folder
    monkeypatch.setattr(fitting, "_WINDOWS_AT_ONCE", 8)
    asked, shown = count(), []
    with pytest.raises(Stopped, match="stopped before the head was fitted; --resume fits it anew"):
        fit(should_stop=lambda: next(asked) == 2, on_progress=lambda one: shown.append((one.done, one.total)))
    assert shown == [(8, 19), (16, 19)]
    assert not (tmp_path / "run" / "model.json").exists()
    resumed = fit(resume=True).folder
    one, other = (load_file(folder / "model.safetensors") for folder in (whole, resumed))
    torch.testing.assert_close(one, other)
    assert (whole / "config.toml").read_bytes() == (resumed / "config.toml").read_bytes()


def test_a_run_that_it_replaces_stays_until_it_has_a_model(fit: Callable[..., FinetuneResult], tmp_path: Path) -> None:
    before = load_file(fit().folder / "model.safetensors")
    with pytest.raises(OutputError, match="exists"):
        fit()
    with pytest.raises(Stopped, match="the run that it was to replace is back"):
        fit(overwrite=True, should_stop=lambda: True)
    assert before.keys() == load_file(tmp_path / "run" / "model.safetensors").keys()
    fit(overwrite=True)
    assert not (tmp_path / ".run.before").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"transfer": "init"},
            "of a frozen encoder; set classifier.transfer to 'frozen' (--freeze), or choose",
        ),
        ({"label_smoothing": 0.1}, "which classifier.label_smoothing 0.1 does not change; leave it out"),
        ({"class_weights": "balanced"}, "which classifier.class_weights 'balanced' does not change; leave it out"),
        ({"input_noise": 0.1}, "which classifier.input_noise 0.1 does not change; leave it out"),
    ],
)
def test_settings_that_it_does_not_use_are_refused(
    tmp_path: Path, features: Features, pretrained: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        finetune(features, tmp_path / "run", config_of("prototypes", **settings), pretrained=pretrained, device="cpu")
    assert message in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_from_scratch_there_is_nothing_to_fit_to(tmp_path: Path, features: Features) -> None:
    with pytest.raises(ConfigError, match="transfer is 'frozen', but there is no pretrained run to transfer from"):
        finetune(features, tmp_path / "run", config_of("logistic"), device="cpu")
