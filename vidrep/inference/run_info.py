"""What a run is: what it learned from, how it was started, what it is made of, and how far it came.

Only text files of the run are read, and torch is not imported, so that it is shown at once.
"""

import csv
import json
import tomllib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import InputError, some_names
from ..features.annotations import SPLITS
from ..metrics.predictor_file import predictor_of
from ..models.description import DESCRIPTION_NAME, NETWORK_KINDS, ModelDescription, read_description
from ..models.members import member_folders
from ..training.history import Start, read_history
from ..training.run_metrics import read_metrics
from ..training.run_videos import CONFIG_NAME, VIDEOS_NAME
from .counts import MOST_NAMES, counted

# Of the hash of features: so many letters tell feature files of a project apart.
HASH_LETTERS = 16
# Runs are searched for so many folders down.
_DEEPEST = 3
# What runs are compared by, and where the text of each ends there.
_COMPARED = {
    "started": " by ",
    "train videos": ":",
    "validation videos": ":",
    "test videos": ":",
    "seed": ";",
    "steps": ";",
    "validation": ";",
    "predictor": ";",
}
# What the comparison of runs leaves out: it is in columns of its own.
_SHOWN_APART = ("training.seed", "training.steps")


def is_run(folder: Path) -> bool:
    """Return whether a training has begun in a folder."""
    return any((folder / name).is_file() for name in (DESCRIPTION_NAME, CONFIG_NAME))


def runs_in(folder: Path, *, deepest: int = _DEEPEST) -> list[Path]:
    """Return the runs in a folder and further down, sorted; those of which a run is made do not count."""
    found: list[Path] = []
    for entry in sorted(folder.iterdir()) if folder.is_dir() and deepest else ():
        if entry.is_dir() and not entry.name.startswith("."):
            found += [entry] if is_run(entry) else runs_in(entry, deepest=deepest - 1)
    return found


def describe_runs(folder: Path, runs: Sequence[Path]) -> dict[str, Any]:
    """Describe runs beside each other: what, started, videos, seed, steps, validation, and the settings that differ.

    A run that cannot be read says why under "what".
    """
    changes = {run: _changes(run) for run in runs}
    every_key = sorted({key for changed in changes.values() for key in changed} - set(_SHOWN_APART))
    differing = [key for key in every_key if len({repr(changed.get(key)) for changed in changes.values()}) > 1]
    described = {}
    for run in runs:
        settings = {key: _in_words(changes[run].get(key, "default")) for key in differing}
        described[run.relative_to(folder).as_posix()] = _row(run) | settings
    return {"what": f"{len(runs)} runs", "runs": described}


def _changes(run: Path) -> Mapping[str, Any]:
    try:
        history = read_history(run)
    except InputError:
        return {}
    return history[0].changes if history else {}


def _row(run: Path) -> dict[str, Any]:
    try:
        known = describe_run(run)
    except InputError as error:
        return {"what": str(error)}
    row = {"what": str(known["what"]).removeprefix("a run: ")}
    row |= {name: str(known[name]).partition(end)[0] for name, end in _COMPARED.items() if name in known}
    if "started" in row:
        row["started"] = row["started"][: len("2026-01-01T12:00")].replace("T", " ")
    return row


def describe_run(folder: Path) -> dict[str, Any]:
    """Describe a run: names and values; InputError if it has no model yet or cannot be read."""
    members = member_folders(folder)
    model = read_description(members[0])
    settings = _read_settings(folder)
    training = settings.get("training", {})
    description: dict[str, Any] = {"what": f"a run: {NETWORK_KINDS[model.kind].noun}"}
    if len(members) > 1:
        description["models"] = len(members)
    description |= _describe_history(read_history(folder)) | _describe_videos(folder)
    if "seed" in training:
        description["seed"] = training["seed"]
    if model.classes:
        pairs = zip(model.classes, model.class_counts, strict=True)
        counts = (f"{name} {count}" for name, count in pairs)
        of = "labels (training frames)" if model.kind == "segmentation" else "classes (training videos)"
        description[of] = some_names(counts, count=MOST_NAMES)
        description["predictor"] = predictor_of(folder)
        if verdict := _read_verdict(folder / "selection" / "results.json"):
            description["chosen"] = verdict
        if verdict := _read_verdict(folder / "folds" / "results.json"):
            description["tested on folds"] = verdict
    measured = _measured_folder(folder, members[0], model)
    description |= _describe_metrics(read_metrics(measured), training)
    return description | _describe_model(model)


def _measured_folder(folder: Path, member: Path, model: ModelDescription) -> Path:
    """Return the folder whose validation is one: that of the network which did not learn from validation videos."""
    if model.kind != "segmentation":
        return member
    trial = folder / "selection" / str(model.head["class_weights"])
    return trial if trial.is_dir() else member


def _describe_history(history: Sequence[Start]) -> dict[str, Any]:
    if not history:
        return {}
    first, last = history[0], history[-1]
    commit = f", commit {first.commit}" if first.commit else ""
    described: dict[str, Any] = {
        "started": f"{first.date} by vidrep {first.vidrep}{commit}",
        "command": first.command or "none: called in Python",
    }
    if len(history) > 1:
        times = "once" if len(history) == 2 else f"{len(history) - 1} times"
        described["went on"] = f"{times}, the last {last.date}: {last.command or 'called in Python'}"
    for one in history:
        if one.steps is not None:
            described["more steps"] = f"{one.steps} in all, asked for at step {one.from_step}"
    if last.features:
        described["features"] = f"{last.features}, hash {last.content[:HASH_LETTERS]}"
    described |= {name: ", ".join(one) if isinstance(one, list) else one for name, one in last.options.items()}
    changed = [f"{key} {_in_words(value)}" for key, value in first.changes.items()]
    return described | {"not default": ", ".join(changed) or "none"}


def _in_words(value: Any) -> str:
    return f"[{', '.join(map(str, value))}]" if isinstance(value, list) else str(value)


def _describe_videos(folder: Path) -> dict[str, Any]:
    """Count the videos of each split, crops of one as one, and of each of its classes; a model alone has none."""
    path = folder / VIDEOS_NAME
    if not path.is_file():
        return {}
    labels: defaultdict[str, dict[str, str]] = defaultdict(dict)
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                labels[row["split"]].setdefault(row["source_sha256"] or row["video"], row["label"])
    except (OSError, KeyError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{folder}: {VIDEOS_NAME} cannot be read ({error}); is it a run folder?") from error
    there = [split for split in SPLITS if labels[split]]
    return {f"{split} videos": f"{len(labels[split])}: {counted(labels[split].values())}" for split in there}


def _describe_metrics(validations: Sequence[Mapping[str, Any]], training: Mapping[str, Any]) -> dict[str, Any]:
    """Describe how far a training came, its validation whose weights are kept, and its last one."""
    if not validations:
        return {}
    last = validations[-1]
    keeps_last = training.get("keep") == "last"
    best = last if keeps_last else min(validations, key=lambda one: one["validation"]["loss"])
    steps = f"{last['step']} of {training['steps']}" if "steps" in training else f"{last['step']}"
    described = {"steps": f"{steps}; the weights of step {best['step']} are kept", "validation": _metrics_of(best)}
    return described | {"last validation": f"step {last['step']}, {_metrics_of(last)}"}


def _metrics_of(line: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value:.6g}" for name, value in line["validation"].items())


def _describe_model(model: ModelDescription) -> dict[str, Any]:
    return {
        **_named("encoder", model.encoder),
        **_named(f"cell.{model.encoder['cell']}", model.cell),
        **{f"objective.{name}": _joined(settings) for name, settings in model.objectives.items()},
        **_named("head", model.head),
        "likelihood": model.likelihood,
        "transforms": ", ".join(model.transforms) or "none",
        **_named("windows", model.windows),
        "frame": f"{'x'.join(map(str, model.frame_shape))} {model.dtype}",
        "extractor": _joined(model.extractor),
    }


def _named(section: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Name settings by their section; a nested section stays in one line."""
    return {
        f"{section}.{name}": _joined(value) if isinstance(value, Mapping) else value for name, value in settings.items()
    }


def _joined(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items()) or "no settings"


def _read_settings(folder: Path) -> dict[str, Any]:
    """Read config.toml, as a tree; nothing where there is none, as in a copy of a model alone."""
    path = folder / CONFIG_NAME
    if not path.is_file():
        return {}
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error


def _read_verdict(path: Path) -> str:
    """Read what cross-validation came to, '' if there was none."""
    if not path.is_file():
        return ""
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["verdict"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
