"""Every error that a caller of vidrep can act on, in one tree.

    VidrepError                 root: catch this to catch everything that follows
    ├── ConfigError             a recipe, a setting or an option that is not allowed; exit code 2
    ├── InputError              a path, a file or a selection that cannot be used; exit code 3
    │   ├── VideoError          one video that cannot be decoded (extraction lists it and goes on)
    │   ├── FeatureFileError    a feature file that is damaged, foreign or does not fit the model
    │   │   └── FileInUseError  one that another program has open for writing
    │   └── LabelError          labels or splits that contradict each other or name missing videos
    ├── OutputError             an output that exists, cannot be written, or has other settings; exit code 5
    ├── WeightsError            a network, layer or weights that are missing or do not fit; exit code 6
    ├── TrainingError           training that cannot go on, such as a loss that is not finite; exit code 7
    ├── ResourceError           processes or memory that the machine does not give; exit code 8
    └── Stopped                 a long call that was asked to stop; exit code 130, or 143 after SIGTERM

The root itself is never raised: its exit code is that of a bug.

A message gives what was got, what is allowed and what to do, and names the file and the video.
Mistakes in calling the library stay ValueError, TypeError and IndexError.
"""

import difflib
from collections.abc import Iterable
from typing import ClassVar


class VidrepError(Exception):
    """Root of all errors that vidrep raises on purpose; each of them is one of its classes below.

    message: shortened in its middle if it is longer than LONGEST_MESSAGE, whatever names it repeats.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str = "") -> None:
        super().__init__(shortened(message, LONGEST_MESSAGE))


class ConfigError(VidrepError):
    """A recipe, a setting or an option that is not allowed."""

    exit_code = 2


class InputError(VidrepError):
    """A path, a file or a selection that cannot be used."""

    exit_code = 3


class VideoError(InputError):
    """One video that cannot be decoded."""


class FeatureFileError(InputError):
    """A feature file that is damaged, foreign or does not fit the model."""


class FileInUseError(FeatureFileError):
    """A feature file that another program has open for writing; nothing is wrong with it."""


class LabelError(InputError):
    """Labels or splits that contradict each other or name missing videos."""


class OutputError(VidrepError):
    """An output that exists, cannot be written, or was made with other settings."""

    exit_code = 5


class WeightsError(VidrepError):
    """A network, layer or weights that are missing or do not fit."""

    exit_code = 6


class TrainingError(VidrepError):
    """Training that cannot go on."""

    exit_code = 7


class ResourceError(VidrepError):
    """Processes or memory that the machine does not give."""

    exit_code = 8


class Stopped(VidrepError):  # noqa: N818 - nothing went wrong
    """A long call that was asked to stop; what is finished is kept."""

    exit_code = 130


LONGEST_MESSAGE = 2000
"""The characters that a message may have. A name from a file may be of any length, so that every message is bounded."""
_LONGEST_NAME = 200


def shortened(text: str, longest: int = _LONGEST_NAME) -> str:
    """Return a text of at most `longest` characters: its beginning and its end if it has more."""
    if len(text) <= longest:
        return text
    left_out = f" ...({len(text)} characters)... "
    end = (longest - len(left_out)) // 3
    return text[: longest - len(left_out) - end] + left_out + text[-end:]


def nearest_names(name: str, allowed: Iterable[str], *, count: int = 3) -> str:
    """Return a hint with the allowed names most like `name`, "did you mean 'a' or 'b'?", or '' if none is near."""
    near = difflib.get_close_matches(name, list(allowed), n=count, cutoff=0.5)
    return f"did you mean {' or '.join(repr(shortened(one)) for one in near)}?" if near else ""


def some_names(names: Iterable[str], *, count: int = 5) -> str:
    """Join the first few of many names, each shortened, for a message: "a, b, c and 7 more"."""
    every = list(names)
    shown = ", ".join(map(shortened, every[:count]))
    return shown if len(every) <= count else f"{shown} and {len(every) - count} more"
