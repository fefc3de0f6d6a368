"""In which numbers the networks compute, on a GPU."""

from contextlib import AbstractContextManager

import torch
from torch import Tensor

from styletransfer.determinism import make_deterministic
from styletransfer.training.config import Precision


def prepare_arithmetic(precision: Precision, device: torch.device, threads: int) -> None:
    """Make the CPU repeat itself bit for bit, and a GPU compute as was chosen."""
    make_deterministic(threads)
    if device.type == "cuda":
        # Reflection and enlarging have no deterministic gradients there.
        torch.set_deterministic_debug_mode("default")
        torch.backends.cudnn.deterministic = False
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.allow_tf32 = precision == "tf32"
        torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[None]:
    """Run networks in half precision where it was chosen, on a GPU."""
    is_half = precision in ("bfloat16", "float16") and device.type == "cuda"
    kind = getattr(torch, precision) if is_half else None
    return torch.autocast(device.type, dtype=kind, enabled=is_half)


def widen(numbers: Tensor) -> Tensor:
    """Return half precision as single precision, anything else as it is."""
    return numbers.float() if numbers.dtype in (torch.bfloat16, torch.float16) else numbers
