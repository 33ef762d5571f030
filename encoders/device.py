"""Where a network runs and in which precision."""

from dataclasses import dataclass

import torch

from recsys.errors import ConfigError


@dataclass(frozen=True)
class Placement:
    """A device and the precision that networks have there; `batch` is the most rows of one pass.

    `is_narrow`: the bulk of a network's products may be done in bfloat16, where that leaves vectors as they are but for
    a cosine of 0.9995.
    """

    device: torch.device
    dtype: torch.dtype
    batch: int
    is_narrow: bool = False


CPU_BATCH = 4
"""Larger batches of pictures leave the cache: EfficientNet-Lite0 does 50 a second at 2 to 4, 33 at 8, 19 at 32."""
GPU_BATCH = 64


def place(setting: str, *, n_threads: int = 1) -> Placement:
    """Choose the device that a setting names; `auto` takes CUDA, then MPS, then the CPU.

    CUDA gets half precision. A CPU keeps float32, but for the products of bfloat16 that it has instructions for: those
    of all layers would turn a picture's vector by more (cosine 0.997) than vectors of one name should differ from
    machine to machine, so a network's first stage, and all that is no product, stays in float32.
    Sets torch's threads for the whole process: more than one a process gains little and collapses under contention.

    Raises
    ------
    ConfigError
        If the device is not there.
    """
    torch.set_num_threads(n_threads)
    name = _best_device() if setting == "auto" else setting
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"FRESHET_DEVICE is {setting!r}, which is no device; take auto, cpu, cuda or mps.") from error
    if device.type == "cuda":
        n_devices = torch.cuda.device_count()
        if (device.index or 0) >= n_devices:
            raise ConfigError(f"FRESHET_DEVICE is {setting!r}, but torch finds {n_devices} CUDA devices; take auto.")
        return Placement(device, torch.float16, GPU_BATCH)
    if device.type == "mps":
        if not torch.backends.mps.is_available():
            raise ConfigError("FRESHET_DEVICE is 'mps', but torch finds no such device here; take auto.")
        return Placement(device, torch.float32, GPU_BATCH)
    return Placement(device, torch.float32, CPU_BATCH, is_narrow=_has_bfloat16())


def _has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16; emulated, it is slower than float32."""
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))


def _best_device() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
