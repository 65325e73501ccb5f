"""Two runs with one output: one does the work, the other names it in one line and ends."""

import socket
import subprocess
from typing import Any

import pytest
from disturbed_extraction import Extraction, sha256


@pytest.mark.parametrize("rounds", [3, pytest.param(20, marks=pytest.mark.slow)])
def test_two_runs_with_one_output(extraction: Extraction, undisturbed: Any, rounds: int) -> None:
    for _ in range(rounds):
        extraction.clear()
        both = [
            subprocess.Popen(extraction.command(pause=0.03), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(2)
        ]
        ended = [(process.pid, *process.communicate(), process.returncode) for process in both]
        assert sorted(code for *_, code in ended) == [0, 5]
        winner, loser = sorted(ended, key=lambda one: one[-1])
        _, output, errors, _ = loser
        assert errors.startswith(
            f"{extraction.output} is being written by process {winner[0]} on host {socket.gethostname()} since "
        )
        assert errors.count("\n") == 1 and float(output.split()[-2]) < 1
        assert sha256(extraction.output) == undisturbed.final
        assert extraction.names() == ["f.h5"]
