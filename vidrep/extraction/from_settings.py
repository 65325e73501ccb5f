"""The extractor that made a feature file, made again from the settings in it."""

from pathlib import Path

from ..errors import ConfigError, InputError, WeightsError
from ..features.store import Settings
from ..video.sampling import Sampling
from .extractor import Extractor

_PATCH_SETTINGS = ("size", "region", "color", "resize", "crops", "grid", "seed")


def build_extractor(settings: Settings, *, weights: Path | None = None, device: str = "auto") -> Extractor:
    """Make the extractor that recorded settings describe, with the very same weights.

    weights: where they lie now, if a weights file has moved since.

    Raises InputError if the features were not computed from videos, WeightsError if the weights are not to be found or
    are not the same.
    """
    kind = settings.get("kind")
    if kind == "patches":
        from .extractors.patches import PatchExtractor

        if weights is not None:
            raise ConfigError(
                f"weights {weights}: the run was trained on patches, which have none; leave --weights out"
            )

        return PatchExtractor(**{name: value for name, value in settings.items() if name in _PATCH_SETTINGS})
    if kind != "cnn":
        raise InputError(
            f"features of kind {kind!r} were not computed from videos, so vidrep cannot make them of new videos; "
            "make them as you made the first ones, `vidrep import` them and give that file"
        )
    from .extractors.cnn import CnnExtractor

    if weights is None and settings["weights"] == "file" and not Path(settings["weights_file"]).is_file():
        raise WeightsError(
            f"the weights file {settings['weights_file']} of {settings['model']} is not there any more; "
            f"give it with --weights (its weights have the hash {settings['weights_sha256'][:12]})"
        )
    origin = settings["weights"]
    recorded = settings["weights_file"] if origin == "file" else "none" if origin.startswith("random") else "DEFAULT"
    extractor = CnnExtractor(
        model=settings["model"],
        layer=settings["layer"],
        weights=str(weights) if weights is not None else recorded,
        region=settings["region"],
        device=device,
        resize=settings["resize"],
        precision=settings["precision"],
        batch_size=settings["batch_size"],
    )
    if extractor.settings["weights_sha256"] != settings["weights_sha256"]:
        raise WeightsError(
            f"{weights or recorded}: other weights of {settings['model']} than those that the features were made with "
            f"(hash {extractor.settings['weights_sha256'][:12]}, wanted {settings['weights_sha256'][:12]})"
        )
    return extractor


def recorded_sampling(settings: Settings) -> Sampling:
    """Return the sampling that recorded settings describe."""
    return Sampling(**settings["sampling"])
