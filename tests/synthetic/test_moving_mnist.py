import math
from collections import defaultdict
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from vidrep.errors import ConfigError
from vidrep.metrics.frame_metrics import bernoulli_nats, entropy_floor, squared_error
from vidrep.synthetic.mnist import load_digits
from vidrep.synthetic.moving_mnist import MovingMnist, MovingMnistConfig, Stream, step_rng, stream_rng, trajectories

DIGITS = np.random.default_rng(3).integers(0, 256, (7, 28, 28), dtype=np.uint8)
CONFIGS = [
    MovingMnistConfig(),
    MovingMnistConfig(num_digits=1, num_frames=3),
    MovingMnistConfig(num_digits=3, canvas=50, num_frames=12, displacement=0.37),
    MovingMnistConfig(canvas=28, num_frames=2),
]


def one_track(row: float, column: float, turn: float, config: MovingMnistConfig) -> list[tuple[int, int]]:
    vertical = config.displacement * math.sin(2 * math.pi * turn)
    horizontal = config.displacement * math.cos(2 * math.pi * turn)
    places = []
    for _ in range(config.num_frames):
        row, column = row + vertical, column + horizontal
        if row <= 0:
            row, vertical = 0.0, -vertical
        elif row >= 1:
            row, vertical = 1.0, -vertical
        if column <= 0:
            column, horizontal = 0.0, -horizontal
        elif column >= 1:
            column, horizontal = 1.0, -horizontal
        places.append((int((config.canvas - 28) * row), int((config.canvas - 28) * column)))
    return places


def plain_sequences(num_sequences: int, rng: np.random.Generator, config: MovingMnistConfig) -> NDArray[np.uint8]:
    frames = np.zeros((config.num_frames, num_sequences, config.canvas, config.canvas), np.uint8)
    draws = rng.random((num_sequences, config.num_digits, 4)).tolist()
    for b, sequence in enumerate(draws):
        for choice, row, column, turn in sequence:
            digit = DIGITS[int(choice * len(DIGITS))]
            for t, (top, left) in enumerate(one_track(row, column, turn, config)):
                window = frames[t, b, top : top + 28, left : left + 28]
                np.maximum(window, digit, out=window)
    return frames


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_trajectories_equal_a_plain_loop(config: MovingMnistConfig) -> None:
    tracks = trajectories(np.random.default_rng(1), 200, config)
    draws = np.random.default_rng(1).random((200, 3)).tolist()
    expected = np.array([one_track(row, column, turn, config) for row, column, turn in draws]).swapaxes(0, 1)
    assert tracks.dtype == np.int64
    np.testing.assert_array_equal(tracks, expected)


@pytest.mark.parametrize("config", CONFIGS, ids=str)
def test_sequences_equal_a_plain_loop(config: MovingMnistConfig) -> None:
    frames = MovingMnist(DIGITS, config).generate(9, np.random.default_rng(2))
    assert frames.dtype == np.uint8
    np.testing.assert_array_equal(frames, plain_sequences(9, np.random.default_rng(2), config))


def test_more_sequences_than_are_pasted_together_equal_a_plain_loop() -> None:
    config = MovingMnistConfig(canvas=30, num_frames=2)
    frames = MovingMnist(DIGITS, config).generate(300, np.random.default_rng(2))
    np.testing.assert_array_equal(frames, plain_sequences(300, np.random.default_rng(2), config))


def test_tracks_stay_inside_reach_every_edge_and_keep_their_speed() -> None:
    config = MovingMnistConfig(canvas=100_028, num_frames=50)  # 100,000 places a side: rounding hardly shows
    tracks = trajectories(np.random.default_rng(0), 300, config)
    assert tracks.min() == 0
    assert tracks.max() == 100_000
    moves = np.diff(tracks, axis=0)
    inside = np.all((tracks > 0) & (tracks < 100_000), axis=-1)
    free = inside[1:] & inside[:-1]
    assert free.mean() > 0.5
    np.testing.assert_allclose(np.hypot(moves[..., 0], moves[..., 1])[free], 10_000, atol=2)


def test_the_first_frame_has_already_stepped_and_an_edge_is_kept_for_one_frame() -> None:
    config = MovingMnistConfig(canvas=10_028, displacement=0.25, num_frames=6)
    draws = np.array([[0.5, 0.6, 0.0]])  # to the right, along a row

    class Drawn(np.random.Generator):
        def random(self, *_: Any, **__: Any) -> Any:
            return draws

    tracks = trajectories(Drawn(np.random.PCG64(0)), 1, config)
    assert tracks[:, 0, 1].tolist() == [8500, 10_000, 7500, 5000, 2500, 0]
    assert set(tracks[:, 0, 0].tolist()) == {5000}


def test_the_brighter_pixel_stands_where_digits_overlap() -> None:
    flat = np.stack([np.full((28, 28), value, np.uint8) for value in (90, 200)])
    frames = MovingMnist(flat, MovingMnistConfig(canvas=28, num_frames=1)).generate(200, np.random.default_rng(0))
    values, counts = np.unique(frames[0, :, 0, 0], return_counts=True)
    assert values.tolist() == [90, 200]
    assert 30 < counts[0] < 70  # both dark: one in four
    assert (frames == frames[..., :1, :1]).all()


def test_digits_are_drawn_uniformly() -> None:
    shades = np.arange(1, 11, dtype=np.uint8)[:, None, None] * np.ones((28, 28), np.uint8)
    frames = MovingMnist(shades, MovingMnistConfig(num_digits=1, canvas=28, num_frames=1)).generate(
        5000, np.random.default_rng(0)
    )
    counts = np.bincount(frames[0, :, 0, 0], minlength=11)
    assert counts[0] == 0
    assert (abs(counts[1:] - 500) < 100).all()  # 4.7 standard deviations


def test_a_sequence_depends_on_the_seed_and_its_number_only() -> None:
    stream = MovingMnist(DIGITS, MovingMnistConfig())
    twelve = stream.generate(12, np.random.default_rng(5))
    np.testing.assert_array_equal(twelve, stream.generate(12, np.random.default_rng(5)))
    np.testing.assert_array_equal(twelve[:, :4], stream.generate(4, np.random.default_rng(5)))
    rng = np.random.default_rng(5)
    np.testing.assert_array_equal(
        twelve, np.concatenate([stream.generate(num_sequences, rng) for num_sequences in (1, 7, 4)], axis=1)
    )
    assert (twelve != stream.generate(12, np.random.default_rng(6))).any()


def test_no_two_streams_draw_the_same() -> None:
    seeds = (0, 1, 2, 2**32, 2**32 + 1, 2**62)
    generators = [stream_rng(stream, seed) for stream in get_args(Stream) for seed in seeds]
    generators += [step_rng(seed, step) for seed in seeds for step in (0, 1, 2, 2**32)]
    first = [rng.random() for rng in generators]
    assert len(set(first)) == len(first) == 3 * 6 + 6 * 4
    assert stream_rng("test", 1).random() == np.random.default_rng(1).random()  # as files were always drawn
    assert step_rng(3, 5).random() == np.random.default_rng([3, 5, 1]).random()


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("canvas", 27, "canvas is 27, it must hold a digit of 28 pixels"),
        ("num_frames", 0, "num_frames is 0, it must be at least 1"),
        ("num_digits", 0, "num_digits is 0, it must be at least 1"),
        ("displacement", 0.0, "displacement is 0.0, it must be above 0 and below 1"),
        ("displacement", 1.0, "displacement is 1.0"),
        ("displacement", math.nan, "displacement is nan"),
    ],
)
def test_what_cannot_be_is_refused(setting: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MovingMnistConfig(**{setting: value})


def test_mistakes_in_calling_are_value_errors() -> None:
    for digits in (DIGITS[:0], DIGITS[:, :27], DIGITS.astype(np.float32), DIGITS[0]):
        with pytest.raises(ValueError, match=r"expected uint8 \(N, 28, 28\)"):
            MovingMnist(digits, MovingMnistConfig())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="num_sequences is 0"):
        MovingMnist(DIGITS, MovingMnistConfig()).generate(0, np.random.default_rng(0))


@pytest.mark.real_data
def test_figures_of_the_literature_on_frames_11_to_20(real_data: Path) -> None:
    stream = MovingMnist(load_digits(real_data / "mnist", "test"), MovingMnistConfig())
    pixels = stream.generate(2000, np.random.default_rng(0)).reshape(20, 2000, 4096)
    mean = torch.from_numpy(pixels[10:].mean(axis=(0, 1)) / 255).float()
    sums: defaultdict[str, float] = defaultdict(float)
    for block in np.split(pixels, 100, axis=1):
        values = torch.from_numpy(block).float() / 255
        last_seen, frames = values[9:10], values[10:]
        for name, costs in {
            "floor": entropy_floor(frames),
            "mean, nats": bernoulli_nats(mean.expand_as(frames), frames),
            "mean": squared_error(mean.expand_as(frames), frames),
            "black": squared_error(torch.zeros_like(frames), frames),
            "last seen": squared_error(last_seen.expand_as(frames), frames),
        }.items():
            sums[name] += costs.sum().item()
    means = {name: total / (10 * 2000) for name, total in sums.items()}
    assert means["floor"] == pytest.approx(86.3, abs=0.7)
    assert means["mean, nats"] == pytest.approx(674, abs=6)
    assert means["mean"] == pytest.approx(153, abs=2)
    assert means["black"] == pytest.approx(174, abs=2)
    assert means["last seen"] == pytest.approx(286, abs=4)
