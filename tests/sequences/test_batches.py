"""Batches: pure functions of the step, also where the next one is made ahead."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from small_features import features_of

from vidrep.features.store import Features
from vidrep.sequences.batches import (
    BatchMaker,
    ConsecutiveBatches,
    FeatureBatchSet,
    GeneratedBatches,
    GeneratedBatchSet,
    Prefetcher,
    VideoNumbers,
)
from vidrep.sequences.resident import CopiedWindows
from vidrep.sequences.samplers import ConsecutiveSampler
from vidrep.sequences.window_batch import WindowBatch
from vidrep.sequences.windows import Windows, sliding_windows
from vidrep.synthetic.moving_mnist import MovingMnist, MovingMnistConfig
from vidrep.synthetic.rendering import DeviceRenderer, GeneratedWindows, draws_of_step, renderer_on

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
DEVICES = [torch.device("cpu"), *([torch.device("cuda")] if torch.cuda.is_available() else [])]
DIGITS = np.random.default_rng(0).integers(0, 256, (9, 28, 28), dtype=np.uint8)
GENERATOR = MovingMnist(DIGITS, MovingMnistConfig(canvas=32, num_frames=5))


def generated_batch(batch_size: int, *, seed: int, step: int) -> NDArray[np.uint8]:
    draws = draws_of_step(GENERATOR, batch_size, seed=seed, step=step)
    return GENERATOR.render(draws).reshape(5, batch_size, 32 * 32)


def test_generated_windows_are_what_the_generator_makes_one_after_the_other() -> None:
    windows = GeneratedWindows(GENERATOR, 7, np.random.default_rng(3))
    whole = GENERATOR.generate(7, np.random.default_rng(3)).reshape(5, 7, 32 * 32)
    assert (len(windows), windows.length) == (7, 5)
    chosen = np.array([6, 0, 2, 2])
    np.testing.assert_array_equal(windows.gather(chosen), whole[:, chosen])


def test_a_generated_batch_depends_on_seed_and_step_alone() -> None:
    batches = GeneratedBatches(GENERATOR, 3, 11, torch.device("cpu"))
    for step in (4, 0, 4):
        batch = batches.batch(step)
        assert batch.is_first is None
        assert batch.frames.dtype == torch.uint8
        np.testing.assert_array_equal(batch.frames.numpy(), generated_batch(3, seed=11, step=step))
    made = {batches.batch(step).frames.numpy().tobytes() for step in range(20)}
    assert len(made) == 20
    other = generated_batch(3, seed=12, step=4)
    assert (other != batches.batch(4).frames.numpy()).any()
    assert (
        GeneratedWindows(GENERATOR, 3, np.random.default_rng(11)).gather(np.arange(3))
        != batches.batch(0).frames.numpy()
    ).any()


CPU = torch.device("cpu")
NUMBERS = VideoNumbers(groups=np.array([5, 6, 5]), classes=np.array([0, 1, -1]))


@pytest.fixture
def features(tmp_path: Path) -> Features:
    rng = np.random.default_rng(0)
    lengths = {"a.npy": 7, "b.npy": 3, "c.npy": 5}
    return features_of(tmp_path, {key: rng.standard_normal((n, 2)).astype(np.float32) for key, n in lengths.items()})


def maker_of(windows: Windows, numbers: VideoNumbers = NUMBERS) -> BatchMaker:
    return BatchMaker(windows, CopiedWindows(windows, CPU), numbers, CPU)


def test_a_batch_carries_the_video_group_and_class_of_its_windows(features: Features) -> None:
    windows = sliding_windows(features, [0, 1, 2], length=3, stride=2)
    assert windows.videos.tolist() == [0, 0, 0, 1, 2, 2]
    batch = maker_of(windows).batch(np.array([4, 0, 3]))
    np.testing.assert_array_equal(batch.frames.numpy(), windows.gather(np.array([4, 0, 3])))
    assert batch.video is not None and batch.group is not None and batch.classes is not None
    assert (batch.video.tolist(), batch.group.tolist(), batch.classes.tolist()) == ([2, 0, 1], [5, 5, 6], [-1, 0, 1])
    assert (batch.valid, batch.is_first, batch.num_valid) == (None, None, None)
    assert maker_of(windows, VideoNumbers(NUMBERS.groups)).batch(np.array([4])).classes is None


def test_padding_is_not_valid_and_its_share_is_that_of_the_whole_batch(features: Features) -> None:
    windows = sliding_windows(features, [0, 1, 2], length=5, stride=5, keep_short=True)
    assert windows.lengths.tolist() == [5, 5, 3, 5]
    maker, indices = maker_of(windows), np.array([1, 2, 3])
    whole = maker.batch(indices)
    assert whole.valid is not None and whole.num_valid is not None
    assert whole.valid.T.tolist() == [[True] * 5, [True] * 3 + [False] * 2, [True] * 5]
    assert float(whole.num_valid) == pytest.approx(13 / 3)
    for shard in (slice(0, 1), slice(1, 3)):
        sharded = maker.batch(indices, shard)
        assert sharded.valid is not None and sharded.num_valid is not None
        assert torch.equal(sharded.valid, whole.valid[:, shard])
        assert torch.equal(sharded.num_valid, whole.num_valid)
        for one, other in zip(sharded, whole.windows(shard), strict=True):
            assert (one is None) == (other is None)
            assert one is None or other is None or torch.equal(one, other)
    assert maker.batch(np.array([0, 3])).valid is None
    batches = FeatureBatchSet(windows, NUMBERS, CPU)
    num_valid = batches.batch(np.array([0, 3])).num_valid
    assert num_valid is not None and float(num_valid) == pytest.approx(18 / 4)  # of all windows


def test_consecutive_batches_mark_the_first_window_of_a_video(features: Features) -> None:
    windows = sliding_windows(features, [0, 2], length=2, stride=2, to_the_end=False)
    assert windows.videos.tolist() == [0, 0, 0, 2, 2]
    batches = ConsecutiveBatches(maker_of(windows), ConsecutiveSampler(windows.videos, 1, seed=0), CPU)
    videos, first = [], []
    for step in range(5):
        batch = batches.batch(step)
        assert batch.video is not None and batch.is_first is not None
        videos += batch.video.tolist()
        first += batch.is_first.tolist()
    changes = [one != other for one, other in zip(videos, [None, *videos[:-1]], strict=True)]
    assert first == changes
    assert sorted(videos) == [0, 0, 0, 2, 2]


def test_every_generated_sequence_is_a_video_and_a_group_of_its_own() -> None:
    batches, videos = GeneratedBatches(GENERATOR, 3, 11, CPU), list[int]()
    for step in range(4):
        batch = batches.batch(step)
        assert batch.video is not None and batch.group is not None
        assert torch.equal(batch.video, batch.group)
        videos += batch.video.tolist()
    assert len(set(videos)) == 12
    shard = GeneratedBatches(GENERATOR, 3, 11, CPU, slice(1, 3)).batch(2)
    assert shard.video is not None and shard.video.tolist() == videos[7:9]
    held_out = GeneratedBatchSet(GeneratedWindows(GENERATOR, 5, np.random.default_rng(3)), CPU).batch(np.array([4, 1]))
    assert held_out.video is not None and held_out.video.tolist() == [4, 1]


@pytest.mark.parametrize(
    "config",
    [
        MovingMnistConfig(num_frames=6),
        MovingMnistConfig(num_digits=3, canvas=50, num_frames=12, displacement=0.37),
        MovingMnistConfig(num_digits=1, canvas=28, num_frames=2),
        MovingMnistConfig(canvas=29, num_frames=30, displacement=0.9),
    ],
    ids=str,
)
def test_frames_made_by_torch_are_those_made_by_numpy(config: MovingMnistConfig) -> None:
    generator = MovingMnist(DIGITS, config)
    draws = generator.draw(17, np.random.default_rng(1))
    draws[0, :, 1:3], draws[1, :, 1:3] = 0, 1 - 1e-9  # corners too
    expected = generator.render(draws).reshape(config.num_frames, 17, -1)
    for device in DEVICES:
        frames = DeviceRenderer(generator, device).render(draws)
        assert frames.device.type == device.type
        assert frames.dtype == torch.uint8
        np.testing.assert_array_equal(frames.cpu().numpy(), expected)
        some = renderer_on(generator, device).render(draws[5:9])
        np.testing.assert_array_equal(some.cpu().numpy(), expected[:, 5:9])


@needs_gpu
def test_on_a_gpu_batches_are_those_of_a_cpu_while_it_computes() -> None:
    device, busy = torch.device("cuda"), torch.randn(4096, 4096, device="cuda")
    batches = {kind: GeneratedBatches(GENERATOR, 64, 11, torch.device(kind)) for kind in ("cpu", "cuda")}
    ahead, sums = Prefetcher(batches["cuda"].batch, device), []
    for step in range(50):
        busy = (busy @ busy).clamp(-1, 1)  # so that batches are used long after they are made
        sums.append(ahead(step).frames.long().mul(torch.arange(32 * 32, device=device)).sum())
    for step, found in enumerate(sums):
        assert found == batches["cpu"].batch(step).frames.long().mul(torch.arange(32 * 32)).sum()


def test_on_a_gpu_an_item_is_used_when_it_is_there_and_its_memory_kept_until_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Streams cannot be had without a GPU; which waits for which can be recorded all the same."""
    log: list[str] = []

    class Stream:
        device = torch.device("cuda", 0)

        def __init__(self, name: str) -> None:
            self.name = name

        def wait_stream(self, other: "Stream") -> None:
            log.append(f"{self.name} waits for all of {other.name}")

        def wait_event(self, event: str) -> None:
            log.append(f"{self.name} waits for {event}")

        def record_event(self) -> str:
            log.append(f"{self.name} has an event")
            return f"the event of {self.name}"

    class Frames(torch.Tensor):
        is_cuda = True

        def record_stream(self, stream: Stream) -> None:  # type: ignore[override]
            log.append(f"frames are used by {stream.name}")

    @contextmanager
    def stream(beside: Stream) -> Iterator[None]:
        log.append(f"work of {beside.name} begins")
        yield
        log.append("and ends")

    monkeypatch.setattr(torch.cuda, "Stream", lambda device: Stream("the side"))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: Stream("training"))
    monkeypatch.setattr(torch.cuda, "stream", stream)

    def make(step: int) -> WindowBatch:
        log.append(f"frames of step {step}")
        if step:
            raise ValueError("one is enough")
        return WindowBatch(Frames())

    ahead = Prefetcher(make, torch.device("cuda"))
    ahead(0)
    with pytest.raises(ValueError, match="one is enough"):
        ahead(1)
    beside = ["work of the side begins", "frames of step 0", "the side has an event", "and ends"]
    used = ["training waits for the event of the side", "frames are used by training"]
    assert log[0] == "the side waits for all of training"
    assert log[1:5] == beside
    assert [line for line in log[5:] if "training" in line] == used


def test_a_prefetcher_gives_every_step_its_own_item_in_any_order() -> None:
    made: list[tuple[int, str]] = []

    def make(step: int) -> tuple[int]:
        made.append((step, threading.current_thread().name))
        return (10 * step,)

    ahead = Prefetcher(make, torch.device("cpu"))
    assert [ahead(step)[0] for step in (0, 1, 2, 7, 8, 3)] == [0, 10, 20, 70, 80, 30]
    in_thread = [step for step, name in made if name.startswith("vidrep-batches")]
    assert {1, 2, 8} <= set(in_thread)
    assert 0 not in in_thread and 7 not in in_thread


def test_what_fails_in_a_prefetcher_fails_where_it_is_used() -> None:
    def make(step: int) -> tuple[int]:
        if step == 2:
            raise ValueError("step 2 cannot be")
        return (step,)

    ahead = Prefetcher(make, torch.device("cpu"))
    assert [ahead(0), ahead(1)] == [(0,), (1,)]
    with pytest.raises(ValueError, match="step 2 cannot be"):
        ahead(2)
