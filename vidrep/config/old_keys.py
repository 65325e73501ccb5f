"""Recipe keys of earlier versions, and what each is called now."""

import re
from collections.abc import Mapping
from typing import Any

_RENAMED = {
    "values": "likelihood (bernoulli in place of probability, gaussian in place of real)",
    "model.hidden_size": "encoder.hidden_size",
    "model.num_layers": "encoder.num_layers",
    "model.dropout": "encoder.dropout (and, of a classifier, classifier.dropout)",
    "model.initialisation": "encoder.initialization",
    "model.uniform_scale": "encoder.uniform_scale",
    "model.peepholes": "cell.lstm.peepholes",
    "model.activation": "cell.lstm.activation",
    "model.forget_bias": "cell.lstm.forget_bias",
    "model.reconstruct": 'objectives, such as objectives = ["reconstruction", "future"]',
    "model.future": 'objectives, such as objectives = ["reconstruction", "future"]',
    "model.conditional_reconstruction": "objective.reconstruction.conditional",
    "model.conditional_future": "objective.future.conditional",
    "model.start_at_mean": "decoder.init_output_bias",
    "model.freeze": 'classifier.transfer ("frozen" in place of true)',
    "classifier.freeze_encoder": 'classifier.transfer ("frozen" in place of true, "init" of false)',
    "windows.seen": "windows.context",
    "windows.predicted": "windows.num_future",
    "windows.reconstructed": "windows.num_reconstructed",
    "optimizer.decay": 'optimizer.lr_schedule ("constant" in place of "none")',
    "optimizer.decay_every": "optimizer.lr_step",
    "optimizer.decay_factor": "optimizer.lr_gamma",
    "optimizer.plateau_looks": "optimizer.plateau_patience",
    "training.evaluate_every": "training.validate_every",
    "training.accumulate": "training.gradient_accumulation",
    "training.segment": "training.recompute_every",
    "moving_mnist.speed": "moving_mnist.displacement",
    "pretrained": "the option --from",
}


def new_name(key: str) -> str:
    """Return what an earlier version's key is called now, '' if it is no such key."""
    section = key.partition(".")[0]
    if key in _RENAMED or section in _RENAMED:
        return _RENAMED.get(key) or _RENAMED[section]
    american = re.sub("^optimiser", "optimizer", key)
    if american == key:
        return ""
    return _RENAMED.get(american, american)


def with_transfer(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return a classifier's settings with `transfer` in place of `freeze_encoder`, which earlier runs have."""
    if "freeze_encoder" not in settings:
        return dict(settings)
    others = {name: value for name, value in settings.items() if name != "freeze_encoder"}
    return others | {"transfer": "frozen" if settings["freeze_encoder"] else "init"}
