"""Folders of frames: which images of a folder are one video, by the numbers in their names.

    clip/img_00001.jpg, clip/img_00002.jpg, ...      the video "clip"

A folder is a video if two of its images have names that differ in the number at their end alone, and no video file lies
in it, at any depth. Its frames are the images that begin with "img_", or if none does, those of the only prefix. This
module knows names and bytes; `vidrep.video.frame_folders` reads the pictures.
"""

import hashlib
import logging
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from ..errors import ConfigError, InputError, VideoError, some_names

_log = logging.getLogger(__name__)

_EXTENSIONS = ".jpg .jpeg .jpe .jp2 .png .bmp .tif .tiff .webp .ppm .pgm .pbm .pnm"
IMAGE_EXTENSIONS = frozenset(_EXTENSIONS.split())
"""What the name of a still image ends with, in lower or upper case."""
DEFAULT_FRAME_RATE = 25.0
"""Images a second of a folder of frames, which does not say."""

_PREFERRED_PREFIX = "img_"
_NUMBERED = re.compile("(.*?)([0-9]+)", re.DOTALL)


def is_image(name: str) -> bool:
    """Return whether a file of this name is a still image, by its extension."""
    return PurePath(name).suffix.lower() in IMAGE_EXTENSIONS


def _prefix_and_number(name: str) -> tuple[str, int] | None:
    """Split "img_00012.jpg" into ("img_", 12); None if no number ends the name."""
    match = _NUMBERED.fullmatch(PurePath(name).stem)
    return (match[1], int(match[2])) if match else None


def _count_prefixes(names: Iterable[str]) -> Counter[str | None]:
    """Count the images of each prefix; None stands for images without a number."""
    split = map(_prefix_and_number, names)
    return Counter(None if one is None else one[0] for one in split)


def _is_sequence(prefixes: Counter[str | None]) -> bool:
    return any(count > 1 for prefix, count in prefixes.items() if prefix is not None)


def _prefix_of_frames(prefixes: Counter[str | None]) -> str:
    """Choose the prefix of the frames; raises VideoError if it is not clear which, or if one image alone has it."""
    several = Counter({prefix: count for prefix, count in prefixes.items() if prefix is not None and count > 1})
    if _PREFERRED_PREFIX in several:
        return _PREFERRED_PREFIX
    if _PREFERRED_PREFIX in prefixes:
        raise VideoError(f"one image alone begins with {_PREFERRED_PREFIX}; a folder of frames has two or more")
    if not several:
        raise VideoError(
            "a folder, but none of frames: those have two or more images numbered on, such as img_00001.jpg"
        )
    if len(several) > 1:
        raise VideoError(
            f"{len(several)} numbering schemes, {_listed(several)}, and none is {_PREFERRED_PREFIX}: leave one in the "
            "folder"
        )
    return next(iter(several))


def _listed(prefixes: Counter[str]) -> str:
    """Name prefixes with the number of their images: "300 'flow_x_...', 12 'thumb...'"."""
    by_count = sorted(prefixes.items(), key=lambda one: (-one[1], str(one[0])))
    return some_names(f"{count} {f'{prefix}...'!r}" for prefix, count in by_count)


@dataclass(frozen=True)
class NumberedImages:
    """The images of a folder that are the frames of its video.

    images: (number, name), by increasing number.
    """

    folder: Path
    images: tuple[tuple[int, str], ...]

    @property
    def num_missing(self) -> int:
        """How many numbers between the first and the last have no image."""
        return self.images[-1][0] - self.images[0][0] + 1 - len(self.images)

    def num_bytes(self) -> int:
        """Return the size of all images together; OSError if one is gone."""
        return sum((self.folder / name).stat().st_size for _, name in self.images)

    def fingerprint(self, on_image: Callable[[], None] | None) -> tuple[int, str]:
        """Return the size of all images together and a SHA-256 of their numbers and bytes, in order.

        What is hashed is, for every image, the text "NUMBER SIZE\\n" and its bytes; "NUMBER unreadable\\n" for one that
        cannot be read. Names do not count, so that a folder whose prefix changes is the same video.
        """
        digest, num_bytes = hashlib.sha256(), 0
        for number, name in self.images:
            if on_image is not None:
                on_image()
            try:
                content = (self.folder / name).read_bytes()
            except OSError:
                digest.update(f"{number} unreadable\n".encode())
                continue
            digest.update(f"{number} {len(content)}\n".encode())
            digest.update(content)
            num_bytes += len(content)
        return num_bytes, digest.hexdigest()


def numbered_images(folder: Path) -> NumberedImages:
    """Return the frames of a folder that is a video.

    Raises VideoError if it is none: no numbered images, several numbering schemes, or two images of one number.
    """
    try:
        names = sorted(path.name for path in folder.iterdir() if is_image(path.name) and not path.name.startswith("."))
    except OSError as error:
        raise VideoError(f"the folder cannot be read ({error.strerror})") from error
    wanted = _prefix_of_frames(_count_prefixes(names))
    by_number: dict[int, str] = {}
    for name in names:
        split = _prefix_and_number(name)
        if split is None or split[0] != wanted:
            continue
        if (other := by_number.setdefault(split[1], name)) != name:
            raise VideoError(f"two images have the number {split[1]}, {other!r} and {name!r}: leave one in the folder")
    return NumberedImages(folder, tuple(sorted(by_number.items())))


def _named_as(videos: Sequence[Path], folders: Sequence[Path]) -> list[Path]:
    """Return the folders that seem to have the frames of videos: by the name, and the class or that of all folders."""
    names = {(video.parent.name, video.stem) for video in videos}
    if {folder.name for folder in folders} <= {name for _, name in names}:
        return list(folders)
    return [folder for folder in folders if (folder.parent.name, folder.name) in names]


@dataclass
class FrameFolders:
    """Which folders that a search meets are videos, and what it says about them in the end.

    images: each still image is a video of one frame, and no folder is a video. frame_rate: None for the default.

    Raises ConfigError for a rate that cannot be.
    """

    images: bool = False
    frame_rate: float | None = None
    taken: set[Path] = field(default_factory=set)
    _others: Counter[str] = field(default_factory=Counter)
    _beside_videos: list[str] = field(default_factory=list)
    _named_as_videos: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.frame_rate is not None and not 0 < self.frame_rate < math.inf:
            raise ConfigError(f"frame rate {self.frame_rate}: give the images a second of folders of frames, above 0")
        if self.frame_rate is not None and self.images:
            raise ConfigError(
                f"frame rate {self.frame_rate:g} and images: an image by itself has no rate; give one of the two"
            )

    def rate_of(self, path: Path) -> float | None:
        """Return the images a second of a folder that was taken; None for any other path."""
        return (self.frame_rate or DEFAULT_FRAME_RATE) if path in self.taken else None

    def take(self, images: dict[Path, list[str]], videos: Sequence[Path]) -> tuple[list[Path], Counter[str]]:
        """Return the folders that are videos, and the number of images that are left out, by extension.

        images: the names of the images in each folder of a search. videos: the video files that it found.
        """
        holding_videos = {parent for video in videos for parent in video.parents} if images else set[Path]()
        found, left_out = list[Path](), Counter[str]()
        for folder, names in images.items():
            prefixes = _count_prefixes(names)
            if _is_sequence(prefixes) and folder not in holding_videos:
                found.append(folder)
                self._note_others(prefixes)
                continue
            if _is_sequence(prefixes):
                self._beside_videos.append(str(folder))
            left_out.update(PurePath(name).suffix.lower() for name in names)
        self._named_as_videos += sorted(map(str, _named_as(videos, found)))
        self.taken.update(found)
        return found, left_out

    def _note_others(self, prefixes: Counter[str | None]) -> None:
        try:
            chosen = _prefix_of_frames(prefixes)
        except VideoError:  # it is said when the folder is read
            return
        for prefix, count in prefixes.items():
            if prefix != chosen:
                self._others["" if prefix is None else prefix] += count

    def require_asked_for(self, files: Sequence[Path]) -> None:
        """Raise InputError if still images were given one by one, unless `images` asks for videos of one frame."""
        stills = [file for file in files if is_image(file.name) and file not in self.taken]
        if stills and not self.images:
            raise InputError(
                f"{len(stills)} still images are given, {str(stills[0])!r} first: name their folder, which is one "
                "video if they are numbered, or give --images, which makes each a video of one frame"
            )

    def log(self) -> None:
        """Say what was taken for videos, at which rate, and what was left out."""
        if self.taken:
            rate = f"{self.frame_rate:g}" if self.frame_rate else f"{DEFAULT_FRAME_RATE:g}"
            how = "" if self.frame_rate else ", by default"
            _log.info(
                "%d folders of numbered images are one video each, at %s frames a second%s (--frame-rate); "
                "--images makes each image a video",
                len(self.taken),
                rate,
                how,
            )
        elif self.frame_rate is not None:
            _log.warning(
                "--frame-rate %g is not used: none of the videos is a folder of numbered images", self.frame_rate
            )
        if self._others:
            _log.warning("other images in folders of frames are left out: %s", _listed(self._others))
        if self._named_as_videos:
            folders = some_names(map(repr, self._named_as_videos))
            _log.warning("folders of frames have names of videos; name one of both if they are the same: %s", folders)
        if self._beside_videos:
            folders = some_names(map(repr, self._beside_videos))
            _log.warning("numbered images in folders that hold videos are left out: %s", folders)
