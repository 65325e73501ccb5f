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
    """Give a function that returns whether a signal has asked the command to stop.

    Within the block a first signal only asks; a second one has its usual effect. A signal that is ignored, as in
    processes in the background, stays ignored. Stopped ends the command with 128 + the signal's number.
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
        # Not through a stream: the signal may arrive while something is being written to it.
        if is_main_process():
            with suppress(OSError):  # standard error may be closed
                os.write(2, b"stopping; what is finished is kept (once more: at once)\n")

    for number in usual:
        signal.signal(number, receive)
    try:
        yield lambda: bool(received)
    except Stopped as stopped:
        note(f"vidrep: {stopped}")
        # Of several processes another one may have got the signal.
        raise typer.Exit(128 + received[0] if received else stopped.exit_code) from stopped
    finally:
        restore()
