"""Annotations with time written in any of the formats, with a word on what the format cannot hold."""

import logging
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from ..errors import LabelError, OutputError
from ..files import write_text
from ..video.named_paths import quoted
from .formats.source import Format, Source
from .frame_clock import FrameClock
from .known_formats import format_for, format_named
from .losses import losses
from .segment import Annotations, combined

_log = logging.getLogger(__name__)


def write_segments(
    annotations: Annotations,
    output: Path | str,
    *,
    format: str = "",
    frame_clock: FrameClock | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Write annotations with time; return the files. What a format cannot hold is a line in the log.

    output: a file; or, for formats of one video a file, a folder, in which each video has a file of its own name.
    format: the name of one of `vidrep.segments.known_formats.FORMATS`; by default, the ending of `output` decides.
    frame_clock: what frames are shown when, for formats with a row a frame; see `read_segments`.

    The files are read again before they are published, and compared with what was to be written.

    Raises ConfigError for an unknown format, OutputError for files that exist or cannot be written, and LabelError for
    what the format cannot hold at all.
    """
    output = Path(output)
    chosen = format_named(format) if format else format_for(output)
    if not annotations.videos:
        raise LabelError(f"{quoted(output)}: there are no annotations to write")
    files = _files(annotations, output, chosen)
    for file in files:
        if file.is_dir():
            raise OutputError(f"{file} is a folder; give the name of a file")
        if file.exists() and not overwrite:
            raise OutputError(f"{file} exists; give a new name or --overwrite")
    texts = {file: chosen.write(one, frame_clock) for file, one in files.items()}
    kept = combined([chosen.read(Source(file, text, frame_clock)).annotations for file, text in texts.items()])
    for file, text in texts.items():
        write_text(file, text)
    if lost := losses(annotations, kept):
        _log.warning("%s: %s cannot hold all of it, lost: %s", quoted(output), chosen.title, "; ".join(lost))
    return list(texts)


def _files(annotations: Annotations, output: Path, chosen: Format) -> Mapping[Path, Annotations]:
    """Return what is to stand in each file."""
    names_file = output.suffix.casefold() == Path(f"x{chosen.ending}").suffix and not output.is_dir()
    if not chosen.one_video or (names_file and len(annotations.videos) == 1):
        return {output: annotations}
    if names_file:
        raise LabelError(
            f"{quoted(output)}: {chosen.title} has one video a file, and there are {len(annotations.videos)}; name a "
            f"folder, with --format {chosen.name}"
        )
    files: dict[Path, Annotations] = {}
    for video in annotations.videos:
        # The last name alone: a path in a file of annotations leads nowhere on this machine.
        stem = PurePosixPath(video.replace("\\", "/")).stem
        file = output / f"{stem}{chosen.ending}"
        if file in files:
            (other,) = files[file].videos
            raise LabelError(f"{other!r} and {video!r} would both be {quoted(file)}; convert them one by one")
        files[file] = annotations.of_video(video)
    return files
