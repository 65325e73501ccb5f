"""Reading videos of any length: in whatever blocks they come, with little memory, and causally to the bit."""

import tracemalloc
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from small_segmenters import (
    AFTER,
    BEFORE,
    CAUSAL,
    IN_WINDOWS,
    LENGTH,
    D,
    Frames,
    K,
    described,
    frames_of,
    network_of,
    read,
)

from vidrep.metrics.segmentation import frame_network
from vidrep.models.description import ModelDescription


def cut(frames: Frames, rng: np.random.Generator) -> list[Frames]:
    """Cut frames into blocks of any sizes, empty ones among them."""
    places = np.sort(rng.integers(0, len(frames) + 1, rng.integers(0, 12)))
    return np.split(frames, places)


@pytest.mark.parametrize("transforms", CAUSAL)
def test_a_causal_network_reads_a_video_as_at_once(transforms: tuple[str, ...]) -> None:
    network, frames = network_of(described(*transforms, after=0)), frames_of(600)
    assert (network.is_causal, network.frames_ahead) == (True, 0)
    model = network.model.eval()
    with torch.inference_mode():
        expected = model.network(model.inputs(torch.from_numpy(frames)[:, None]))[0][:, 0]
    np.testing.assert_allclose(read(network, [frames]), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("transforms", CAUSAL)
def test_the_beginning_of_a_video_has_the_same_bits_whatever_follows(transforms: tuple[str, ...]) -> None:
    network, frames, rng = network_of(described(*transforms, after=0)), frames_of(700), np.random.default_rng(0)
    whole = read(network, [frames])
    for count in (1, 2, 255, 256, 257, 300, 512, 699):
        assert read(network, cut(frames[:count], rng)).tobytes() == whole[:count].tobytes()


@pytest.mark.parametrize("description", [described("differences", after=0), *IN_WINDOWS])
def test_it_does_not_matter_how_frames_come(description: ModelDescription) -> None:
    network, rng = network_of(description), np.random.default_rng(1)
    for count in (1, 5, 9, 10, 47, 300):
        frames = frames_of(count, seed=count)
        whole = read(network, [frames])
        assert whole.shape == (count, K)
        for _ in range(4):
            assert read(network, cut(frames, rng)).tobytes() == whole.tobytes()


@pytest.mark.parametrize("description", IN_WINDOWS)
@pytest.mark.parametrize("count", [1, 4, 9, 10, 16, 200])
def test_windows_are_read_as_each_on_its_own(description: ModelDescription, count: int) -> None:
    network, frames = network_of(description), frames_of(count)
    assert not network.is_causal
    model, expected = network.model.eval(), np.full((count, K), np.nan)
    core, first = LENGTH - BEFORE - AFTER, 0
    while first < count:
        last = first + core
        if last + AFTER >= count:  # the last window has no margin at its end
            last = count
        start, stop = max(0, first - BEFORE), min(last + AFTER, count)
        with torch.inference_mode():
            found = model.network(model.inputs(torch.from_numpy(frames[start:stop])[:, None]))[0][:, 0]
        expected[first:last] = found[first - start : last - start]
        first = last
    np.testing.assert_allclose(read(network, [frames]), expected, rtol=0, atol=1e-5)


def test_the_delay_is_how_far_a_change_reaches_back() -> None:
    network, frames = network_of(IN_WINDOWS[0]), frames_of(60)
    before = read(network, [frames])
    farthest = 0
    for position in range(len(frames)):
        changed = frames.copy()
        changed[position] += 5
        moved = np.flatnonzero((read(network, [changed]) != before).any(axis=1))
        farthest = max(farthest, position - int(moved[0]))
    assert farthest == network.frames_ahead == LENGTH - BEFORE - 1
    assert network_of(described("center_clip")).frames_ahead == LENGTH - BEFORE - 1


def test_a_video_without_a_frame_has_no_probability() -> None:
    for description in (described(after=0), IN_WINDOWS[1]):
        assert read(network_of(description), []).shape == (0, K)
        assert read(network_of(description), [frames_of(0)]).shape == (0, K)


def test_frames_of_any_shape_and_type_are_read_as_they_are_stored() -> None:
    for description in (described(after=0), IN_WINDOWS[1]):
        network, stored = network_of(description), np.random.default_rng(0).integers(0, 256, (40, 1, D), dtype=np.uint8)
        expected = read(network, [stored.reshape(40, D).astype(np.float32) / 255])
        np.testing.assert_allclose(read(network, [stored]), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("description", [described("differences", after=0), IN_WINDOWS[1]])
def test_few_frames_are_kept_of_a_long_video(description: ModelDescription, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 100,000 frames, a few windows are read ahead of what is yielded, and memory does not grow."""
    network, num_given, num_found = network_of(description), 0, 0
    num_values = network.network.encoder.hidden_size

    def outputs(frames: torch.Tensor, state: Any = None, *, valid: Any = None) -> tuple[torch.Tensor, None]:
        return torch.zeros(*frames.shape[:2], num_values), None  # what a network computes takes its time

    monkeypatch.setattr(network.network.encoder, "forward", outputs)

    def blocks() -> Iterator[Frames]:
        nonlocal num_given
        for _ in range(1000):
            num_given += 100
            yield np.zeros((100, D), dtype=np.float32)

    most_kept, peaks = 0, []
    tracemalloc.start()
    for part in network.probabilities(blocks()):
        num_found += len(part)
        most_kept = max(most_kept, num_given - num_found)
        if num_found % 10_000 < len(part):
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.reset_peak()
    tracemalloc.stop()
    assert num_found == 100_000
    assert most_kept <= 100 + max(frame_network._CHUNK, frame_network._WINDOWS_AT_ONCE * LENGTH)
    assert max(peaks[2:]) < 1.5 * min(peaks[1:]) + 10_000
