"""What `finetune` tries: ways to read out, to transform and to cut windows, of which cross-validation chooses one."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..config.settings import FinetuneConfig
from ..errors import ConfigError
from ..models.pretrained import PretrainedEncoders
from .classifier_training import check_classifier
from .preparation import centering

_log = logging.getLogger(__name__)

# Found on feature sequences of two sets of real videos, by validation persons (docs/log.md).
_CLIPS = {
    "windows.resample": True,
    "windows.least_share": 0.6,
    "classifier.dropout": 0.0,
    "classifier.label_smoothing": 0.1,
    "encoder.dropout": 0.3,
    "optimizer.learning_rate": 2e-3,
    "optimizer.lr_schedule": "one_cycle",
    "optimizer.weight_decay": 1e-4,
    "optimizer.clip_norm": 5.0,
}
_SMALL = {"encoder.hidden_size": 256}


@dataclass(frozen=True)
class Candidate:
    """A way to train a classifier.

    name: what tables and files call it. from_run: whether it starts from the pretrained encoders. chooses_penalty:
    whether its head's penalty and representation are chosen on the folds too.
    """

    name: str
    config: FinetuneConfig
    from_run: bool = False
    chooses_penalty: bool = False


def candidates(config: FinetuneConfig, start: PretrainedEncoders | None, *, frame_size: int) -> list[Candidate]:
    """Return what to try, the most promising first; settings that were given stay as they are in all of them.

    frame_size: D of stored frames, of which large ones are reduced. Raises ConfigError if those settings allow none.
    """
    centered: dict[str, Any] = {"transforms": centering(frame_size)}
    resamples = config.windows.resample is not False
    last: dict[str, Any]
    every: dict[str, Any]
    last, every = {"classifier.head": "last_step"}, {"classifier.head": "every_step"}
    # Consecutive frames are not cropped.
    clips = {key: value for key, value in _CLIPS.items() if key != "windows.least_share" or resamples}
    from_scratch: dict[str, dict[str, Any]] = {
        "scratch-last-step": _SMALL | clips | last | centered,
        "scratch-every-step": _SMALL | clips | every | {"transforms": ("standardize",)},
        "scratch-windows": _SMALL | every | {"windows.resample": False},
    }
    frozen: dict[str, Any] = {"classifier.transfer": "frozen"}
    from_run: dict[str, dict[str, Any]] = {
        "frozen-logistic": frozen | {"classifier.head": "logistic"},
        "frozen-prototypes": frozen | {"classifier.head": "prototypes"},
        "fine-tuned": clips | last | {"optimizer.encoder_rate_factor": 0.1},
    }
    scratch = [(name, changes, None) for name, changes in from_scratch.items()]
    started = [(name, changes, start) for name, changes in from_run.items()] if start is not None else []
    if config.classifier.transfer == "collocation":
        return _possible(config, [("collocated", clips | last, start)])
    if config.classifier.transfer == "frozen" or config.classifier.center_groups:
        return _possible(config, started[:2])
    return _possible(config, [*started[:2], scratch[0], *started[2:], *scratch[1:]])


def _possible(
    config: FinetuneConfig, offered: Sequence[tuple[str, Mapping[str, Any], PretrainedEncoders | None]]
) -> list[Candidate]:
    """Make candidates of names, changes and what they start from; settings that were given may rule some out.

    Raises ConfigError, for the first, if they rule all out.
    """
    made, refused = [], []
    for name, changes, start in offered:
        try:
            changed = _changed(config, changes)
            check_classifier(changed, start)
        except ConfigError as error:
            _log.info("%s is not tried: %s", name, error)
            refused.append(error)
        else:
            made.append(Candidate(name, changed, start is not None, _has_free_penalty(changed)))
    if not made:
        raise refused[0]
    return _without_repetitions(made)


def _has_free_penalty(config: FinetuneConfig) -> bool:
    """Return whether the head has a penalty that was not given."""
    return config.classifier.head == "logistic" and not any(key.startswith("head.logistic.") for key in config.given)


def _without_repetitions(tried: list[Candidate]) -> list[Candidate]:
    """Leave out those that came to be the same, as what distinguished them was given."""
    kept: list[Candidate] = []
    for one in tried:
        if all((one.config, one.from_run) != (other.config, other.from_run) for other in kept):
            kept.append(one)
    return kept


def is_given(config: FinetuneConfig, key: str) -> bool:
    """Return whether a setting was given: named in a recipe or an option, or other than its default."""
    section, _, name = key.rpartition(".")
    now, usual = (getattr(getattr(one, section) if section else one, name) for one in (config, FinetuneConfig()))
    return key in config.given or bool(now != usual)


def _changed(config: FinetuneConfig, changes: Mapping[str, Any]) -> FinetuneConfig:
    """Change settings, but for those that were given."""
    sections: dict[str, dict[str, Any]] = {}
    for key, value in changes.items():
        if not is_given(config, key):
            section, _, name = key.rpartition(".")
            sections.setdefault(section, {})[name] = value
    changed: dict[str, Any] = sections.pop("", {})
    if "head" in sections.get("classifier", {}):
        changed["head"] = {}
    changed |= {name: replace(getattr(config, name), **values) for name, values in sections.items()}
    return replace(config, **changed)
