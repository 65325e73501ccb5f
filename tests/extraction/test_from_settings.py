"""The extractor that a feature file names is made again, or it is said why not."""

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
def test_patches(choices):
    first = PatchExtractor(size=5, **choices)
    again = build_extractor({**first.settings, "sampling": {}, "decoder": "pyav"})
    assert again.settings == first.settings
    assert again.preparation == first.preparation
    frame = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    prepared = first.preparation.for_video("a")(frame)
    np.testing.assert_array_equal(again.preparation.for_video("a")(frame), prepared)


def test_patches_have_no_weights(tmp_path):
    with pytest.raises(ConfigError, match="trained on patches, which have none; leave --weights out"):
        build_extractor(PatchExtractor(size=5).settings, weights=tmp_path / "a.pth")


@pytest.mark.parametrize(
    "choices", [{}, {"region": "frame", "resize": "fast", "precision": "bf16", "layer": "features.2"}], ids=repr
)
def test_random_weights(choices):
    first = CnnExtractor(model="squeezenet1_1", weights="none", device="cpu", batch_size=2, **choices)
    again = build_extractor(first.settings, device="cpu")
    assert again.settings == first.settings
    assert again.preparation == first.preparation
    views = np.random.default_rng(0).integers(0, 256, (2, *first.preparation.view_shape), dtype=np.uint8)
    np.testing.assert_array_equal(again.encode(views), first.encode(views))


def test_the_recorded_precision_counts_not_the_one_of_this_device(monkeypatch):
    """Features made in bf16 on one machine are made in bf16 on another, where "auto" would mean fp32."""
    for recorded, native in [("fp32", True), ("bf16", False)]:
        first = CnnExtractor(model="squeezenet1_1", weights="none", device="cpu", batch_size=1, precision=recorded)
        monkeypatch.setattr("vidrep.devices._has_native_bf16", lambda device, native=native: native)
        assert CnnExtractor(model="squeezenet1_1", weights="none", device="cpu").settings["precision"] != recorded
        assert build_extractor(first.settings, device="cpu").settings["precision"] == recorded


def test_weights_that_moved_or_changed(tmp_path):
    path = tmp_path / "a.pth"
    torch.save(models.squeezenet1_1(weights=None).state_dict(), path)
    first = CnnExtractor(model="squeezenet1_1", weights=str(path), device="cpu", batch_size=2)
    assert build_extractor(first.settings, device="cpu").settings == first.settings
    moved = path.rename(tmp_path / "b.pth")
    with pytest.raises(
        WeightsError, match=r"weights file .*a\.pth of squeezenet1_1 is not there any more; give it with"
    ):
        build_extractor(first.settings, device="cpu")
    again = build_extractor(first.settings, weights=moved, device="cpu")
    assert again.settings == {**first.settings, "weights_file": str(moved)}
    other = models.squeezenet1_1(weights=None).state_dict()
    torch.save(other, moved)
    wanted = first.settings["weights_sha256"][:12]
    with pytest.raises(
        WeightsError, match=rf"other weights .* \(hash {sha256_of_state(other)[:12]}, wanted {wanted}\)"
    ):
        build_extractor(first.settings, weights=moved, device="cpu")


@pytest.mark.parametrize("kind", ["import", "moving-mnist", None])
def test_features_that_were_not_made_of_videos(kind):
    with pytest.raises(InputError, match="were not computed from videos"):
        build_extractor({"kind": kind})


def test_sampling():
    assert recorded_sampling({"sampling": {"fps": 2.0, "every": 1, "max_frames": 4}}) == Sampling(fps=2, max_frames=4)
