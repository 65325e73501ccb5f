"""Where and how torch computes: the device, the precision, the CPU threads."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .errors import ConfigError

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "fp32", "tf32", "bf16")
# A feature file records the precision, and must be extended where there is no CUDA: tf32 is left out.
EXTRACTION_PRECISIONS = ("auto", "fp32", "bf16")


class TorchSettings(NamedTuple):
    """What a block computes with: a device, "fp32", "tf32" or "bf16", and the type of matrix products."""

    device: torch.device
    precision: str
    compute_dtype: torch.dtype


def choose_device(name: str) -> torch.device:
    """Turn "auto", "cpu", "cuda" or "mps" into a device; "auto" is the first of cuda, mps and cpu that is present.

    Raises ConfigError if the name is unknown or the device is absent.
    """
    if name not in DEVICES:
        raise ConfigError(f"device {name!r}: allowed are {', '.join(DEVICES)}")
    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next(kind for kind in ("cuda", "mps", "cpu") if present[kind])
    elif not present[name]:
        raise ConfigError(f"device {name!r}: torch {torch.__version__} finds none here; use --device auto or cpu")
    return torch.device(name)


def choose_precision(
    name: str, device: torch.device, *, allowed: Sequence[str] = PRECISIONS
) -> tuple[str, torch.dtype]:
    """Turn "auto", "fp32", "tf32" or "bf16" into one of the last three and its compute dtype.

    "auto" is bf16 where the device has it natively, else fp32. tf32 is fp32 whose matrix products and convolutions on
    CUDA round their operands to 10 bits of fraction; it takes effect within `torch_settings`.

    Raises ConfigError if the precision is unknown, not allowed, or tf32 on a device other than CUDA.
    """
    if name not in allowed:
        raise ConfigError(f"precision {name!r}: allowed are {', '.join(allowed)}")
    if name == "tf32" and device.type != "cuda":
        raise ConfigError(
            f"precision 'tf32': only CUDA has it, the device is {device.type}; use --precision fp32 or bf16"
        )
    if name == "auto":
        name = "bf16" if _has_native_bf16(device) else "fp32"
    return name, torch.bfloat16 if name == "bf16" else torch.float32


def _has_native_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu" and hasattr(torch.cpu, "get_capabilities"):  # absent from some builds of torch
        capabilities = torch.cpu.get_capabilities()
        return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16"))
    return False


@contextmanager
def cpu_threads(number: int | None) -> Iterator[None]:
    """Let torch compute an operation with so many CPU threads in a block, and with the caller's number afterwards.

    None keeps the caller's number. Torch has one number for the whole process.
    """
    before = torch.get_num_threads()
    if number is not None:
        torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def torch_settings(
    device: torch.device, *, precision: str = "fp32", threads: int | None = None
) -> Iterator[TorchSettings]:
    """Set torch's CPU threads and, on CUDA, tf32 or exact fp32 for a block; put the caller's back afterwards.

    precision: as `choose_precision` takes it. threads: CPU threads of one operation; None keeps the caller's number.
    Torch has one set of these for the whole process: blocks in two threads at a time change each other's.

    Raises ConfigError for fewer than 1 thread, and whatever `choose_precision` raises.
    """
    precision, compute_dtype = choose_precision(precision, device)
    if threads is not None and threads < 1:
        raise ConfigError(f"threads {threads}: give at least 1")
    with ExitStack() as restored:
        restored.enter_context(cpu_threads(threads))
        if device.type == "cuda":
            restored.callback(torch.set_float32_matmul_precision, torch.get_float32_matmul_precision())
            restored.callback(setattr, torch.backends.cudnn, "allow_tf32", torch.backends.cudnn.allow_tf32)
            torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
            torch.backends.cudnn.allow_tf32 = precision == "tf32"
        yield TorchSettings(device, precision, compute_dtype)


def to_device(array: NDArray[np.generic], device: torch.device) -> Tensor:
    """Copy an array to a device; to a GPU from pinned memory, so that neither the host nor other work waits for it."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def is_out_of_memory(error: Exception) -> bool:
    """Return whether Python or torch raised an error because the memory of the CPU or of a GPU does not suffice."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    # On a CPU, and on mps, torch raises a plain RuntimeError.
    return any(words in str(error) for words in ("DefaultCPUAllocator: ", "MPS backend out of memory"))
