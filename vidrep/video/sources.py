"""Which video files a command works on: folders, files, patterns and lists become paths with a key and a label."""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import InputError, some_names
from ..names import composed, keys_of_places, names_of_folders
from .folder_search import FolderContents, search
from .named_paths import Given, given_paths, kind_of, matches_of, quoted
from .numbered_images import IMAGE_EXTENSIONS, FrameFolders
from .split_folders import are_like_splits, are_named_as_splits, splits_of_folders, top_folders_of
from .unlabeled_folders import unlabeled_folder

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class VideoSource:
    """One video to work on: a file, or a folder of frames (see `vidrep.video.numbered_images`).

    path: the file or folder, as it is reached from the source that was given.
    key: its name in messages and lists, '/' separated, in NFC, unique among the videos that were found together: its
        path within its root, with the root's name in front where several have that path.
    label: the name of its class folder within its source, '' if it has none there.
    split: that of the folder that holds its class folder (see `find_videos`), '' if that is none.
    unreadable: why the path, a folder in a source, cannot be searched; '' for a video.
    frame_rate: images a second of a folder of frames; None for a file.
    root: the name of the folder that it was found in. path_in_root: relative to that; '' if it is the key.
    is_searched: whether all of its root was searched, so that what is not found in it is gone.
    """

    path: Path
    key: str
    label: str
    split: str = ""
    unreadable: str = ""
    frame_rate: float | None = None
    root: str = ""
    path_in_root: str = ""
    is_searched: bool = False

    @property
    def place(self) -> tuple[str, str]:
        """Root and path within it: what a feature file knows it by."""
        return self.root, self.path_in_root or self.key


def find_videos(
    sources: Sequence[str | Path],
    *,
    list_files: Sequence[Path | str] = (),
    follow_links: bool = False,
    split_folders: bool = True,
    class_folders: bool = True,
    all_labels: bool = False,
    images: bool = False,
    frame_rate: float | None = None,
) -> list[VideoSource]:
    """Find the videos that the sources name, sorted by root and path.

    A source is one of these:

    - A folder: its files with a known extension (VIDEO_EXTENSIONS), at any depth. Hidden files and folders are left
      out, symbolic links are too unless they lead to a file inside the same folder; how many were, and how many files
      with other extensions, is logged. A folder that cannot be read is a source with the reason in `unreadable`.
      A folder of numbered images that holds no video file, also the one that is named, is itself a video.
    - A file, taken whatever its extension.
    - A pattern, if no such path exists and it has one of `*?[` in it. `*` leaves out hidden names; `**` is any depth
      and passes through no linked folder. Matches count as files given one by one; a matching folder is searched.
    - The text "-": standard input names sources like a list file does, in whatever bytes the names have. A file of that
      name is "./-".

    A name that is not there is found where it differs from one on disk by its Unicode normalization alone, or by the
    backslashes of Windows.

    list_files: texts in UTF-8 with one source a line, relative to the current folder; blank lines are left out. If
        there is a null byte in it, sources end with null bytes instead, as `find -print0` writes them.
    follow_links: take symbolic links in folders to files and folders anywhere. Every folder is searched once, by its
        own path within the source if it lies there.
    split_folders: if every top folder with videos is named train, val or test, or in a longer form of these
        (vidrep.video.split_folders), and holds class folders, these folders are splits: "train/left/a.mp4" has the
        split "train" and the label "left". Folders that hold all videos in one folder do not count: "data/train/left"
        is the same. A line in the log says so.
    class_folders: a folder's name is the label of its videos. Without it no video has a label: folders are recordings
        or animals.
    all_labels: folders whose names say that their videos have no label (vidrep.video.unlabeled_folders) are classes
        too. Without it, no video in or below one has a label. A line in the log names them.
    images: take each still image as a video of one frame, and no folder as a video. Without it, still images that are
        given one by one are refused.
    frame_rate: images a second of folders of frames; None: 25, which is logged.

    Roots, keys and labels: a folder is a root, and its videos have paths relative to it ("left/a.mp4", label "left").
    The root of files is the folder that all of them have in common. A root goes by its folder's name, with parents in
    front as far as it takes to tell roots apart; it goes in front of a key where several videos have that path
    ("clips/left/a.mp4"). The label is '' for videos directly in a root. Bytes in a name that are not UTF-8 are written
    '\\xff'. Keys and labels are in NFC, whatever the form of the names on disk.
    The same file reached twice in one root is taken once.

    Raises InputError for a source that does not exist, is a URL or names no video, for two files with one key, and if
    there is nothing but folders that cannot be read.
    """
    if isinstance(sources, str):
        raise TypeError(f"sources must be a sequence of paths, not one string: [{sources!r}]")
    given = given_paths(sources, list_files)
    frames = FrameFolders(images=images, frame_rate=frame_rate)
    located: list[list[_Located]] = []
    files = FolderContents()
    for one in given:
        kind = kind_of(one)
        if kind == "folder":
            contents = search(Path(one.text), follow_links=follow_links, frames=frames)
            if contents.videos == [Path(one.text)]:  # a folder of frames
                files.videos.append(Path(one.text))
            else:
                located.append(_located_in_folder(one, contents))
        elif kind == "file":
            files.videos.append(Path(one.text))
        else:
            files.add(_contents_of_pattern(one, frames, follow_links=follow_links))
    frames.require_asked_for(files.videos)
    frames.log()
    located.append(_located_files(files))
    found = _with_keys(
        _without_repeats(
            _with_labels(located, split_folders=split_folders, class_folders=class_folders, all_labels=all_labels)
        )
    )
    if all(one.unreadable for one in found):
        why = some_names(f"{quoted(one.path)}: {one.unreadable}" for one in found)
        raise InputError(f"no video was found; {why}; change the permissions or name other sources")
    return [replace(one, frame_rate=frames.rate_of(one.path)) for one in found]


@dataclass(frozen=True)
class _Located:
    """A video, or a folder that cannot be read, and where it lies.

    root: the absolute path of its root. parts: of its path within that. source: what was given, for messages.
    in_front: what stands in front of its parts where splits are sought; start: and how many of all these stand above.
    """

    path: Path
    root: Path
    parts: tuple[str, ...]
    source: str
    is_searched: bool = False
    unreadable: str = ""
    in_front: tuple[str, ...] = ()
    start: int = 0

    @property
    def parts_from_splits(self) -> tuple[str, ...]:
        """Its parts from the folder on that may be a split's."""
        return (*self.in_front, *self.parts)[self.start :]


def _located_in_folder(given: Given, contents: FolderContents) -> list[_Located]:
    root = Path(given.text)
    if not (contents.videos or contents.unreadable):
        raise InputError(f"{given.place}{_why_no_video(root, contents)}")
    contents.log_left_out(quoted(root))
    absolute = _absolute(root)
    return [
        _Located(
            path,
            absolute,
            _key_parts(path.relative_to(root).parts or [absolute.name]),
            quoted(root),
            is_searched=not contents.unreadable,
            unreadable=why,
        )
        for path, why in contents.paths()
    ]


def _absolute(path: Path) -> Path:
    """Return an absolute path with a name of its own, which '.', '..' and '/a/..' do not have."""
    return Path(os.path.realpath(path)) if path.name in ("", "..") else Path(os.path.normpath(path.absolute()))


def _why_no_video(root: Path, contents: FolderContents) -> str:
    links = f" ({contents.num_links_left_out} symbolic links left out)" if contents.num_links_left_out else ""
    num_files = contents.num_others.total()
    if not num_files:
        return f"the folder {quoted(root)} holds no files{links}: name a folder with videos"
    known = "known are .mp4, .avi, .mkv and the like, anything else is to be named file by file"
    if contents.num_others.keys() & IMAGE_EXTENSIONS:
        known = "a folder of frames holds two or more images numbered on, and --images takes each image as a video"
    return f"none of the {num_files} files in the folder {quoted(root)} is a video: {contents.others()}{links}; {known}"


def _contents_of_pattern(given: Given, frames: FrameFolders, *, follow_links: bool) -> FolderContents:
    matches = [path for path in matches_of(given.text) if path.is_dir() or path.is_file()]
    if not matches:
        raise InputError(f"{given.place}the pattern {quoted(given.text)} matches nothing: check it, or name a folder")
    contents = FolderContents(videos=[path for path in matches if path.is_file()])
    for folder in matches:
        if folder.is_dir():
            contents.add(search(folder, follow_links=follow_links, frames=frames))
    if not (contents.videos or contents.unreadable):
        raise InputError(f"{given.place}the pattern {quoted(given.text)} matches only folders without a video")
    contents.log_left_out(quoted(given.text))
    return contents


def _located_files(contents: FolderContents) -> list[_Located]:
    found = list(contents.paths())
    if not found:
        return []
    absolute = [Path(os.path.normpath(path.absolute())) for path, _ in found]
    common = Path(os.path.commonpath([path.parent for path in absolute]))
    return [
        _Located(path, common, _key_parts(whole.relative_to(common).parts), quoted(common), unreadable=unreadable)
        for (path, unreadable), whole in zip(found, absolute, strict=True)
    ]


def _key_parts(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(composed(_as_utf8(name)) for name in names)


def _as_utf8(name: str) -> str:
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _with_labels(
    located: Sequence[Sequence[_Located]], *, split_folders: bool, class_folders: bool, all_labels: bool
) -> list[VideoSource]:
    """Return all sources: labels and splits are those of their folders.

    located: what each folder that was given holds, and last the files.
    """
    every = [batch for batch in located if batch]
    roots = names_of_folders([one.root for batch in every for one in batch])
    batches = [_with_splits(batch, all_labels=all_labels) if split_folders else (batch, {}) for batch in every]
    if split_folders and len(batches) > 1 and not any(splits for _, splits in batches):
        # Folders named one by one may be splits: their names are those of their videos' top folders.
        whole = _with_splits([_beside_others(one) for batch in every for one in batch], all_labels=all_labels)
        batches = [whole] if whole[1] else batches
    for batch, splits in batches if split_folders else []:
        _log_splits(batch, splits, class_folders=class_folders, all_labels=all_labels)
    found = [_source(one, roots, splits) for batch, splits in batches for one in batch]
    if not class_folders:
        return [replace(one, label="") for one in found]
    return found if all_labels else _without_labels_of_unlabeled_folders(found)


def _without_labels_of_unlabeled_folders(found: Sequence[VideoSource]) -> list[VideoSource]:
    """Return the videos, those in or below unlabeled folders without a label, and log these folders."""
    folders = [unlabeled_folder(one.path_in_root.split("/")[:-1]) if one.label else "" for one in found]
    if names := sorted(set(folders) - {""}):
        _log.info(
            "%s: %d videos have no label, by the names of their folders (--all-labels takes them as classes)",
            some_names(names),
            sum(map(bool, folders)),
        )
    return [replace(one, label="") if folder else one for one, folder in zip(found, folders, strict=True)]


def _beside_others(one: _Located) -> _Located:
    """Return a video whose splits are sought from its root's name on."""
    return replace(one, in_front=_key_parts([one.root.name]), source="the folders")


def _parts_in_splits(located: Sequence[_Located], *, all_labels: bool) -> list[tuple[str, ...]]:
    """Return the parts of the paths that show whether folders are splits: an unlabeled folder may lie beside these."""
    return [
        one.parts_from_splits
        for one in located
        if not one.unreadable and (all_labels or not unlabeled_folder(one.parts_from_splits[:-1][:1]))
    ]


def _with_splits(located: Sequence[_Located], *, all_labels: bool) -> tuple[Sequence[_Located], dict[str, str]]:
    """Return the videos, and the split of each top folder, {} if they are no splits.

    Folders in the one folder that holds all of them may be the splits, too: paths begin in that one then.
    """
    below = located
    while True:
        videos = _parts_in_splits(below, all_labels=all_labels)
        if splits := splits_of_folders(videos):
            return below, splits
        if len({parts[0] for parts in videos}) != 1 or any(len(parts) < 2 for parts in videos):
            return located, {}
        below = [replace(one, start=one.start + 1) for one in below]


def _log_splits(
    located: Sequence[_Located], splits: Mapping[str, str], *, class_folders: bool, all_labels: bool
) -> None:
    """Log which folders are splits, and which are none although their names tell of splits."""
    videos = _parts_in_splits(located, all_labels=all_labels)
    top_folders = top_folders_of(videos)
    labels = sorted({parts[-2] for parts in videos if len(parts) > 1})
    if splits and class_folders:
        what = "are splits, and the folders in them classes (with --no-split-folders they are classes themselves)"
    elif splits:
        what = "are splits (with --no-split-folders they are none)"
    elif not class_folders:
        return
    elif are_named_as_splits(top_folders):
        what = "are classes, not splits: not each of them holds class folders"
    elif are_like_splits(top_folders):
        what = "are no splits: these are named train, val or test"
    elif are_like_splits(labels):
        top_folders, what = labels, "are taken for classes: folders of splits lie above class folders, not in them"
    else:
        return
    _log.info("%s: %s %s", located[0].source, some_names(top_folders), what)


def _source(located: _Located, roots: Mapping[Path, str], splits: Mapping[str, str]) -> VideoSource:
    """Return a source with the label and split of its folders."""
    parts, from_splits = located.parts, located.parts_from_splits
    split = splits.get(from_splits[0], "") if len(from_splits) > 1 else ""
    # The class folder is that below the split's, or else the one that holds the video.
    folders = from_splits[1:2] if split and len(from_splits) > 2 else () if split else parts[-2:-1]
    return VideoSource(
        located.path,
        key="",
        label="".join(folders) if not located.unreadable else "",
        split=split if not located.unreadable else "",
        unreadable=located.unreadable,
        root=roots[located.root],
        path_in_root="/".join(parts),
        is_searched=located.is_searched,
    )


def _without_repeats(found: list[VideoSource]) -> list[VideoSource]:
    """Return videos by place, each once, also if two roots, such as a link and its target, hold it under one path."""
    by_place: dict[tuple[str, str], VideoSource] = {}
    taken: set[tuple[str, str]] = set()
    for video in found:
        target = os.path.realpath(video.path)
        first = by_place.get(video.place)
        if first is not None and os.path.realpath(first.path) != target:
            raise _two_in_one_place(video.path_in_root, first.path, video.path)
        if (target, video.path_in_root) not in taken:
            taken.add((target, video.path_in_root))
            by_place[video.place] = video
    return [by_place[place] for place in sorted(by_place)]


def _with_keys(videos: Sequence[VideoSource]) -> list[VideoSource]:
    keys = keys_of_places([video.place for video in videos])
    return [replace(video, key=key) for video, key in zip(videos, keys, strict=True)]


def _two_in_one_place(key: str, first: Path, second: Path) -> InputError:
    both = f"{quoted(first)} and {quoted(second)}"
    if composed(os.fspath(first)) == composed(os.fspath(second)):
        both = f"{os.fspath(first)!a} and {os.fspath(second)!a}, which differ in Unicode's normalization alone"
    return InputError(f"two files have the key {key!r}: {both}; rename one, or give one folder that holds both")
