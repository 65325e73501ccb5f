"""A folder with a file a video, and beside it maybe files of its rate and times: the layout of video_features.

x_rgb.npy              features of x.mp4, (T, ...), of the kind "rgb"
x_fps.npy              its rate
x_timestamps_ms.npy    the times of its T features in milliseconds
"""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from ...errors import InputError, some_names
from ...names import composed
from ...video.folder_search import search
from .formats import SUFFIXES, open_tree
from .layouts import RATES, TIMES, only_video_of, rate_of, seconds_of
from .tree import ForeignFrames, ForeignVideo

_log = logging.getLogger(__name__)

_SUFFIX = ".npy"


def videos_of_folder(
    folder: Path, *, array: str = "", follow_links: bool = False, without: Path | None = None
) -> list[ForeignVideo]:
    """Find the videos of a folder; their files are opened when they are loaded.

    A key is the file's path relative to the folder, without suffix and kind of features if its rate or times are
    beside it. Labels are the names of the folders that the files are in.

    array: the array to take of files with several, or the kind of features of videos with several.
    follow_links: as for find_videos. without: a file that is no source, such as the output.

    Raises InputError if there is no file, or videos have features of several kinds.
    """
    found = search(folder, suffixes=SUFFIXES, follow_links=follow_links)
    paths = [path for path in sorted(found.videos) if without is None or path.absolute() != without.absolute()]
    if not paths:
        links = f" ({found.num_links_left_out} symbolic links left out)" if found.num_links_left_out else ""
        raise InputError(f"{folder}: no {' or '.join(SUFFIXES)} file in this folder{links}; there must be one a video")
    found.log_links(repr(str(folder)))
    if found.num_others:
        _log.warning("%s: %d other files are left out: %s", folder, found.num_others.total(), found.others())
    for unreadable, reason in found.unreadable.items():
        _log.warning("%s: %s", unreadable, reason)
    described = _described_videos(paths)
    in_described = {path for video in described for path in video.files()}
    return [_video(folder, path, path, partial(_load, path, array)) for path in paths if path not in in_described] + [
        _video(folder, video.stem, path, partial(_load_described, path, video.beside))
        for video, path in _of_one_kind(folder, described, array)
    ]


def _video(folder: Path, name: Path, file: Path, load: Callable[[], ForeignFrames]) -> ForeignVideo:
    relative = name.relative_to(folder)
    key, label = composed(relative.as_posix()), composed(relative.parent.name)
    return ForeignVideo(key=key, label=label, source=str(file), file=file, load=load)


def _load(path: Path, array: str) -> ForeignFrames:
    return only_video_of(open_tree(path), array=array)


# ---- the layout of video_features


@dataclass(frozen=True)
class _DescribedVideo:
    """Features with their rate or times beside them.

    stem: what their names have in common, in their folder. kinds: files of features by kind. beside: by RATES or TIMES.
    """

    stem: Path
    kinds: dict[str, Path] = field(default_factory=dict)
    beside: dict[str, Path] = field(default_factory=dict)

    def files(self) -> list[Path]:
        return [*self.kinds.values(), *self.beside.values()]


def _described_videos(paths: Sequence[Path]) -> list[_DescribedVideo]:
    videos: dict[Path, _DescribedVideo] = {}
    features = []
    for path in paths:
        if path.suffix.lower() != _SUFFIX:
            continue
        stem = path.with_suffix("")
        name = next((name for name in (*RATES, *TIMES) if stem.name.lower().endswith(f"_{name}")), None)
        if name is None:
            features.append(path)
        else:
            stem = stem.with_name(stem.name[: -len(name) - 1])
            videos.setdefault(stem, _DescribedVideo(stem)).beside[name] = path
    for path in features:
        for stem, kind in _divisions(path.with_suffix("")):
            if stem in videos:
                videos[stem].kinds[kind] = path
                break
    return [video for video in videos.values() if video.kinds]


def _divisions(stem: Path) -> Iterator[tuple[Path, str]]:
    """Divide "x_2_rgb" into a video and a kind: "x_2_rgb" and "", "x_2" and "rgb", "x" and "2_rgb"."""
    yield stem, ""
    name = stem.name
    while "_" in name:
        name = name.rpartition("_")[0]
        if name:
            yield stem.with_name(name), stem.name[len(name) + 1 :]


def _of_one_kind(folder: Path, described: Sequence[_DescribedVideo], array: str) -> list[tuple[_DescribedVideo, Path]]:
    """Choose the features of each video; other kinds than the chosen one are left out."""
    chosen = []
    left_out: list[str] = []
    for video in described:
        kinds = video.kinds if len(video.kinds) == 1 else {array: video.kinds[array]} if array in video.kinds else {}
        if not kinds:
            raise InputError(
                f"{folder}: {video.stem.name!r} has features of the kinds {some_names(sorted(video.kinds))}; take one "
                "with --array KIND"
            )
        chosen += [(video, path) for path in kinds.values()]
        left_out += sorted(path.name for kind, path in video.kinds.items() if kind not in kinds)
    if left_out:
        _log.info("%s: other kinds of features are left out: %s", folder, some_names(left_out))
    return chosen


def _load_described(path: Path, beside: Mapping[str, Path]) -> ForeignFrames:
    frames = _load(path, "")
    rate, seconds = frames.fps, frames.seconds
    for name, file in beside.items():
        values = open_tree(file).column("")
        if name in RATES:
            rate = rate_of(values)
        else:
            seconds = seconds_of(values, name)
    return replace(frames, fps=rate, seconds=seconds)
