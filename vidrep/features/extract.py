"""Videos to a feature file: by parts, skipping what is done, one bad video never stopping the rest."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from ..errors import InputError, OutputError, VideoError
from ..files import sha256_of_file
from ..progress import Progress, ProgressListener, ignore_progress
from ..video.reading import open_video
from ..video.sampling import Sampling
from ..video.sources import VideoSource
from .batching import BatchedEncoder
from .extractor import Extractor, library_versions
from .failures import Failure, failures_path, write_failures
from .labels import Labelling, overlay
from .parts import PartsWriter, remove_parts
from .store import SUFFIXES, Features, Settings, open_features, require_same_settings, write_merged
from .table import VideoRow

_VERSIONED_PACKAGES = ("av", "numpy", "opencv-python", "torch", "torchvision")


@dataclass(frozen=True, kw_only=True)
class ExtractSummary:
    """What an extraction did.

    num_videos, num_frames: in the output now. num_new, num_new_frames: computed by this call. seconds: it took.
    failures: videos that are not, or not wholly, in the output; they stand in `failures_file` too.
    missing, unlisted: videos that labels or splits name and that are not there, and the other way round.
    """

    output: Path
    num_videos: int
    num_frames: int
    num_new: int
    num_new_frames: int
    seconds: float
    failures: list[Failure]
    failures_file: Path
    missing: list[str]
    unlisted: list[str]


def extract(
    sources: Sequence[VideoSource],
    output: Path | str,
    extractor: Extractor,
    *,
    sampling: Sampling | None = None,
    decoder: str = "pyav",
    listed: Mapping[str, Labelling] | None = None,
    overwrite: bool = False,
    on_progress: ProgressListener = ignore_progress,
) -> ExtractSummary:
    """Compute the features of every kept frame of every video and write them to `output`.

    output: a feature file (.h5), or a folder in which the parts stay as they are. Videos that stand in it already, with
        the same bytes and made with the same settings, are not computed again; so a killed extraction goes on.
    listed: labels and splits laid over those of the sources (see `vidrep.features.labels`).
    overwrite: forget what `output` holds.

    Raises OutputError if `output` was made with other settings or is no feature file; InputError if there is no video,
    or none of them could be read.
    """
    began = time.monotonic()
    sampling = sampling or Sampling()
    place = _Place(Path(output))
    settings = {**extractor.settings, "sampling": asdict(sampling), "decoder": decoder}
    if overwrite:
        place.clear()
    done = place.done(settings)
    wanted = overlay([s.key for s in sources], [s.label for s in sources], ["" for _ in sources], listed or {})
    versions = library_versions(*_VERSIONED_PACKAGES)
    writer = PartsWriter(
        place.parts, settings=settings, versions=versions, frame_shape=extractor.frame_shape, dtype=extractor.dtype
    )
    extraction = _Extraction(extractor, BatchedEncoder(extractor, writer), sampling, decoder)
    for position, (source, label, split) in enumerate(zip(sources, wanted.labels, wanted.splits, strict=True)):
        extraction.extract_video(source, label, split, done.get(source.key))
        on_progress(extraction.progress(position + 1, len(sources), time.monotonic() - began))
    extraction.encoder.flush()
    writer.publish()
    listed_names = {s.key: names for s, *names in zip(sources, wanted.labels, wanted.splits, strict=True) if listed}
    features = place.publish(versions, listed_names)
    failures = extraction.failures + _partial_videos(features, sources)
    write_failures(place.failures, failures)
    if features is None:
        raise InputError(
            f"none of the {len(sources)} videos could be read; {failures[0].path}: {failures[0].reason} "
            f"(every reason is in {place.failures})"
        )
    return ExtractSummary(
        output=place.output,
        num_videos=len(features),
        num_frames=features.num_frames,
        num_new=extraction.num_new,
        num_new_frames=extraction.num_new_frames,
        seconds=time.monotonic() - began,
        failures=failures,
        failures_file=place.failures,
        missing=wanted.missing,
        unlisted=wanted.unlisted,
    )


@dataclass
class _Extraction:
    """One call's work on its videos, one after the other."""

    extractor: Extractor
    encoder: BatchedEncoder
    sampling: Sampling
    decoder: str
    failures: list[Failure] = field(default_factory=list)
    num_new: int = 0
    num_new_frames: int = 0

    def extract_video(self, source: VideoSource, label: str, split: str, done: VideoRow | None) -> None:
        """Extract one video unless it is done; list it among the failures if it cannot be read."""
        try:
            size, sha256 = _fingerprint(source.path)
            if done is not None and (done.source_size, done.source_sha256) == (size, sha256):
                return
            with open_video(source.path, decoder=self.decoder) as video:
                for frame in video.frames(self.sampling):
                    self.encoder.add_frame(self.extractor.prepare(frame.rgb), frame.seconds)
                    self.num_new_frames += 1
                verdict = video.verdict()
        except VideoError as error:
            self.failures.append(Failure(path=source.key, status="failed", reason=str(error), source=str(source.path)))
            return
        row = VideoRow.new(
            source.key,
            label=label,
            split=split,
            fps=verdict.fps,
            frames_promised=verdict.frames_promised,
            status=verdict.status,
            message=verdict.message,
            source_size=size,
            source_sha256=sha256,
        )
        self.encoder.end_video(row)
        self.num_new += 1

    def progress(self, done: int, total: int, seconds: float) -> Progress:
        """Say where the extraction stands."""
        figures = {"frames/s": self.num_new_frames / max(seconds, 1e-9), "failed": float(len(self.failures))}
        return Progress(done=done, total=total, unit="videos", figures=figures)


def _fingerprint(path: Path) -> tuple[int, str]:
    try:
        return path.stat().st_size, sha256_of_file(path)
    except OSError as error:
        raise VideoError(f"cannot be read ({error.strerror})") from error


class _Place:
    """Where an extraction's output, its parts and its list of failures lie."""

    def __init__(self, output: Path) -> None:
        self.output = output
        self._merges = output.suffix in SUFFIXES
        if self._merges and output.is_dir():
            raise OutputError(f"{output} is a folder; give a file name that ends in .h5, or a folder's name without it")
        if not self._merges and output.is_file():
            raise OutputError(
                f"{output} is a file; a feature file's name ends in .h5, any other name is a folder of parts"
            )
        self.parts = output.with_name(output.name + ".parts") if self._merges else output
        self.failures = failures_path(output)

    def clear(self) -> None:
        """Forget what is there."""
        if self._merges:
            self.output.unlink(missing_ok=True)
        if self.parts.is_dir():
            remove_parts(self.parts)

    def _opened(self) -> list[Features]:
        """Open what is there: the published file, then the parts that are newer than it."""
        paths = [self.output] if self._merges and self.output.exists() else []
        if any(self.parts.glob("part-*.h5")):
            paths.append(self.parts)
        return [open_features(path) for path in paths]

    def done(self, settings: Settings) -> dict[str, VideoRow]:
        """Return the rows of the videos that are there, by key.

        Raises OutputError if they were made with other settings.
        """
        opened = self._opened()
        for features in opened:
            require_same_settings(self.output, features.settings, settings)
        return {row.path: row for features in opened for row in features.videos}

    def publish(self, versions: Mapping[str, str], names: Mapping[str, Sequence[str]]) -> Features | None:
        """Merge the parts, laying each video's (label, split) in `names` over it; return what is there then."""

        def relabel(row: VideoRow) -> VideoRow:
            label, split = names.get(row.path, (row.label, row.split))
            return replace(row, label=label, split=split)

        opened = self._opened()
        if not opened:
            self.parts.rmdir()
            return None
        if self._merges:
            changed = any(relabel(row) != row for features in opened for row in features.videos)
            if changed or opened[-1].path == self.parts:
                write_merged(self.output, opened, versions=versions, relabel=relabel)
            remove_parts(self.parts)
        return open_features(self.output)


def _partial_videos(features: Features | None, sources: Sequence[VideoSource]) -> list[Failure]:
    paths = {source.key: source.path for source in sources}
    return [
        Failure(path=row.path, status=row.status, reason=row.message, source=str(paths.get(row.path, "")))
        for row in (features.videos if features else [])
        if row.status == "partial"
    ]
