"""Where torch computes: names of devices, and how many threads."""

import torch

from .errors import ConfigError

DEVICES = ("auto", "cpu", "cuda", "mps")


def choose_device(name: str) -> torch.device:
    """Turn "auto", "cpu", "cuda" or "mps" into a device; "auto" takes the first of cuda, mps, cpu that is there.

    Raises ConfigError if the device is unknown or absent.
    """
    if name not in DEVICES:
        raise ConfigError(f"device {name!r}: allowed are {', '.join(DEVICES)}")
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next(kind for kind in ("cuda", "mps", "cpu") if present[kind])
    elif not present[name]:
        raise ConfigError(f"device {name!r}: torch {torch.__version__} finds none here; use --device auto or cpu")
    return torch.device(name)


def set_threads(count: int | None) -> None:
    """Let torch use `count` CPU threads; None leaves its own choice."""
    if count is not None:
        if count < 1:
            raise ConfigError(f"threads {count}: give at least 1")
        torch.set_num_threads(count)
