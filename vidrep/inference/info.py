"""What is in a file or folder of ours, in a few words."""

from pathlib import Path
from typing import Any

from ..errors import FeatureFileError, InputError, some_names
from ..features.checksum import content_digest
from ..features.store import Features, open_features
from ..video.reading import DECODING_VERSION
from .counts import counted
from .run_info import HASH_LETTERS, describe_run, describe_runs, is_run, runs_in


def info(path: Path | str, *, verify: bool = False) -> dict[str, Any]:
    """Describe a feature file, a folder of parts, a run or a folder of runs: names and values, JSON-like.

    verify: read all features and compare their checksums.
    Of a folder of runs, "runs" has what each is, by the path below the folder. No network is loaded.

    Raises InputError if it is none of these, FeatureFileError, naming the videos, if checksums do not agree.
    """
    path = Path(path)
    runs = [path] if is_run(path) else runs_in(path)
    if runs and verify:
        raise InputError(f"{path}: {'a run' if runs == [path] else 'runs'}; checksums are in feature files")
    if runs:
        return describe_run(path) if runs == [path] else describe_runs(path, runs)
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
        "hash": content_digest(row.checksum for row in features.videos)[:HASH_LETTERS],
        "frames a video": f"{lengths[0]} to {lengths[-1]}" if lengths else "-",
        "frame": f"{'x'.join(map(str, features.frame_shape))} {features.dtype}",
        "labels": counted(row.label for row in sources),
        "splits": counted(row.split for row in sources),
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


def _num_groups(features: Features) -> str:
    """Return how many groups the file names; without one, each source video is a group of its own."""
    groups = [row.group for row in features.videos if row.group]
    without = len(features) - len(groups)
    return f"{len(set(groups))}{f', none of {without} videos' if without else ''}" if groups else "none"
