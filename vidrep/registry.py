"""The five doors: what a plug-in can add by name, and nothing else of vidrep has to change.

    from vidrep.registry import CELLS
    from vidrep.models.cells.cell import Cell

    @CELLS.register("mine")
    class MyCell(Cell):
        ...

Files store registered names only. A name that is not registered is an error: loading a file imports nothing that it
names. docs/extending.md has an example of each door.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, TypeVar

from .errors import ConfigError, nearest_names

AnyClass = TypeVar("AnyClass", bound=type[Any])


class Registry:
    """Classes of one kind by name; those of vidrep itself are imported when they are first asked for.

    kind: what an entry is, for messages. base: "module:class" that every entry derives from. built_in: "module:class"
    by name.
    """

    def __init__(self, kind: str, *, base: str, built_in: Mapping[str, str]) -> None:
        self.kind = kind
        self._base, self._built_in = base, dict(built_in)
        self._registered: dict[str, type[Any]] = {}

    def register(self, name: str) -> Callable[[AnyClass], AnyClass]:
        """Return a decorator that registers a class under a name.

        Raises ConfigError if another class has the name, or if the class lacks a method that its base asks for.
        """

        def decorate(entry: AnyClass) -> AnyClass:
            self._require_complete(name, entry)
            earlier = self._registered.get(name)
            if name in self._built_in or (earlier is not None and _full_name(earlier) != _full_name(entry)):
                raise ConfigError(f"{self.kind} {name!r} is registered already; give {_full_name(entry)} another name")
            self._registered[name] = entry
            return entry

        return decorate

    def _require_complete(self, name: str, entry: type[Any]) -> None:
        base = _load(self._base)
        if not (isinstance(entry, type) and issubclass(entry, base)):
            raise ConfigError(f"{self.kind} {name!r}: {_full_name(entry)} does not derive from {_full_name(base)}")
        if missing := sorted(getattr(entry, "__abstractmethods__", ())):
            raise ConfigError(f"{self.kind} {name!r}: {_full_name(entry)} lacks {', '.join(missing)}")

    def names(self) -> list[str]:
        """Return all registered names, sorted."""
        _load_installed_plugins()
        return sorted({*self._built_in, *self._registered})

    def name_of(self, entry: type[Any]) -> str:
        """Return the name of a class; one that is not registered has that of the nearest class it derives from.

        Raises ConfigError if there is none.
        """
        names = {place.replace(":", "."): name for name, place in self._built_in.items()}
        names |= {_full_name(one): name for name, one in self._registered.items()}
        for ancestor in entry.__mro__:
            if (name := names.get(_full_name(ancestor))) is not None:
                return name
        raise ConfigError(f"{_full_name(entry)} is no registered {self.kind}; register it under a name")

    def __contains__(self, name: object) -> bool:
        return name in self.names()

    def __getitem__(self, name: str) -> type[Any]:
        """Return the class of a name; raises ConfigError with the nearest names if there is none."""
        names = self.names()
        if name in self._built_in:
            entry: type[Any] = _load(self._built_in[name])
            return entry
        if name not in self._registered:
            hint = nearest_names(str(name), names) or f"known are {', '.join(names)}"
            raise ConfigError(f"{self.kind} {name!r} is not registered; {hint}; a plug-in's needs --plugin MODULE")
        return self._registered[name]


def _full_name(entry: Any) -> str:
    return f"{getattr(entry, '__module__', '')}.{getattr(entry, '__qualname__', entry)}"


def _load(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def _load_installed_plugins() -> None:
    from .plugins import load_installed_plugins

    load_installed_plugins()


CELLS = Registry(
    "cell",
    base="vidrep.models.cells.cell:Cell",
    built_in={
        "lstm": "vidrep.models.cells.lstm:LSTMCell",
        "gru": "vidrep.models.cells.gru:GRUCell",
        "rnn": "vidrep.models.cells.rnn:RNNCell",
        "irnn": "vidrep.models.cells.irnn:IRNNCell",
        "ugrnn": "vidrep.models.cells.ugrnn:UGRNNCell",
        "intersection": "vidrep.models.cells.intersection:IntersectionCell",
        "causal_convolution": "vidrep.models.cells.causal_convolution:CausalConvolutionCell",
        "last_frames": "vidrep.models.cells.last_frames:LastFramesCell",
    },
)
OBJECTIVES = Registry(
    "objective",
    base="vidrep.models.objectives.objective:Objective",
    built_in={
        "reconstruction": "vidrep.models.objectives.reconstruction:Reconstruction",
        "future": "vidrep.models.objectives.future:FuturePrediction",
        "past_segment": "vidrep.models.objectives.anchored:PastSegment",
        "next_segment": "vidrep.models.objectives.anchored:NextSegment",
        "contrast": "vidrep.models.objectives.contrast:Contrast",
        "next_symbol": "vidrep.models.objectives.next_symbol:NextSymbol",
        "balanced_prototypes": "vidrep.models.objectives.balanced_prototypes:BalancedPrototypes",
    },
)
HEADS = Registry(
    "head",
    base="vidrep.models.heads.head:Head",
    built_in={
        "every_step": "vidrep.models.heads.every_step:EveryStepHead",
        "last_step": "vidrep.models.heads.last_step:LastStepHead",
        "mean": "vidrep.models.heads.mean:MeanHead",
        "attention": "vidrep.models.heads.attention:AttentionHead",
        "prototypes": "vidrep.models.heads.prototypes:PrototypesHead",
        "logistic": "vidrep.models.heads.logistic:LogisticHead",
    },
)
TRANSFORMS = Registry(
    "transform",
    base="vidrep.models.transforms.transform:Transform",
    built_in={
        "standardize": "vidrep.models.transforms.standardize:Standardize",
        "center_clip": "vidrep.models.transforms.center_clip:CenterClip",
        "pca": "vidrep.models.transforms.pca:PCA",
        "differences": "vidrep.models.transforms.differences:Differences",
    },
)
EXTRACTORS = Registry(
    "extractor",
    base="vidrep.extraction.extractors.extractor:Extractor",
    built_in={
        "patches": "vidrep.extraction.extractors.patches:PatchExtractor",
        "cnn": "vidrep.extraction.extractors.cnn:CnnExtractor",
    },
)
