"""Videos to a feature file: by parts, skipping what is done, one bad video never stopping the rest."""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ..errors import InputError, VideoError, some_names
from ..files import sha256_of_file
from ..progress import Progress, ProgressListener, ignore_progress
from ..video.reading import open_video, require_decoder
from ..video.sampling import Sampling
from ..video.sources import VideoSource
from .batching import BatchedEncoder
from .extractor import Extractor, library_versions
from .failures import Failure, write_failures
from .labels import Labelling, overlay
from .parts import PartsWriter
from .place import Place
from .store import Features
from .table import VideoRow

_log = logging.getLogger(__name__)

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
    overwrite: compute all anew; what `output` holds is replaced at the end.

    A video that cannot be read is listed among the failures; rows that an earlier call computed for it stay.
    Raises OutputError if `output` was made with other settings, is something else or cannot be written; InputError if
    there is no video or none could be read, with `output` as it was.
    """
    began = time.monotonic()
    if not sources:
        raise InputError("there is no video to extract; name files, folders or patterns")
    require_decoder(decoder)
    sampling = sampling or Sampling()
    place = Place(Path(output), start_over=overwrite)
    settings = {**extractor.settings, "sampling": asdict(sampling), "decoder": decoder}
    done = place.done(settings)
    wanted = overlay([s.key for s in sources], [s.label for s in sources], ["" for _ in sources], listed or {})
    try:
        with PartsWriter(
            place.parts,
            settings=settings,
            versions=library_versions(*_VERSIONED_PACKAGES),
            frame_shape=extractor.frame_shape,
            dtype=extractor.dtype,
        ) as writer:
            extraction = _Extraction(extractor, BatchedEncoder(extractor, writer), sampling, decoder)
            for number, (source, label, split) in enumerate(zip(sources, wanted.labels, wanted.splits, strict=True), 1):
                extraction.extract_video(source, label, split, done.get(source.key))
                on_progress(extraction.progress(number, len(sources), time.monotonic() - began))
            extraction.encoder.flush()
            writer.publish()
        names = {s.key: pair for s, *pair in zip(sources, wanted.labels, wanted.splits, strict=True) if listed}
        features = place.publish(names)
    finally:
        place.tidy()
    if extraction.replaced:
        changed = some_names(extraction.replaced)
        _log.warning("%d videos took the place of others with the same key: %s", len(extraction.replaced), changed)
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
    replaced: list[str] = field(default_factory=list)
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
            kept = "; the rows of its earlier version are kept" if done is not None else ""
            self.failures.append(
                Failure(path=source.key, status="failed", reason=f"{error}{kept}", source=str(source.path))
            )
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
        if done is not None:
            self.replaced.append(source.key)

    def progress(self, done: int, total: int, seconds: float) -> Progress:
        """Say where the extraction stands."""
        figures = {"frames/s": self.num_new_frames / max(seconds, 1e-9), "failed": float(len(self.failures))}
        return Progress(done=done, total=total, unit="videos", figures=figures)


def _fingerprint(path: Path) -> tuple[int, str]:
    try:
        return path.stat().st_size, sha256_of_file(path)
    except OSError as error:
        raise VideoError(f"cannot be read ({error.strerror})") from error


def _partial_videos(features: Features | None, sources: Sequence[VideoSource]) -> list[Failure]:
    paths = {source.key: source.path for source in sources}
    return [
        Failure(path=row.path, status=row.status, reason=row.message, source=str(paths.get(row.path, "")))
        for row in (features.videos if features else [])
        if row.status == "partial"
    ]
