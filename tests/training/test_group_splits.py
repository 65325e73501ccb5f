"""A group, such as a person, is in one split of a training, whoever names the groups."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from small_features import circles, features_of, finetune_config, pretrain_config

from vidrep.evaluation.classification import ClassificationEvaluation
from vidrep.evaluation.evaluate import evaluate
from vidrep.features.annotations import Annotation
from vidrep.features.store import Features
from vidrep.training.finetune import finetune
from vidrep.training.pretrain import train
from vidrep.training.run_videos import VIDEOS_NAME

PERSONS = {key: key[-6:-4] for key in circles(10)}  # "left/03.npy" and "right/03.npy" are of person 03
PATTERN = r"(\d+)\.npy$"
ANNOTATIONS = {key: Annotation(None, None, person) for key, person in PERSONS.items()}


@pytest.fixture
def features(tmp_path: Path) -> Features:
    return features_of(tmp_path, circles(10))


def persons_of(run: Path) -> dict[str, set[str]]:
    """Return the persons in each split, from videos.csv."""
    persons: dict[str, set[str]] = {}
    for line in (run / VIDEOS_NAME).read_text(encoding="utf-8").splitlines()[1:]:
        video, _, split, *_ = line.split(",")
        persons.setdefault(split, set()).add(PERSONS[video])
    return persons


@pytest.mark.parametrize("named_by", ["annotations", "pattern"])
@pytest.mark.parametrize("kind", ["train", "finetune"])
def test_no_training_divides_a_person(tmp_path: Path, features: Features, kind: str, named_by: str) -> None:
    def run(seed: int) -> Path:
        annotations, pattern = (ANNOTATIONS, None) if named_by == "annotations" else (None, PATTERN)
        output = tmp_path / f"run{seed}"
        if kind == "train":
            config = pretrain_config(steps=1, seed=seed)
            return train(features, output, config, annotations=annotations, group_pattern=pattern, device="cpu").folder
        finetuning = finetune_config(steps=1, seed=seed)
        return finetune(
            features, output, finetuning, annotations=annotations, group_pattern=pattern, device="cpu"
        ).folder

    for seed in range(3):
        persons = persons_of(run(seed))
        expected = {"train": 8, "validation": 2} if kind == "train" else {"train": 6, "validation": 2, "test": 2}
        assert {split: len(some) for split, some in persons.items()} == expected
        assert len(set.union(*persons.values())) == 10


def test_the_videos_that_an_evaluation_is_left_with_are_of_other_persons(tmp_path: Path, features: Features) -> None:
    run = finetune(features, tmp_path / "run", finetune_config(steps=1), group_pattern=PATTERN, device="cpu").folder
    result = evaluate(run, features, group_pattern=PATTERN, device="cpu")
    assert isinstance(result, ClassificationEvaluation)
    assert (result.num_videos, result.num_left_out) == (4, 16)


def test_without_groups_a_person_may_be_divided(tmp_path: Path, features: Features) -> None:
    persons = persons_of(finetune(features, tmp_path / "run", finetune_config(steps=1), device="cpu").folder)
    assert persons["train"] & persons["test"]


@pytest.mark.parametrize("train_on", [train, finetune])
def test_named_splits_that_divide_a_person_are_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, train_on: Callable[..., object]
) -> None:
    splits = {key: "test" if key.startswith("left/03") else "train" for key in PERSONS}
    features = features_of(tmp_path, circles(10), splits)
    config = pretrain_config(steps=1) if train_on is train else finetune_config(steps=1)
    with caplog.at_level(logging.WARNING, logger="vidrep"):
        train_on(features, tmp_path / "run", config, group_pattern=PATTERN, device="cpu")
    assert any(
        message.startswith("the given splits divide 1 groups, and are kept: group '03' is in train (")
        for message in caplog.messages
    )
