"""A video becomes prepared frames and one end, or the reason why not; a video that is done is not decoded."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fixture_types import MakeClip

from vidrep.extraction.decoding import decode_video
from vidrep.extraction.events import Decoding, FrameReady, Job, KnownContent, VideoEnded, VideoFailed, VideoUnchanged
from vidrep.extraction.preparation import Preparation
from vidrep.extraction.workers import decode
from vidrep.files import sha256_of_file
from vidrep.video.decoders import open_video
from vidrep.video.reading import DECODING_VERSION
from vidrep.video.sampling import Sampling

CROPS = Decoding(preparation=Preparation(side=8, crops=2, seed=4), sampling=Sampling())


@pytest.fixture
def job(clip: MakeClip, tmp_path: Path) -> Job:
    return Job(5, clip(tmp_path / "a.mp4", num_frames=6), "left/a.mp4", None)


def frames_and_end(job: Job, decoding: Decoding) -> tuple[list[FrameReady], VideoEnded]:
    """Decode a video that can be used: all its frames, then the one end."""
    *events, end = decode_video(job, decoding)
    assert isinstance(end, VideoEnded)
    frames = [event for event in events if isinstance(event, FrameReady)]
    assert frames == events
    return frames, end


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(every=2)], ids=["all", "every second"])
def test_a_video_becomes_its_prepared_frames(job: Job, sampling: Sampling) -> None:
    frames, end = frames_and_end(job, replace(CROPS, sampling=sampling))
    prepare = CROPS.preparation.for_video("left/a.mp4")  # crops are those of the key, not of the path
    with open_video(job.path) as video:
        expected = [(prepare(frame.rgb), frame.seconds) for frame in video.frames(sampling)]
        report = video.report()
    assert len(expected) == (6 if sampling == Sampling() else 3)
    np.testing.assert_array_equal([frame.prepared for frame in frames], [pixels for pixels, _ in expected])
    assert [(frame.number, frame.seconds) for frame in frames] == [(5, seconds) for _, seconds in expected]
    assert end == VideoEnded(5, job.path.stat().st_size, sha256_of_file(job.path), report, end.cpu_seconds)


def test_a_video_that_is_done_is_not_decoded(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    sha256, content = sha256_of_file(job.path), KnownContent(DECODING_VERSION, fps=5.0)
    other = replace(CROPS, known={sha256[::-1]: content})
    assert isinstance(list(decode_video(job, other))[-1], VideoEnded)
    monkeypatch.setattr("vidrep.extraction.decoding.open_video", None)  # it is not to be called
    assert list(decode_video(job, replace(CROPS, known={sha256: content}))) == [VideoUnchanged(5, sha256)]


def test_a_bad_video_is_said_to_be_bad_and_the_next_one_comes(job: Job, tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no video")
    jobs = [
        Job(number, tmp_path / name, name, None) for number, name in enumerate(["absent", "empty.mp4", "text.mp4", ""])
    ]
    events = [event for event in decode([*jobs, job], CROPS) if event is not None]
    failed = [event for event in events[:4] if isinstance(event, VideoFailed)]
    assert [event.number for event in failed] == [0, 1, 2, 3]
    assert failed[0].reason == "cannot be read (No such file or directory)"
    assert failed[1].reason == "the file is empty (0 bytes)"
    assert failed[3].reason.startswith("a folder, but none of frames: ")
    assert not any("\n" in event.reason for event in failed)
    assert [event.number for event in events[4:]] == [5] * 7
    assert isinstance(events[-1], VideoEnded)


def test_a_damaged_video_is_partial(clip: MakeClip, tmp_path: Path) -> None:
    path = clip(tmp_path / "a.mp4", num_frames=40, side=64)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2000] = bytes(2000)
    path.write_bytes(data)
    frames, end = frames_and_end(Job(0, path, "b", None), CROPS)
    assert 5 < len(frames) <= 40
    assert (end.report.status, end.sha256) == ("partial", sha256_of_file(path))


def test_life_is_shown_while_hashing_and_for_every_packet(job: Job) -> None:
    job.path.write_bytes(job.path.read_bytes() + bytes(3 << 20))  # players skip what is after the end
    signs: list[None] = []
    at_frames: list[int] = []
    for event in decode_video(job, CROPS, on_progress=lambda: signs.append(None)):
        at_frames += [len(signs)] if isinstance(event, FrameReady) else []
    assert at_frames[0] >= 4  # blocks of 1 MB were hashed before the first frame
    assert len(signs) >= 4 + 6
    assert len(set(at_frames)) > 1 or len(signs) > at_frames[0]


def test_what_others_do_between_two_frames_is_not_counted(job: Job) -> None:
    def burn() -> None:
        until = time.thread_time() + 0.1
        while time.thread_time() < until:
            pass

    for event in decode_video(job, CROPS):
        if isinstance(event, FrameReady):
            burn()
    assert isinstance(event, VideoEnded)
    assert 0 < event.cpu_seconds < 0.3  # of 0.6 that were burnt


def test_jobs_are_taken_one_at_a_time(job: Job) -> None:
    """They may be worked out from what came before; with workers, a worker takes its next when it has done with one."""
    taken: list[int] = []

    def jobs() -> Iterator[Job]:
        for number in range(3):
            taken.append(number)
            yield replace(job, number=number)

    seen = [(event.number, list(taken)) for event in decode(jobs(), CROPS) if event is not None]
    assert [number for number, _ in seen] == [0] * 7 + [1] * 7 + [2] * 7
    assert all(taken_then == list(range(number + 1)) for number, taken_then in seen)
