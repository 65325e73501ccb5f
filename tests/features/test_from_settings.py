"""The extractor that a feature file names is made again, or it is said why not."""

import numpy as np
import pytest
import torch
from torchvision import models

from vidrep.errors import InputError, WeightsError
from vidrep.features.backbones import CnnExtractor
from vidrep.features.from_settings import build_extractor, recorded_sampling
from vidrep.features.patches import PatchExtractor
from vidrep.features.weights import sha256_of_state
from vidrep.video.sampling import Sampling


def test_patches():
    first = PatchExtractor(size=5, region="centre", colour=True)
    again = build_extractor(first.settings)
    assert again.settings == first.settings
    frame = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    np.testing.assert_array_equal(again.prepare(frame), first.prepare(frame))


def test_random_weights():
    first = CnnExtractor(model="squeezenet1_1", weights="none", device="cpu", batch_size=2)
    assert build_extractor(first.settings, device="cpu").settings == first.settings


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
