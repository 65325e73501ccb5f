"""Times in text: seconds, or hours, minutes and seconds."""

import math
import re

from ..errors import LabelError

_CLOCK = re.compile(r"(?:(\d+):)?([0-5]?\d):([0-5]?\d(?:[.,]\d*)?)")
_DECIMALS = 9  # sums of hours, minutes and decimals are then the number that was written


def seconds_of(text: str, what: str, place: str) -> float:
    """Return the seconds that a text says: "83.456", "83,456" or "0:01:23.456"; LabelError if it is no time.

    what: is read, for the message: "start".
    """
    if match := _CLOCK.fullmatch(text):
        hours, minutes, seconds = match.groups()
        return round(int(hours or 0) * 3600 + int(minutes) * 60 + float(seconds.replace(",", ".")), _DECIMALS)
    try:
        seconds_alone = float(text.replace(",", ".") if "." not in text else text)
    except ValueError:
        seconds_alone = math.nan
    if not math.isfinite(seconds_alone):
        raise LabelError(
            f"{place}: {what} {text!r} is no time; write seconds, 83.4, or hours:minutes:seconds, 0:01:23.4"
        )
    return seconds_alone


def is_time(text: str) -> bool:
    """Return whether a text says a time."""
    try:
        seconds_of(text, "", "")
    except LabelError:
        return False
    return True


def decimal(seconds: float) -> str:
    """Return seconds as the shortest decimal that is read as the same number: "12", "0.04"."""
    text = f"{seconds:.17f}".rstrip("0") if "e" in repr(seconds) else repr(seconds)
    return text.removesuffix(".0").removesuffix(".")


def thousandths(seconds: float) -> str:
    """Return seconds with three decimals: "83.456"."""
    return f"{seconds:.3f}"


def clock(seconds: float, *, mark: str = ".") -> str:
    """Return "00:01:23.456", with another decimal mark if one is given."""
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}{mark}{milliseconds:03d}"
