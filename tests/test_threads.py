"""How threads wait is chosen before torch loads, and small work gets one thread by a rule on sizes."""

import logging
import os
import subprocess
import sys

import pytest

from vidrep import threads
from vidrep.threads import limit_spinning, threads_for, warn_of_spinning

VARIABLES = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
SHOW = "import os; print(os.environ.get('GOMP_SPINCOUNT'), flush=True)"


def spin_count_after(imports: str, **given: str) -> list[str]:
    """Return GOMP_SPINCOUNT after imports in a fresh process, there and in its child, and whether torch is loaded."""
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES} | given
    in_a_child = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {SHOW!r}], check=True)"
    code = "\n".join([imports, SHOW, in_a_child, "print('torch' in sys.modules)"])
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.parametrize("imports", ["import vidrep", "import vidrep_cli.main"])
def test_importing_sets_the_spin_count_before_torch_is_loaded(imports: str) -> None:
    assert spin_count_after(imports) == ["1000", "1000", "False"]


def test_a_choice_of_the_users_is_kept() -> None:
    assert spin_count_after("import vidrep", GOMP_SPINCOUNT="5") == ["5", "5", "False"]
    assert spin_count_after("import vidrep", OMP_WAIT_POLICY="active") == ["None", "None", "False"]


def test_where_torch_is_loaded_nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert "torch" in sys.modules
    limit_spinning()
    assert "GOMP_SPINCOUNT" not in os.environ


def test_then_one_warning_says_what_to_do(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(threads, "_has_warned", False)
    monkeypatch.setattr(sys, "platform", "linux")
    for name in VARIABLES:
        monkeypatch.setenv(name, "1")
        warn_of_spinning(2)
        monkeypatch.delenv(name)
    warn_of_spinning(1)  # one thread waits for none
    assert caplog.records == []
    warn_of_spinning(2)
    warn_of_spinning(2)
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (
            logging.WARNING,
            "torch was imported before vidrep, so its 2 threads wait in long loops, and a training can take many times "
            "as long beside other work; import vidrep first, or set GOMP_SPINCOUNT=1000 before Python starts",
        )
    ]


def test_elsewhere_than_on_linux_there_is_nothing_to_warn_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(threads, "_has_warned", False)
    monkeypatch.setattr(sys, "platform", "darwin")
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    warn_of_spinning(2)
    assert caplog.records == []


@pytest.mark.parametrize(
    ("input_size", "hidden_size", "num_layers", "batch_size", "expected"),
    [
        (256, 128, 1, 64, 1),  # S of the benchmark
        (256, 256, 1, 64, 1),
        (256, 256, 1, 32, 1),
        (1024, 512, 1, 80, None),  # M
        (4096, 2048, 1, 80, None),  # L
        # 4 * 128 * 128 weights by 1,023 windows are 64 Ki multiply-adds less than the limit, by 1,024 the limit.
        (0, 128, 1, 1023, 1),
        (0, 128, 1, 1024, None),
        # A second layer has twice as many weights again.
        (0, 128, 2, 341, 1),
        (0, 128, 2, 342, None),
    ],
)
def test_small_work_gets_one_thread(
    input_size: int, hidden_size: int, num_layers: int, batch_size: int, expected: int | None
) -> None:
    found = threads_for(input_size=input_size, hidden_size=hidden_size, num_layers=num_layers, batch_size=batch_size)
    assert found == expected
