"""Where and how torch computes: device, precision, threads."""

from collections.abc import Sequence

import torch

from .errors import ConfigError

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "fp32", "tf32", "bf16")
# Features say what they were computed in, and may be wanted again where there is no GPU.
EXTRACTION_PRECISIONS = ("auto", "fp32", "bf16")


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


def choose_precision(
    name: str, device: torch.device, *, allowed: Sequence[str] = PRECISIONS
) -> tuple[str, torch.dtype]:
    """Turn "auto", "fp32", "tf32" or "bf16" into one of the last three and torch's type; "auto" is bf16 where native.

    tf32 is fp32 whose products on CUDA round their operands to 10 bits of fraction, in tensor cores; fp32 is exact
    everywhere. On CUDA this sets which of the two torch does from now on, in products and convolutions.

    Raises ConfigError if the precision is unknown, not allowed, or tf32 on another device.
    """
    if name not in allowed:
        raise ConfigError(f"precision {name!r}: allowed are {', '.join(allowed)}")
    if name == "tf32" and device.type != "cuda":
        raise ConfigError(
            f"precision 'tf32': only CUDA has it, the device is {device.type}; use --precision fp32 or bf16"
        )
    if name == "auto":
        name = "bf16" if _has_native_bf16(device) else "fp32"
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high" if name == "tf32" else "highest")
        torch.backends.cudnn.allow_tf32 = name == "tf32"
    return name, torch.bfloat16 if name == "bf16" else torch.float32


def _has_native_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu" and hasattr(torch.cpu, "get_capabilities"):  # older torch tells nothing
        capabilities = torch.cpu.get_capabilities()
        return any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16"))
    return False


def set_threads(count: int | None) -> None:
    """Let torch use `count` CPU threads; None leaves its own choice."""
    if count is not None:
        if count < 1:
            raise ConfigError(f"threads {count}: give at least 1")
        torch.set_num_threads(count)
