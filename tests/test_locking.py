"""One writer an output, whatever becomes of the others: real processes, killed and not."""

import errno
import json
import logging
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from vidrep import locking
from vidrep.errors import OutputError
from vidrep.locking import locking_output

# Takes the lock of every output that a line names, and prints what came of it; a winner waits for the next line.
CONTENDER = """
import errno, fcntl, json, os, stat, sys, time
from pathlib import Path
from vidrep.errors import OutputError
from vidrep.locking import locking_output

real = fcntl.flock

def no_locks_on_files(descriptor, operation):
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        raise OSError(errno.ENOTSUP, "no locks here")
    real(descriptor, operation)

if sys.argv[1] == "existence":
    fcntl.flock = no_locks_on_files
print("ready", flush=True)
for line in sys.stdin:
    began = time.monotonic()
    try:
        with locking_output(Path(line.strip())):
            print(json.dumps(["won", os.getpid()]), flush=True)
            sys.stdin.readline()
        print(json.dumps(["released", os.getpid()]), flush=True)
    except OutputError as error:
        print(json.dumps([str(error), time.monotonic() - began]), flush=True)
"""
HOST = socket.gethostname()
fcntl = pytest.importorskip("fcntl", reason="Windows has no flock")


class Contender:
    def __init__(self, kind: str) -> None:
        command = [sys.executable, "-c", CONTENDER, kind]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._line() == "ready\n"

    def tell(self, line: object) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def answer(self) -> Any:
        return json.loads(self._line())

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


@contextmanager
def contenders(count: int, kind: str = "kernel") -> Iterator[list[Contender]]:
    started = [Contender(kind) for _ in range(count)]
    try:
        yield started
    finally:
        for one in started:
            one.end()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def sign(lock: Path, *, pid: int, host: str = HOST) -> None:
    lock.write_text(json.dumps({"pid": pid, "host": host, "since": "then"}))


@pytest.fixture
def dead_pid() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize("leftover", [False, True])
@pytest.mark.parametrize("kind", ["kernel", "existence"])
def test_of_two_processes_exactly_one_writes_and_the_other_learns_who(
    tmp_path: Path, kind: str, leftover: bool, dead_pid: int
) -> None:
    with contenders(2, kind) as both:
        for number in range(20):
            output = tmp_path / f"{number}.h5"
            if leftover:
                sign(tmp_path / f".{number}.h5.lock", pid=dead_pid)
            for one in both:
                one.tell(output)
            answers = [one.answer() for one in both]
            assert [word for word, _ in answers].count("won") == 1
            winner = [word for word, _ in answers].index("won")
            message, seconds = answers[1 - winner]
            holder = f"process {both[winner].process.pid} on host {HOST} since "
            assert message.startswith(f"{output} is being written by {holder}")
            assert "\n" not in message and seconds < 1
            both[winner].tell("release")
            assert both[winner].answer()[0] == "released"
            both[1 - winner].tell(output)
            assert both[1 - winner].answer()[0] == "won"
            both[1 - winner].tell("release")
            assert both[1 - winner].answer()[0] == "released"
    assert names(tmp_path) == []


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    output = tmp_path / "new" / "f.h5"
    with contenders(1) as [killed]:
        killed.tell(output)
        assert killed.answer()[0] == "won"
        with pytest.raises(OutputError, match=f"process {killed.process.pid} on host {HOST}"), locking_output(output):
            pass
        assert names(output.parent) == [".f.h5.lock"]
    with caplog.at_level(logging.WARNING), locking_output(output):
        assert f"process {killed.process.pid} on host {HOST} since" in caplog.text
        assert json.loads((output.parent / ".f.h5.lock").read_text())["pid"] == os.getpid()
    assert names(output.parent) == []


HOLDER_WITH_CHILDREN = """
import os, subprocess, sys, time
from pathlib import Path
from vidrep.locking import locking_output

with locking_output(Path(sys.argv[1])):
    leaving = os.fork()
    if not leaving:
        sys.exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(leaving, 0)[1]) == 7
    child = subprocess.Popen(["sleep", "60"], close_fds=False, stdout=subprocess.DEVNULL)
    forked = os.fork()
    if not forked:
        print(child.pid, os.getpid(), flush=True)
        os.close(1)
        time.sleep(60)
    time.sleep(60)
"""


def test_children_neither_give_their_parents_lock_back_nor_keep_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER_WITH_CHILDREN, str(tmp_path / "f.h5")]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    children = [int(number) for number in holder.stdout.readline().split()]
    try:
        with pytest.raises(OutputError, match=f"process {holder.pid} "), locking_output(tmp_path / "f.h5"):
            pass
        holder.kill()
        holder.communicate()
        with locking_output(tmp_path / "f.h5"):
            for child in children:
                os.kill(child, 0)  # they live
    finally:
        for child in children:
            os.kill(child, 9)


def test_a_process_has_no_second_go_at_its_own_lock(tmp_path: Path) -> None:
    with locking_output(tmp_path / "f.h5"):
        before = (tmp_path / ".f.h5.lock").read_text()
        again = pytest.raises(OutputError, match=f"is being written by process {os.getpid()} on host {HOST}")
        with again, locking_output(tmp_path / "f.h5"):
            pass
        assert (tmp_path / ".f.h5.lock").read_text() == before
        with locking_output(tmp_path / "other.h5"):
            assert names(tmp_path) == [".f.h5.lock", ".other.h5.lock"]
    assert names(tmp_path) == []


def test_a_lock_file_that_its_holder_has_just_removed_is_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lock, real = tmp_path / ".f.h5.lock", fcntl.flock
    opened: list[int] = []

    def removed_meanwhile(descriptor: int, operation: int) -> None:
        opened.append(descriptor)
        if len(opened) == 1:
            sign(lock, pid=1)
            lock.unlink()
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", removed_meanwhile)
    with locking_output(tmp_path / "f.h5"):
        assert json.loads(lock.read_text())["pid"] == os.getpid()
        assert len(opened) == 2
    assert caplog.text == ""
    assert names(tmp_path) == []


def test_the_lock_of_a_folder_lies_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "parts").mkdir()
    monkeypatch.chdir(tmp_path / "parts")
    for spelled in (tmp_path / "parts", tmp_path / "parts" / ".", Path()):
        with locking_output(spelled):
            assert names(tmp_path) == [".parts.lock", "parts"]
    assert names(tmp_path / "parts") == []


def test_a_failure_releases(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), locking_output(tmp_path / "f.h5"):
        raise KeyboardInterrupt
    assert names(tmp_path) == []


def test_a_place_where_no_lock_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot be written"), locking_output(tmp_path / "file" / "f.h5"):
        pass


def test_a_lock_that_cannot_be_signed_is_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, content: bytes, offset: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(locking, "write_at", full)
    with pytest.raises(OutputError, match="No space left on device"), locking_output(tmp_path / "f.h5"):
        pass
    assert names(tmp_path) == []


# ---- file systems without locks


@pytest.fixture(params=[errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS], ids=errno.errorcode.get)
def _no_locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    real = fcntl.flock

    def flock(descriptor: int, operation: int) -> None:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(request.param, os.strerror(request.param))
        real(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", flock)


def test_another_refusal_of_the_lock_is_an_error_that_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(descriptor: int, operation: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(fcntl, "flock", flock)
    refused = pytest.raises(OutputError, match=r"\.f\.h5\.lock: cannot be written \(Input/output error\)")
    with refused, locking_output(tmp_path / "f.h5"):
        pass


@pytest.mark.usefixtures("_no_locks")
def test_without_locks_who_made_the_file_has_it(tmp_path: Path) -> None:
    again = pytest.raises(OutputError, match=rf"process {os.getpid()} on .* if that process has ended, remove .*\.lock")
    with locking_output(tmp_path / "f.h5"), again, locking_output(tmp_path / "f.h5"):
        pass
    assert names(tmp_path) == []


@pytest.mark.usefixtures("_no_locks")
def test_without_locks_only_an_ended_process_of_this_host_is_replaced(
    tmp_path: Path, dead_pid: int, caplog: pytest.LogCaptureFixture
) -> None:
    lock = tmp_path / ".f.h5.lock"
    for pid, host in [(dead_pid, "elsewhere"), (os.getppid(), HOST), (1, HOST)]:
        sign(lock, pid=pid, host=host)
        refused = pytest.raises(OutputError, match=rf"process {pid} on host {host} .* remove {lock} ")
        with refused, locking_output(tmp_path / "f.h5"):
            pass
    lock.write_text("")
    with pytest.raises(OutputError, match=f"written by another process; .* remove {lock} "):
        locking_output(tmp_path / "f.h5").__enter__()
    sign(lock, pid=dead_pid)
    with caplog.at_level(logging.WARNING), locking_output(tmp_path / "f.h5"):
        assert caplog.text.count(f"process {dead_pid} on host {HOST}") == 1
        assert json.loads(lock.read_text())["pid"] == os.getpid()
    assert names(tmp_path) == []


@pytest.mark.usefixtures("_no_locks")
def test_without_locks_a_leftover_that_another_process_takes_over_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dead_pid: int
) -> None:
    host, lock = tmp_path / "host", tmp_path / ".f.h5.lock"
    host.mkdir()
    monkeypatch.setattr(locking, "_FOLDER_OF_THIS_HOST", str(host))
    sign(lock, pid=dead_pid)
    other = os.open(host, os.O_RDONLY)
    try:
        fcntl.flock(other, fcntl.LOCK_EX)
        refused = pytest.raises(OutputError, match=f"process {dead_pid} .* remove {lock} ")
        with refused, locking_output(tmp_path / "f.h5"):
            pass
    finally:
        os.close(other)
    assert json.loads(lock.read_text())["pid"] == dead_pid
    with locking_output(tmp_path / "f.h5"):
        pass
    assert names(tmp_path) == ["host"]


@pytest.mark.usefixtures("_no_locks")
def test_without_locks_a_leftover_that_another_process_has_just_taken_over_is_its(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dead_pid: int
) -> None:
    lock, flock = tmp_path / ".f.h5.lock", fcntl.flock
    sign(lock, pid=dead_pid)

    def taken_over_meanwhile(descriptor: int, operation: int) -> None:
        flock(descriptor, operation)
        sign(lock, pid=os.getppid())

    monkeypatch.setattr(fcntl, "flock", taken_over_meanwhile)
    with pytest.raises(OutputError, match=f"process {os.getppid()} "), locking_output(tmp_path / "f.h5"):
        pass
    assert json.loads(lock.read_text())["pid"] == os.getppid()


def test_on_windows_existence_is_the_lock_and_nobody_is_taken_for_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dead_pid: int
) -> None:
    """The choices made there, on this system: `os.kill` would end the process that it asks for."""
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(os, "kill", None)
    monkeypatch.setattr(fcntl, "flock", None)
    again = pytest.raises(OutputError, match=f"process {os.getpid()} on host {HOST}")
    with locking_output(tmp_path / "f.h5"), again, locking_output(tmp_path / "f.h5"):
        pass
    assert names(tmp_path) == []
    lock = tmp_path / ".f.h5.lock"
    sign(lock, pid=dead_pid)
    with pytest.raises(OutputError, match=f"process {dead_pid} .* remove {lock} "), locking_output(tmp_path / "f.h5"):
        pass


def test_the_lock_loads_nothing_heavy() -> None:
    code = "import sys, vidrep.locking; print(sorted({'torch', 'numpy', 'h5py', 'av'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
