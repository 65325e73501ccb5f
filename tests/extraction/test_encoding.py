"""Frames keep their videos and their order on the way through batches of one shape, whatever the threads."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from vidrep.errors import Stopped, VideoError
from vidrep.extraction.encoding import BatchedEncoder
from vidrep.extraction.events import FrameReady, VideoEnded
from vidrep.extraction.extractors.extractor import Extractor
from vidrep.extraction.preparation import Preparation
from vidrep.video.reading import DecodeReport

BATCH = 4


class Doubling(Extractor):
    """Doubles the first pixel of each crop, and remembers its batches."""

    preparation = Preparation(side=2, color=False)
    frame_shape = (1,)
    dtype = "uint16"
    batch_size = BATCH
    network_device = "cpu"

    def __init__(self, delay: float = 0.0) -> None:
        self.delay = delay
        self.shapes: list[tuple[int, ...]] = []
        self.threads: set[threading.Thread] = set()
        self.torch_threads: set[int] = set()

    def encode(self, batch: NDArray[Any]) -> NDArray[Any]:
        before = batch.copy()
        time.sleep(self.delay * (before[0, 0, 0] % 3))  # batches are not done in the order in which they began
        self.shapes.append(batch.shape)
        self.threads.add(threading.current_thread())
        self.torch_threads.add(torch.get_num_threads())
        np.testing.assert_array_equal(batch, before)  # nobody wrote into it meanwhile
        return batch[:, 0, :1].astype(np.uint16) * 2


class TwoCrops(Doubling):
    preparation = Preparation(side=2, color=False, crops=2)


# The features, a list for each frame or window, and their seconds.
Collected = list[tuple[Any, float]]


class Sink:
    """Stands for the parts: collects (features, seconds) of each video until it ends."""

    def __init__(self) -> None:
        self.under_way: dict[int, Collected] = {}
        self.ended: dict[int, Collected] = {}

    def add_features(self, number: int, features: NDArray[Any], seconds: NDArray[Any]) -> None:
        assert number not in self.ended
        assert len(features) == len(seconds) > 0
        self.under_way.setdefault(number, []).extend(zip(features[..., 0].tolist(), seconds.tolist(), strict=True))

    def end_video(self, ended: VideoEnded) -> None:
        assert ended.number not in self.ended
        self.ended[ended.number] = self.under_way.pop(ended.number, [])


# (video, last): an entry for each frame, and one with last for each end.
Order = list[tuple[int, bool]]


def frame(number: int, value: float, num_crops: int = 1) -> FrameReady:
    """A frame whose crops are of different values."""
    pixels = np.stack([np.full((2, 2), value + crop, np.uint8) for crop in range(num_crops)])
    return FrameReady(number, pixels, value / 10)


def end(number: int) -> VideoEnded:
    return VideoEnded(number, 0, "", DecodeReport(status="ok", message="", fps=0.0, num_frames_from_header=0), 0.0)


def never_stop() -> None:
    pass


def one_after_the_other(lengths: Sequence[int]) -> Order:
    """(video, last): an entry for each frame, and one with last for each end."""
    return [(video, last) for video, length in enumerate(lengths) for last in [False] * length + [True]]


def interleaved(lengths: Sequence[int]) -> Order:
    """The same, the frames of all videos in a random order."""
    left = dict(enumerate(lengths))
    rng = np.random.default_rng(0)
    order = []
    while left:
        video = int(rng.choice(list(left)))
        order.append((video, left[video] == 0))
        left[video] -= 1
        if left[video] < 0:
            del left[video]
    return order


def run(
    order: Order, extractor: Doubling, num_threads: int, sink: Sink | None = None
) -> tuple[dict[int, Collected], Sink]:
    """Send videos through; return what is expected of each, and the sink."""
    sink = sink or Sink()
    expected: dict[int, Collected] = {}
    num_crops = extractor.preparation.num_crops
    with BatchedEncoder(extractor, sink, num_threads=num_threads, check_stop=never_stop) as encoder:
        for value, (video, last) in enumerate(order):
            expected.setdefault(video, [])
            if last:
                encoder.end_video(end(video))
            else:
                encoder.add_frame(frame(video, value, num_crops))
                expected[video].append(([2 * (value + crop) for crop in range(num_crops)], value / 10))
            encoder.emit()
        encoder.flush()
        ended = dict(sink.ended)
        encoder.flush()
        assert sink.ended == ended
    return expected, sink


LENGTHS = [[3, 0, 6, 1], [4, 4], [1], [9], [0], [8, 0, 0], [17, 2, 5, 11]]


@pytest.mark.parametrize("num_threads", [0, 1, 3])
@pytest.mark.parametrize("arrange", [one_after_the_other, interleaved])
@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
def test_frames_keep_their_videos_and_their_order(
    lengths: Sequence[int], arrange: Callable[[Sequence[int]], Order], num_threads: int
) -> None:
    extractor = Doubling(delay=0.002)
    expected, sink = run(arrange(lengths), extractor, num_threads)
    assert len(expected) == len(lengths)
    assert sink.ended == {video: [([f], s) for [f], s in frames] for video, frames in expected.items()}
    assert sink.under_way == {}
    assert set(extractor.shapes) <= {(BATCH, 2, 2)}
    assert len(extractor.shapes) == -(-sum(lengths) // BATCH)


@pytest.mark.parametrize("num_threads", [0, 2])
def test_crops_stay_with_their_frame(num_threads: int) -> None:
    extractor = TwoCrops()
    expected, sink = run(interleaved([5, 3, 7]), extractor, num_threads)
    assert sink.ended == expected
    assert len(expected[2][0][0]) == 2
    assert set(extractor.shapes) == {(2 * BATCH, 2, 2)}


class WindowSink(Sink):
    """Keeps whole features: there is one crop."""

    def add_features(self, number: int, features: NDArray[Any], seconds: NDArray[Any]) -> None:
        super().add_features(number, features[..., None], seconds)


class Windows(Doubling):
    """Passes windows on as they are."""

    preparation = Preparation(side=1, color=False, crops=2)

    def __init__(self, length: int, stride: int) -> None:
        super().__init__()
        self.frames_per_feature, self.stride, self.frame_shape = length, stride, (length,)

    def encode(self, batch: NDArray[Any]) -> NDArray[Any]:
        self.shapes.append(batch.shape)
        return batch.reshape(len(batch), -1).astype(np.uint16)


@pytest.mark.parametrize("num_threads", [0, 2])
@pytest.mark.parametrize(("length", "stride"), [(1, 2), (2, 1), (3, 2), (3, 3), (2, 5)])
def test_windows_take_successive_frames_of_their_own_video(length: int, stride: int, num_threads: int) -> None:
    extractor, sink = Windows(length, stride), WindowSink()
    lengths = [5, 3, 11, 8]
    values: list[list[int]] = [[] for _ in lengths]
    with BatchedEncoder(extractor, sink, num_threads=num_threads, check_stop=never_stop) as encoder:
        for value, (video, last) in enumerate(interleaved(lengths)):
            if last:
                encoder.end_video(end(video))
            else:
                pixels = np.array([[[value]], [[value + 100]]], np.uint8)  # two crops of a pixel
                encoder.add_frame(FrameReady(video, pixels, value / 10))
                values[video].append(value)
        encoder.flush()
    for video, of_video in enumerate(values):
        windows = [of_video[first : first + length] for first in range(0, lengths[video] - length + 1, stride)]
        assert sink.ended[video] == [([w, [v + 100 for v in w]], w[0] / 10) for w in windows]
    window = (length,) if length > 1 else ()
    assert set(extractor.shapes) == {(2 * BATCH, *window, 1, 1)}


def test_too_few_frames_for_a_window() -> None:
    sink = Sink()
    with BatchedEncoder(Windows(3, 1), sink, num_threads=0, check_stop=never_stop) as encoder:
        for value in range(2):
            encoder.add_frame(FrameReady(7, np.zeros((2, 1, 1), np.uint8), value / 10))
        with pytest.raises(VideoError, match=r"^it has 2 frames to use, and a feature takes 3$"):
            encoder.end_video(end(7))
        with pytest.raises(VideoError, match=r"^it has 0 frames to use, and a feature takes 3$"):
            encoder.end_video(end(7))
        encoder.flush()
    assert sink.ended == sink.under_way == {}


def test_a_video_under_way_when_another_fails_is_not_touched() -> None:
    """Frames of a video that never ends reach the sink, which drops them; no end is made up."""
    sink = Sink()
    with BatchedEncoder(Doubling(), sink, num_threads=1, check_stop=never_stop) as encoder:
        for value in range(6):
            encoder.add_frame(frame(value % 2, value))
        encoder.end_video(end(1))
        encoder.flush()
    assert sink.ended == {1: [([2], 0.1), ([6], 0.3), ([10], 0.5)]}
    assert sink.under_way == {0: [([0], 0.0), ([4], 0.2), ([8], 0.4)]}


def test_buffers_are_not_written_while_they_are_computed() -> None:
    """`Doubling` reads its input a second time after it slept; many batches go round meanwhile."""
    extractor = Doubling(delay=0.01)
    expected, sink = run(interleaved([40, 33, 27]), extractor, num_threads=3)
    assert sink.ended == expected
    assert len(extractor.threads) == 3


def test_on_cuda_all_threads_compute_exact_fp32_and_the_caller_does_as_before() -> None:
    class OnCuda(Doubling):
        network_device = "cuda"

        def encode(self, batch: NDArray[Any]) -> NDArray[Any]:
            exact.append((torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32))
            return super().encode(batch)

    exact: list[tuple[str, bool]] = []
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = True
    try:
        run(interleaved([30]), OnCuda(delay=0.001), num_threads=2)
        assert len(exact) == 8 and set(exact) == {("highest", False)}
        assert torch.backends.cudnn.allow_tf32
    finally:
        torch.backends.cudnn.allow_tf32 = before


def test_each_batch_has_a_thread_of_its_own_with_one_core() -> None:
    torch.set_num_threads(2)
    extractor = Doubling(delay=0.001)
    run(interleaved([30]), extractor, num_threads=2)
    assert extractor.torch_threads == {1}
    assert threading.current_thread() not in extractor.threads
    assert torch.get_num_threads() == 2
    here = Doubling()
    run(interleaved([30]), here, num_threads=0)
    assert here.threads == {threading.current_thread()}


def test_no_thread_is_left() -> None:
    before = set(threading.enumerate())
    run(one_after_the_other([9]), Doubling(), num_threads=3)
    assert set(threading.enumerate()) == before


def test_what_waits_is_bounded() -> None:
    """One batch more than threads: a slow network holds the frames back rather than fill the memory."""
    can_go_on = threading.Event()

    class Waiting(Doubling):
        def encode(self, batch: NDArray[Any]) -> NDArray[Any]:
            assert can_go_on.wait(20)
            return super().encode(batch)

    num_waits = 0

    def check_stop() -> None:
        nonlocal num_waits
        num_waits += 1
        can_go_on.set()

    sink = Sink()
    with BatchedEncoder(Waiting(), sink, num_threads=2, check_stop=check_stop) as encoder:
        for value in range(3 * BATCH):
            encoder.add_frame(frame(0, value))
        assert (num_waits, sink.under_way) == (0, {})
        for value in range(3 * BATCH, 4 * BATCH):
            encoder.add_frame(frame(0, value))
        assert num_waits > 0
        assert len(sink.under_way[0]) >= BATCH
        encoder.end_video(end(0))
        encoder.flush()
    assert [seconds for _, seconds in sink.ended[0]] == [value / 10 for value in range(4 * BATCH)]


class Broken(Doubling):
    def encode(self, batch: NDArray[Any]) -> NDArray[Any]:
        raise FloatingPointError(f"the network broke in {threading.current_thread().name}")


@pytest.mark.parametrize("num_threads", [0, 1, 3])
def test_what_goes_wrong_in_the_network_reaches_the_caller(num_threads: int) -> None:
    sink = Sink()
    with pytest.raises(FloatingPointError, match="broke in vidrep-network" if num_threads else "broke in Main"):
        run(one_after_the_other([9]), Broken(), num_threads, sink)
    assert sink.ended == sink.under_way == {}


def test_a_stop_ends_the_wait() -> None:
    can_go_on = threading.Event()
    began = time.monotonic()

    class Endless(Doubling):
        def encode(self, batch: NDArray[Any]) -> NDArray[Any]:
            can_go_on.wait(60)
            return super().encode(batch)

    def stop_soon() -> None:
        if time.monotonic() > began + 0.1:
            raise Stopped("as asked")

    try:
        with (
            pytest.raises(Stopped),
            BatchedEncoder(Endless(), Sink(), num_threads=1, check_stop=stop_soon) as encoder,
        ):
            for value in range(BATCH + 1):
                encoder.add_frame(frame(0, value))
            encoder.flush()
        assert time.monotonic() - began < 5
    finally:
        can_go_on.set()


def test_seconds_are_those_of_all_threads() -> None:
    extractor = Doubling(delay=0.05)
    with BatchedEncoder(extractor, Sink(), num_threads=2, check_stop=never_stop) as encoder:
        for value in [2] * 2 * BATCH:  # two batches that sleep 0.1 s each, at once
            encoder.add_frame(frame(0, value))
        encoder.flush()
        assert 0.2 <= encoder.wall_seconds < 2
        assert 0 < encoder.cpu_seconds < 0.1  # sleeping is no work
