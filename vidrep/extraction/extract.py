"""Videos to a feature file: by parts, skipping what is done, one bad video never stopping the rest."""

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, Stopped, some_names
from ..features.annotations import Annotation, MergedAnnotations, merge
from ..features.failures import Failure, write_failures
from ..features.store import Features
from ..features.table import VideoRow
from ..features.versions import library_versions
from ..locking import locking_output
from ..machine import torch_on_one_core
from ..progress import Progress, ProgressListener, ignore_progress
from ..video.reading import require_decoder
from ..video.sampling import Sampling
from ..video.sources import VideoSource
from .decoding import DEFAULT_TIMEOUT, Decoding, Event, FrameReady, Job, VideoEnded, VideoFailed, decode
from .encoding import BatchedEncoder, network_threads
from .extractor import Extractor
from .output import ExtractionOutput
from .parts import PartsWriter, Spool
from .rates import StageRates

_log = logging.getLogger(__name__)

_VERSIONED_PACKAGES = ("av", "numpy", "opencv-python", "torch", "torchvision")


@dataclass(frozen=True, kw_only=True)
class ExtractSummary:
    """What an extraction did.

    num_videos, num_frames: in the output now; frames of all views. num_new, num_new_frames: computed by this call.
    num_removed: videos that went because their source is gone. seconds: it took. rates: of its stages.
    failures: videos that are not, or not wholly, in the output; they stand in `failures_file` too.
    missing, unlisted: videos that labels or splits name and that are not there, and the other way round.
    """

    output: Path
    num_videos: int
    num_frames: int
    num_new: int
    num_new_frames: int
    num_removed: int
    seconds: float
    rates: StageRates
    failures: list[Failure]
    failures_file: Path
    missing: list[str]
    unlisted: list[str]


def extract(
    sources: Sequence[VideoSource],
    output: Path | str,
    extractor: Extractor | Callable[[], Extractor],
    *,
    sampling: Sampling | None = None,
    decoder: str = "pyav",
    annotations: Mapping[str, Annotation] | None = None,
    overwrite: bool = False,
    prune: bool = False,
    workers: int = 0,
    threads: int = 1,
    timeout: float = DEFAULT_TIMEOUT,
    should_stop: Callable[[], bool] = lambda: False,
    on_progress: ProgressListener = ignore_progress,
) -> ExtractSummary:
    """Compute the features of every kept frame of every video and write them to `output`.

    output: a feature file (.h5), or a folder in which the parts stay as they are. Videos that stand in it already, with
        the same bytes and made with the same settings, are not computed again; so a killed extraction goes on.
    extractor: or what makes it, which is called once the output is known to be free.
    listed: labels and splits laid over those of the sources (see `vidrep.features.annotations`).
    overwrite: compute all anew; what `output` holds is replaced at the end.
    prune: drop videos from `output` that are not among the sources any more.
    workers, timeout: decoding processes, see `vidrep.extraction.decoding.decode`; 0 decodes in this process. If there
        are any, the calling script needs the usual `if __name__ == "__main__"`.
    threads: batches that a network on the CPU computes at the same time.
    should_stop: looked up often; once it says yes, finished videos are kept and Stopped is raised.

    The bytes of a feature file depend neither on workers nor on threads (in a folder, which part a video is in does). A
    video that cannot be read is listed among the failures; rows that an earlier call computed for it stay, unless
    `overwrite` is given.
    Raises OutputError if `output` is being written by another process, was made with other settings, is something else
    or cannot be written; InputError if there is no video or none could be read, with `output` as it was.
    """
    began = time.monotonic()
    if not sources:
        raise InputError("there is no video to extract; name files, folders or patterns")
    require_decoder(decoder)
    check_stop = _raising_stopped(should_stop)
    # A link's two names are one output, with one lock.
    output = Path(os.path.realpath(output)) if Path(output).is_symlink() else Path(output)
    with locking_output(output):
        place = ExtractionOutput(output, start_over=overwrite)
        place.recover()
        extractor = extractor() if callable(extractor) else extractor
        decoding = Decoding(preparation=extractor.preparation, sampling=sampling or Sampling(), decoder=decoder)
        settings = {**extractor.settings, "sampling": asdict(decoding.sampling), "decoder": decoder}
        done = place.done(settings)
        wanted = merge([s.key for s in sources], [s.label for s in sources], ["" for _ in sources], annotations or {})
        num_threads = network_threads(extractor, threads)
        num_workers = min(workers, len(sources))
        try:
            with PartsWriter(
                place.parts,
                settings=settings,
                versions=library_versions(*_VERSIONED_PACKAGES),
                num_views=len(extractor.preparation.views),
                frame_shape=extractor.frame_shape,
                dtype=extractor.dtype,
            ) as writer:
                work = _Work(sources, wanted, extractor.preparation.views, done, writer)
                if not num_workers:
                    decoding.preparation.load()
                with (
                    torch_on_one_core(),
                    BatchedEncoder(extractor, work, num_threads=num_threads, check_stop=check_stop) as encoder,
                    closing(
                        decode(work.jobs(), decoding, workers=num_workers, timeout=timeout, check_stop=check_stop)
                    ) as events,
                ):
                    for event in events:
                        check_stop()
                        if work.take(event, encoder):
                            on_progress(work.progress(time.monotonic() - began))
                    encoder.flush()
            publishing = time.monotonic()
            gone = work.videos_without_source() if prune else set[str]()
            features = place.publish(work.names() if annotations else {}, without=gone, check_stop=check_stop)
            publish_seconds = time.monotonic() - publishing
        except Stopped:
            write_failures(place.failures, work.sorted_failures())
            raise
        finally:
            place.cleanup()
        if work.replaced:
            changed = some_names(sorted(work.replaced))
            _log.warning("%d videos took the place of others with the same key: %s", len(work.replaced), changed)
        failures = work.sorted_failures() + work.partial_videos(features)
        write_failures(place.failures, failures)
    if features is None:
        raise InputError(
            f"none of the {len(sources)} videos could be read; {failures[0].path}: {failures[0].reason} "
            f"(every reason is in {place.failures})"
        )
    on_cpu = extractor.network_device == "cpu"
    num_views = len(extractor.preparation.views)
    part_of_new = work.num_new_frames * num_views / max(1, features.num_frames)
    return ExtractSummary(
        output=place.output,
        num_videos=len(features) // num_views,
        num_frames=features.num_frames,
        num_new=work.num_new,
        num_new_frames=work.num_new_frames,
        num_removed=len(gone) // num_views,
        seconds=time.monotonic() - began,
        rates=StageRates.of(
            num_frames=work.num_new_frames,
            workers=num_workers,
            decode_seconds=work.decode_seconds,
            network_threads=num_threads,
            network_seconds=encoder.cpu_seconds if on_cpu else encoder.wall_seconds,
            network_shares_cores=on_cpu,
            write_seconds=work.write_seconds + publish_seconds * min(1.0, part_of_new),
        ),
        failures=failures,
        failures_file=place.failures,
        missing=wanted.missing,
        unlisted=wanted.unlisted,
    )


def _raising_stopped(should_stop: Callable[[], bool]) -> Callable[[], None]:
    def check_stop() -> None:
        if should_stop():
            raise Stopped("stopped as asked; what is finished is kept, and the same command goes on")

    return check_stop


class _Work:
    """One call's work on its videos: what to decode, where the features of each go, and what became of each."""

    def __init__(
        self,
        sources: Sequence[VideoSource],
        wanted: MergedAnnotations,
        views: Sequence[str],
        done: Mapping[str, VideoRow],
        writer: PartsWriter,
    ) -> None:
        self._sources, self._wanted, self._views, self._done, self._writer = sources, wanted, views, done, writer
        self._spools: dict[int, Spool] = {}
        self._num_seen = 0
        self.failures: list[Failure] = []
        self.replaced: list[str] = []
        self.num_new = self.num_new_frames = 0
        self.decode_seconds = self.write_seconds = 0.0

    def jobs(self) -> Iterator[Job]:
        """Yield what is to be decoded: every video, for only its bytes tell whether it is done."""
        for number, source in enumerate(self._sources):
            yield Job(number, source.path.absolute(), source.key, self._fingerprint_done(source.key))

    def _fingerprint_done(self, key: str) -> tuple[int, str] | None:
        """Return size and SHA-256 of the source of which all views are there, if they are."""
        rows = [self._done.get(key + view) for view in self._views]
        known = {(row.source_size, row.source_sha256) for row in rows if row is not None}
        return known.pop() if None not in rows and len(known) == 1 else None

    def names(self) -> dict[str, tuple[str, str]]:
        """Return (label, split) by key, of every view of every source."""
        pairs = zip(self._wanted.labels, self._wanted.splits, strict=True)
        return {
            source.key + view: pair for source, pair in zip(self._sources, pairs, strict=True) for view in self._views
        }

    def videos_without_source(self) -> set[str]:
        """Return the keys of the videos in the output that no source has any more."""
        return self._done.keys() - self.names().keys()

    def take(self, event: Event | None, encoder: BatchedEncoder) -> bool:
        """Do what an event asks for; return whether it is the last of a video."""
        if event is None:
            encoder.emit()
            return False
        if isinstance(event, FrameReady):
            if event.number not in self._spools:
                self._spools[event.number] = self._writer.new_spool()
            encoder.add_frame(event)
            return False
        self._num_seen += 1
        if isinstance(event, VideoEnded):
            encoder.end_video(event)
        elif isinstance(event, VideoFailed):
            self._drop(event)
        return True

    def _drop(self, failed: VideoFailed) -> None:
        if (spool := self._spools.pop(failed.number, None)) is not None:
            self._writer.drop(spool)
        source = self._sources[failed.number]
        kept = any(source.key + view in self._done for view in self._views)
        reason = failed.reason + ("; the rows of its earlier version are kept" if kept else "")
        self.failures.append(Failure(path=source.key, status="failed", reason=reason, source=str(source.path)))

    def add_features(self, number: int, features: NDArray[Any], seconds: NDArray[np.float64]) -> None:
        """Take the next frames of a video; those of one that failed meanwhile go nowhere."""
        if (spool := self._spools.get(number)) is not None:
            began = time.perf_counter()
            spool.append(features, seconds)
            self._writer.publish_if_due()
            self.write_seconds += time.perf_counter() - began

    def end_video(self, ended: VideoEnded) -> None:
        """Hand a finished video to the parts."""
        began = time.perf_counter()
        source, report = self._sources[ended.number], ended.report
        rows = [
            VideoRow(
                source.key + view,
                label=self._wanted.labels[ended.number],
                split=self._wanted.splits[ended.number],
                fps=report.fps,
                num_frames_from_header=report.num_frames_from_header,
                status=report.status,
                message=report.message,
                source_size=ended.size,
                source_sha256=ended.sha256,
            )
            for view in self._views
        ]
        spool = self._spools.pop(ended.number)
        self.num_new += 1
        self.num_new_frames += spool.num_rows
        self._writer.add_video(rows, spool)
        self.decode_seconds += ended.cpu_seconds
        if any(row.path in self._done for row in rows):
            self.replaced.append(source.key)
        self.write_seconds += time.perf_counter() - began

    def sorted_failures(self) -> list[Failure]:
        """Return the videos that failed, in the order of their keys."""
        return sorted(self.failures, key=lambda failure: failure.path)

    def partial_videos(self, features: Features | None) -> list[Failure]:
        """List each partial video of the output once, however many views it has."""
        sources = {source.key + view: source for source in self._sources for view in self._views}
        found: dict[str, Failure] = {}
        for row in features.videos if features else ():
            if row.status == "partial":
                source = sources.get(row.path)
                key, path = (source.key, str(source.path)) if source else (row.path, "")
                found.setdefault(key, Failure(path=key, status=row.status, reason=row.message, source=path))
        return list(found.values())

    def progress(self, seconds: float) -> Progress:
        """Say where the extraction stands."""
        num_frames = self.num_new_frames + sum(spool.num_rows for spool in self._spools.values())
        metrics = {"frames/s": num_frames / max(seconds, 1e-9), "failed": float(len(self.failures))}
        return Progress(done=self._num_seen, total=len(self._sources), unit="videos", metrics=metrics)
