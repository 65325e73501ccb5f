"""Searching a folder for videos, at any depth, and counting what is left out."""

import logging
import os
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import some_names
from .numbered_images import FrameFolders, is_image

_log = logging.getLogger(__name__)

_EXTENSIONS = (
    ".mp4 .m4v .mov .qt .avi .divx .mkv .mk3d .webm .mpg .mpeg .mpe .m1v .m2v .mpv .mp2v .m2p .ts .mts .m2ts .m2t .tp "
    ".trp .tod .mod .vob .vro .wmv .asf .wtv .flv .f4v .ogv .ogm .3gp .3gpp .3g2 .3gp2 .mxf .gxf .y4m .rm .rmvb .dv "
    ".dif .nut .nuv .ivf .obu .h261 .h263 .h264 .264 .avc .h265 .265 .hevc .h266 .266 .vvc .vc1 .mjpeg .mjpg .mj2 .amv "
    ".dav .insv .gif .apng"
)
VIDEO_EXTENSIONS = frozenset(_EXTENSIONS.split())
"""What a file's name must end with, in lower or upper case, to be taken from a folder; docs/guide.md has the same list.
A file named by itself is taken whatever its extension."""


@dataclass
class FolderContents:
    """What is in a folder, at any depth.

    videos: the videos' paths. unreadable: folders that cannot be read, each with the reason.
    num_others: how many files were left out, by extension. num_links_left_out: symbolic links, and why.
    """

    videos: list[Path] = field(default_factory=list)
    unreadable: dict[Path, str] = field(default_factory=dict)
    num_others: Counter[str] = field(default_factory=Counter)
    num_links_left_out: int = 0
    why_links: str = ""

    def paths(self) -> Iterator[tuple[Path, str]]:
        """Yield each video with '' and each folder that cannot be read with the reason."""
        yield from ((path, "") for path in self.videos)
        yield from self.unreadable.items()

    def add(self, other: "FolderContents") -> None:
        """Add what is in another folder."""
        self.videos += other.videos
        self.unreadable |= other.unreadable
        self.num_others += other.num_others
        self.num_links_left_out += other.num_links_left_out
        self.why_links = other.why_links

    def others(self) -> str:
        """Return the files left out, by extension, the most first: "2 .txt, 1 no extension"."""
        counts = sorted(self.num_others.items(), key=lambda one: (-one[1], one[0]))
        return some_names(f"{count} {repr(extension)[1:-1]}" for extension, count in counts)

    def log_links(self, name: str) -> None:
        """Log how many links were left out; name: of what was searched."""
        if self.num_links_left_out:
            _log.warning("%s: %d symbolic links are left out: %s", name, self.num_links_left_out, self.why_links)

    def log_left_out(self, name: str) -> None:
        """Log how many files and links were left out; name: of what was searched."""
        self.log_links(name)
        if self.num_others:
            count = self.num_others.total()
            _log.info("%s: %d files are left out, no videos by their extensions: %s", name, count, self.others())


def search(
    root: Path,
    *,
    follow_links: bool,
    suffixes: Collection[str] = VIDEO_EXTENSIONS,
    frames: FrameFolders | None = None,
) -> FolderContents:
    """Find the videos in a folder: files with one of these suffixes, in lower or upper case, at any depth.

    Hidden files and folders are left out, symbolic links are too unless they lead to a file inside the same folder. A
    folder that cannot be read, `root` among them, is listed, and does not stop the search.

    follow_links: take symbolic links to files and folders anywhere. Every folder is searched once, by its own path if
        it lies in `root`.
    frames: which folders of images, and which images, are videos; None: none are.
    """
    return _Search(root, follow_links=follow_links, suffixes=suffixes, frames=frames).run()


class _Search:
    """One search: the folders that wait, and what was found."""

    def __init__(
        self, root: Path, *, follow_links: bool, suffixes: Collection[str], frames: FrameFolders | None
    ) -> None:
        self._real_root, self._follow_links = os.path.realpath(root), follow_links
        self._suffixes, self._frames = suffixes, frames
        self._images = dict[Path, list[str]]()
        self._folders, self._linked_folders = [root], list[Path]()
        self._found = FolderContents(
            why_links="they lead to nothing" if follow_links else "they lead to folders, or out of it"
        )

    def run(self) -> FolderContents:
        searched = set[str]()
        while self._folders or self._linked_folders:
            # Links come last, so that a folder in the source has its own path although a link leads to it, too.
            folder = self._folders.pop() if self._folders else self._linked_folders.pop()
            real_folder = os.path.realpath(folder)
            if real_folder not in searched:
                searched.add(real_folder)
                self._take(folder, self._entries(folder))
        if self._frames:
            folders_of_frames, images_left_out = self._frames.take(self._images, self._found.videos)
            self._found.videos += folders_of_frames
            self._found.num_others += images_left_out
        return self._found

    def _entries(self, folder: Path) -> list[os.DirEntry[str]]:
        """Return the entries of a folder, without hidden ones and links that are left out; none if it is unreadable."""
        try:
            with os.scandir(folder) as entries:
                visible = [entry for entry in entries if not entry.name.startswith(".")]
        except OSError as error:
            self._found.unreadable[folder] = f"the folder cannot be read ({error.strerror})"
            return []
        kept = [entry for entry in visible if not entry.is_symlink() or self._is_taken(Path(entry.path))]
        self._found.num_links_left_out += len(visible) - len(kept)
        return kept

    def _is_taken(self, link: Path) -> bool:
        if self._follow_links:
            return link.is_dir() or link.is_file()
        target = Path(os.path.realpath(link))
        return target.is_relative_to(self._real_root) and target.is_file()

    def _take(self, folder: Path, entries: Sequence[os.DirEntry[str]]) -> None:
        """Take the entries of one folder: videos are found, others counted, folders wait to be searched."""
        for entry in entries:
            path = Path(entry.path)
            if entry.is_dir():
                (self._linked_folders if entry.is_symlink() else self._folders).append(path)
            elif entry.is_file():
                is_still = self._frames is not None and is_image(entry.name)
                if path.suffix.lower() in self._suffixes or (is_still and self._frames and self._frames.images):
                    self._found.videos.append(path)
                elif is_still:
                    self._images.setdefault(folder, []).append(entry.name)
                else:
                    self._found.num_others[path.suffix.lower() or "no extension"] += 1
        self._linked_folders.sort(reverse=True)
