"""Settings of experiments: frozen dataclasses, read from TOML recipes; what is unknown or of a wrong type is an error.

A recipe is a TOML file with the same sections as its config class has fields, and `kind = "pretrain"` or `"finetune"`.
Whatever it does not say keeps the default. `vidrep/recipes/` holds those that are shipped, known by name.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from importlib import resources
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar, get_args, get_origin, get_type_hints

from .errors import ConfigError, nearest_names

_TYPE_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
_LARGEST_FLOAT = 1e30


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


@dataclass(frozen=True, kw_only=True)
class CompositeSettings:
    """The composite model.

    hidden_size, num_layers: H and L of the encoder, and of each decoder.
    reconstruct, future: which decoders there are. Both: composite; the first alone: autoencoder; the second alone:
        future predictor.
    dropout: probability of dropping a value that enters a layer of the encoder.
    """

    hidden_size: int = 512
    num_layers: int = 1
    reconstruct: bool = True
    future: bool = True
    dropout: float = 0.0

    def __post_init__(self) -> None:
        _require(self.hidden_size >= 1, f"model.hidden_size {self.hidden_size}: give at least 1")
        _require(self.num_layers >= 1, f"model.num_layers {self.num_layers}: give at least 1")
        _require(0 <= self.dropout < 1, f"model.dropout {self.dropout}: give 0 or more and less than 1")
        _require(
            self.reconstruct or self.future, "model.reconstruct and model.future are both false: keep at least one"
        )


@dataclass(frozen=True, kw_only=True)
class PredictionWindows:
    """Windows for pretraining, in frames.

    seen: frames that the encoder reads, and the reconstruction decoder gives back. predicted: frames that the future
    decoder predicts. stride: frames between the starts of two windows of a video.
    """

    seen: int = 16
    predicted: int = 13
    stride: int = 8

    def __post_init__(self) -> None:
        _require(self.seen >= 1, f"windows.seen {self.seen}: give at least 1 frame")
        _require(self.predicted >= 1, f"windows.predicted {self.predicted}: give at least 1 frame")
        _require(self.stride >= 1, f"windows.stride {self.stride}: give at least 1 frame")


@dataclass(frozen=True, kw_only=True)
class OptimiserSettings:
    """How weights are updated.

    name: "adam" or "adamw". learning_rate: its highest value. weight_decay: of weight matrices, not of biases.
    clip_norm: the gradient is scaled down to this norm; 0 does not clip.
    warmup_steps: the learning rate rises linearly over so many steps. decay: then it stays ("none") or falls to zero
        along half a cosine ("cosine").
    """

    name: Literal["adam", "adamw"] = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    warmup_steps: int = 100
    decay: Literal["none", "cosine"] = "cosine"

    def __post_init__(self) -> None:
        _require(self.learning_rate > 0, f"optimiser.learning_rate {self.learning_rate}: give a number above 0")
        for name in ("weight_decay", "clip_norm", "warmup_steps"):
            _require(getattr(self, name) >= 0, f"optimiser.{name} {getattr(self, name)}: give 0 or more")


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How long and with what a training runs.

    steps: optimiser steps at most. batch_size: B, windows a step. seed: of initial weights, order and dropout.
    validation_fraction: of the videos, held apart to choose the best weights. evaluate_every: steps between two looks
    at them. patience: stop after so many looks without a better one; 0 never stops early.
    """

    steps: int = 2000
    batch_size: int = 64
    seed: int = 0
    validation_fraction: float = 0.1
    evaluate_every: int = 100
    patience: int = 10

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "evaluate_every"):
            _require(getattr(self, name) >= 1, f"training.{name} {getattr(self, name)}: give at least 1")
        _require(self.patience >= 0, f"training.patience {self.patience}: give 0 or more")
        _require(0 <= self.seed < 2**63, f"training.seed {self.seed}: give 0 or more and less than 2**63")
        _require(
            0 < self.validation_fraction < 1,
            f"training.validation_fraction {self.validation_fraction}: give a part between 0 and 1",
        )


@dataclass(frozen=True, kw_only=True)
class PretrainConfig:
    """Everything that a pretraining depends on, but the features and the machine.

    values: what a frame's values are: "probability" in [0, 1], with a sigmoid and Bernoulli cross-entropy, or "real",
        standardised, with squared error. "auto" takes "probability" for uint8 features (divided by 255), else "real".
    """

    kind: ClassVar[str] = "pretrain"
    values: Literal["auto", "probability", "real"] = "auto"
    model: CompositeSettings = field(default_factory=CompositeSettings)
    windows: PredictionWindows = field(default_factory=PredictionWindows)
    optimiser: OptimiserSettings = field(default_factory=OptimiserSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)


@dataclass(frozen=True, kw_only=True)
class ClassifierSettings:
    """The LSTM classifier.

    hidden_size, num_layers: H and L when it starts from scratch; a pretrained encoder brings its own.
    dropout: probability of dropping a value that enters a layer or the readout.
    freeze: keep a pretrained encoder's weights as they are and train the readout alone.
    """

    hidden_size: int = 512
    num_layers: int = 1
    dropout: float = 0.5
    freeze: bool = False

    def __post_init__(self) -> None:
        _require(self.hidden_size >= 1, f"model.hidden_size {self.hidden_size}: give at least 1")
        _require(self.num_layers >= 1, f"model.num_layers {self.num_layers}: give at least 1")
        _require(0 <= self.dropout < 1, f"model.dropout {self.dropout}: give 0 or more and less than 1")


@dataclass(frozen=True, kw_only=True)
class ClassificationWindows:
    """Windows for classification: frames of each, and frames between the starts of two windows of a video."""

    length: int = 16
    stride: int = 8

    def __post_init__(self) -> None:
        _require(self.length >= 1, f"windows.length {self.length}: give at least 1 frame")
        _require(self.stride >= 1, f"windows.stride {self.stride}: give at least 1 frame")


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig:
    """Everything that fine-tuning depends on, but the features, the pretrained run and the machine.

    test_fraction: of the videos of each class, held apart for `evaluate` if the features name no splits.
    pretrained: the run whose encoder it starts from, '' for none; that encoder's width and depth then stand in `model`.
    """

    kind: ClassVar[str] = "finetune"
    test_fraction: float = 0.2
    pretrained: str = ""
    model: ClassifierSettings = field(default_factory=ClassifierSettings)
    windows: ClassificationWindows = field(default_factory=ClassificationWindows)
    optimiser: OptimiserSettings = field(default_factory=OptimiserSettings)
    training: TrainingSettings = field(default_factory=lambda: TrainingSettings(steps=1000, evaluate_every=50))

    def __post_init__(self) -> None:
        _require(0 <= self.test_fraction < 1, f"test_fraction {self.test_fraction}: give 0 or more and less than 1")


Config = TypeVar("Config", PretrainConfig, FinetuneConfig)


def recipe_names(kind: str) -> list[str]:
    """Return the names of the shipped recipes of a kind."""
    return sorted(name for name, text in _shipped().items() if tomllib.loads(text)["kind"] == kind)


def load_recipe(
    config_class: type[Config], recipe: str | Path | None = None, *, changes: Mapping[str, Any] | None = None
) -> Config:
    """Read a recipe, by the name of a shipped one or from a TOML file, and change some of its settings.

    recipe: None takes the defaults. changes: dotted keys with values, such as {"training.steps": 500}.

    Raises ConfigError, naming the recipe and the key, for what is unknown, of the wrong type or cannot be.
    """
    tree, where = _read_recipe(recipe, config_class.kind) if recipe is not None else ({}, "the settings")
    for key, value in (changes or {}).items():
        _put(tree, key.split("."), value)
    return from_mapping(config_class, tree, where=where)


def parse_change(text: str) -> tuple[str, Any]:
    """Turn "training.steps=500" into ("training.steps", 500): the value is TOML, or else a plain string.

    Raises ConfigError without a "=".
    """
    key, equals, value = text.partition("=")
    if not (key.strip() and equals):
        raise ConfigError(f"--set {text!r}: write key=value, such as training.steps=500")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


def to_mapping(config: PretrainConfig | FinetuneConfig) -> dict[str, Any]:
    """Turn a config into the tree that a recipe holds."""
    return {"kind": config.kind, **asdict(config)}


def _shipped() -> dict[str, str]:
    folder = resources.files("vidrep.recipes")
    return {
        file.name.removesuffix(".toml"): file.read_text(encoding="utf-8")
        for file in folder.iterdir()
        if file.name.endswith(".toml")
    }


def _read_recipe(recipe: str | Path, kind: str) -> tuple[dict[str, Any], str]:
    where = f"recipe {recipe}"
    try:
        text = _shipped().get(str(recipe)) or Path(recipe).read_text(encoding="utf-8")
        return tomllib.loads(text), where
    except FileNotFoundError as error:
        names = recipe_names(kind)
        hint = nearest_names(str(recipe), names) or f"shipped are {', '.join(names)}"
        raise ConfigError(f"{where}: neither a shipped recipe nor a file; {hint}") from error
    except OSError as error:
        raise ConfigError(f"{where}: cannot be read ({error.strerror}); give a TOML file") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{where}: not TOML ({error})") from error


def _put(tree: dict[str, Any], keys: Sequence[str], value: Any) -> None:
    *sections, last = keys
    for section in sections:
        tree = tree.setdefault(section, {})
        if not isinstance(tree, dict):
            raise ConfigError(f"{'.'.join(keys)}: {section} is no section")
    tree[last] = value


def from_mapping(config_class: type[Config], tree: Mapping[str, Any], *, where: str) -> Config:
    """Build a config from a recipe's tree.

    Raises ConfigError, naming `where` and the key, for what is unknown, of the wrong type or cannot be.
    """
    kind = config_class.kind
    if tree.get("kind", kind) != kind:
        raise ConfigError(
            f"{where}: of kind {tree['kind']!r}, wanted is {kind!r}; shipped ones are {', '.join(recipe_names(kind))}"
        )
    values = {key: value for key, value in tree.items() if key != "kind"}
    built: Config = _build(config_class, values, where, "", list(_dotted_keys(config_class)))
    return built


def _dotted_keys(config_class: type[Any], prefix: str = "") -> Iterator[str]:
    for name, kind in _kinds(config_class).items():
        if is_dataclass(kind):
            yield from _dotted_keys(kind, f"{prefix}{name}.")  # type: ignore[arg-type]
        else:
            yield prefix + name


def _kinds(config_class: type[Any]) -> dict[str, Any]:
    hints = get_type_hints(config_class)
    return {one.name: hints[one.name] for one in fields(config_class)}


def _build(config_class: type[Any], tree: Mapping[str, Any], where: str, prefix: str, every_key: Sequence[str]) -> Any:
    known = _kinds(config_class)
    values: dict[str, Any] = {}
    for key, value in tree.items():
        if key not in known:
            near = nearest_names(key, known) or nearest_names(prefix + key, every_key, count=1)
            hint = near or f"known are {', '.join(known)}"
            raise ConfigError(f"{where}: unknown key {prefix + key!r}; {hint}")
        if is_dataclass(known[key]):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{where}: {prefix + key} is a section, got {value!r}; set a key in it")
            values[key] = _build(known[key], value, where, f"{prefix}{key}.", every_key)
        else:
            values[key] = _checked(value, known[key], where, prefix + key)
    try:
        return config_class(**values)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def _checked(value: Any, kind: Any, where: str, key: str) -> Any:
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise ConfigError(f"{where}: {key} is {value!r}; allowed are {', '.join(map(repr, get_args(kind)))}")
        return value
    if kind is float and type(value) in (int, float):
        if not abs(value) <= _LARGEST_FLOAT:  # nor is NaN
            raise ConfigError(f"{where}: {key} is {value}; it takes a finite number")
        return float(value)
    if type(value) is not kind:
        raise ConfigError(f"{where}: {key} is {value!r}; it takes {_TYPE_NAMES[kind]}")
    return value
