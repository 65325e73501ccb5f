"""The videos of one extraction: which are to be decoded, where their features go, and how each ended."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import VideoError
from ..features.annotations import MergedAnnotations
from ..features.failures import Failure
from ..features.store import Features
from ..features.table import VideoRow
from ..progress import Progress
from ..video.reading import DECODING_VERSION
from ..video.sources import VideoSource
from .encoding import BatchedEncoder
from .events import Event, FrameReady, Job, VideoEnded, VideoFailed, VideoUnchanged
from .parts import PartsWriter, Spool


class ExtractionWork:
    """One call's work on its videos: what to decode, where the features of each go, and how each ended.

    crop_names: what the extractor's preparation adds to a video's key for each of its sequences.
    done: the rows of the output so far, by key. writer: takes the new ones.
    unreadable: folders that cannot be searched: they count as failures, and rows of videos below them have a source.

    failures: videos that failed, and folders. notes: what is to be known of whole videos. replaced: keys of videos that
        took the place of others. decoded_anew: those of videos whose rows were of an earlier version of decoding.
        unchanged: those of rows that stay as they are.
    num_new, num_new_frames: videos computed, and features of them, those of all crops counted once.
    """

    def __init__(
        self,
        sources: Sequence[VideoSource],
        wanted: MergedAnnotations,
        crop_names: Sequence[str],
        done: Mapping[str, VideoRow],
        writer: PartsWriter,
        *,
        unreadable: Sequence[VideoSource] = (),
    ) -> None:
        self._sources, self._wanted, self._crop_names = sources, wanted, crop_names
        self._done, self._writer = done, writer
        self._spools: dict[int, Spool] = {}
        self._num_ended = 0
        self.notes: list[str] = []
        self._unreadable = unreadable
        self.failures = [
            Failure(path=folder.key, status="failed", reason=folder.unreadable, source=str(folder.path))
            for folder in unreadable
        ]
        self.replaced: list[str] = []
        self.decoded_anew: list[str] = []
        self.unchanged: set[str] = set()
        self.num_new = self.num_new_frames = 0
        self.decode_seconds = self.write_seconds = 0.0

    def jobs(self) -> Iterator[Job]:
        """Yield what is to be decoded: every video, for whether it is done depends on its bytes."""
        for number, source in enumerate(self._sources):
            version = min((row.decoding_version for row in self._rows_done(number)), default=DECODING_VERSION)
            yield Job(
                number,
                source.path.absolute(),
                source.key,
                self._fingerprint_done(number),
                version,
                frame_rate=source.frame_rate,
            )

    def _rows_done(self, number: int) -> list[VideoRow]:
        """Return the rows that are there of a source's crops."""
        keys = [self._sources[number].key + crop for crop in self._crop_names]
        return [self._done[key] for key in keys if key in self._done]

    def _fingerprint_done(self, number: int) -> tuple[int, str] | None:
        """Return size and SHA-256 of the source of which all crops are there, at its frame rate, if they are."""
        rows, frame_rate = self._rows_done(number), self._sources[number].frame_rate
        known = {(row.source_size, row.source_sha256) for row in rows if frame_rate in (None, row.fps)}
        # What an earlier version took for damage need not be one.
        is_doubtful = any(row.status == "partial" and row.decoding_version < DECODING_VERSION for row in rows)
        return known.pop() if len(rows) == len(self._crop_names) and len(known) == 1 and not is_doubtful else None

    def names(self) -> dict[str, tuple[str, str, str]]:
        """Return (label, split, group) by key, of every crop of every source."""
        names = zip(self._wanted.labels, self._wanted.splits, self._wanted.groups, strict=True)
        return {
            source.key + crop: of_video
            for source, of_video in zip(self._sources, names, strict=True)
            for crop in self._crop_names
        }

    def names_filled_in(self) -> dict[str, tuple[str, str, str]]:
        """Return (label, split, group) by key, of rows in the output; labels and splits that they have stay."""
        return {
            key: (self._done[key].label, self._done[key].split or split, group)
            for key, (_, split, group) in self.names().items()
            if key in self._done
        }

    def videos_without_source(self) -> set[str]:
        """Return the keys of the videos in the output that no source has any more."""
        below = tuple(f"{folder.key}/" for folder in self._unreadable)
        return {key for key in self._done.keys() - self.names().keys() if not key.startswith(below)}

    def take(self, event: Event | None, encoder: BatchedEncoder) -> bool:
        """Process an event of decoding, None if nothing came for a while; return whether a video ended with it."""
        if event is None:
            encoder.emit()
            return False
        if isinstance(event, FrameReady):
            if event.number not in self._spools:
                self._spools[event.number] = self._writer.new_spool()
            encoder.add_frame(event)
            return False
        self._num_ended += 1
        if isinstance(event, VideoUnchanged):
            self.unchanged |= {row.path for row in self._rows_done(event.number)}
        elif isinstance(event, VideoEnded):
            try:
                encoder.end_video(event)
            except VideoError as error:
                self._drop(event.number, "; ".join(filter(None, [str(error), event.report.message])))
        elif isinstance(event, VideoFailed):
            encoder.drop_video(event.number)
            self._drop(event.number, event.reason)
        return True

    def _drop(self, number: int, reason: str) -> None:
        if (spool := self._spools.pop(number, None)) is not None:
            self._writer.drop(spool)
        source = self._sources[number]
        kept = bool(self._rows_done(number))
        reason += "; the rows of its earlier version are kept" if kept else ""
        self.failures.append(Failure(path=source.key, status="failed", reason=reason, source=str(source.path)))

    def add_features(self, number: int, features: NDArray[Any], seconds: NDArray[np.float64]) -> None:
        """Take the next features of a video; those of one that failed meanwhile are dropped."""
        if (spool := self._spools.get(number)) is not None:
            began = time.perf_counter()
            spool.append(features, seconds)
            self._writer.publish_if_due()
            self.write_seconds += time.perf_counter() - began

    def end_video(self, ended: VideoEnded) -> None:
        """Pass a finished video on to the parts."""
        began = time.perf_counter()
        source, report = self._sources[ended.number], ended.report
        rows = [
            VideoRow(
                source.key + crop,
                label=self._wanted.labels[ended.number],
                split=self._wanted.splits[ended.number],
                group=self._wanted.groups[ended.number],
                fps=report.fps,
                num_frames_from_header=report.num_frames_from_header,
                status=report.status,
                message=report.message,
                source_size=ended.size,
                source_sha256=ended.sha256,
                decoding_version=DECODING_VERSION,
            )
            for crop in self._crop_names
        ]
        spool = self._spools.pop(ended.number)
        self.num_new += 1
        self.num_new_frames += spool.num_rows
        self._writer.add_video(rows, spool)
        self.decode_seconds += ended.cpu_seconds
        if report.status == "ok" and report.message:
            self.notes.append(f"{source.key}: {report.message}")
        if there := self._rows_done(ended.number):
            is_same = {row.source_sha256 for row in there} == {ended.sha256}
            (self.decoded_anew if is_same else self.replaced).append(source.key)
        self.write_seconds += time.perf_counter() - began

    def sorted_failures(self) -> list[Failure]:
        """Return the videos that failed, in the order of their keys."""
        return sorted(self.failures, key=lambda failure: failure.path)

    def partial_videos(self, features: Features | None) -> list[Failure]:
        """List each partial video of the output once, however many crops it has."""
        sources = {source.key + crop: source for source in self._sources for crop in self._crop_names}
        found: dict[str, Failure] = {}
        for row in features.videos if features else ():
            if row.status == "partial":
                source = sources.get(row.path)
                key, path = (source.key, str(source.path)) if source else (row.path, "")
                found.setdefault(key, Failure(path=key, status=row.status, reason=row.message, source=path))
        return list(found.values())

    def progress(self, seconds: float) -> Progress:
        """Return how far the extraction has come."""
        num_frames = self.num_new_frames + sum(spool.num_rows for spool in self._spools.values())
        metrics = {"frames/s": num_frames / max(seconds, 1e-9), "failed": float(len(self.failures))}
        return Progress(done=self._num_ended, total=len(self._sources), unit="videos", metrics=metrics)
