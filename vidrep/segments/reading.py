"""Annotations with time from files of many formats, which are recognized by their content."""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..errors import InputError, LabelError
from ..files import size_in_words
from ..video.named_paths import quoted, read_text
from .formats.source import Source
from .frame_clock import FrameClock
from .known_formats import FORMATS, format_of
from .segment import Annotations, combined

_log = logging.getLogger(__name__)

_MOST_BYTES = 1 << 30
_SUFFIXES = frozenset(Path(f"x{one.ending}").suffix for one in FORMATS)


def read_segments(paths: Path | str | Sequence[Path | str], *, frame_clock: FrameClock | None = None) -> Annotations:
    """Read annotations with time, and join those of several files; a line in the log describes each file.

    paths: files, or folders, of which all files with the suffix of a format are read. By its content, a file is one of
        `vidrep.segments.known_formats.FORMATS`.
    frame_clock: turns the numbers of frames into seconds, for formats with a row a frame:
        `vidrep.segments.frame_clock.FeatureTimes(features)` or `ConstantRate(25)`.

    Names of videos are as the files have them, see `vidrep.segments.matching.match_videos`. Names are in NFC.

    Raises LabelError, naming the file and the row, for what does not fit the format, for times that cannot be, and for
    a video with two splits; InputError for a file that cannot be read.
    """
    given = [paths] if isinstance(paths, Path | str) else paths
    files = [file for path in map(Path, given) for file in _files(path)]
    return combined([_read(file, frame_clock) for file in files])


def _files(path: Path) -> Iterable[Path]:
    if not path.is_dir():
        return [path]
    try:
        files = sorted(file for file in path.iterdir() if file.suffix.casefold() in _SUFFIXES and file.is_file())
    except OSError as error:
        raise InputError(f"cannot read the folder {quoted(path)}: {error.strerror}; change its permissions") from error
    if not files:
        raise LabelError(
            f"{quoted(path)} has no file that ends in {', '.join(sorted(_SUFFIXES))}; name the file itself"
        )
    return files


def _read(path: Path, frame_clock: FrameClock | None) -> Annotations:
    if path.is_file() and (num_bytes := path.stat().st_size) > _MOST_BYTES:
        raise InputError(
            f"{quoted(path)} has {size_in_words(num_bytes)}; annotations of {size_in_words(_MOST_BYTES)} at most are "
            "read: divide the file"
        )
    source = Source(path, read_text(path), frame_clock)
    found = format_of(source)
    contents = found.read(source)
    _log.info("%s: %s%s: %s", quoted(path), found.title, contents.note, counts(contents.annotations))
    return contents.annotations


def counts(annotations: Annotations) -> str:
    """Return how many segments, videos, labels, subjects and groups there are, and how much was watched."""
    segments = annotations.segments
    names = [f"{len(segments)} segments", f"{len(annotations.videos)} videos", f"{len(annotations.labels)} labels"]
    found = {what: {getattr(one, what) for one in segments} - {""} for what in ("subject", "group")}
    names += [f"{len(values)} {what}s" for what, values in found.items() if values]
    watched = sum(end - start for spans in annotations.watched.values() for start, end in spans)
    return ", ".join([*names, f"{watched:.1f} s watched" if watched else "nothing says what was watched"])
