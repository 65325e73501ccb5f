"""vidrep: from a folder of videos to features, a representation learned without labels, and a classifier.

The functions behind the commands, imported on first use so that `import vidrep` is quick. docs/python.md shows them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .threads import limit_spinning
from .version import __version__

limit_spinning()  # before anything imports torch

if TYPE_CHECKING:  # the same names for type checkers and editors; a test compares them
    from .config.reader import list_recipes, load_recipe
    from .config.segmentation import SegmentationConfig
    from .config.settings import FinetuneConfig, PretrainConfig
    from .evaluation.compare import compare
    from .evaluation.data_check.check import check
    from .evaluation.evaluate import evaluate
    from .evaluation.reproduce import reproduce
    from .evaluation.study.study import study
    from .extraction.extract import extract
    from .extraction.extractors.cnn import CnnExtractor
    from .extraction.extractors.patches import PatchExtractor
    from .features.annotation_files import read_annotations
    from .features.exporting import export_features
    from .features.importing import import_features
    from .features.store import open_features
    from .inference.classifier import load_classifier
    from .inference.info import info
    from .inference.predict import predict
    from .inference.predict_bouts import predict_bouts
    from .models.saved import load_model
    from .segments.reading import read_segments
    from .segments.writing import write_segments
    from .symbolic.codebook import Codebook, SymbolSettings
    from .symbolic.symbols import symbols
    from .synthetic.generate import generate_moving_mnist
    from .synthetic.long_videos import LongVideoConfig
    from .synthetic.moving_mnist import MovingMnistConfig
    from .synthetic.samples import SampleConfig
    from .synthetic.samples import write_samples as sample
    from .synthetic.source_samples import SourceSampleConfig
    from .training.finetune import finetune
    from .training.pretrain import train
    from .training.segmentation import finetune_segments
    from .video.sampling import Sampling
    from .video.sources import find_videos

__all__ = [
    "CnnExtractor",
    "Codebook",
    "FinetuneConfig",
    "LongVideoConfig",
    "MovingMnistConfig",
    "PatchExtractor",
    "PretrainConfig",
    "SampleConfig",
    "Sampling",
    "SegmentationConfig",
    "SourceSampleConfig",
    "SymbolSettings",
    "__version__",
    "check",
    "compare",
    "evaluate",
    "export_features",
    "extract",
    "find_videos",
    "finetune",
    "finetune_segments",
    "generate_moving_mnist",
    "import_features",
    "info",
    "list_recipes",
    "load_classifier",
    "load_model",
    "load_recipe",
    "open_features",
    "predict",
    "predict_bouts",
    "read_annotations",
    "read_segments",
    "reproduce",
    "sample",
    "study",
    "symbols",
    "train",
    "write_segments",
]

# Where each name is defined: "module", or "module:name" if it has another one there.
_HOMES = {
    "CnnExtractor": "extraction.extractors.cnn",
    "Codebook": "symbolic.codebook",
    "FinetuneConfig": "config.settings",
    "LongVideoConfig": "synthetic.long_videos",
    "MovingMnistConfig": "synthetic.moving_mnist",
    "PatchExtractor": "extraction.extractors.patches",
    "PretrainConfig": "config.settings",
    "SampleConfig": "synthetic.samples",
    "Sampling": "video.sampling",
    "SegmentationConfig": "config.segmentation",
    "SourceSampleConfig": "synthetic.source_samples",
    "SymbolSettings": "symbolic.codebook",
    "check": "evaluation.data_check.check",
    "compare": "evaluation.compare",
    "evaluate": "evaluation.evaluate",
    "export_features": "features.exporting",
    "extract": "extraction.extract",
    "find_videos": "video.sources",
    "finetune": "training.finetune",
    "finetune_segments": "training.segmentation",
    "generate_moving_mnist": "synthetic.generate",
    "import_features": "features.importing",
    "info": "inference.info",
    "list_recipes": "config.reader",
    "load_classifier": "inference.classifier",
    "load_model": "models.saved",
    "load_recipe": "config.reader",
    "open_features": "features.store",
    "predict": "inference.predict",
    "predict_bouts": "inference.predict_bouts",
    "read_annotations": "features.annotation_files",
    "read_segments": "segments.reading",
    "reproduce": "evaluation.reproduce",
    "sample": "synthetic.samples:write_samples",
    "study": "evaluation.study.study",
    "symbols": "symbolic.symbols",
    "train": "training.pretrain",
    "write_segments": "segments.writing",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'vidrep' has no attribute {name!r}")
    module, _, own_name = _HOMES[name].partition(":")
    return getattr(import_module(f".{module}", __name__), own_name or name)


def __dir__() -> list[str]:
    return __all__
