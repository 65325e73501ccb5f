"""vidrep: from a folder of videos to features, a representation learned without labels, and a classifier.

The functions behind the commands, imported on first use so that `import vidrep` is quick. docs/python.md shows them.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOMES = {
    "CnnExtractor": "extraction.extractors.cnn",
    "FinetuneConfig": "config",
    "PatchExtractor": "extraction.extractors.patches",
    "PretrainConfig": "config",
    "Sampling": "video.sampling",
    "info": "inference.info",
    "evaluate": "evaluation.evaluate",
    "extract": "extraction.extract",
    "find_videos": "video.sources",
    "finetune": "training.finetune",
    "generate_moving_mnist": "synthetic.generate",
    "import_features": "features.importing",
    "load_model": "models.saved",
    "load_recipe": "config",
    "open_features": "features.store",
    "predict": "inference.predict",
    "pretrain": "training.pretrain",
    "read_annotations": "features.annotation_files",
}

__all__ = sorted([*_HOMES, "__version__"])


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'vidrep' has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
