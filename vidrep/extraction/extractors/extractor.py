"""The interface of an extractor, which turns prepared frames into features.

    @EXTRACTORS.register("difference")
    class Difference(Extractor):
        @dataclass(frozen=True, kw_only=True)
        class Settings:
            size: int = 8
            \"""Pixels along each side.\"""

        frames_per_feature = 2
        dtype = "float32"

        def __init__(self, **options):
            super().__init__(**options)
            self.preparation = Preparation(side=self.options.size, color=False)
            self.frame_shape = self.preparation.crop_shape

        def encode(self, batch):
            return batch[:, 1].astype("float32") - batch[:, 0]

After that `Difference(size=16)` goes to `extract` like any other, and `build_extractor` makes it again from what a
feature file records.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ...config.doors import make_settings
from ...errors import ConfigError
from ...registry import EXTRACTORS
from ..preparation import Preparation


@dataclass(frozen=True, kw_only=True)
class NoSettings:
    """Settings of an extractor that has none."""


class Extractor(ABC):
    """Turns upright RGB frames into feature vectors or small images, in two steps.

    A subclass declares:

    Settings: a frozen dataclass, all fields keyword-only with defaults: what a user can choose and features depend on.
    preparation: the first step, on one frame of any size; decoding workers do it, so it can be pickled.
    frames_per_feature, stride: W, S: one feature takes W successive kept frames, and the next one begins S frames
        later. Its timestamp is that of the first of them. A video with fewer than W kept frames fails.
    frame_shape, dtype: of the feature of one crop. dtype is "float16", "float32" or "uint8".
    batch_size: B: every batch has just so many windows, the last one padded, so that a feature does not depend on what
        else is in its batch.
    network_device: where `encode` computes, such as "cpu" or "cuda"; '' if there is next to nothing to compute.
    free_settings: recorded settings that may differ between the features that a model was trained on and those it is
        given. (To go on with an extraction, all must be the same.)

    options: this one's `Settings`. device: where it was asked to compute, "auto" for the best that is there.

    Raises ConfigError, naming it, for a setting that `Settings` does not have, and for a value that it does not take.
    """

    Settings: ClassVar[type[Any]] = NoSettings
    free_settings: ClassVar[frozenset[str]] = frozenset()

    preparation: Preparation
    frame_shape: tuple[int, ...]
    dtype: str
    frames_per_feature: int = 1
    stride: int = 1
    batch_size: int = 32
    network_device: str = ""

    def __init__(self, *, device: str = "auto", **settings: Any) -> None:
        self.options = make_settings(self.Settings, settings, f"extractor.{self.name}")
        self.device = device

    @abstractmethod
    def encode(self, batch: NDArray[np.uint8]) -> NDArray[Any]:
        """Turn prepared frames, uint8, into features of `dtype`, (B x crops, *frame_shape).

        batch: (B x crops, *preparation.crop_shape), or with frames_per_feature W > 1
            (B x crops, W, *preparation.crop_shape).

        Several threads may call it at once.
        """

    @property
    def name(self) -> str:
        """The name under which the class is registered."""
        return EXTRACTORS.name_of(type(self))

    @property
    def settings(self) -> dict[str, Any]:
        """What a feature file records, JSON-like: everything that the features depend on.

        A setting named `weights_file` is a note, which no comparison counts.
        """
        window = {"frames_per_feature": self.frames_per_feature, "stride": self.stride}
        options = json.loads(json.dumps(asdict(self.options)))  # as they come back from a file: no tuples
        return {"kind": self.name, **options, **(window if window != _SINGLE_FRAMES else {})}

    @classmethod
    def from_settings(
        cls,
        settings: Mapping[str, Any],
        *,
        device: str = "auto",
        weights: Path | None = None,
        near: Sequence[Path] = (),
    ) -> Self:
        """Make the extractor that recorded settings describe; `build_extractor` compares its settings with these.

        weights: the weights file, if it is to be that one. near: folders to search for it, before any others.

        Raises ConfigError if weights are given to an extractor that has none, WeightsError if they are not to be found
        or others.
        """
        if weights is not None:
            raise ConfigError(
                f"weights {weights}: the features are of kind {settings['kind']!r}, which has none; leave --weights out"
            )
        return cls(device=device, **own_settings(cls, settings))


_SINGLE_FRAMES = {"frames_per_feature": Extractor.frames_per_feature, "stride": Extractor.stride}


def own_settings(extractor: type[Extractor], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of recorded settings that are fields of the extractor's `Settings`."""
    names = {field.name for field in fields(extractor.Settings)}
    return {name: value for name, value in settings.items() if name in names}


def require_complete(extractor: Extractor) -> None:
    """Raise ConfigError, naming it, for what an extractor was to declare and did not, or that cannot be."""
    missing = [name for name in ("preparation", "frame_shape", "dtype") if not hasattr(extractor, name)]
    if missing:
        raise ConfigError(f"extractor {extractor.name!r} does not set {', '.join(missing)}; set them in its __init__")
    for name in ("frames_per_feature", "stride", "batch_size"):
        if getattr(extractor, name) < 1:
            raise ConfigError(f"extractor {extractor.name!r}: {name} {getattr(extractor, name)}; give at least 1")
