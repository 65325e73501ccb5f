"""Decoding workers give what one process gives; none of them can harm another's video or outlive its purpose."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixture_types import MakeClip
from misbehaving import Misbehaving, WithoutStart
from numpy.typing import NDArray

from vidrep.errors import ResourceError
from vidrep.extraction.events import (
    Decoding,
    Event,
    FrameReady,
    Job,
    KnownContent,
    VideoEnded,
    VideoFailed,
    VideoUnchanged,
)
from vidrep.extraction.preparation import Preparation
from vidrep.extraction.workers import decode, default_workers
from vidrep.files import sha256_of_file
from vidrep.video.reading import DECODING_VERSION
from vidrep.video.sampling import Sampling

# So large that a slot of shared memory has room for one frame of them; the fast way, for torch takes long to import.
LARGE: dict[str, Any] = {"side": 600, "resize": "fast"}
NUM_SLOTS = 4

# Of each video: its frames, their seconds, and how it ended.
Collected = dict[int, tuple[NDArray[np.uint8], list[float], Event]]


def decoding(preparation: Preparation) -> Decoding:
    return Decoding(preparation=preparation, sampling=Sampling())


def jobs_of(folder: Path, keys: list[str] | None = None) -> list[Job]:
    paths = sorted(folder.rglob("*.mp4"))
    assert len(paths) == 6
    keys = keys or [str(path) for path in paths]
    return [Job(number, path, key, None) for number, (path, key) in enumerate(zip(paths, keys, strict=False))]


def collected(
    events: Iterable[Event | None], on_frame: Callable[[FrameReady], object] = lambda event: None
) -> Collected:
    """Return {number: (frames, seconds, how it ended)}; frames are copied while they are good."""
    frames: dict[int, list[NDArray[np.uint8]]] = defaultdict(list)
    seconds: dict[int, list[float]] = defaultdict(list)
    ends: dict[int, Event] = {}
    for event in events:
        if isinstance(event, FrameReady):
            assert event.number not in ends
            on_frame(event)
            frames[event.number].append(event.prepared.copy())
            seconds[event.number].append(event.seconds)
        elif event is not None:
            assert event.number not in ends
            ends[event.number] = replace(event, cpu_seconds=0.0) if isinstance(event, VideoEnded) else event
    return {number: (np.array(frames[number]), seconds[number], end) for number, end in ends.items()}


def assert_same(found: Collected, expected: Collected) -> None:
    assert found.keys() == expected.keys()
    for number, (frames, seconds, end) in expected.items():
        np.testing.assert_array_equal(found[number][0], frames)
        assert found[number][1:] == (seconds, end)


def is_running(pid: int | None) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def is_as_large(path: Path, num_bytes: int) -> bool:
    return path.stat().st_size >= num_bytes


def wait_until(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("workers", "preparation"),
    [
        (1, Preparation(side=16, region="center", color=False)),  # many frames a slot; torch's resizing
        (3, Preparation(**LARGE)),  # one frame a slot: every slot goes round
        (2, Preparation(side=8, crops=3, resize="fast")),
    ],
    ids=["1", "3", "2, crops"],
)
def test_workers_give_what_one_process_gives(
    clips_folder: Path, tmp_path: Path, workers: int, preparation: Preparation
) -> None:
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    jobs = jobs_of(clips_folder)
    done = jobs[2].path
    known = {sha256_of_file(done): KnownContent(DECODING_VERSION, 5.0)}
    jobs += [Job(6, tmp_path / "broken.mp4", "b", None), Job(7, tmp_path / "absent.mp4", "c", None)]
    how = replace(decoding(preparation), known=known)
    expected = collected(decode(jobs, how))
    assert sorted(len(frames) for frames, _, _ in expected.values()) == [0, 0, 0, 3, 5, 6, 7, 8]
    kinds = [type(expected[number][2]) for number in range(8)]
    assert kinds == [VideoEnded, VideoEnded, VideoUnchanged, *[VideoEnded] * 3, VideoFailed, VideoFailed]
    found = collected(decode(iter(jobs), how, workers=workers))
    assert_same(found, expected)
    assert multiprocessing.active_children() == []


def test_one_bad_video_costs_that_video_only(clips_folder: Path) -> None:
    """One worker gets them all, and is started anew after each of four ends that decoders come to."""
    keys = ["a", "kill at 3", "b", "abort at 1", "exit at 2", "hang at 4"]
    jobs = jobs_of(clips_folder, keys)
    jobs.append(replace(jobs[0], number=6, key="d"))
    well = [job for job in jobs if len(job.key) == 1]
    expected = collected(decode(well, decoding(Misbehaving(**LARGE))))
    events = []
    found = collected(
        decode(jobs, decoding(Misbehaving(**LARGE)), workers=1, timeout=3.0), lambda event: events.append(event.number)
    )
    reasons = {number: end.reason for number, (_, _, end) in found.items() if isinstance(end, VideoFailed)}
    assert reasons == {
        1: "the decoder crashed on it (SIGKILL, perhaps for want of memory)",
        3: "the decoder crashed on it (SIGABRT)",
        4: "the decoder crashed on it (exit code 7)",
        5: "given up: the decoder showed no heartbeat for 3 s",
    }
    assert [events.count(number) for number in (1, 3, 4, 5)] == [2, 0, 1, 3]  # what came before it was whole
    assert_same({number: found[number] for number in (0, 2, 6)}, expected)


def test_a_crash_does_not_touch_what_others_are_at(clips_folder: Path) -> None:
    jobs = jobs_of(clips_folder, ["kill at 2", "a", "b", "kill at 1", "c", "kill at 5"])
    bad = {0, 3, 5}
    expected = collected(decode([job for job in jobs if job.number not in bad], decoding(Misbehaving(**LARGE))))
    found = collected(decode(jobs, decoding(Misbehaving(**LARGE)), workers=2))
    assert {number for number, (_, _, end) in found.items() if isinstance(end, VideoFailed)} == bad
    assert_same({number: found[number] for number in found.keys() - bad}, expected)


def test_a_worker_that_cannot_start_is_no_endless_loop(clips_folder: Path) -> None:
    events = decode(jobs_of(clips_folder), decoding(WithoutStart(side=8)), workers=1)
    with pytest.raises(ResourceError, match=r"failed to start 3 times \(exit code 3\); use --workers 0"):
        collected(events)
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("keys", [["a"] * 6, ["hang at 2"] * 2], ids=["at work", "hanging"])
def test_an_early_end_leaves_no_process(clips_folder: Path, keys: list[str]) -> None:
    jobs = jobs_of(clips_folder, keys)
    with closing(decode(jobs, decoding(Misbehaving(**LARGE)), workers=2)) as events:
        seen: set[int] = set()
        while len(seen) < 2:
            seen |= {event.number} if (event := next(events)) is not None else set()
        processes = multiprocessing.active_children()
        assert len(processes) == 2
    assert multiprocessing.active_children() == []
    assert not any(is_running(process.pid) for process in processes)


def test_signals_to_the_whole_group_are_the_main_processs_affair(clips_folder: Path) -> None:
    """Ctrl-C reaches the workers too; what they are at is finished or ended as the main process decides."""
    jobs = jobs_of(clips_folder)
    expected = collected(decode(jobs, decoding(Preparation(**LARGE))))

    def interrupt(event: FrameReady) -> None:
        for process in multiprocessing.active_children():
            assert process.pid is not None
            os.kill(process.pid, signal.SIGINT)
            os.kill(process.pid, signal.SIGTERM)

    assert_same(collected(decode(jobs, decoding(Preparation(**LARGE)), workers=1), interrupt), expected)


def test_a_slow_consumer_is_no_hang(clips_folder: Path) -> None:
    """Both workers fill their slots and wait, longer than a decoder may be silent."""
    jobs = jobs_of(clips_folder)
    expected = collected(decode(jobs, decoding(Misbehaving(**LARGE))))
    num_frames = 0

    def wait_now_and_then(event: FrameReady) -> None:
        nonlocal num_frames
        num_frames += 1
        if num_frames == 10:
            time.sleep(2.5)

    found = collected(decode(jobs, decoding(Misbehaving(**LARGE)), workers=2, timeout=2.0), wait_now_and_then)
    assert num_frames == 33
    assert_same(found, expected)


def test_a_worker_does_not_run_ahead(clip: MakeClip, tmp_path: Path) -> None:
    """It fills its slots and prepares one frame more, then waits until a slot comes back."""
    counted = tmp_path / "counted"
    job = Job(0, clip(tmp_path / "a.mp4", num_frames=12), f"count in {counted}", None)
    with closing(decode([job], decoding(Misbehaving(**LARGE)), workers=1)) as events:
        frames = (event for event in events if isinstance(event, FrameReady))
        for num_taken in (1, 2, 3):
            next(frames)
            ahead = NUM_SLOTS + num_taken  # the frame that was taken last still has its slot
            wait_until(partial(is_as_large, counted, ahead))
            time.sleep(0.2)
            assert counted.stat().st_size == ahead
        assert len(list(frames)) == 9


def test_rare_frames_do_not_wait_until_a_slot_is_full(clip: MakeClip, tmp_path: Path) -> None:
    """A slot has room for all frames of this video, but they come half a second apart."""
    job = Job(0, clip(tmp_path / "a.mp4", num_frames=4), "dawdle at 2", None)
    came = [(event, time.monotonic()) for event in decode([job], decoding(Misbehaving(side=8)), workers=1)]
    assert [type(event) for event, _ in came if event is not None] == [FrameReady] * 4 + [VideoEnded]
    first = next(seconds for event, seconds in came if event is not None)
    assert came[-1][1] - first > 0.5
    assert None in [event for event, seconds in came if seconds > first]  # and the consumer could do other things


MAIN = """
import multiprocessing, sys, time
from pathlib import Path
from misbehaving import Misbehaving
from vidrep.extraction.events import Decoding, Job
from vidrep.extraction.workers import decode
from vidrep.video.reading import DECODING_VERSION
from vidrep.video.sampling import Sampling

jobs = [Job(number, Path(sys.argv[1]), key, None) for number, key in enumerate(["hang at 2", "dawdle at 1"])]
how = Decoding(preparation=Misbehaving(side=600, resize="fast"), sampling=Sampling())
seen = set()
for event in decode(jobs, how, workers=2):
    if event is not None:
        seen.add(event.number)
    if seen == {0, 1}:
        print(*[process.pid for process in multiprocessing.active_children()], flush=True)
        time.sleep(600)
"""


def test_workers_do_not_outlive_a_main_process_that_was_killed(clip: MakeClip, tmp_path: Path) -> None:
    """Neither the one that hangs nor the one that is at work."""
    path = clip(tmp_path / "a.mp4", num_frames=50)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    with subprocess.Popen([sys.executable, "-c", MAIN, path], stdout=subprocess.PIPE, env=environment) as main:
        try:
            assert main.stdout is not None
            pids = [int(pid) for pid in main.stdout.readline().split()]
            assert len(pids) == 2
            assert all(is_running(pid) for pid in pids)
        finally:
            main.kill()
    wait_until(lambda: not any(is_running(pid) for pid in pids))


SCRIPT = """
import sys
from vidrep import PatchExtractor, extract, find_videos

print("runs", flush=True)
extract(find_videos([sys.argv[1]]), sys.argv[2], PatchExtractor(size=8){options})
"""


def run_script(tmp_path: Path, clips_folder: Path, options: str) -> subprocess.CompletedProcess[str]:
    (tmp_path / "script.py").write_text(SCRIPT.replace("{options}", options))
    command = [sys.executable, *map(str, (tmp_path / "script.py", clips_folder, tmp_path / "f.h5"))]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)


def test_a_script_without_main_guard_gets_the_advice(tmp_path: Path, clips_folder: Path) -> None:
    """Each worker imports the script; there is one traceback, that of the script itself, and nothing runs for ever."""
    done = run_script(tmp_path, clips_folder, ", workers=2")
    assert done.returncode == 1
    *_, last = done.stderr.splitlines()
    assert "ResourceError: decoding workers cannot start: each imports the script that calls extract" in last
    assert 'put the call under `if __name__ == "__main__":`, or give workers=0' in last
    assert done.stderr.count("Traceback") == 1
    assert not (tmp_path / "f.h5").exists()


def test_a_script_without_main_guard_needs_none_without_workers(tmp_path: Path, clips_folder: Path) -> None:
    done = run_script(tmp_path, clips_folder, ", workers=0")
    assert (done.returncode, done.stdout, done.stderr) == (0, "runs\n", "")


def test_the_default_is_a_worker_a_core_and_no_more_than_videos(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidrep.extraction.workers.available_cores", lambda: 4)
    assert [default_workers(num_videos) for num_videos in (1, 3, 9)] == [1, 3, 4]
    monkeypatch.setattr(multiprocessing.process.BaseProcess, "daemon", True)  # which may have no children
    assert default_workers(9) == 0
