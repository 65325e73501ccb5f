"""Folders that are named as splits: train/run/a.mp4 is a video of class "run" in split "train"."""

import re
from collections.abc import Mapping, Sequence

SPLIT_NAMES: Mapping[str, str] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
"""The split that a name stands for, in small letters."""


def are_named_as_splits(top_folders: Sequence[str]) -> bool:
    """Return whether there are top folders and each of them has a name of a split."""
    return bool(top_folders) and all(_split_named(name) for name in top_folders)


def are_like_splits(folders: Sequence[str]) -> bool:
    """Return whether there are several folders, and each has the word of a split in its name: "train_set", "test"."""
    return len(folders) > 1 and all(SPLIT_NAMES.keys() & re.findall("[a-z]+", name.casefold()) for name in folders)


def _split_named(name: str) -> str:
    return SPLIT_NAMES.get(name.strip().casefold(), "")


def splits_of_folders(videos: Sequence[Sequence[str]]) -> dict[str, str]:
    """Return the split of each top folder, {"Train": "train", "test": "test"}; {} if they are no splits.

    They are splits if each of them that holds videos has a name of a split and class folders inside.

    videos: the parts of each video's path within its source, ("Train", "run", "a.mp4").
    """
    top_folders = top_folders_of(videos)
    with_classes = {parts[0] for parts in videos if len(parts) > 2}
    if not are_named_as_splits(top_folders) or with_classes != set(top_folders):
        return {}
    return {name: _split_named(name) for name in top_folders}


def top_folders_of(videos: Sequence[Sequence[str]]) -> list[str]:
    """Return the names of the folders at the top that hold videos at any depth, sorted."""
    return sorted({parts[0] for parts in videos if len(parts) > 1})
