"""What `finetune` tries: ways to read out, to transform and to cut windows, of which cross-validation chooses one."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..config.settings import FinetuneConfig
from ..models.pretrained import PretrainedEncoders

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

    frame_size: D of stored frames, of which large ones are reduced.
    """
    centered: dict[str, Any] = {"transforms": ("standardize", "center_clip", *(["pca"] if frame_size > 256 else []))}
    last: dict[str, Any]
    every: dict[str, Any]
    last, every = {"classifier.head": "last_step"}, {"classifier.head": "every_step"}
    from_scratch: dict[str, dict[str, Any]] = {
        "scratch-last-step": _SMALL | _CLIPS | last | centered,
        "scratch-every-step": _SMALL | _CLIPS | every,
        "scratch-windows": _SMALL | every | {"windows.resample": False},
    }
    frozen: dict[str, Any] = {"classifier.freeze_encoder": True}
    from_run: dict[str, dict[str, Any]] = {
        "frozen-logistic": frozen | {"classifier.head": "logistic"},
        "frozen-prototypes": frozen | {"classifier.head": "prototypes"},
        "fine-tuned": _CLIPS | last | {"optimizer.encoder_rate_factor": 0.1},
    }
    tried = [Candidate(name, _changed(config, changes)) for name, changes in from_scratch.items()]
    if start is not None:
        started = [
            Candidate(name, _changed(config, changes), from_run=True, chooses_penalty=name == "frozen-logistic")
            for name, changes in from_run.items()
        ]
        tried = [*started[:2], tried[0], started[2], *tried[1:]]
        if config.classifier.freeze_encoder or config.classifier.center_groups:
            tried = started[:2]
    return _without_repetitions(tried)


def _without_repetitions(tried: list[Candidate]) -> list[Candidate]:
    """Leave out those that came to be the same, as what distinguished them was given."""
    kept: list[Candidate] = []
    for one in tried:
        if all((one.config, one.from_run) != (other.config, other.from_run) for other in kept):
            kept.append(one)
    return kept


def _changed(config: FinetuneConfig, changes: Mapping[str, Any]) -> FinetuneConfig:
    """Change settings, but for those that were given: named in a recipe or an option, or other than their default."""
    default = FinetuneConfig()
    sections: dict[str, dict[str, Any]] = {}
    for key, value in changes.items():
        section, _, name = key.rpartition(".")
        now, usual = (getattr(getattr(one, section) if section else one, name) for one in (config, default))
        if key not in config.given and now == usual:
            sections.setdefault(section, {})[name] = value
    changed: dict[str, Any] = sections.pop("", {})
    if "head" in sections.get("classifier", {}):
        changed["head"] = {}
    changed |= {name: replace(getattr(config, name), **values) for name, values in sections.items()}
    return replace(config, **changed)
