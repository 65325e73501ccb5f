"""What is in a file or folder of ours, in a few words."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import FeatureFileError, InputError, some_names
from ..features.store import Features, open_features
from ..metrics.predictor import Predictor
from ..models.kinds import NETWORK_KINDS
from ..models.members import member_folders
from ..models.saved import DESCRIPTION_NAME, read_description
from ..video.reading import DECODING_VERSION

# Of labels and classes: more than any data set has whose names a person reads.
_MOST_NAMES = 1000


def info(path: Path | str, *, verify: bool = False) -> dict[str, Any]:
    """Describe a feature file, a folder of parts or a run folder: names and values, JSON-like.

    verify: read all features and compare their checksums.

    Raises InputError if it is none of these, FeatureFileError, naming the videos, if checksums do not agree.
    """
    path = Path(path)
    if (path / DESCRIPTION_NAME).is_file() or (path / "config.toml").is_file():
        if verify:
            raise InputError(f"{path}: a run; checksums are in feature files")
        return _describe_run(path)
    return _describe_features(open_features(path), verify)


def _describe_features(features: Features, verify: bool) -> dict[str, Any]:
    if verify:
        damaged = [_with_part(features, key) for key in features.damaged()]
        if damaged:
            raise FeatureFileError(
                f"{features.path}: {len(damaged)} videos do not have their checksum any more: {some_names(damaged)}; "
                "extract them again"
            )
    lengths = sorted(row.length for row in features.videos)
    # Crops of one video count once.
    sources = list(dict(zip(features.source_videos.tolist(), features.videos, strict=True)).values())
    description: dict[str, Any] = {
        "what": "features",
        "videos": len(sources),
        "crops": len(features) if len(features) > len(sources) else "none",
        "frames": features.num_frames,
        "frames a video": f"{lengths[0]} to {lengths[-1]}" if lengths else "-",
        "frame": f"{'x'.join(map(str, features.frame_shape))} {features.dtype}",
        "labels": _counts(row.label for row in sources),
        "splits": _counts(row.split for row in sources),
        "groups": _num_groups(features),
        "partial": some_names(row.path for row in features.videos if row.status == "partial") or "none",
    }
    notes = [f"{row.path}: {row.message}" for row in features.videos if row.status == "ok" and row.message]
    if notes:
        description["notes"] = some_names(notes)
    old = sum(row.decoding_version < DECODING_VERSION for row in features.videos)
    if old and "sampling" in features.settings:  # imported features were decoded by others
        description["decoded by a former vidrep"] = (
            f"{old} videos; mirrored or joined ones may be wrong: the same `vidrep extract` decodes those again"
        )
    description |= {f"settings.{name}": value for name, value in features.settings.items()}
    description["versions"] = ", ".join(f"{name} {version}" for name, version in features.versions.items())
    if verify:
        description["checksums"] = "all agree"
    return description


def _with_part(features: Features, key: str) -> str:
    """Name a video, and in a folder of parts the file that it is in."""
    file = features.file_of(features.index(key))
    return key if file == features.path else f"{key} ({file.name})"


def _counts(names: Any) -> str:
    counts = Counter(names)
    return some_names((f"{name or '(none)'} {count}" for name, count in sorted(counts.items())), count=_MOST_NAMES)


def _num_groups(features: Features) -> str:
    """Return how many groups the file names; without one, each source video is a group of its own."""
    groups = [row.group for row in features.videos if row.group]
    without = len(features) - len(groups)
    return f"{len(set(groups))}{f', none of {without} videos' if without else ''}" if groups else "none"


def _describe_run(path: Path) -> dict[str, Any]:
    members = member_folders(path)
    model = read_description(members[0])
    description: dict[str, Any] = {
        "what": f"a run: {NETWORK_KINDS[model.kind].noun}",
        **({"models": len(members)} if len(members) > 1 else {}),
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
    if model.classes:
        pairs = zip(model.classes, model.class_counts, strict=True)
        counts = (f"{name} {count}" for name, count in pairs)
        description["classes (training videos)"] = some_names(counts, count=_MOST_NAMES)
        description["predictor"] = str(Predictor.load(path))
        if verdict := _read_verdict(path / "selection" / "results.json"):
            description["chosen"] = verdict
        if verdict := _read_verdict(path / "folds" / "results.json"):
            description["tested on folds"] = verdict
    validations = _read_metrics(members[0] / "metrics.jsonl")
    if validations:
        metrics = ", ".join(f"{name} {value:.6g}" for name, value in validations[-1]["validation"].items())
        description["last validation"] = f"step {validations[-1]['step']}, {metrics}"
    return description


def _read_verdict(path: Path) -> str:
    """Read what cross-validation came to, '' if there was none."""
    if not path.is_file():
        return ""
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["verdict"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error


def _named(section: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Name settings by their section; a nested section stays in one line."""
    return {
        f"{section}.{name}": _joined(value) if isinstance(value, Mapping) else value for name, value in settings.items()
    }


def _joined(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items()) or "no settings"


def _read_metrics(path: Path) -> list[dict[str, Any]]:
    """Read metrics.jsonl, as far as it is written; none if it is not there."""
    if not path.is_file():
        return []
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
