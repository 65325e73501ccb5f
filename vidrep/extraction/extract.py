"""Videos to a feature file: by parts, skipping what is done; a bad video does not stop the rest."""

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import InputError, Stopped, some_names
from ..features.annotations import Annotation, merge, require_distinct_classes
from ..features.failures import Failure, write_failures
from ..features.groups import GroupRule
from ..features.settings import Settings
from ..features.store import Features
from ..features.versions import library_versions
from ..locking import locking_output
from ..machine import available_cores, torch_on_one_core, tune_malloc
from ..progress import ProgressListener, ignore_progress
from ..video.sampling import Sampling
from ..video.sources import VideoSource
from .compatibility import settings_to_record
from .encoding import BatchedEncoder, network_threads
from .events import Decoding, KnownContent
from .extractors.extractor import Extractor, require_complete
from .output import ExtractionOutput
from .parts import PartsWriter
from .placement import Changes, Placement, known_contents
from .rates import StageRates
from .work import ExtractionWork
from .worker_process import end_worker_without_main_guard
from .workers import DEFAULT_TIMEOUT, decode, default_workers

_log = logging.getLogger(__name__)

_VERSIONED_PACKAGES = ("av", "numpy", "opencv-python", "torch", "torchvision")


@dataclass(frozen=True, kw_only=True)
class ExtractSummary:
    """What an extraction did.

    num_videos, num_frames: in the output now; num_frames counts rows, those of every crop. num_new, num_new_frames:
        videos computed by this call, and features of them, those of all crops counted once.
    num_removed: videos dropped because their source is gone. changes: what is not as it was. seconds: how long it took,
        once the extractor was made. rates: of its stages.
    failures: videos that are not, or not wholly, in the output; `failures_file` lists them too.
    missing, unlisted: videos that labels or splits name and that are not there, and the other way round.
    """

    output: Path
    num_videos: int
    num_frames: int
    num_new: int
    num_new_frames: int
    num_removed: int
    changes: Changes
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
    video_stream: int | None = None,
    annotations: Mapping[str, Annotation] | None = None,
    group_pattern: str | None = None,
    overwrite: bool = False,
    prune: bool = False,
    workers: int | None = None,
    threads: int | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    should_stop: Callable[[], bool] = lambda: False,
    on_progress: ProgressListener = ignore_progress,
) -> ExtractSummary:
    """Compute the features of every kept frame of every video and write them to `output`.

    output: a feature file (.h5), or a folder in which the parts stay as they are. Videos whose features it holds
        already, made of the same bytes with the same settings, are not computed again; so a killed extraction goes on.
    extractor: or a function that makes it, which is called once the output is locked.
    video_stream: which of the video streams of each file, see `vidrep.video.decoders.open_video`.
    annotations: labels and splits that replace those of the sources (see `vidrep.features.annotations`).
    group_pattern: a regular expression for keys, which gives a group to the videos that the annotations give none (see
        `vidrep.features.groups.groups_by_pattern`).
    overwrite: compute all anew; what `output` holds is replaced at the end.
    prune: drop videos from `output` whose source is gone: what lay in a folder that was searched whole, and is not
        there now. Without it their rows are kept, marked as missing, and used by nothing until the source is back.
    workers, timeout: decoding processes, see `vidrep.extraction.workers.decode`; None starts one a core, 0 decodes in
        this process. A script that starts some needs its calls under `if __name__ == "__main__":`.
    threads: batches that a network on the CPU computes at the same time; None: one a core.
    should_stop: called often; once it returns True, finished videos are kept and Stopped is raised.

    The bytes of a feature file depend neither on workers nor on threads (in a folder, which part a video is in does). A
    video that cannot be read is listed among the failures; rows that an earlier call computed for it stay, unless
    `overwrite` is given.

    Raises OutputError if `output` is being written by another process, was made with other settings, is something else
    or cannot be written; InputError if there is no video or none could be read, with `output` as it was; ConfigError
    for an extractor that does not keep to its interface; VidrepError if workers cannot start.
    """
    end_worker_without_main_guard()
    if not sources:
        raise InputError("there is no video to extract; name files, folders or patterns")
    tune_malloc()
    check_stop = _raising_stopped(should_stop)
    # A link's two names are one output, with one lock.
    output = Path(os.path.realpath(output)) if Path(output).is_symlink() else Path(output)
    with locking_output(output):
        destination = ExtractionOutput(output, start_over=overwrite)
        destination.recover()
        extractor = extractor if isinstance(extractor, Extractor) else extractor()
        require_complete(extractor)
        pipeline = _Pipeline(
            extractor,
            Decoding(preparation=extractor.preparation, sampling=sampling or Sampling(), stream=video_stream),
            workers=default_workers(len(sources)) if workers is None else min(workers, len(sources)),
            threads=network_threads(extractor, available_cores() if threads is None else threads),
            timeout=timeout,
            check_stop=check_stop,
        )
        try:
            return _extract_into(
                destination,
                sources,
                pipeline,
                annotations=annotations or {},
                group_pattern=group_pattern,
                prune=prune,
                on_progress=on_progress,
            )
        finally:
            destination.cleanup()


def _extract_into(
    destination: ExtractionOutput,
    sources: Sequence[VideoSource],
    pipeline: "_Pipeline",
    *,
    annotations: Mapping[str, Annotation],
    group_pattern: str | None,
    prune: bool,
    on_progress: ProgressListener,
) -> ExtractSummary:
    began = time.monotonic()
    settings = pipeline.settings()
    before = destination.rows(settings)
    videos = [source for source in sources if not source.unreadable]
    wanted = merge(
        [video.key for video in videos],
        [video.label for video in videos],
        [video.split for video in videos],
        annotations,
        paths=[str(video.path.absolute()) for video in videos],
    )
    require_distinct_classes(wanted.labels)
    wanted.log()
    groups = GroupRule(group_pattern).fill_in(wanted.groups, [video.key for video in videos], wanted.labels)
    wanted = replace(wanted, groups=groups)
    writer = PartsWriter(
        destination.parts,
        settings=settings,
        versions=library_versions(*_VERSIONED_PACKAGES),
        num_crops=pipeline.num_crops,
        frame_shape=pipeline.extractor.frame_shape,
        dtype=pipeline.extractor.dtype,
    )
    crop_names = pipeline.extractor.preparation.crop_names
    folders = [source for source in sources if source.unreadable]
    work = ExtractionWork(videos, wanted, crop_names, before, writer, unreadable=folders)
    try:
        with writer:
            known = known_contents(before, crop_names)
            pipeline.run(work, known, lambda: on_progress(work.progress(time.monotonic() - began)))
        publishing = time.monotonic()
        placement = Placement(videos, wanted, work.contents, before)
        edited = placement.edited_without_missing if prune else placement.edited
        features = destination.publish(edited, settings=settings, check_stop=pipeline.check_stop)
        num_removed = sum(edited(row) is None for row in before if placement.edited(row) is not None)
        publish_seconds = time.monotonic() - publishing
    except Stopped:
        write_failures(destination.failures, work.sorted_failures())
        raise
    failures = sorted(work.sorted_failures() + placement.conflicts, key=lambda failure: failure.path)
    failures += work.partial_videos(features)
    write_failures(destination.failures, failures)
    changes = placement.changes
    if changes.replaced:
        count, keys = len(changes.replaced), some_names(changes.replaced)
        _log.warning("%d videos took the place of others with the same key: %s", count, keys)
    if work.notes:
        _log.warning("%d videos are whole, but note: %s", len(work.notes), some_names(sorted(work.notes)))
    if work.decoded_anew:
        count, keys = len(work.decoded_anew), some_names(sorted(work.decoded_anew))
        _log.warning("%d videos were decoded again, as this vidrep reads them otherwise: %s", count, keys)
    if changes.missing and not prune:
        count, keys = len(changes.missing), some_names(changes.missing)
        _log.warning(
            "%d videos are gone: %s; their rows are kept, but not used, until they are back, or --prune drops them",
            count,
            keys,
        )
    if features is None:
        what = "are to be used, as they contradict each other" if placement.conflicts else "could be read"
        reasons = f"; {failures[0].path}: {failures[0].reason} (every reason is in {destination.failures})"
        raise InputError(f"none of the {len(videos)} videos {what}{reasons if failures else ''}")
    return ExtractSummary(
        output=destination.output,
        num_videos=len(features) // pipeline.num_crops,
        num_frames=features.num_frames,
        num_new=work.num_new,
        num_new_frames=work.num_new_frames,
        num_removed=num_removed // pipeline.num_crops,
        changes=changes,
        seconds=time.monotonic() - began,
        rates=pipeline.rates(work, features, publish_seconds),
        failures=failures,
        failures_file=destination.failures,
        missing=wanted.missing,
        unlisted=wanted.unlisted,
    )


def _raising_stopped(should_stop: Callable[[], bool]) -> Callable[[], None]:
    def check_stop() -> None:
        if should_stop():
            raise Stopped("stopped as asked; what is finished is kept, and the same command goes on")

    return check_stop


class _Pipeline:
    """The stages from video to features: decoding, in workers or in this process, and the extractor."""

    def __init__(
        self,
        extractor: Extractor,
        decoding: Decoding,
        *,
        workers: int,
        threads: int,
        timeout: float,
        check_stop: Callable[[], None],
    ) -> None:
        self.extractor, self.check_stop = extractor, check_stop
        self._decoding, self._workers, self._threads, self._timeout = decoding, workers, threads, timeout
        self._network_seconds = 0.0

    @property
    def num_crops(self) -> int:
        return self.extractor.preparation.num_crops

    def settings(self) -> Settings:
        """Return what a feature file records of how its features were made."""
        return settings_to_record(self.extractor, sampling=self._decoding.sampling, video_stream=self._decoding.stream)

    def run(self, work: ExtractionWork, known: Mapping[str, KnownContent], on_video: Callable[[], None]) -> None:
        """Pass all videos of the work through, those of known content undecoded; call `on_video` after each."""
        if not self._workers:
            self._decoding.preparation.load()
        check_stop = self.check_stop
        events = decode(
            work.jobs(),
            replace(self._decoding, known=known),
            workers=self._workers,
            timeout=self._timeout,
            check_stop=check_stop,
        )
        with (
            torch_on_one_core(),
            BatchedEncoder(self.extractor, work, num_threads=self._threads, check_stop=check_stop) as encoder,
            closing(events),
        ):
            for event in events:
                check_stop()
                if work.take(event, encoder):
                    on_video()
            encoder.flush()
        self._network_seconds = encoder.cpu_seconds if self._on_cpu else encoder.wall_seconds

    @property
    def _on_cpu(self) -> bool:
        return self.extractor.network_device == "cpu"

    def rates(self, work: ExtractionWork, features: Features, publish_seconds: float) -> StageRates:
        """Return the rates of the stages in the work; publishing counts for as many rows as are new in it."""
        share_of_new = work.num_new_frames * self.num_crops / max(1, features.num_frames)
        return StageRates.of(
            num_frames=work.num_new_frames,
            workers=self._workers,
            decode_seconds=work.decode_seconds,
            network_threads=self._threads,
            network_seconds=self._network_seconds,
            network_shares_cores=self._on_cpu,
            write_seconds=work.write_seconds + publish_seconds * min(1.0, share_of_new),
        )
