"""Make torch repeat itself, and record what its numbers depend on."""

import os
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch
from threadpoolctl import threadpool_info

from styletransfer.devices import CPU, describe_device

# Between a checkpoint and its scores; torch, whose build decides about the last bits, stands apart.
LIBRARIES = (
    "stylearena",
    "numpy",
    "scipy",
    "pillow",
    "torchvision",
    "pytorch-fid",
    "safetensors",
    "onnx",
    "onnxruntime",
)


def make_deterministic(threads: int = 1) -> None:
    """Set this process's threads and flags so that equal inputs give equal bits.

    Sums are split by thread, so their number is part of a score's provenance.
    """
    torch.set_num_threads(threads)
    # Read when the first matrix is multiplied on a GPU: without it sums run in varying order.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    # Ten bits of mantissa are not enough for a published number; torch allows them by default.
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    # The same as use_deterministic_algorithms, which imports torch's compiler first: a second of
    # processor time for something that nothing here uses.
    torch.set_deterministic_debug_mode("error")


def arithmetic(device: torch.device = CPU) -> dict[str, Any]:
    """Name what decides about the last bits of what a device computes."""
    named: dict[str, Any] = {
        "torch": torch.__version__,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "blas": _name_blas(),
        "device": describe_device(device),
    }
    if device.type == "cuda":
        named |= {"cuda": torch.version.cuda, "cudnn": _cudnn_version()}
    return named


@cache
def _name_blas() -> str:
    """Name the kernels of NumPy's matrix products, which may be chosen by the environment too."""
    found = {
        " ".join(str(each.get(part)) for part in ("internal_api", "version", "architecture"))
        for each in threadpool_info()
        if each["user_api"] == "blas" and "numpy" in each["filepath"]
    }
    return ", ".join(sorted(found)) or "unknown"


def _cudnn_version() -> int | None:
    return torch.backends.cudnn.version()  # type: ignore[no-untyped-call, no-any-return]


def versions() -> dict[str, Any]:
    """Name the other software a score was made with."""
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "libraries": {name: _version_of(name) for name in LIBRARIES},
    }


def _version_of(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
