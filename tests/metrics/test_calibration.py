"""Expected calibration error, against the definition written out, and temperatures that repair a known distortion."""

import numpy as np
import pytest
from numpy.typing import NDArray

from vidrep.metrics.calibration import Calibration, Reliability
from vidrep.metrics.cross_validation import at_temperature, best_temperature

Doubles = NDArray[np.float64]


def drawn(seed: int, num: int, *, sharpness: float) -> tuple[Doubles, NDArray[np.int64]]:
    """Draw probabilities, and classes by them; sharpness: a temperature that the probabilities then lack."""
    rng = np.random.default_rng(seed)
    true = rng.dirichlet(np.ones(4), size=num)
    classes = np.array([rng.choice(4, p=one) for one in true])
    powered = true**sharpness
    return powered / powered.sum(axis=1, keepdims=True), classes


@pytest.mark.parametrize("seed", range(5))
def test_the_error_is_that_of_the_definition(seed: int) -> None:
    probabilities, classes = drawn(seed, 200, sharpness=2.0)
    found = Reliability.of(probabilities, classes)
    total = 0.0
    for number in range(1, 16):
        members = [
            row for row in range(200) if (number - 1) / 15 < max(probabilities[row]) <= number / 15
        ]  # Guo et al. 2017, section 2
        if members:
            confidence = sum(max(probabilities[row]) for row in members) / len(members)
            accuracy = sum(int(np.argmax(probabilities[row])) == classes[row] for row in members) / len(members)
            total += len(members) / 200 * abs(accuracy - confidence)
        assert found.bins[number - 1].count == len(members)
    assert found.expected_calibration_error == pytest.approx(total, rel=1e-12)
    assert found.log_loss == pytest.approx(-np.mean(np.log(probabilities[np.arange(200), classes])), rel=1e-9)


def test_certain_predictions_are_in_the_last_bin_and_an_edge_in_the_lower_one() -> None:
    found = Reliability.of(np.array([[1.0, 0.0], [1.0, 0.0], [0.6, 0.4]]), np.array([0, 1, 0]))
    assert [one.count for one in found.bins] == [0] * 8 + [1] + [0] * 5 + [2]  # 0.6 is the upper edge of the ninth
    assert found.bins[14].accuracy == 0.5 and found.bins[14].confidence == 1.0
    assert found.expected_calibration_error == pytest.approx((2 * 0.5 + 0.4) / 3)


def test_the_best_temperature_undoes_a_known_one() -> None:
    probabilities, classes = drawn(1, 4000, sharpness=2.0)
    temperature = best_temperature(probabilities, classes)
    assert temperature == pytest.approx(2.0, rel=0.12)  # steps of the grid are 12 %
    before, after = (
        Reliability.of(probabilities, classes),
        Reliability.of(at_temperature(probabilities, temperature), classes),
    )
    assert before.expected_calibration_error > 0.1 > 0.03 > after.expected_calibration_error
    assert Calibration(temperature=temperature, final_temperature=1.0, before=before, after=after).is_fitted
