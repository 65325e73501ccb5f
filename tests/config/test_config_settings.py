"""The settings of trainings: ranges, contradictions, and the defaults of each kind."""

from typing import Any

import pytest

from vidrep.config.reader import from_mapping
from vidrep.config.settings import (
    COMPOSITE,
    EncoderSettings,
    FinetuneConfig,
    OptimizerSettings,
    PretrainConfig,
    PretrainWindows,
    TrainingSettings,
)
from vidrep.errors import ConfigError
from vidrep.models.cells.lstm import LSTMSettings
from vidrep.models.objectives.frame_objective import FrameObjectiveSettings


def refusal(config_class: type[Any], tree: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        from_mapping(config_class, tree, where="recipe x")
    message = str(caught.value)
    assert message.startswith("recipe x: ")
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("config_class", "section", "key", "value", "allowed"),
    [
        (PretrainConfig, "encoder", "hidden_size", 0, "a whole number at least 1"),
        (PretrainConfig, "encoder", "num_layers", 0, "a whole number at least 1"),
        (PretrainConfig, "encoder", "dropout", 1, "a number at least 0 and below 1"),
        (PretrainConfig, "encoder", "initialization", "zero", "'orthogonal' or 'xavier' or 'uniform'"),
        (PretrainConfig, "decoder", "init_output_bias", 1, "true or false"),
        (PretrainConfig, "windows", "context", -1, "a whole number at least 0 or 'auto'"),
        (PretrainConfig, "windows", "num_future", -1, "a whole number at least 0 or 'auto'"),
        (PretrainConfig, "windows", "num_reconstructed", -1, "a whole number at least 0"),
        (PretrainConfig, "windows", "stride", 0, "a whole number at least 1 or 'auto'"),
        (PretrainConfig, "optimizer", "name", "adm", "'sgd' or 'adam' or 'adamw'"),
        (PretrainConfig, "optimizer", "lr_schedule", ["none"], "'constant' or 'cosine'"),
        (PretrainConfig, "optimizer", "learning_rate", 0, "a number above 0"),
        (PretrainConfig, "optimizer", "weight_decay", -1, "a number at least 0"),
        (PretrainConfig, "optimizer", "clip_norm", -1, "a number at least 0"),
        (PretrainConfig, "optimizer", "warmup_steps", -1, "a whole number at least 0"),
        (PretrainConfig, "training", "steps", 0, "a whole number at least 1"),
        (PretrainConfig, "training", "batch_size", -1, "a whole number at least 0"),
        (PretrainConfig, "training", "validate_every", 0, "a whole number at least 1"),
        (PretrainConfig, "training", "seed", -1, "a whole number at least 0"),
        (PretrainConfig, "training", "seed", 2**63, "a whole number at least 0 and below 9.22337e+18"),
        (PretrainConfig, "training", "patience", -1, "a whole number at least 0"),
        (PretrainConfig, "training", "validation_fraction", 0, "a number above 0 and below 1"),
        (PretrainConfig, "training", "validation_fraction", 1, "a number above 0 and below 1"),
        (FinetuneConfig, "", "test_fraction", 1, "a number at least 0 and below 1"),
        (FinetuneConfig, "", "test_fraction", -0.1, "a number at least 0 and below 1"),
        (FinetuneConfig, "encoder", "hidden_size", 0, "a whole number at least 1"),
        (FinetuneConfig, "classifier", "dropout", -0.1, "a number at least 0 and below 1"),
        (FinetuneConfig, "windows", "length", 0, "a whole number at least 1 or 'auto'"),
        (FinetuneConfig, "windows", "jitter", 1, "a number at least 0 and below 1"),
        (PretrainConfig, "views", "jitter", -0.1, "a number at least 0 and below 1"),
        (FinetuneConfig, "windows", "stride", 0, "a whole number at least 1 or 'auto'"),
    ],
)
def test_a_value_out_of_range_is_refused_with_the_range(
    config_class: type[Any], section: str, key: str, value: object, allowed: str
) -> None:
    message = refusal(config_class, {section: {key: value}} if section else {key: value})
    name = f"{section}.{key}" if section else key
    assert message.startswith(f"recipe x: {name} is {value!r}; it takes {allowed}")


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"objectives": []}, "objectives is empty; give at least one, such as reconstruction or future"),
        ({"windows": {"context": 4, "num_reconstructed": 5}}, "it takes up to windows.context, 4, or 0 for all"),
        (
            {"windows": {"stateful": True, "context": 16, "stride": 8}},
            "windows.stride is 8 and windows.context 16: set both to the same",
        ),
        ({"optimizer": {"clip_value": 1.0}}, "optimizer.clip_norm is 1.0 and optimizer.clip_value 1.0; set one"),
        ({"training": {"batch_size": 2, "gradient_accumulation": 3}}, "a batch has only 2 windows"),
        ({"objectives": ["future"], "objective": {"reconstruction": {}}}, "objective 'reconstruction' is not in use"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(tree: dict[str, Any], message: str) -> None:
    assert message in refusal(PretrainConfig, tree)


@pytest.mark.parametrize("given", [{"least_share": 0.8}, {"jitter": 0.5}])
def test_consecutive_frames_are_neither_cropped_nor_moved_in_time(given: dict[str, float]) -> None:
    ((name, value),) = given.items()
    message = refusal(FinetuneConfig, {"windows": given | {"resample": False}})
    assert f"windows.{name} is {value}, but consecutive frames are not" in message
    assert message.endswith("set windows.resample")
    assert from_mapping(FinetuneConfig, {"windows": given}, where="recipe x").windows.resample == "auto"


def test_the_same_is_refused_in_python() -> None:
    with pytest.raises(ConfigError, match="hidden_size is 0; it takes a whole number at least 1"):
        EncoderSettings(hidden_size=0)
    with pytest.raises(ConfigError, match=r"objective\.reconstruction has settings, but .* in use: future"):
        PretrainConfig(objectives=("future",), objective={"reconstruction": {"conditional": True}})
    with pytest.raises(ConfigError, match="encoder is 3; it takes settings of type EncoderSettings"):
        PretrainConfig(encoder=3)  # type: ignore[arg-type]


def test_settings_of_names_are_filled_in() -> None:
    config = PretrainConfig(
        objectives=COMPOSITE, objective={"future": {"conditional": True}}, transforms=("center_clip", "standardize")
    )
    assert config.cell == {"lstm": LSTMSettings()}
    assert config.objective == {
        "reconstruction": FrameObjectiveSettings(),
        "future": FrameObjectiveSettings(conditional=True),
    }
    assert list(config.transform) == ["center_clip", "standardize"]
    assert PretrainConfig().transform == {}


def test_while_objectives_are_auto_only_what_was_given_has_settings() -> None:
    """Which objectives "auto" takes is known with the data."""
    assert PretrainConfig().objective == {}
    config = PretrainConfig(objective={"contrast": {"temperature": 0.25}, "future": {}})
    assert list(config.objective) == ["future", "contrast"]
    assert (config.objective["contrast"].temperature, config.objective["contrast"].weight) == (0.25, 1.0)
    with pytest.raises(ConfigError, match="'balanced_prototypes' is not in use; in use: none"):
        PretrainConfig(objective={"balanced_prototypes": {}})


def test_the_defaults_of_each_kind() -> None:
    assert PretrainConfig().training == TrainingSettings(steps=2000, validate_every=100)
    assert FinetuneConfig().training == TrainingSettings(steps=1000, validate_every=50)
    assert (PretrainConfig().encoder.dropout, FinetuneConfig().encoder.dropout) == (0.0, 0.5)
    assert PretrainConfig().windows == PretrainWindows(context="auto", num_future="auto", stride="auto")
    assert PretrainConfig().optimizer == FinetuneConfig().optimizer == OptimizerSettings()
