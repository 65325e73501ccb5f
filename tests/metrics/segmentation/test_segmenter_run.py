"""Reading videos of any length: in whatever blocks they come, with little memory, and causally to the bit."""

import json
import tracemalloc
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from small_features import features_of

from vidrep.config.settings import EncoderSettings
from vidrep.errors import InputError
from vidrep.metrics.segmentation import segmenter_run
from vidrep.metrics.segmentation.segmenter_run import SegmenterRun, save_bout_settings
from vidrep.models.description import ModelDescription
from vidrep.models.saved import TrainedModel, save_model
from vidrep.timelines.settings import BoutSettings

CPU = torch.device("cpu")
D, K = 3, 2
LENGTH, BEFORE, AFTER = 12, 3, 3
Frames = NDArray[np.float32]


def described(
    *transforms: str, bidirectional: bool = False, several_labels: bool = False, after: int | None = None
) -> ModelDescription:
    return ModelDescription(
        kind="segmentation",
        frame_shape=[D],
        dtype="float32",
        likelihood="gaussian",
        extractor={},
        transforms={name: {"size": 2} if name == "pca" else {} for name in transforms},
        encoder=asdict(EncoderSettings(hidden_size=5, bidirectional=bidirectional)),
        cell={},
        windows={"length": LENGTH, "before": BEFORE, "after": AFTER if after is None else after},
        head={
            "several_labels": several_labels,
            "background": "" if several_labels else "rest",
            "dropout": 0.3,
            "input_noise": 0.1,
            "transfer": "init",
            "class_weights": "none",
        },
        classes=["eat", "rest"],
        class_counts=[1, 1],
    )


def run_of(description: ModelDescription) -> SegmenterRun:
    """Return a run with random weights whose transforms are fitted to random frames."""
    torch.manual_seed(3)
    model = TrainedModel.build(description)
    model.inputs.fit(lambda: iter([torch.from_numpy(frames_of(50, seed=9))]))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    return SegmenterRun(Path("run"), model, description)


CAUSAL = [(), ("differences",), ("standardize", "pca", "differences")]
IN_WINDOWS = [
    described(bidirectional=True),
    described("standardize", "differences", bidirectional=True),
    described("standardize", "center_clip", "pca", "differences", bidirectional=True, several_labels=True),
    described("center_clip"),  # it reads forward, but needs whole windows
]


def frames_of(count: int, seed: int = 0) -> Frames:
    return np.random.default_rng(seed).standard_normal((count, D)).astype(np.float32).cumsum(axis=0) * np.float32(0.3)


def read(run: SegmenterRun, blocks: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
    return np.concatenate([np.zeros((0, K), np.float32), *run.probabilities(iter(blocks), device=CPU)])


def cut(frames: Frames, rng: np.random.Generator) -> list[Frames]:
    """Cut frames into blocks of any sizes, empty ones among them."""
    places = np.sort(rng.integers(0, len(frames) + 1, rng.integers(0, 12)))
    return np.split(frames, places)


@pytest.mark.parametrize("transforms", CAUSAL)
def test_a_causal_network_reads_a_video_as_at_once(transforms: tuple[str, ...]) -> None:
    run, frames = run_of(described(*transforms, after=0)), frames_of(600)
    assert (run.is_causal, run.delay) == (True, 0)
    model = run.model.eval()
    with torch.inference_mode():
        expected = model.network(model.inputs(torch.from_numpy(frames)[:, None]))[0][:, 0]
    np.testing.assert_allclose(read(run, [frames]), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("transforms", CAUSAL)
def test_the_beginning_of_a_video_has_the_same_bits_whatever_follows(transforms: tuple[str, ...]) -> None:
    run, frames, rng = run_of(described(*transforms, after=0)), frames_of(700), np.random.default_rng(0)
    whole = read(run, [frames])
    for count in (1, 2, 255, 256, 257, 300, 512, 699):
        assert read(run, cut(frames[:count], rng)).tobytes() == whole[:count].tobytes()


@pytest.mark.parametrize("description", [described("differences", after=0), *IN_WINDOWS])
def test_it_does_not_matter_how_frames_come(description: ModelDescription) -> None:
    run, rng = run_of(description), np.random.default_rng(1)
    for count in (1, 5, 9, 10, 47, 300):
        frames = frames_of(count, seed=count)
        whole = read(run, [frames])
        assert whole.shape == (count, K)
        for _ in range(4):
            assert read(run, cut(frames, rng)).tobytes() == whole.tobytes()


@pytest.mark.parametrize("description", IN_WINDOWS)
@pytest.mark.parametrize("count", [1, 4, 9, 10, 16, 200])
def test_windows_are_read_as_each_on_its_own(description: ModelDescription, count: int) -> None:
    run, frames = run_of(description), frames_of(count)
    assert not run.is_causal
    model, expected = run.model.eval(), np.full((count, K), np.nan)
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
    np.testing.assert_allclose(read(run, [frames]), expected, rtol=0, atol=1e-5)


def test_the_delay_is_how_far_a_change_reaches_back() -> None:
    run, frames = run_of(IN_WINDOWS[0]), frames_of(60)
    before = read(run, [frames])
    farthest = 0
    for position in range(len(frames)):
        changed = frames.copy()
        changed[position] += 5
        moved = np.flatnonzero((read(run, [changed]) != before).any(axis=1))
        farthest = max(farthest, position - int(moved[0]))
    assert farthest == run.delay == LENGTH - BEFORE - 1
    assert run_of(described("center_clip")).delay == LENGTH - BEFORE - 1


def test_a_video_without_a_frame_has_no_probability() -> None:
    for description in (described(after=0), IN_WINDOWS[1]):
        assert read(run_of(description), []).shape == (0, K)
        assert read(run_of(description), [frames_of(0)]).shape == (0, K)


def test_frames_of_any_shape_and_type_are_read_as_they_are_stored() -> None:
    for description in (described(after=0), IN_WINDOWS[1]):
        run, stored = run_of(description), np.random.default_rng(0).integers(0, 256, (40, 1, D), dtype=np.uint8)
        expected = read(run, [stored.reshape(40, D).astype(np.float32) / 255])
        np.testing.assert_allclose(read(run, [stored]), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("description", [described("differences", after=0), IN_WINDOWS[1]])
def test_few_frames_are_kept_of_a_long_video(description: ModelDescription, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 100,000 frames, a few windows are read ahead of what is yielded, and memory does not grow."""
    run, num_given, num_found = run_of(description), 0, 0
    num_values = run.network.encoder.hidden_size

    def outputs(frames: torch.Tensor, state: Any = None, *, valid: Any = None) -> tuple[torch.Tensor, None]:
        return torch.zeros(*frames.shape[:2], num_values), None  # what a network computes takes its time

    monkeypatch.setattr(run.network.encoder, "forward", outputs)

    def blocks() -> Iterator[Frames]:
        nonlocal num_given
        for _ in range(1000):
            num_given += 100
            yield np.zeros((100, D), dtype=np.float32)

    most_kept, peaks = 0, []
    tracemalloc.start()
    for part in run.probabilities(blocks(), device=CPU):
        num_found += len(part)
        most_kept = max(most_kept, num_given - num_found)
        if num_found % 10_000 < len(part):
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.reset_peak()
    tracemalloc.stop()
    assert num_found == 100_000
    assert most_kept <= 100 + max(segmenter_run._CHUNK, segmenter_run._WINDOWS_AT_ONCE * LENGTH)
    assert max(peaks[2:]) < 1.5 * min(peaks[1:]) + 10_000


def test_a_timeline_has_the_times_of_the_features(tmp_path: Path) -> None:
    features = features_of(tmp_path, {"a.npy": frames_of(30), "b.npy": frames_of(30, seed=1)}, fps=10)
    run = run_of(IN_WINDOWS[0])
    timeline = run.timeline(features, 1, device=CPU)
    np.testing.assert_array_equal(timeline.probabilities, read(run, [frames_of(30, seed=1)]))
    np.testing.assert_allclose(timeline.edges, np.arange(31) / 10)
    assert (timeline.video, timeline.labels, timeline.background) == ("b.npy", ("eat", "rest"), "rest")
    several = run_of(described(several_labels=True)).timeline(features, 0, device=CPU)
    assert (several.background, several.several_labels) == (None, True)


def test_a_run_is_finished_when_its_rules_are_there(tmp_path: Path) -> None:
    run = run_of(IN_WINDOWS[1])
    save_model(tmp_path, run.description, run.model.state_dict())
    with pytest.raises(InputError, match="its training is not finished; --resume goes on with it"):
        SegmenterRun.load(tmp_path)
    rules = BoutSettings.default(["eat"])
    save_bout_settings(tmp_path, rules)
    loaded = SegmenterRun.load(tmp_path)
    assert loaded.rules == rules
    assert read(loaded, [frames_of(40)]).tobytes() == read(run, [frames_of(40)]).tobytes()
    assert SegmenterRun.of_folder(tmp_path).bouts is None
    content = json.loads((tmp_path / "bouts.json").read_text(encoding="utf-8"))
    for damaged in (
        "",
        "[1]",
        "3",
        "{}",
        json.dumps({**content, "smoothing": "x"}),
        json.dumps({**content, "more": 1}),
    ):
        (tmp_path / "bouts.json").write_text(damaged, encoding="utf-8")
        with pytest.raises(InputError, match=r"bouts.json: cannot be read") as caught:
            SegmenterRun.load(tmp_path)
        assert "\n" not in str(caught.value)
