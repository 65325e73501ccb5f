"""Ctrl-C and SIGTERM: the first asks a command to end well, the second ends it at once."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import typer

from vidrep.training.ranks import is_main_process

from .console import note

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stopping_on_signals() -> Iterator[Callable[[], bool]]:
    """Give what says whether a signal has asked to stop; Stopped ends the command with 128 + the signal's number.

    Within the block a first signal only asks; a second one has its usual effect. One that is ignored, as those of
    processes in the background may be, stays so.
    """
    from vidrep.errors import Stopped

    received: list[int] = []
    handlers = {number: signal.getsignal(number) for number in _SIGNALS}
    usual = {number: handler for number, handler in handlers.items() if handler not in (signal.SIG_IGN, None)}

    def restore() -> None:
        for number, handler in usual.items():
            signal.signal(number, handler)

    def receive(number: int, frame: FrameType | None) -> None:
        received.append(number)
        restore()
        # Not through a stream: the signal may have come while something is being written to it.
        if is_main_process():
            with suppress(OSError):  # nobody may be there to read it
                os.write(2, b"stopping; what is finished is kept (once more: at once)\n")

    for number in usual:
        signal.signal(number, receive)
    try:
        yield lambda: bool(received)
    except Stopped as stopped:
        note(f"vidrep: {stopped}")
        # Of several processes another one may have been asked.
        raise typer.Exit(128 + received[0] if received else stopped.exit_code) from stopped
    finally:
        restore()
