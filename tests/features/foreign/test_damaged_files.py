"""Damaged files of every format are read or refused in one line; HDF5 has its own test, test_untrusted."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.io import savemat

from vidrep.errors import FeatureFileError
from vidrep.features.foreign.formats import open_tree

ARRAYS: dict[str, Any] = {"v1": np.random.default_rng(0).random((4, 3)), "v2": np.ones((5, 3), np.float32)}
OTHERS: dict[str, Any] = {"cell": np.array([1, "a"], object), "text": "text"}


def save_tensors(path: Path, **how: Any) -> None:
    torch.save({"v1": torch.ones(4, 3), "x": {"v2": torch.ones(3, 3)}}, path, **how)


def mutant(content: bytes, seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    changed = bytearray(content)
    for place in rng.choice(len(changed), rng.integers(1, 5)):
        changed[place] = rng.choice([changed[place] ^ (1 << rng.integers(8)), 0, 255, rng.integers(256)])
    return bytes(changed)


@pytest.mark.parametrize(
    ("name", "save"),
    [
        ("a.mat", lambda path: savemat(path, ARRAYS | OTHERS)),
        ("packed.mat", lambda path: savemat(path, ARRAYS | OTHERS, do_compression=True)),
        ("a.pt", save_tensors),
        ("old.pt", lambda path: save_tensors(path, _use_new_zipfile_serialization=False)),
        ("a.npz", lambda path: np.savez_compressed(path, allow_pickle=False, **ARRAYS)),
        ("a.npy", lambda path: np.save(path, ARRAYS["v1"])),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_damaged_copies(tmp_path: Path, name: str, save: Any) -> None:
    """Copies with 1 to 4 changed bytes; scipy's reader of .mat files crashes on the 69th of a.mat."""
    path = tmp_path / name
    save(path)
    content = path.read_bytes()
    outcomes = set()
    for seed in range(100):
        path.write_bytes(mutant(content, seed))
        try:
            tree = open_tree(path)
            for array, info in tree.arrays.items():
                if info.is_numeric:
                    assert tree.read(array).shape == info.shape
        except FeatureFileError as error:
            assert str(error).startswith(f"{path}: ")
            assert "\n" not in str(error)
            outcomes.add("refused")
        else:
            outcomes.add("read")
    assert outcomes == {"read", "refused"}
