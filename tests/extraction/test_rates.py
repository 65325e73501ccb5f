"""Rates name the stage that limits an extraction, from the seconds that each stage took."""

from typing import Any

import pytest

from vidrep.extraction.rates import StageRates

TOOK: dict[str, Any] = {
    "num_frames": 1000,
    "workers": 0,
    "decode_seconds": 10.0,
    "network_threads": 1,
    "network_seconds": 20.0,
    "network_shares_cores": True,
    "write_seconds": 5.0,
}


@pytest.fixture(autouse=True)
def _four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vidrep.extraction.rates.available_cores", lambda: 4)


@pytest.mark.parametrize(
    ("took", "decode", "network", "write", "limiting"),
    [
        ({}, 100.0, 50.0, 200.0, "network"),
        ({"workers": 1}, 100.0, 50.0, 200.0, "network"),
        ({"workers": 3}, 300.0, 50.0, 200.0, "network"),
        ({"workers": 9}, 400.0, 50.0, 200.0, "network"),  # no more than there are cores
        ({"network_threads": 3}, 100.0, 150.0, 200.0, "decode"),
        ({"network_threads": 9}, 100.0, 200.0, 200.0, "decode"),
        ({"network_threads": 9, "network_shares_cores": False}, 100.0, 450.0, 200.0, "decode"),
        ({"write_seconds": 40.0}, 100.0, 50.0, 25.0, "write"),
        ({"network_threads": 0, "network_seconds": 0.0}, 100.0, None, 200.0, "decode"),  # patches
    ],
)
def test_what_each_stage_would_reach(
    took: dict[str, Any], decode: float, network: float, write: float, limiting: str
) -> None:
    rates = StageRates.of(**{**TOOK, **took})
    assert rates == StageRates(decode=decode, network=network, write=write)
    assert rates.limiting == limiting


def test_nothing_done_has_no_rates() -> None:
    rates = StageRates.of(**{**TOOK, "num_frames": 0})
    assert rates == StageRates(decode=None, network=None, write=None)
    assert rates.limiting == ""
