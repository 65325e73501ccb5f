"""The videos of one extraction: which are to be decoded, where their features go, and how each ended."""

import time
from collections.abc import Iterator, Sequence
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

    crop_names: what the extractor's preparation adds to a video's path for each of its sequences.
    before: the rows of the output so far, the oldest first. writer: takes the new ones.
    unreadable: folders that cannot be searched: they count as failures.

    contents: the SHA-256 of each source that could be read, by number.
    failures: videos that failed, and folders. notes: what is to be known of whole videos. decoded_anew: keys of videos
        whose rows were of an earlier version of decoding.
    num_new, num_new_frames: videos computed, and features of them, those of all crops counted once.
    """

    def __init__(
        self,
        sources: Sequence[VideoSource],
        wanted: MergedAnnotations,
        crop_names: Sequence[str],
        before: Sequence[VideoRow],
        writer: PartsWriter,
        *,
        unreadable: Sequence[VideoSource] = (),
    ) -> None:
        self._sources, self._wanted, self._crop_names = sources, wanted, crop_names
        self._writer = writer
        self._places = {(row.root, row.source_key) for row in before} | {("", row.source_key) for row in before}
        self._contents_before = {row.source_sha256 for row in before}
        self._spools: dict[int, Spool] = {}
        self._num_ended = 0
        self.contents: dict[int, str] = {}
        self.notes: list[str] = []
        self.failures = [
            Failure(path=folder.key, status="failed", reason=folder.unreadable, source=str(folder.path))
            for folder in unreadable
        ]
        self.decoded_anew: list[str] = []
        self.num_new = self.num_new_frames = 0
        self.decode_seconds = self.write_seconds = 0.0

    def jobs(self) -> Iterator[Job]:
        """Yield what is to be decoded: every video, for whether it is done depends on its bytes."""
        for number, source in enumerate(self._sources):
            yield Job(number, source.path.absolute(), frame_rate=source.frame_rate)

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
            self.contents[event.number] = event.sha256
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
        reason += "; the rows of its earlier version are kept" if source.place in self._places else ""
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
                source.place[1] + crop,
                root=source.root,
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
        self.contents[ended.number] = ended.sha256
        if ended.sha256 in self._contents_before:
            self.decoded_anew.append(source.key)
        self.write_seconds += time.perf_counter() - began

    def sorted_failures(self) -> list[Failure]:
        """Return the videos that failed, in the order of their keys."""
        return sorted(self.failures, key=lambda failure: failure.path)

    def partial_videos(self, features: Features | None) -> list[Failure]:
        """List each partial video of the output once, however many crops it has."""
        numbers = {content: number for number, content in self.contents.items()}
        found: dict[str, Failure] = {}
        for row in features.videos if features else ():
            if row.status == "partial":
                number = numbers.get(row.source_sha256)
                path = "" if number is None else str(self._sources[number].path)
                failure = Failure(path=row.source_key, status=row.status, reason=row.message, source=path)
                found.setdefault(row.source_key, failure)
        return list(found.values())

    def progress(self, seconds: float) -> Progress:
        """Return how far the extraction has come."""
        num_frames = self.num_new_frames + sum(spool.num_rows for spool in self._spools.values())
        rate = {"frames/s": num_frames / max(seconds, 1e-9)} if num_frames else {}
        metrics = rate | {"failed": float(len(self.failures))}
        return Progress(done=self._num_ended, total=len(self._sources), unit="videos", metrics=metrics)
