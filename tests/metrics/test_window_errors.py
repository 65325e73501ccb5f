"""What a model saves of other predictors' errors: exact shares, and sentences about them."""

import numpy as np
import pytest

from vidrep.metrics.window_errors import WindowErrors, main_objective, prediction_verdict

GROUPS = np.array([0, 0, 1, 2, 3, 4, 5, 6])


def errors(model: list[float], persistence: list[float]) -> WindowErrors:
    return WindowErrors(
        GROUPS, {"future": {"model": np.array(model), "persistence": np.array(persistence), "zeros": np.ones(8)}}
    )


def test_the_share_is_that_of_the_mean_error() -> None:
    model, persistence = [1.0, 2, 3, 4, 5, 6, 7, 8], [4.0, 4, 4, 8, 8, 8, 12, 12]
    of_windows = errors(model, persistence)
    found = of_windows.paired()
    assert found.keys() == {"future"} and found["future"].keys() == {"persistence"}
    share = found["future"]["persistence"]
    assert share.difference == pytest.approx(1 - sum(model) / sum(persistence))
    assert share.low is not None and share.high is not None and share.low < share.difference < share.high
    np.testing.assert_allclose(of_windows.saved("future", "persistence"), np.subtract(persistence, model) / 7.5)
    assert prediction_verdict(found).startswith(
        "The prediction of the future is better than repeating the last frame (squared error -40.0 %, 95 % interval -"
    )


def test_a_predictor_without_errors_cannot_be_beaten() -> None:
    worse = errors([1.0] * 8, [0.0] * 8).paired()["future"]["persistence"]
    assert (worse.difference, worse.low, worse.high) == (-1, -1, -1)
    equal = errors([0.0] * 8, [0.0] * 8).paired()["future"]["persistence"]
    assert (equal.difference, equal.low, equal.high) == (0, 0, 0)


def test_the_future_counts_first_and_without_frames_there_is_nothing_to_say() -> None:
    assert main_objective({"reconstruction": 1, "future": 2}) == "future"
    assert main_objective({"mine": 1}) == "mine"
    of_windows = errors([1.0] * 8, [2.0] * 8).paired()["future"]
    assert prediction_verdict({"reconstruction": of_windows}).startswith("The reconstruction is better than")
    assert prediction_verdict({"mine": of_windows}).startswith("The output of mine is better than")
    assert prediction_verdict({}).startswith("No objective emits frames")
