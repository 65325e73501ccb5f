"""Settings of experiments: frozen dataclasses, read from TOML recipes; what is unknown or of a wrong type is an error.

A recipe is a TOML file with the same sections as its config class has fields, and `kind = "pretrain"` or `"finetune"`.
Whatever it does not say keeps the default. `vidrep/recipes/` holds those that are shipped, known by name.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
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
    conditional_reconstruction, conditional_future: whether that decoder reads the frame before: the true one in
        training, the one that it emitted itself in evaluation.
    peepholes: whether gates also see the cell state. activation: of the candidate and the output; with "relu" it is
        h = o*c.
    dropout: probability of dropping a value that enters a layer of the encoder.
    initialization: of weight matrices: "orthogonal" (recurrent ones; Xavier for the others), "xavier" or "uniform",
        between -uniform_scale and uniform_scale. forget_bias: where the forget gates' biases start; others start at 0.
    init_output_bias: decoders start by emitting the training part's mean frame, by their readouts' biases, rather than
        from biases of 0; for "real" values, which are standardized, that is the same.
    """

    hidden_size: int = 512
    num_layers: int = 1
    reconstruct: bool = True
    future: bool = True
    conditional_reconstruction: bool = False
    conditional_future: bool = False
    peepholes: bool = False
    activation: Literal["tanh", "relu"] = "tanh"
    dropout: float = 0.0
    initialization: Literal["orthogonal", "xavier", "uniform"] = "orthogonal"
    uniform_scale: float = 0.01
    forget_bias: float = 1.0
    init_output_bias: bool = True

    def __post_init__(self) -> None:
        _require_sizes(self.hidden_size, self.num_layers, self.dropout)
        _require(self.uniform_scale > 0, f"model.uniform_scale {self.uniform_scale}: give a number above 0")
        _require(
            self.reconstruct or self.future, "model.reconstruct and model.future are both false: keep at least one"
        )
        for decoder, conditional in (("reconstruct", "conditional_reconstruction"), ("future", "conditional_future")):
            _require(
                getattr(self, decoder) or not getattr(self, conditional),
                f"model.{conditional} is true and model.{decoder} false: a decoder that is not there has no input",
            )


def _require_sizes(hidden_size: int, num_layers: int, dropout: float) -> None:
    _require(hidden_size >= 1, f"model.hidden_size {hidden_size}: give at least 1")
    _require(num_layers >= 1, f"model.num_layers {num_layers}: give at least 1")
    _require(0 <= dropout < 1, f"model.dropout {dropout}: give 0 or more and less than 1")


@dataclass(frozen=True, kw_only=True)
class PredictionWindows:
    """Windows for pretraining, in frames.

    seen: frames that the encoder reads. reconstructed: frames that the reconstruction decoder gives back, the last
    ones seen; 0 for all of them. predicted: frames that the future decoder predicts, those that follow; 0 without one.
    stride: frames between the starts of two windows of a video.
    stateful: windows of a video come one after the other, stride = seen, and the encoder goes on from the state in
    which it left the one before: what it learns from reaches further back than a window, at no more memory.
    """

    seen: int = 16
    reconstructed: int = 0
    predicted: int = 13
    stride: int = 8
    stateful: bool = False

    def __post_init__(self) -> None:
        _require(self.seen >= 1, f"windows.seen {self.seen}: give at least 1 frame")
        _require(
            0 <= self.reconstructed <= self.seen,
            f"windows.reconstructed {self.reconstructed}: give up to windows.seen, {self.seen}, or 0 for all of them",
        )
        _require(self.predicted >= 0, f"windows.predicted {self.predicted}: give 0 frames or more")
        _require(self.stride >= 1, f"windows.stride {self.stride}: give at least 1 frame")
        _require(
            not self.stateful or self.stride == self.seen,
            f"windows.stateful takes one window after the other, but windows.stride is {self.stride} and windows.seen "
            f"{self.seen}: set both to the same",
        )

    @property
    def length(self) -> int:
        """Frames of a whole window, seen and predicted."""
        return self.seen + self.predicted

    @property
    def num_reconstructed(self) -> int:
        """Frames that the reconstruction decoder gives back."""
        return self.reconstructed or self.seen


@dataclass(frozen=True, kw_only=True)
class OptimizerSettings:
    """How weights are updated.

    name: of torch.optim, or "srivastava", the released code's: gradient descent whose velocity, not whose gradient, is
        clipped, each value to `clip_velocity` at most.
    learning_rate: its highest value. momentum: of sgd, rmsprop and srivastava. weight_decay: of weight matrices, not of
        biases and peepholes.
    reduction: whether the objective is a mean over the windows, frames and values of a batch, or their sum.
    clip_norm: the gradient is scaled down to this norm; clip_value: each of its values is cut to this size; 0 does not.
    warmup_steps: the learning rate rises linearly over so many steps.
    lr_schedule: then it stays ("constant"), falls to zero
        along half a cosine ("cosine"), or is multiplied by `lr_gamma`, every `lr_step` steps of the whole
        training ("step") or after `plateau_patience` looks at held-out windows without a better one ("plateau").
    """

    name: Literal["sgd", "adam", "adamw", "rmsprop", "adagrad", "srivastava"] = "adamw"
    learning_rate: float = 1e-3
    momentum: float = 0.9
    weight_decay: float = 0.0
    reduction: Literal["mean", "sum"] = "mean"
    clip_norm: float = 1.0
    clip_value: float = 0.0
    clip_velocity: float = 1e-4
    warmup_steps: int = 100
    lr_schedule: Literal["constant", "cosine", "step", "plateau"] = "cosine"
    lr_step: int = 10_000
    lr_gamma: float = 0.9
    plateau_patience: int = 3

    def __post_init__(self) -> None:
        for name in ("learning_rate", "clip_velocity"):
            _require(getattr(self, name) > 0, f"optimizer.{name} {getattr(self, name)}: give a number above 0")
        for name in ("weight_decay", "clip_norm", "clip_value", "warmup_steps"):
            _require(getattr(self, name) >= 0, f"optimizer.{name} {getattr(self, name)}: give 0 or more")
        for name in ("lr_step", "plateau_patience"):
            _require(getattr(self, name) >= 1, f"optimizer.{name} {getattr(self, name)}: give at least 1")
        _require(0 <= self.momentum < 1, f"optimizer.momentum {self.momentum}: give 0 or more and less than 1")
        _require(0 < self.lr_gamma < 1, f"optimizer.lr_gamma {self.lr_gamma}: give a part between 0 and 1")
        _require(
            not (self.clip_norm and self.clip_value),
            f"optimizer.clip_norm {self.clip_norm} and optimizer.clip_value {self.clip_value}: set one of them to 0",
        )


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """How long and with what a training runs.

    steps: optimizer steps at most. batch_size: B, windows a step; 0 takes 64, or all windows if there are fewer.
    gradient_accumulation: micro-batches that a batch is computed in, to save memory; what is learned stays the same,
    but for what dropout draws.
    recompute_every: time steps that are kept for the gradient at once: longer windows are computed a second time in
    stretches of that many, to save memory; 0 keeps all. seed: of initial weights, order and dropout.
    validation_fraction: of the videos, or of the digits if sequences are generated, held out to choose the best
    weights. validate_every: steps between two looks at them. patience: stop after so many looks without a better one; 0
    never stops early.
    checkpoint_minutes, checkpoint_every: a checkpoint is written after so many minutes and so many steps, besides one
    at every look; 0 does not. keep_checkpoints: how many of them stay.
    """

    steps: int = 2000
    batch_size: int = 0
    gradient_accumulation: int = 1
    recompute_every: int = 0
    seed: int = 0
    validation_fraction: float = 0.1
    validate_every: int = 100
    patience: int = 10
    checkpoint_minutes: float = 10.0
    checkpoint_every: int = 0
    keep_checkpoints: int = 2

    def __post_init__(self) -> None:
        for name in ("steps", "gradient_accumulation", "validate_every", "keep_checkpoints"):
            _require(getattr(self, name) >= 1, f"training.{name} {getattr(self, name)}: give at least 1")
        for name in ("batch_size", "recompute_every", "patience", "checkpoint_minutes", "checkpoint_every"):
            _require(getattr(self, name) >= 0, f"training.{name} {getattr(self, name)}: give 0 or more")
        _require(0 <= self.seed < 2**63, f"training.seed {self.seed}: give 0 or more and less than 2**63")
        _require(
            0 < self.validation_fraction < 1,
            f"training.validation_fraction {self.validation_fraction}: give a part between 0 and 1",
        )
        _require(
            not self.batch_size or self.gradient_accumulation <= self.batch_size,
            f"training.gradient_accumulation {self.gradient_accumulation}: a batch has only {self.batch_size} windows",
        )


@dataclass(frozen=True, kw_only=True)
class MovingMnistSettings:
    """Moving MNIST sequences that are generated as training goes; the defaults are the paper's.

    num_digits: digits in a sequence. canvas: pixels along each side of a frame. displacement: of a digit
        per frame, in
    units of the distance that it can go along a side.
    """

    num_digits: int = 2
    canvas: int = 64
    displacement: float = 0.1


@dataclass(frozen=True, kw_only=True)
class PretrainConfig:
    """Everything that a pretraining depends on, but the features and the machine.

    values: what a frame's values are: "probability" in [0, 1], with a sigmoid and Bernoulli cross-entropy, or "real",
        standardized, with squared error. "auto" takes "probability" for uint8 features (divided by 255), else "real".
    moving_mnist: what to generate if there are no features but MNIST digits.
    """

    kind: ClassVar[str] = "pretrain"
    values: Literal["auto", "probability", "real"] = "auto"
    model: CompositeSettings = field(default_factory=CompositeSettings)
    windows: PredictionWindows = field(default_factory=PredictionWindows)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    moving_mnist: MovingMnistSettings = field(default_factory=MovingMnistSettings)

    def __post_init__(self) -> None:
        if not self.model.future:  # then there is nothing to predict, whatever the windows' default
            object.__setattr__(self, "windows", replace(self.windows, predicted=0))
        _require(
            self.windows.predicted > 0 or not self.model.future,
            "windows.predicted is 0 and model.future true: the future decoder has no frame to predict; set it above 0, "
            "or model.future to false",
        )
        _require(
            self.model.reconstruct or not self.windows.reconstructed,
            f"windows.reconstructed is {self.windows.reconstructed} and model.reconstruct false: set one of them "
            "otherwise",
        )


@dataclass(frozen=True, kw_only=True)
class ClassifierSettings:
    """The LSTM classifier.

    hidden_size, num_layers, peepholes, activation: of the LSTM when it starts from scratch; a pretrained encoder brings
        its own.
    dropout: probability of dropping a value that enters a layer or the readout.
    freeze: keep a pretrained encoder's weights as they are and train the readout alone.
    """

    hidden_size: int = 512
    num_layers: int = 1
    peepholes: bool = False
    activation: Literal["tanh", "relu"] = "tanh"
    dropout: float = 0.5
    freeze: bool = False

    def __post_init__(self) -> None:
        _require_sizes(self.hidden_size, self.num_layers, self.dropout)


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

    test_fraction: of the videos of each class, held out for `evaluate` if the features name no splits.
    pretrained: the run whose encoder it starts from, '' for none; that encoder's width and depth then stand in `model`.
    """

    kind: ClassVar[str] = "finetune"
    test_fraction: float = 0.2
    pretrained: str = ""
    model: ClassifierSettings = field(default_factory=ClassifierSettings)
    windows: ClassificationWindows = field(default_factory=ClassificationWindows)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    training: TrainingSettings = field(default_factory=lambda: TrainingSettings(steps=1000, validate_every=50))

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
