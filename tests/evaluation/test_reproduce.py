"""The reproduction of the paper's tables, as small as can be: its rows, what is kept, and what it refuses."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_features import features_of, write_mnist

from vidrep.config.reader import load_recipe
from vidrep.config.settings import PretrainConfig
from vidrep.errors import InputError, OutputError, Stopped
from vidrep.evaluation import reproduce as module
from vidrep.evaluation.evaluate import evaluate
from vidrep.evaluation.paper_figures import MODELS
from vidrep.evaluation.prediction import PredictionEvaluation
from vidrep.evaluation.reproduce import Reproduction, reproduce
from vidrep.evaluation.reproduction_tables import Measured, Row, tables
from vidrep.features.store import open_features
from vidrep.progress import Progress
from vidrep.synthetic.samples import SampleConfig
from vidrep.training import pretraining_data

STEPS, NUM_SEQUENCES = 2, 6


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    small = {"encoder.hidden_size": 4, "moving_mnist.canvas": 30, "training.batch_size": 4}
    monkeypatch.setattr(module, "_SMALL", module._SMALL | small)
    monkeypatch.setattr(module, "_NUM_SEQUENCES", {False: NUM_SEQUENCES, True: NUM_SEQUENCES})
    monkeypatch.setattr(module, "_STAND_IN", SampleConfig(videos_per_class=4, num_frames=30, frame_size=16))
    monkeypatch.setattr(pretraining_data, "_NUM_VALIDATED", 4)
    monkeypatch.setattr(pretraining_data, "_NUM_MEASURED", 40)


@pytest.fixture
def mnist(tmp_path: Path) -> Path:
    return write_mnist(tmp_path / "mnist", num_digits=100)


def made(tmp_path: Path, mnist: Path, **options: Any) -> Reproduction:
    given: dict[str, Any] = {"steps": STEPS, "device": "cpu", "threads": 1} | options
    return reproduce(tmp_path / "tables", mnist=mnist, **given)


def without_times(text: str) -> str:
    return re.sub(r"\d+ s( since it was resumed)? \||\d+ minutes in all, and \d+ of all", "", text)


def test_each_row_is_what_evaluate_measures_of_its_run(
    tmp_path: Path, mnist: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[Progress] = []
    monkeypatch.setattr(module, "MODELS", MODELS[1:3])
    result = made(tmp_path, mnist, on_progress=steps.append)
    of_digits = [(row.model, row.recipe) for row in result.rows if row.table == "moving-mnist"]
    assert of_digits == [
        *((model, "modern-mnist-small") for model in MODELS[1:3]),
        (MODELS[-1], "released-mnist-1layer"),
    ]
    assert [(row.model, row.recipe) for row in result.rows if row.table == "patches"] == [
        *((model, "modern-patches") for model in MODELS[1:3]),
        (MODELS[-1], "released-patches"),
    ]
    patches = open_features(tmp_path / "tables" / "generated-patches" / "patches.h5")
    for name, row, source, metric in (
        ("moving-mnist-future-predictor-modern-mnist-small", result.rows[0], {"mnist": mnist}, "nats"),
        ("patches-composite-modern-patches", result.rows[4], {"features": patches}, "squared_error"),
    ):
        more = {"num_sequences": NUM_SEQUENCES} if "mnist" in source else {}
        found = evaluate(tmp_path / "tables" / name / "run", **source, **more, device="cpu")  # type: ignore[arg-type]
        assert isinstance(found, PredictionEvaluation)
        expected = found.metrics.by_objective["future"][metric]["model"].mean
        assert row.error("future") == pytest.approx(expected, rel=1e-6)
        assert f"| {row.model.name} | `{row.recipe}` | {expected:.2f} |" in result.tables
        assert not (tmp_path / "tables" / name / "run" / "checkpoints").exists()
    assert (tmp_path / "tables" / "tables.md").read_text() == result.tables
    assert "| 344.9 (recalled) |" in result.tables and "| 350.2 (recalled) |" in result.tables
    assert (steps[-1].done, steps[-1].total) == (STEPS * 6, STEPS * 6)
    assert [one.done for one in steps] == sorted(one.done for one in steps)


def test_a_reproduction_that_was_stopped_goes_on_to_the_same_tables(
    tmp_path: Path, mnist: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MODELS", MODELS[1:3])
    whole = made(tmp_path / "at once", mnist)
    calls = 0

    def stop() -> bool:
        nonlocal calls
        calls += 1
        return calls % 3 == 0

    for _ in range(20):
        try:
            found = made(tmp_path / "often stopped", mnist, should_stop=stop)
            break
        except Stopped as stopped:
            assert str(stopped).endswith("; the same command goes on from there")
    assert calls > 4
    assert [row.measured.errors for row in found.rows] == [row.measured.errors for row in whole.rows]
    assert without_times(found.tables) == without_times(whole.tables)
    assert any(row.measured.resumed for row in found.rows)
    monkeypatch.setattr(module, "train", None)  # nothing is trained again
    assert made(tmp_path / "often stopped", mnist).tables == found.tables


def test_the_whole_tables_have_the_recipes_as_they_are() -> None:
    parts = module._plan(whole=True, steps=None, seed=3, with_patches=True)
    by_name = {part.name: part.config for part in parts}
    assert len(by_name) == len(parts) == 2 * len(MODELS) + 2 + 2 * 4 + 1
    released = by_name["moving-mnist-composite-both-decoders-conditional-released-configs-released-mnist-2layer"]
    assert (released.encoder.hidden_size, released.training.steps) == (2048, 100_000)
    best = by_name["moving-mnist-composite-conditional-future-decoder-srivastava-mnist-2layer"]
    recipe = load_recipe(PretrainConfig, "srivastava-mnist-conditional", changes={"training.seed": 3})
    assert best == recipe


def test_other_settings_and_digits_are_refused(tmp_path: Path, mnist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MODELS", MODELS[1:2])
    monkeypatch.setattr(module, "_make", lambda *args, **options: RESULT)
    made(tmp_path, mnist)
    with pytest.raises(OutputError, match=r"training\.seed is 0, not 1; give the same ones, or a new folder"):
        made(tmp_path, mnist, seed=1)
    with pytest.raises(OutputError, match="mnist is '"):
        made(tmp_path, write_mnist(tmp_path / "others", num_digits=90))
    settings = json.loads((tmp_path / "tables" / "settings.json").read_text())
    assert (settings["whole"], settings["patches"]) == (False, "generated")


def test_whole_tables_without_patches_say_so(tmp_path: Path, mnist: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_make", lambda *args, **options: RESULT)
    result = made(tmp_path, mnist, whole=True)
    assert {row.table for row in result.rows} == {"moving-mnist"}
    assert "Image patches are left out: give features of them with `--patches`." in result.tables


@pytest.mark.parametrize(
    ("side", "message"),
    [
        (32, "no video has the split 'test', on which patches are measured"),
        (4, r"frames of \(4, 4, 3\) uint8, expected"),
    ],
)
def test_other_patches_are_refused(tmp_path: Path, mnist: Path, side: int, message: str) -> None:
    features = features_of(tmp_path, {"a/0.npy": np.zeros((30, side, side, 3), np.uint8)})
    with pytest.raises(InputError, match=message):
        made(tmp_path, mnist, patches=features)


FORCED = {"model, teacher-forced": 20.0}
RESULT: dict[str, Any] = {
    "num_windows": 3,
    "errors": {"future": {"model": 1.0}},
    "training": dict.fromkeys(
        ("units", "layers", "parameters", "context", "future", "optimizer", "batch_size", "steps", "best_step"), 1
    ),
    "machine": {"hardware": "h", "software": "s", "commit": "", "date": "d"},
    "seconds": 1.0,
    "processor_seconds": 2.0,
    "resumed": False,
}


def test_the_order_is_set_beside_the_papers() -> None:
    errors = iter([700.0, 500.0, 400.0, 300.0, 350.0, 1.0, 1.0])
    rows = [
        Row(
            table="moving-mnist",
            model=model,
            recipe="r",
            measured=replace(Measured(**RESULT), errors={"future": {"model": next(errors)} | FORCED}),
        )
        for model in MODELS
    ]
    text = tables(rows, whole=False, stand_in=True)
    assert "| composite, conditional future decoder | `r` | 350.00 (teacher-forced 20.00) | - | 341.2 |" in text
    assert (
        "Best first, `r`: conditional future predictor; composite, conditional future decoder; composite; future "
        "predictor (in the paper: composite, conditional future decoder; conditional future predictor; composite; "
        "future predictor)."
    ) in text
