"""Messages are bounded, whatever names they repeat."""

import pickle

import pytest

from vidrep.errors import LONGEST_MESSAGE, VideoError, nearest_names, shortened, some_names


def test_short_texts_stay_as_they_are() -> None:
    assert shortened("a" * 200) == "a" * 200
    assert some_names(["a", "b"]) == "a, b"
    assert some_names("abcdefg") == "a, b, c, d, e and 2 more"


def test_long_texts_keep_their_beginning_and_their_end() -> None:
    text = "begin" + "x" * 10_000 + "end"
    short = shortened(text)
    assert len(short) == 200
    assert short.startswith("beginxxx")
    assert short.endswith("xxxend")
    assert " ...(10008 characters)... " in short


def test_errors_and_lists_are_bounded() -> None:
    names = [f"{number}" * 1000 for number in range(5000)]
    assert len(some_names(names)) < 5 * 202 + 20
    error = VideoError(f"a.mp4: {', '.join(names)}; give another")
    assert len(str(error)) == LONGEST_MESSAGE
    assert str(error).startswith("a.mp4: 0000")
    assert str(error).endswith("; give another")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert len(nearest_names("x" * 5000, ["x" * 5001])) < 250


@pytest.mark.parametrize("message", ["", "short"])
def test_an_error_has_its_message(message: str) -> None:
    assert str(VideoError(message)) == message
