"""Overfitting, as metrics.jsonl of a run shows it."""

import json
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from vidrep.errors import InputError
from vidrep.training.overfitting import Overfitting, find_overfitting


def run_of(folder: Path, losses: list[tuple[float, float]], **settings: Any) -> Path:
    """Write what a run would have left of validations after every 100 steps: losses of training and validation."""
    lines = [
        {"step": 100 * number, "train": {"loss": training}, "validation": {"loss": validation}}
        for number, (training, validation) in enumerate(losses, start=1)
    ]
    folder.mkdir(exist_ok=True)
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "config.toml").write_text(tomli_w.dumps(settings))
    return folder


def test_a_rising_validation_loss_beside_a_falling_training_loss_is_overfitting(tmp_path: Path) -> None:
    run = run_of(tmp_path, [(400, 450), (300, 340), (200, 400), (93, 512)], objectives=["future"])
    found = find_overfitting(run)
    assert found == Overfitting(
        since_step=200,
        lowest=340,
        step=400,
        validation=512,
        training=93,
        remedies=("fewer steps (--steps 200)", "more dropout (encoder.dropout)", "--recipe few-labels"),
    )
    assert str(found) == (
        "Overfits since step 200: at step 400 validation 512 (lowest 340), training 93; try fewer steps (--steps 200), "
        "more dropout (encoder.dropout) or --recipe few-labels"
    )
    member = tmp_path / "ensemble" / "members" / "1"
    member.mkdir(parents=True)
    run_of(member, [(3, 1), (2, 2)], objectives=["contrast"])
    content = {"format": "vidrep-ensemble", "version": 1, "members": 1}
    (tmp_path / "ensemble" / "ensemble.json").write_text(json.dumps(content))
    of_first = find_overfitting(tmp_path / "ensemble")
    assert of_first is not None and of_first.remedies[1:] == ("more dropout (encoder.dropout)",)


@pytest.mark.parametrize(
    "losses",
    [
        [],
        [(3, 4), (2, 3)],  # the lowest is the last
        [(3, 4), (2, 4.19)],  # noise
        [(3, 4), (3.5, 6)],  # both rise: it diverges
        [(-3, -4), (-4, -3.9)],
    ],
)
def test_anything_else_is_not(tmp_path: Path, losses: list[tuple[float, float]]) -> None:
    assert find_overfitting(run_of(tmp_path, losses)) is None


def test_remedies_are_those_of_the_kind_of_training(tmp_path: Path) -> None:
    losses = [(2.0, 1.0), (1.0, 2.0)]

    def last_remedy(**settings: Any) -> str:
        found = find_overfitting(run_of(tmp_path, losses, **settings))
        assert found is not None
        return found.remedies[-1]

    start = {"encoder_sha256": "0"}
    assert last_remedy(classifier={"transfer": "init"}) == "--from a pretraining"
    assert last_remedy(classifier={"transfer": "init"}, started_from=start) == "--freeze"
    for of_frozen in ({"transfer": "frozen"}, {"freeze_encoder": True}):  # the second of an earlier version
        assert last_remedy(classifier=of_frozen, started_from=start) == "more dropout (classifier.dropout)"


def test_a_fitted_head_has_no_training_to_overfit_and_damage_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_text('{"step": 0, "validation": {"loss": 1.0}}\n')
    assert find_overfitting(tmp_path) is None
    for content in ("{}}\n", '{"step": 1, "train": 3, "validation": {}}\n', '{"train": {"loss": null}, "step": 1}\n'):
        (tmp_path / "metrics.jsonl").write_text(content)
        with pytest.raises(InputError, match=r"metrics.jsonl: not the metrics of a run") as caught:
            find_overfitting(tmp_path)
        assert "\n" not in str(caught.value)
    (tmp_path / "metrics.jsonl").unlink()
    run_of(tmp_path, [(2.0, 1.0), (1.0, 2.0)])
    (tmp_path / "config.toml").unlink()
    with pytest.raises(InputError, match=r"config.toml: cannot be read"):
        find_overfitting(tmp_path)
