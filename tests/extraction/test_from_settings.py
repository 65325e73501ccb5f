"""The extractor that a feature file names is made again, or it is said why not."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torchvision import models

from vidrep.errors import ConfigError, InputError, WeightsError
from vidrep.extraction.extractors.cnn import CnnExtractor
from vidrep.extraction.extractors.patches import PatchExtractor
from vidrep.extraction.extractors.weights import sha256_of_state
from vidrep.extraction.from_settings import build_extractor, recorded_sampling
from vidrep.video.sampling import Sampling


@pytest.mark.parametrize(
    "choices",
    [
        {"region": "center", "color": True},
        {"resize": "fast"},
        {"crops": 3, "seed": 8, "color": True},
        {"crops": 1},
        {"grid": 2, "region": "center"},
    ],
    ids=repr,
)
def test_patches(choices: dict[str, Any]) -> None:
    first = PatchExtractor(size=5, **choices)
    again = build_extractor({**first.settings, "sampling": {}})
    assert again.settings == first.settings
    assert again.preparation == first.preparation
    frame = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    prepared = first.preparation.for_video("a")(frame)
    np.testing.assert_array_equal(again.preparation.for_video("a")(frame), prepared)


def test_patches_have_no_weights(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="of kind 'patches', which has none; leave --weights out"):
        build_extractor(PatchExtractor(size=5).settings, weights=tmp_path / "a.pth")


@pytest.mark.parametrize(
    "choices", [{}, {"region": "frame", "resize": "fast", "precision": "bf16", "layer": "features.2"}], ids=repr
)
def test_random_weights(choices: dict[str, Any]) -> None:
    first = CnnExtractor(model="squeezenet1_1", weights="none", device="cpu", batch_size=2, **choices)
    again = build_extractor(first.settings, device="cpu")
    assert again.settings == first.settings
    assert again.preparation == first.preparation
    batch = np.random.default_rng(0).integers(0, 256, (2, *first.preparation.crop_shape), dtype=np.uint8)
    np.testing.assert_array_equal(again.encode(batch), first.encode(batch))


def test_the_recorded_precision_counts_not_the_one_of_this_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Features made in bf16 on one machine are made in bf16 on another, where "auto" would mean fp32."""
    for recorded, native in [("fp32", True), ("bf16", False)]:
        first = CnnExtractor(model="squeezenet1_1", weights="none", device="cpu", batch_size=1, precision=recorded)
        monkeypatch.setattr("vidrep.devices._has_native_bf16", lambda device, native=native: native)
        assert CnnExtractor(model="squeezenet1_1", weights="none", device="cpu").settings["precision"] != recorded
        assert build_extractor(first.settings, device="cpu").settings["precision"] == recorded


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No folder that is searched for weights holds any."""
    for name in ("here", "hub"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.delenv("VIDREP_WEIGHTS", raising=False)


def with_weights_file(folder: Path, seed: int = 0) -> CnnExtractor:
    """Return an extractor whose weights come from a new file in `folder`."""
    torch.manual_seed(seed)
    folder.mkdir(exist_ok=True)
    path = folder / "a.pth"
    torch.save(models.squeezenet1_1(weights=None).state_dict(), path)
    return CnnExtractor(model="squeezenet1_1", weights=str(path), device="cpu", batch_size=2)


def test_a_weights_file_is_recorded_by_name_and_hash(tmp_path: Path, nowhere: None) -> None:
    """Not by its place: equal inputs give equal bytes wherever they lie."""
    one, other = (with_weights_file(tmp_path / folder) for folder in ("one", "other"))
    assert one.settings["weights_file"] == "a.pth"
    assert one.settings == other.settings
    assert str(tmp_path) not in str(one.settings)


@pytest.mark.parametrize("place", ["near", "here", "hub/checkpoints", "named"])
def test_a_weights_file_is_found_by_its_name(
    tmp_path: Path, nowhere: None, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    first = with_weights_file(tmp_path / "trained")
    (tmp_path / place).mkdir(parents=True, exist_ok=True)
    monkeypatch.setenv("VIDREP_WEIGHTS", os.pathsep.join([str(tmp_path / "none"), str(tmp_path / "named")]))
    with pytest.raises(WeightsError, match=r"weights file a\.pth of squeezenet1_1 .* is not in"):
        build_extractor(first.settings, near=[tmp_path / "near"], device="cpu")
    (tmp_path / "trained" / "a.pth").rename(tmp_path / place / "a.pth")
    assert build_extractor(first.settings, near=[tmp_path / "near"], device="cpu").settings == first.settings


def test_other_weights_of_the_same_name_are_passed_over(tmp_path: Path, nowhere: None) -> None:
    first = with_weights_file(tmp_path / "trained")
    with_weights_file(tmp_path / "near", seed=1)
    torch.save({"a": torch.zeros(1)}, tmp_path / "here" / "a.pth")
    folders = [tmp_path / "near", tmp_path / "trained"]
    assert build_extractor(first.settings, near=folders, device="cpu").settings == first.settings
    with pytest.raises(WeightsError) as caught:
        build_extractor(first.settings, near=folders[:1], device="cpu")
    message = str(caught.value)
    assert f"the hash {first.settings['weights_sha256'][:12]}" in message
    others = ", ".join(str(tmp_path / folder / "a.pth") for folder in ("near", "here"))
    places = [tmp_path / "near", tmp_path / "here", tmp_path / "hub" / "checkpoints"]
    assert f"is not in {', '.join(map(str, places))}; other weights are in {others}; " in message
    assert "--weights, or name its folder in VIDREP_WEIGHTS" in message
    assert "\n" not in message


def test_weights_that_are_given_must_be_the_same(tmp_path: Path, nowhere: None) -> None:
    first = with_weights_file(tmp_path / "trained")
    moved = (tmp_path / "trained" / "a.pth").rename(tmp_path / "b.pth")
    again = build_extractor(first.settings, weights=moved, device="cpu")
    assert again.settings == {**first.settings, "weights_file": "b.pth"}
    other = models.squeezenet1_1(weights=None).state_dict()
    torch.save(other, moved)
    wanted = first.settings["weights_sha256"][:12]
    with pytest.raises(
        WeightsError, match=rf"other weights .* \(hash {sha256_of_state(other)[:12]}, wanted {wanted}\)"
    ):
        build_extractor(first.settings, weights=moved, device="cpu")


@pytest.mark.parametrize("kind", ["import", "moving-mnist", None])
def test_features_that_were_not_made_of_videos(kind: str | None) -> None:
    with pytest.raises(InputError, match="were not computed from videos"):
        build_extractor({"kind": kind})


def test_sampling() -> None:
    assert recorded_sampling({"sampling": {"fps": 2.0, "every": 1, "max_frames": 4}}) == Sampling(fps=2, max_frames=4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"size": "large"}, r"extractor\.patches\.size is 'large'; it takes a whole number"),
        ({"margin": 3}, "'patches' does not make such features any more: its margin is None, not 3"),
    ],
)
def test_settings_that_no_extractor_has_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises((ConfigError, InputError), match=message):
        build_extractor({**PatchExtractor(size=5).settings, **changes})
    with pytest.raises(InputError, match=r"not those of an extractor 'cnn' \(no 'weights_sha256'\)"):
        build_extractor({"kind": "cnn"})
