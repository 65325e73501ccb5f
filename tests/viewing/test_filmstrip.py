"""A filmstrip holds the frames that it was given, each in its place, pixel for pixel."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from vidrep.errors import OutputError
from vidrep.viewing.filmstrip import FilmRow, can_be_shown, write_filmstrip

RED, GRAY, WHITE = (220, 50, 32), (128, 128, 128), (255, 255, 255)
Pixels = NDArray[np.uint8]


def frames_of(num_frames: int, *shape: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (num_frames, *shape), dtype=np.uint8)


def drawn(path: Path) -> Pixels:
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture.convert("RGB"))


def enlarged(frame: Pixels, factor: int) -> Pixels:
    color = np.stack([frame] * 3, axis=-1) if frame.ndim == 2 else frame
    return np.kron(color, np.ones((factor, factor, 1), np.uint8))


def test_truth_stands_above_the_model_and_a_line_parts_seen_from_coming(tmp_path: Path) -> None:
    truth, model = frames_of(5, 10, 20), frames_of(4, 10, 20, seed=1)
    write_filmstrip(tmp_path / "film.png", [[FilmRow(truth), FilmRow(model, start=1)]] * 2, num_context=3)
    picture = drawn(tmp_path / "film.png")
    factor = 4  # the least that makes 20 pixels 64 or more
    height, width = 10 * factor, 20 * factor
    strip_height = 2 * height + 1
    assert picture.shape == (2 * strip_height + 8, 5 * width + 4 + 4, 3)
    lefts = [0, width + 1, 2 * (width + 1), 3 * (width + 1) + 4, 4 * (width + 1) + 4]
    for top in (0, strip_height + 8):
        for column, left in enumerate(lefts):
            above = picture[top : top + height, left : left + width]
            below = picture[top + height + 1 : top + strip_height, left : left + width]
            np.testing.assert_array_equal(above, enlarged(truth[column], factor))
            if column:
                np.testing.assert_array_equal(below, enlarged(model[column - 1], factor))
            else:
                assert (below == WHITE).all()
        strip = picture[top : top + strip_height]
        assert (strip[:, lefts[3] - 5 : lefts[3]] == RED).all()
        assert (strip[:, [left - 1 for left in (lefts[1], lefts[2], lefts[4])]] == GRAY).all()
    assert (picture[strip_height : strip_height + 8] == WHITE).all()


@pytest.mark.parametrize(("shape", "factor"), [((64, 64), 1), ((63, 10), 2), ((100, 30, 3), 1), ((1, 1, 1), 64)])
def test_small_frames_are_enlarged_by_whole_factors(tmp_path: Path, shape: tuple[int, ...], factor: int) -> None:
    frames = frames_of(1, *shape)
    write_filmstrip(tmp_path / "film.png", [[FilmRow(frames)]], num_context=1)
    plain = frames[0, ..., 0] if shape[2:] == (1,) else frames[0]
    np.testing.assert_array_equal(drawn(tmp_path / "film.png"), enlarged(plain, factor))


@pytest.mark.parametrize("num_context", [0, 3])
def test_without_two_sides_there_is_no_line(tmp_path: Path, num_context: int) -> None:
    write_filmstrip(tmp_path / "film.png", [[FilmRow(np.zeros((3, 64, 64), np.uint8))]], num_context=num_context)
    picture = drawn(tmp_path / "film.png")
    assert picture.shape == (64, 3 * 64 + 2, 3)
    assert {tuple(pixel) for pixel in picture.reshape(-1, 3).tolist()} == {(0, 0, 0), GRAY}


def test_a_picture_is_replaced_and_a_refused_one_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "new" / "film.png"
    for value in (0, 200):
        write_filmstrip(path, [[FilmRow(np.full((1, 64, 64), value, np.uint8))]], num_context=0)
        assert (drawn(path) == value).all()
    before = path.read_bytes()
    mixed = [FilmRow(frames_of(1, 8, 8)), FilmRow(frames_of(1, 8, 9))]
    for strips in ([mixed], [], [[FilmRow(frames_of(1, 8, 8, 2))]], [[FilmRow(np.zeros((1, 8, 8)))]]):  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=r"all must be uint8 \(H, W\)"):
            write_filmstrip(path, strips, num_context=0)
    with pytest.raises(OutputError, match=r"film\.jpg: .* ends in \.png"):
        write_filmstrip(path.with_name("film.jpg"), [mixed], num_context=0)
    assert path.read_bytes() == before
    assert [one.name for one in path.parent.iterdir()] == ["film.png"]


@pytest.mark.parametrize(
    ("shape", "dtype", "can"),
    [((8, 9), "uint8", True), ((8, 9, 3), "uint8", True), ((8, 9, 1), "uint8", True), ((8, 9, 2), "uint8", False),
     ((8, 9), "float32", False), ((72,), "uint8", False)],
)  # fmt: skip
def test_what_can_be_shown(shape: tuple[int, ...], dtype: str, can: bool) -> None:
    assert can_be_shown(shape, dtype) == can
