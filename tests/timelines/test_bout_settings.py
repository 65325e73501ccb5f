"""The rules of bouts: kept as a dict, and refused where they cannot be."""

import json
from typing import Any

import pytest

from vidrep.errors import ConfigError
from vidrep.timelines.settings import BoutSettings

DEFAULT = BoutSettings.default(["groom", "rear"])


def test_settings_are_kept_in_json() -> None:
    assert BoutSettings.from_dict(json.loads(json.dumps(DEFAULT.to_dict()))) == DEFAULT


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"smoothing": -0.1}, "smoothing -0.1: give seconds, 0 or more"),
        ({"largest_gap": float("nan")}, "largest_gap nan: give seconds, 0 or more"),
        ({"minimum_duration": float("inf")}, "minimum_duration inf: give seconds, 0 or more"),
        ({"unsure": 1.5}, "unsure 1.5: give a probability, 0 to 1"),
        ({"leave": {"groom": 0.5, "rear": 0.6}}, "'rear': enter 0.5 and leave 0.6; give 0 < leave <= enter <= 1"),
        ({"leave": {"groom": 0.5}}, "enter has the labels groom, rear and leave groom"),
        ({"window": 1}, "settings of bouts have .*window; needed are smoothing, enter, leave"),
    ],
)
def test_what_cannot_be_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        BoutSettings.from_dict(DEFAULT.to_dict() | change)


def test_thresholds_stand_in_the_order_of_the_labels() -> None:
    enter, leave = DEFAULT.thresholds(["rest", "rear", "groom"], "rest")
    assert enter.tolist() == [float("inf"), 0.5, 0.5]
    assert leave.tolist() == [float("inf"), 0.4, 0.4]
