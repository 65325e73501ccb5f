"""Files of tensors are read without executing anything that is in them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vidrep.errors import FeatureFileError, InputError
from vidrep.features.importing import ImportSummary, import_features


def tensor(seed: int, length: int = 5) -> torch.Tensor:
    return torch.rand(length, 3, generator=torch.Generator().manual_seed(seed))


def imported(tmp_path: Path, content: object, **how: Any) -> ImportSummary:
    torch.save(content, tmp_path / "in.pt", **how)
    return import_features(tmp_path / "in.pt", tmp_path / "out.h5")


@pytest.mark.parametrize("how", [{}, {"_use_new_zipfile_serialization": False}], ids=["zip", "before 1.6"])
def test_a_tensor_a_video(tmp_path: Path, how: dict[str, Any]) -> None:
    content = {"walk": {"v1": tensor(1), "v2": tensor(2, length=7)}, "run": {7: tensor(3)}}
    features = imported(tmp_path, content, **how).features
    assert [(row.path, row.label) for row in features.videos] == [
        ("run/7", "run"), ("walk/v1", "walk"), ("walk/v2", "walk"),
    ]  # fmt: skip
    for index, (seed, length) in enumerate([(3, 5), (1, 5), (2, 7)]):
        np.testing.assert_array_equal(features.rows(index), tensor(seed, length).numpy())


def test_all_videos_in_one_tensor(tmp_path: Path) -> None:
    content = {"features": torch.stack([tensor(1), tensor(2)]), "labels": ["run", "walk"], "split": ["train", "val"]}
    features = imported(tmp_path, content).features
    assert [(row.path, row.label, row.split) for row in features.videos] == [
        ("000000", "run", "train"), ("000001", "walk", "validation"),
    ]  # fmt: skip
    np.testing.assert_array_equal(features.rows(1), tensor(2).numpy())


def test_views_gradients_and_bfloat16(tmp_path: Path) -> None:
    whole = tensor(1, length=8)
    content = {
        "bf16": torch.tensor([[1.0, 0.1, 3.0]], dtype=torch.bfloat16).repeat(4, 1),
        "trained": torch.nn.Parameter(tensor(2)),
        "view": whole[2:6].flip(0),
    }
    features = imported(tmp_path, content).features
    # bfloat16 has 8 bits of precision: the nearest to 0.1 is 205 / 2048.
    np.testing.assert_array_equal(features.rows(0), np.tile(np.array([1, 205 / 2048, 3], np.float32), (4, 1)))
    np.testing.assert_array_equal(features.rows(1), tensor(2).numpy())
    np.testing.assert_array_equal(features.rows(2), whole.numpy()[5:1:-1])


def test_what_is_no_plain_tensor_is_listed(tmp_path: Path) -> None:
    content = {
        "v": tensor(1),
        "sparse": tensor(2).to_sparse(),
        "bomb": torch.zeros(1, 3).expand(10**9, 3),
        "none": None,
    }
    summary = imported(tmp_path, content)
    assert [row.path for row in summary.features.videos] == ["v"]
    assert {failure.path: failure.reason for failure in summary.failures} == {
        "bomb": "/bomb repeats its values, so that it is larger than the file",
        "none": "/none is of type NoneType; tensors are read",
        "sparse": "/sparse is no plain tensor (sparse, quantized or without values)",
    }


def test_a_tensor_by_itself_is_ambiguous(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="for other features give the folder, with one file a video"):
        imported(tmp_path, tensor(1))


class Evil:
    def __reduce__(self) -> tuple[Callable[..., None], tuple[str]]:
        return print, ("this must not run",)


def test_nothing_is_executed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for content in ({"a": Evil()}, {"v": np.zeros((2, 3))}):
        with pytest.raises(
            FeatureFileError, match=r"in\.pt: not a file of tensors that can be read safely; save plain"
        ):
            imported(tmp_path, content)
    for raw in (b"", b"text", bytes(1000)):
        (tmp_path / "in.pt").write_bytes(raw)
        with pytest.raises(FeatureFileError, match="not a file of tensors that can be read safely"):
            import_features(tmp_path / "in.pt", tmp_path / "out.h5")
    assert capsys.readouterr().out == ""


def test_a_dictionary_within_itself(tmp_path: Path) -> None:
    content: dict[str, Any] = {"v": tensor(1)}
    content |= {"again": content, "and again": content}
    summary = imported(tmp_path, content)
    assert [failure.reason for failure in summary.failures] == [
        "/again is of type dict; tensors are read",
        "/and again is of type dict; tensors are read",
    ]
