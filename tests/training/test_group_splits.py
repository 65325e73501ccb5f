"""A group of several labels is in one split of a training, and a group of unlabelled videos too."""

from pathlib import Path

import torch
from small_features import circles, features_of, finetune_config, pretrain_config

from vidrep.features.annotations import Annotation
from vidrep.sequences.split import VideoSplit
from vidrep.training.finetuning_data import data_of_labelled
from vidrep.training.pretraining_data import data_of_features

PERSONS = {key: key[-6:-4] for key in circles(10)}  # "left/03.npy" and "right/03.npy" are of person 03
ANNOTATIONS = {key: Annotation(None, None, person) for key, person in PERSONS.items()}


def persons_of(split: VideoSplit) -> list[set[str]]:
    keys = sorted(PERSONS)
    return [{PERSONS[keys[index]] for index in videos} for videos in (split.train, split.validation, split.test)]


def test_finetuning_divides_no_person(tmp_path: Path) -> None:
    data = data_of_labelled(features_of(tmp_path, circles(10)), finetune_config(), annotations=ANNOTATIONS)
    persons = persons_of(data.parts)
    assert [len(one) for one in persons] == [6, 2, 2]
    assert len(set.union(*persons)) == 10


def test_pretraining_divides_no_person(tmp_path: Path) -> None:
    features = features_of(tmp_path, circles(10))
    data = data_of_features(features, pretrain_config(), annotations=ANNOTATIONS, device=torch.device("cpu"))
    train, validation, test = persons_of(data.videos.parts)
    assert (len(train), len(validation), len(test)) == (8, 2, 0)
    assert not train & validation
