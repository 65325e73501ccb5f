"""Names of videos, labels and groups: composed Unicode, keys, and names of folders."""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path


def composed(name: str) -> str:
    """Return a name in Unicode's composed form (NFC), in which "é" is one character.

    A name that was typed has this form nearly everywhere; one that macOS made may have an "e" and an accent. Both look
    the same and are meant to be the same.
    """
    return unicodedata.normalize("NFC", name)


def keys_of_places(places: Sequence[tuple[str, str]]) -> list[str]:
    """Return the key of each video: its path within its root, with the root's name in front where several have that.

    places: (root, path) of each video, all different.
    """
    in_front = [False] * len(places)
    while True:
        keys = [f"{root}/{path}" if front else path for (root, path), front in zip(places, in_front, strict=True)]
        counts = Counter(keys)
        repeated = [counts[key] > 1 for key in keys]
        now = [front or again for front, again in zip(in_front, repeated, strict=True)]
        if now == in_front:
            return keys
        in_front = now


def names_of_folders(folders: Sequence[Path]) -> dict[Path, str]:
    """Return a name for each of several folders: its own, with as many parents in front as tell it from the others.

    folders: absolute.
    """
    every = list(dict.fromkeys(folders))
    depth = dict.fromkeys(every, 1)
    while True:
        names = {folder: _end(folder, depth[folder]) for folder in every}
        counts = Counter(names.values())
        repeated = [folder for folder in every if counts[names[folder]] > 1 and depth[folder] < len(folder.parts)]
        if not repeated:
            return names
        for folder in repeated:
            depth[folder] += 1


def _end(folder: Path, depth: int) -> str:
    parts = [part for part in folder.parts if part != folder.anchor]
    names = "/".join(parts[-depth:]) or folder.anchor
    return composed(names.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))
