"""Batches: pure functions of the step, whoever made the next one ahead."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from vidrep.sequences.batches import GeneratedBatches, Prefetcher, WindowBatch
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
    windows = GeneratedWindows(GENERATOR, 7, seed=3)
    whole = GENERATOR.generate(7, np.random.default_rng(3)).reshape(5, 7, 32 * 32)
    assert (len(windows), windows.length) == (7, 5)
    chosen = np.array([6, 0, 2, 2])
    np.testing.assert_array_equal(windows.gather(chosen), whole[:, chosen])


def test_a_generated_batch_depends_on_seed_and_step_alone() -> None:
    batches = GeneratedBatches(GENERATOR, 3, 11, torch.device("cpu"))
    for step in (4, 0, 4):
        batch = batches.batch(step)
        assert batch.begins is None
        assert batch.windows.dtype == torch.uint8
        np.testing.assert_array_equal(batch.windows.numpy(), generated_batch(3, seed=11, step=step))
    made = {batches.batch(step).windows.numpy().tobytes() for step in range(20)}
    assert len(made) == 20
    other = generated_batch(3, seed=12, step=4)
    assert (other != batches.batch(4).windows.numpy()).any()
    assert (GeneratedWindows(GENERATOR, 3, seed=11).gather(np.arange(3)) != batches.batch(0).windows.numpy()).any()


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
        part = renderer_on(generator, device).render(draws[5:9])
        np.testing.assert_array_equal(part.cpu().numpy(), expected[:, 5:9])


@needs_gpu
def test_on_a_gpu_batches_are_those_of_a_cpu_while_it_computes() -> None:
    device, busy = torch.device("cuda"), torch.randn(4096, 4096, device="cuda")
    batches = {kind: GeneratedBatches(GENERATOR, 64, 11, torch.device(kind)) for kind in ("cpu", "cuda")}
    ahead, sums = Prefetcher(batches["cuda"].batch, device), []
    for step in range(50):
        busy = (busy @ busy).clamp(-1, 1)  # so that batches are used long after they are made
        sums.append(ahead(step).windows.long().mul(torch.arange(32 * 32, device=device)).sum())
    for step, found in enumerate(sums):
        assert found == batches["cpu"].batch(step).windows.long().mul(torch.arange(32 * 32)).sum()


def test_on_a_gpu_an_item_is_used_when_it_is_there_and_its_memory_kept_until_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Streams cannot be had without a GPU; who waits for whom can be told all the same."""
    told: list[str] = []

    class Stream:
        device = torch.device("cuda", 0)

        def __init__(self, name: str) -> None:
            self.name = name

        def wait_stream(self, other: "Stream") -> None:
            told.append(f"{self.name} waits for all of {other.name}")

        def wait_event(self, event: str) -> None:
            told.append(f"{self.name} waits for {event}")

        def record_event(self) -> str:
            told.append(f"{self.name} has an event")
            return f"the event of {self.name}"

    class Frames(torch.Tensor):
        is_cuda = True  # type: ignore[assignment]

        def record_stream(self, stream: Stream) -> None:  # type: ignore[override]
            told.append(f"frames are used by {stream.name}")

    @contextmanager
    def stream(beside: Stream) -> Iterator[None]:
        told.append(f"work of {beside.name} begins")
        yield
        told.append("and ends")

    monkeypatch.setattr(torch.cuda, "Stream", lambda device: Stream("the side"))
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: Stream("training"))
    monkeypatch.setattr(torch.cuda, "stream", stream)

    def make(step: int) -> WindowBatch:
        told.append(f"frames of step {step}")
        if step:
            raise ValueError("one is enough")
        return WindowBatch(Frames(), None)

    ahead = Prefetcher(make, torch.device("cuda"))
    ahead(0)
    with pytest.raises(ValueError, match="one is enough"):
        ahead(1)
    beside = ["work of the side begins", "frames of step 0", "the side has an event", "and ends"]
    used = ["training waits for the event of the side", "frames are used by training"]
    assert told[0] == "the side waits for all of training"
    assert told[1:5] == beside
    assert [line for line in told[5:] if "training" in line] == used


def test_ahead_gives_every_step_its_own_item_in_any_order() -> None:
    made: list[tuple[int, str]] = []

    def make(step: int) -> tuple[int]:
        made.append((step, threading.current_thread().name))
        return (10 * step,)

    ahead = Prefetcher(make, torch.device("cpu"))
    assert [ahead(step)[0] for step in (0, 1, 2, 7, 8, 3)] == [0, 10, 20, 70, 80, 30]
    in_thread = [step for step, name in made if name.startswith("vidrep-batches")]
    assert {1, 2, 8} <= set(in_thread)
    assert 0 not in in_thread and 7 not in in_thread


def test_what_fails_ahead_fails_where_it_is_used() -> None:
    def make(step: int) -> tuple[int]:
        if step == 2:
            raise ValueError("step 2 cannot be")
        return (step,)

    ahead = Prefetcher(make, torch.device("cpu"))
    assert [ahead(0), ahead(1)] == [(0,), (1,)]
    with pytest.raises(ValueError, match="step 2 cannot be"):
        ahead(2)
