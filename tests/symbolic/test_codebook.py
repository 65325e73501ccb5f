"""Letters: found, given to series, stored, and turned back into values."""

import json

import numpy as np
import pytest

from vidrep.errors import ConfigError, InputError
from vidrep.symbolic.codebook import LETTERS, Codebook, SeriesSource, SymbolSettings


def sawtooth(*heights: float) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """Rise by each height in 4 steps, fall back in 1."""
    return np.concatenate([[0.0], *([height / 4, height / 2, height * 3 / 4, height, 0] for height in heights)])


EVERY = [sawtooth(1, 1, 1), sawtooth(1, 3)]


def test_letters_are_groups_of_pieces_and_the_most_frequent_comes_first() -> None:
    book = Codebook.fit(EVERY, SymbolSettings(alpha=0.3))
    values = np.concatenate(EVERY)
    assert (book.mean, book.std) == (values.mean(), values.std())
    assert book.letters == "abcd"
    lengths = [length for length, _ in book.centers]
    assert lengths == pytest.approx([1, 4, 1, 4])
    assert [increment * book.std for _, increment in book.centers] == pytest.approx([-1, 1, -3, 3])
    texts = [book.symbols(book.pieces(one)) for one in EVERY]
    assert texts == ["bababa", "badc"]
    for text, one in zip(texts, EVERY, strict=True):
        np.testing.assert_allclose(book.values(text, one[0]), one, atol=1e-12)
    assert book.num_steps("badc") == 10
    assert book.num_steps("") == 0


def test_a_new_series_gets_the_nearest_letters() -> None:
    book = Codebook.fit(EVERY, SymbolSettings(alpha=0.3))
    assert book.symbols(book.pieces(sawtooth(1.1, 2.8))) == "badc"
    assert book.symbols(book.pieces(np.array([5.0]))) == ""


def test_one_hot_letters_are_white_pixels() -> None:
    book = Codebook.fit(EVERY, SymbolSettings(alpha=0.3))
    assert book.one_hot("ca").tolist() == [[0, 0, 255, 0], [255, 0, 0, 0]]
    assert book.one_hot("").shape == (0, 4)


def test_json_gives_the_same_letters_whatever_the_order() -> None:
    rng = np.random.default_rng(0)
    source = SeriesSource(extractor={"kind": "patches", "size": 16}, frame_shape=[16, 16], dtype="uint8", fitted_to="f")
    book = Codebook.fit([rng.standard_normal(300)], SymbolSettings(series="column:2", alpha=0.25), source)
    assert len(book.letters) > 26
    assert book.letters[26] == "A"
    assert Codebook.from_json(json.loads(json.dumps(book.to_json(), sort_keys=True))) == book
    with pytest.raises(InputError, match="no codebook of `vidrep symbols`"):
        Codebook.from_json({"mean": 1})


def test_what_cannot_be_letters() -> None:
    with pytest.raises(InputError, match=r"series motion: constant, 0\.3 in all 2 videos, so that .* another --series"):
        Codebook.fit([np.full(9, 0.3), np.full(5, 0.3)], SymbolSettings())
    with pytest.raises(InputError, match="series motion: no video has 2 values of it"):
        Codebook.fit([np.zeros(1), np.zeros(0)], SymbolSettings())
    noise = np.random.default_rng(0).standard_normal(300)
    with pytest.raises(ConfigError, match=rf"alpha 0\.01: .* more groups than there are letters, {len(LETTERS)}; give"):
        Codebook.fit([noise], SymbolSettings(alpha=0.01))
    for name in ("alpha", "tolerance"):
        for value in (0.0, -1.0, float("nan"), float("inf")):
            with pytest.raises(ConfigError, match=f"{name} .*: give a number above 0"):
                SymbolSettings(**{name: value})  # type: ignore[arg-type]
