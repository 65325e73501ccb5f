"""The chain of input transforms: original units, any order, fitted one after the other, saved with the model."""

from collections.abc import Callable, Iterator
from itertools import permutations
from typing import Any

import numpy as np
import pytest
import torch
from small_networks import random
from torch import Tensor

from vidrep.config.doors import settings_of_names
from vidrep.models.inputs import InputTransforms, to_original_units
from vidrep.models.transforms.transform import Transform
from vidrep.registry import TRANSFORMS

D = 6
ALL: dict[str, dict[str, Any]] = {"standardize": {}, "center_clip": {}, "pca": {"size": 3}}


def inputs_of(*names: str) -> InputTransforms:
    given = {name: ALL[name] for name in names}
    return InputTransforms(D, settings_of_names("transform", names, given))


def blocks() -> list[Tensor]:
    """Return stored frames of two videos, (n, D) each, of which no value has the mean 0 or the deviation 1."""
    return [(random(9, D) * torch.arange(1, D + 1) + 5).float(), (random(7, D) * 2 - 3).float()]


def fitted(*names: str, stored: Callable[[], Iterator[Tensor]] | None = None) -> InputTransforms:
    inputs = inputs_of(*names)
    inputs.fit(stored or (lambda: iter(blocks())))
    return inputs


def with_statistics(*names: str) -> InputTransforms:
    inputs = InputTransforms(3, settings_of_names("transform", names, {}))
    for name, buffer in inputs.named_buffers():
        buffer.copy_(torch.tensor([1.0, 0.0, -2.0] if name.endswith("mean") else [2.0, 1.0, 0.5]))
    return inputs


def test_standardized_frames_come_back() -> None:
    inputs, stored = with_statistics("standardize"), torch.tensor([[[3.0, 4.0, -2.5]]], dtype=torch.float16)
    frames = inputs(stored)
    assert frames.dtype == torch.float32
    assert frames.flatten().tolist() == [1.0, 4.0, -1.0]
    assert inputs.is_invertible
    torch.testing.assert_close(inputs.inverse(frames), stored.float())


def test_pixels_are_divided_by_255_first() -> None:
    stored, expected = torch.tensor([[[0, 51, 255]]], dtype=torch.uint8), np.array([[[0.0, 0.2, 1.0]]], np.float32)
    np.testing.assert_allclose(to_original_units(stored).numpy(), expected)
    np.testing.assert_allclose(with_statistics()(stored).numpy(), expected)
    np.testing.assert_allclose(with_statistics().inverse(torch.from_numpy(expected)).numpy(), expected)
    standardized = (expected - [1, 0, -2]) / [2, 1, 0.5]
    np.testing.assert_allclose(with_statistics("standardize")(stored).numpy(), standardized, rtol=1e-6)


def test_without_transforms_frames_are_as_they_are_and_still_measured() -> None:
    inputs = fitted()
    everything = np.concatenate([block.double().numpy() for block in blocks()])
    np.testing.assert_allclose(inputs.mean.numpy(), everything.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(inputs.std.numpy(), everything.std(axis=0), rtol=1e-6)
    stored = blocks()[0].unsqueeze(1)
    assert torch.equal(inputs(stored), stored)


def in_numpy(names: tuple[str, ...], stored: list[np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
    """Fit and apply transforms one after the other, to all frames of each video."""
    for name in names:
        everything = np.concatenate(stored)
        mean = everything.mean(axis=0)
        if name == "standardize":
            stored = [(video - mean) / everything.std(axis=0) for video in stored]
        elif name == "center_clip":
            stored = [video - video.mean(axis=0) for video in stored]
        else:
            components = np.linalg.svd(everything - mean)[2][:3]
            signs = np.sign([row[np.abs(row).argmax()] for row in components])
            stored = [(video - mean) @ (components * signs[:, None]).T for video in stored]
    return stored


@pytest.mark.parametrize("names", [order for count in range(4) for order in permutations(ALL, count)])
def test_transforms_in_any_order_are_those_of_numpy(names: tuple[str, ...]) -> None:
    inputs = fitted(*names)
    assert list(inputs.transforms) == list(names)
    assert inputs.output_size == (3 if "pca" in names else D)
    expected = in_numpy(names, [block.double().numpy() for block in blocks()])
    for block, frames in zip(blocks(), expected, strict=True):
        np.testing.assert_allclose(inputs(block.unsqueeze(1))[:, 0].numpy(), frames, rtol=1e-4, atol=2e-5)


def test_a_transform_is_fitted_to_what_the_ones_before_it_make_of_the_frames() -> None:
    first, second = fitted("standardize", "pca").state_dict(), fitted("pca", "standardize").state_dict()
    np.testing.assert_allclose(first["transforms.pca.mean"], np.zeros(D), atol=1e-6)
    np.testing.assert_allclose(second["transforms.standardize.mean"], np.zeros(3), atol=1e-5)
    assert second["transforms.standardize.std"].shape == (3,)


def test_chains_are_invertible_if_all_transforms_are() -> None:
    assert inputs_of().is_invertible and inputs_of("standardize").is_invertible
    for names in (("center_clip",), ("standardize", "pca"), ("pca", "standardize")):
        assert not inputs_of(*names).is_invertible
    with pytest.raises(NotImplementedError, match="CenterClip is not invertible"):
        inputs_of("standardize", "center_clip").inverse(torch.zeros(D))


class Shift(Transform):
    """Adds 1 to every value."""

    is_invertible = True

    def forward(self, frames: Tensor, observed: Tensor | None = None) -> Tensor:
        return frames + 1

    def inverse(self, frames: Tensor) -> Tensor:
        return frames - 1


def test_a_chain_is_inverted_from_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TRANSFORMS, "_registered", {})
    TRANSFORMS.register("shift")(Shift)
    inputs = InputTransforms(D, settings_of_names("transform", ["standardize", "shift"], {}))
    inputs.fit(lambda: iter(blocks()))
    stored = blocks()[0].unsqueeze(1)
    torch.testing.assert_close(inputs(stored), (stored - inputs.mean) / inputs.std + 1)
    assert inputs.is_invertible
    torch.testing.assert_close(inputs.inverse(inputs(stored)), stored)


def test_fitting_reads_the_frames_block_by_block_and_keeps_none() -> None:
    """Each fit is a number of passes; a pass holds one block at a time."""
    passes = []

    def stored() -> Iterator[Tensor]:
        passes.append(0)
        for block in blocks():
            passes[-1] += 1
            yield block

    inputs = fitted("standardize", "pca", stored=stored)
    assert passes == [2] * len(passes)
    assert len(passes) == 3  # statistics of stored frames, statistics and scatter of standardized ones
    assert sorted(inputs.state_dict()) == [
        "mean",
        "std",
        "transforms.pca.components",
        "transforms.pca.mean",
        "transforms.standardize.mean",
        "transforms.standardize.std",
    ]


def test_a_fitted_chain_is_saved_and_loaded() -> None:
    inputs, other = fitted(*ALL), inputs_of(*ALL)
    stored = blocks()[0].unsqueeze(1)
    assert not torch.equal(other(stored), inputs(stored))
    other.load_state_dict(inputs.state_dict())
    assert torch.equal(other(stored), inputs(stored))


def test_no_frame_at_all_is_an_error() -> None:
    with pytest.raises(ValueError, match="no frame"):
        fitted("standardize", stored=lambda: iter([]))


def test_the_chain_prints_sizes_and_settings() -> None:
    text = repr(inputs_of("standardize", "pca"))
    assert "(standardize): Standardize(6 -> 6, NoSettings())" in text
    assert "(pca): PCA(6 -> 3, PCASettings(size=3))" in text
