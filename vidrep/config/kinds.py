"""The kinds of configs, by the name that stands in recipes and in a run's config.toml."""

from dataclasses import replace
from typing import Any, TypeVar

from .segmentation import SegmentationConfig
from .settings import FinetuneConfig, PretrainConfig

AnyConfig = PretrainConfig | FinetuneConfig | SegmentationConfig
Config = TypeVar("Config", bound=AnyConfig)
FromPretrained = FinetuneConfig | SegmentationConfig
"""Those that a pretrained run may bring settings to, so that they record which were given."""
FromPretrainedT = TypeVar("FromPretrainedT", bound=FromPretrained)
CONFIGS: dict[str, type[AnyConfig]] = {one.kind: one for one in (PretrainConfig, FinetuneConfig, SegmentationConfig)}


def with_precision(config: Config, precision: str | None) -> Config:
    """Return a config with another `training.precision`; None keeps its own. Raises ConfigError for an unknown one."""
    changes: dict[str, Any] = {} if precision is None else {"precision": precision}
    return replace(config, training=replace(config.training, **changes))
