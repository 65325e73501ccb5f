"""A preparation that does in a decoding worker what bad videos make decoders do; workers import it anew."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from vidrep.extraction.preparation import Pixels, Preparation


class Misbehaving(Preparation):
    """Does what a video's key asks for when it comes to a frame: "kill at 3" ends the worker at the third one.

    "dawdle at 3" takes long for every frame from the third on, "count in <file>" adds a byte to a file for every frame.
    """

    def load(self) -> None:
        """Import the decoder too, for tests with short time-outs: on a busy machine that alone is a long silence."""
        super().load()
        import vidrep.video.pyav  # noqa: F401

    def for_video(self, key: str) -> Callable[[Pixels], Pixels]:
        prepare = super().for_video(key)
        if key.startswith("count in "):
            file = Path(key.removeprefix("count in "))

            def count(rgb: Pixels) -> Pixels:
                with file.open("ab") as counted:
                    counted.write(b".")
                return prepare(rgb)

            return count
        habit, _, last = key.partition(" at ")
        if habit not in HABITS:
            return prepare
        num_frames = 0

        def misbehave(rgb: Pixels) -> Pixels:
            nonlocal num_frames
            num_frames += 1
            if num_frames == int(last) or (num_frames > int(last) and habit == "dawdle"):
                HABITS[habit]()
            return prepare(rgb)

        return misbehave


class WithoutStart(Preparation):
    """Lets no worker start."""

    def load(self) -> None:
        os._exit(3)


def _hang() -> None:
    while True:
        time.sleep(60)


HABITS: dict[str, Callable[[], None]] = {
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "abort": os.abort,
    "exit": lambda: os._exit(7),
    "hang": _hang,
    "dawdle": lambda: time.sleep(0.55),
}
