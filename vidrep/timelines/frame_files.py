"""Files of the probabilities of every frame: written in one pass, with little memory, and read again."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

from ..errors import ConfigError, InputError, OutputError
from ..features.exporting import safe_name
from ..features.video_arrays import VideoArraysWriter, writing_video_arrays
from .frame_formats import HEAD, Head, add_to_h5, read_files, read_h5, write_csv, write_npy
from .frame_store import FrameStore, storing_frames
from .timeline import Timeline

FrameFormat = Literal[".npy", ".csv", ".h5"]
FORMATS: Sequence[FrameFormat] = get_args(FrameFormat)
_WRITERS: Mapping[str, Callable[[Path, Head, FrameStore], None]] = {".npy": write_npy, ".csv": write_csv}


@contextmanager
def writing_frames(
    output: Path,
    format: FrameFormat,
    *,
    labels: Sequence[str],
    background: str | None,
    several_labels: bool,
    overwrite: bool = False,
) -> Iterator["FrameFiles"]:
    """Give the writer of the frames of videos, whose labels these are; see `Timeline`.

    output: of .npy and .csv, a folder with files for each video, which have its name, '/' being '__'; or, if its name
    ends in the format, the file of one video. Of .h5, the one file of all videos, published when the block ends well.

        with writing_frames(Path("frames"), ".npy", labels=..., background=None, several_labels=False) as files:
            with files.video("a.mp4") as frames:
                frames.append(edges, probabilities)  # (T + 1,) seconds and (T, K), as often as wanted

    Raises OutputError for what exists, unless it may be overwritten, and for what cannot be written.
    """
    if format not in FORMATS:
        raise ConfigError(f"format {format!r}: give one of {', '.join(FORMATS)}")
    head = Head("", tuple(labels), background, several_labels)
    if format == ".h5":
        _require_new(output, overwrite=overwrite)
        with writing_video_arrays(output) as writer:
            yield FrameFiles(output, format, head, writer=writer)
    else:
        yield FrameFiles(output, format, head, overwrite=overwrite)


class FrameFiles:
    """Writes the frames of videos, one after the other; see `writing_frames`."""

    def __init__(
        self,
        output: Path,
        format: FrameFormat,
        head: Head,
        *,
        writer: VideoArraysWriter | None = None,
        overwrite: bool = False,
    ) -> None:
        self._output, self._format, self._head = output, format, head
        self._writer, self._overwrite = writer, overwrite
        self._names: dict[str, str] = {}

    @contextmanager
    def video(self, name: str) -> Iterator[FrameStore]:
        """Give what takes the frames of a video; they are written if the block ends well.

        Raises OutputError for a second video of one file, and for one whose file would have the name of another's.
        """
        path = self._output if self._writer else self._new_path(name)
        with storing_frames(path, len(self._head.labels)) as store:
            yield store
            head = replace(self._head, video=name)
            if self._writer:
                add_to_h5(self._writer, head, store)
            else:
                _WRITERS[self._format](path, head, store)

    def _new_path(self, name: str) -> Path:
        is_one_file = self._output.suffix == self._format
        path = self._output if is_one_file else self._output / f"{safe_name(name)}{self._format}"
        # Some file systems do not distinguish cases.
        if (other := self._names.setdefault(path.name.casefold(), name)) != name:
            remedy = "give a folder" if is_one_file else "rename one of the videos"
            raise OutputError(f"{path}: would hold {other!r} and {name!r}; {remedy}")
        _require_new(path, overwrite=self._overwrite)
        return path


def _require_new(path: Path, *, overwrite: bool) -> None:
    if path.is_dir():
        raise OutputError(f"{path} is a folder; give the name of a file")
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists; give a new name or --overwrite")


def read_frames(path: Path) -> Iterator[Timeline]:
    """Yield the videos of a file that `writing_frames` wrote, or of a folder, sorted by the names of files.

    Raises InputError, naming the file, for what cannot be read.
    """
    if path.suffix == ".h5":
        yield from read_h5(path)
        return
    files = [path]
    if path.is_dir():
        names = sorted(head.name.removesuffix(HEAD) for head in path.glob(f"*{HEAD}"))
        files = [file for name in names for suffix in _WRITERS if (file := path / f"{name}{suffix}").is_file()]
        if not files:
            raise InputError(f"{path}: no frames of videos are in it; give a folder of `vidrep predict`")
    for file in files:
        yield read_files(file)
