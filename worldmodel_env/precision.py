"""Which number format and device to compute in."""

from typing import Literal, get_args

import torch

from worldmodel_env.errors import InputError

Precision = Literal["auto", "fp32", "bf16"]


def resolve_device(device: str = "auto") -> torch.device:
    """`auto` is the first CUDA device, else the CPU.

    Raises:
        InputError: the named device is not there.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"device {device!r} cannot be used ({str(error).splitlines()[0]}); try 'cpu' or 'auto'."
        ) from None
    return torch.device(device)


def resolve_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """The matrix format: `auto` is bfloat16 where the hardware multiplies it, else float32.

    Raises:
        InputError: no such precision.
    """
    if precision not in (known := get_args(Precision)):
        raise InputError(f"precision is {precision!r}; use one of {', '.join(known)}.")
    if precision == "fp32":
        return torch.float32
    if precision == "bf16" or has_bf16(device):
        return torch.bfloat16
    return torch.float32


def autocast(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """Matrix products in `dtype` inside; parameters stay as they are."""
    return torch.autocast(device.type, dtype, enabled=dtype != torch.float32)


def has_bf16(device: torch.device) -> bool:
    """Whether `device` has bfloat16 matrix instructions (emulated ones are slower than float32)."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
