"""Features fit a model if they are made as those that it was trained on."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from small_features import features_of

from vidrep.errors import FeatureFileError
from vidrep.extraction.compatibility import require_same_features, settings_to_record
from vidrep.extraction.extractors.extractor import Extractor
from vidrep.extraction.extractors.patches import PatchExtractor
from vidrep.features.store import Features
from vidrep.registry import EXTRACTORS
from vidrep.video.sampling import Sampling

PATCHES = settings_to_record(PatchExtractor(size=2), sampling=Sampling())
CNN = {"kind": "cnn", "weights": "file", "weights_sha256": "a", "batch_size": 32, "precision": "fp32"}


@pytest.fixture
def features(tmp_path: Path) -> Features:
    return features_of(tmp_path, {"a": np.zeros((4, 2, 3), np.float32)})


def check(features: Features, *, made_with: dict[str, Any], trained_on: dict[str, Any], **changes: Any) -> None:
    features.settings = made_with
    kind_of_frame = {"frame_shape": list(features.frame_shape), "dtype": features.dtype}
    require_same_features(features, SimpleNamespace(extractor=trained_on, **{**kind_of_frame, **changes}))


@pytest.mark.parametrize(
    ("made_with", "trained_on"),
    [
        (PATCHES, PATCHES),
        ({**PATCHES, "decoder": "opencv", "decoding_version": 2, "video_stream": 1, "sampling": {"fps": 2}}, PATCHES),
        (CNN, {**CNN, "batch_size": 7, "weights": "IMAGENET1K_V1", "weights_file": "a.pth"}),
        ({"kind": "import", "source": "x"}, {"kind": "import", "source": "y"}),
        ({"kind": "import"}, {"kind": "moving-mnist", "digits": 2}),
        ({}, {"kind": ["not", "a", "name"]}),
    ],
)
def test_what_may_differ(features: Features, made_with: dict[str, Any], trained_on: dict[str, Any]) -> None:
    check(features, made_with=made_with, trained_on=trained_on)


@pytest.mark.parametrize(
    ("made_with", "trained_on", "difference"),
    [
        ({**PATCHES, "size": 3}, PATCHES, "size is 3, not 2"),
        ({"kind": "import", "source": "x"}, PATCHES, "color is None, not False"),
        (PATCHES, {"kind": "import"}, "color is False, not None"),
        (CNN, {**CNN, "weights_sha256": "b"}, "weights_sha256 is 'a', not 'b'"),
        (CNN, {**CNN, "precision": "bf16"}, "precision is 'fp32', not 'bf16'"),
        ({**PATCHES, "weights": "x"}, PATCHES, "weights is 'x', not None"),  # that is free for others alone
    ],
)
def test_what_may_not_differ(
    features: Features, made_with: dict[str, Any], trained_on: dict[str, Any], difference: str
) -> None:
    with pytest.raises(FeatureFileError, match=rf"features\.h5: made with other settings .* {difference}"):
        check(features, made_with=made_with, trained_on=trained_on)


def test_frames_have_the_same_shape_and_type(features: Features) -> None:
    with pytest.raises(FeatureFileError, match=r"frames of \(2, 3\) float32; the run was trained on \(2, 4\) float32"):
        check(features, made_with={}, trained_on={}, frame_shape=[2, 4])
    with pytest.raises(FeatureFileError, match=r"frames of \(2, 3\) float32; the run was trained on \(2, 3\) uint8"):
        check(features, made_with={}, trained_on={}, dtype="uint8")


@pytest.fixture
def with_free_setting() -> Iterator[None]:
    @EXTRACTORS.register("smoothed")
    class Smoothed(Extractor):
        @dataclass(frozen=True, kw_only=True)
        class Settings:
            radius: int = 1
            rounds: int = 1

        free_settings = frozenset({"rounds"})

        def encode(self, batch: NDArray[np.uint8]) -> NDArray[Any]:
            return batch

    yield
    del EXTRACTORS._registered["smoothed"]


def test_an_extractor_declares_what_may_differ(features: Features, with_free_setting: None) -> None:
    made_with = {"kind": "smoothed", "radius": 1, "rounds": 1}
    check(features, made_with=made_with, trained_on={**made_with, "rounds": 2})
    with pytest.raises(FeatureFileError, match="radius is 1, not 2"):
        check(features, made_with=made_with, trained_on={**made_with, "radius": 2})
