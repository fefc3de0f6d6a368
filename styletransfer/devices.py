"""Where the feature networks run: the CPU, or a GPU with batches that fit into it."""

import torch

from styletransfer.errors import DeviceUnavailable

CPU = torch.device("cpu")

# What one 256 x 256 image takes at the widest point of VGG-19 in float32, with room for the Gram
# matrices, the Inception network and what an allocator wastes; it grows with the area.
_BYTES_PER_PIXEL = 4096
LARGEST_BATCH = 64


def open_device(name: str) -> torch.device:
    """Return the device of a name: ``cpu``, ``cuda``, ``cuda:1``, or ``auto`` for a GPU if any.

    Raises:
        DeviceUnavailable: there is no such device here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise DeviceUnavailable(f"{name!r} is no device: use cpu, cuda, cuda:1 or auto") from error
    if device.type == "cpu":
        return CPU
    if device.type != "cuda":
        raise DeviceUnavailable(f"scores are made on cpu or cuda, not on {device.type}")
    if not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count():
        raise DeviceUnavailable(
            f"{name}: torch {torch.__version__} sees {torch.cuda.device_count()} GPUs here; check "
            "the driver and that torch was installed with CUDA, or use cpu"
        )
    return torch.device("cuda", device.index or 0)


def choose_batch(device: torch.device, pixels: int) -> int:
    """Return how many images of ``pixels`` positions to measure at once.

    One on a CPU: more are no faster there, and take more memory. On a GPU what half of its free
    memory holds, a power of two: the number is part of what the last bits depend on.
    """
    if device.type == "cpu":
        return 1
    free, _ = torch.cuda.mem_get_info(device)
    fitting = min(free // 2 // (_BYTES_PER_PIXEL * pixels), LARGEST_BATCH)
    return 1 << max(int(fitting).bit_length() - 1, 0)


def describe_device(device: torch.device) -> str:
    """Name a device for a score card."""
    if device.type == "cpu":
        return "cpu"
    return f"cuda: {torch.cuda.get_device_name(device)}"
