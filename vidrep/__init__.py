"""vidrep: from a folder of videos to features, a representation learned without labels, and a classifier.

The functions behind the commands, imported on first use so that `import vidrep` is quick:

    find_videos, extract, Sampling              videos -> feature file       (vidrep extract)
    PatchExtractor, CnnExtractor                what is computed from a frame
    import_features                             features others made         (vidrep import)
    open_features                               read a feature file
    pretrain, finetune                          feature file -> run          (vidrep train, vidrep finetune)
    evaluate, predict                           run -> figures, labels       (vidrep evaluate, vidrep predict)
    load_recipe                                 recipes by name or file
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "find_videos": "video.sources",
    "Sampling": "video.sampling",
    "extract": "features.extract",
    "PatchExtractor": "features.patches",
    "CnnExtractor": "features.backbones",
    "import_features": "features.importing",
    "open_features": "features.store",
    "pretrain": "training.pretrain",
    "finetune": "training.finetune",
    "evaluate": "evaluation.evaluate",
    "predict": "inference.predict",
    "load_recipe": "config",
}

__all__ = sorted([*_HOMES, "__version__"])


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'vidrep' has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
