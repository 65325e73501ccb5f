"""Settings differ where the features that they make would."""

import json
from pathlib import Path

import pytest

from vidrep.errors import OutputError
from vidrep.features.settings import require_same_settings, settings_difference


def test_differences_of_settings() -> None:
    one = {"size": 1, "sampling": {"fps": None, "every": 1}, "weights_file": "a.pth"}
    assert settings_difference(one, {**one, "weights_file": "b.pth"}) == ""
    assert settings_difference(one, {**one, "size": 2}) == "size is 1, not 2"
    assert settings_difference(one, {**one, "size": 2}, free={"size"}) == ""
    other = {**one, "sampling": {"fps": 2.0, "every": 1}}
    assert settings_difference(one, other) == "sampling.fps is None, not 2.0"
    assert settings_difference({}, {"kind": "cnn"}) == "kind is None, not 'cnn'"
    with pytest.raises(OutputError, match=r"out was made with other settings: sampling\.fps is .*--overwrite"):
        require_same_settings(Path("out"), one, other)
    require_same_settings(Path("out"), one, json.loads(json.dumps(one)))


def test_what_former_versions_recorded_of_decoding_makes_no_difference() -> None:
    assert settings_difference({"size": 1}, {"size": 1, "decoder": "pyav", "decoding_version": 1}) == ""
