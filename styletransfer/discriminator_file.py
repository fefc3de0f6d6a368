"""Check a discriminator's file by its header alone; torch-free, for the web tier."""

import json

from styletransfer.errors import CheckpointRejected, WeightsMismatch
from styletransfer.safetensors_file import read_header

MAX_BYTES = 256 << 20
_LENGTH_BYTES = 8


def require_discriminator(data: bytes | memoryview) -> None:
    """Make sure that a file's names and shapes are those of a PatchGAN of ours.

    Its numbers are not looked at: the worker that opens it does.

    Raises:
        WeightsMismatch: it is damaged or of another network.
    """
    try:
        header = read_header(data)
        length = int.from_bytes(bytes(data[:_LENGTH_BYTES]), "little")
        metadata = json.loads(bytes(data[_LENGTH_BYTES : _LENGTH_BYTES + length]))["__metadata__"]
        config = json.loads(metadata["patchgan"])
        expected = _shapes(ndf=int(config["ndf"]), n_layers=int(config["n_layers"]))
        if config.get("norm", "instance") not in ("instance", "spectral"):
            raise ValueError("norm is instance or spectral")
    except (CheckpointRejected, KeyError, TypeError, ValueError) as error:
        raise WeightsMismatch(f"not a PatchGAN discriminator of ours: {error}") from error
    found = {key: entry.shape for key, entry in header.entries.items()}
    if found != expected or any(entry.dtype != "F32" for entry in header.entries.values()):
        raise WeightsMismatch("not a PatchGAN discriminator of ours: other names or shapes")


def _shapes(*, ndf: int, n_layers: int) -> dict[str, tuple[int, ...]]:
    """Return what ``PatchGan(ndf, n_layers)`` holds."""
    if not (1 <= ndf <= 128 and 1 <= n_layers <= 5):
        raise ValueError("ndf 1..128 and n_layers 1..5")
    shapes: dict[str, tuple[int, ...]] = {}

    def add(place: int, outputs: int, inputs: int) -> None:
        shapes[f"layers.{place}.weight"] = (outputs, inputs, 4, 4)
        shapes[f"layers.{place}.bias"] = (outputs,)

    add(0, ndf, 3)
    width = ndf
    for depth in range(1, n_layers + 1):
        wider = ndf * min(2**depth, 8)
        add(3 * depth - 1, wider, width)
        width = wider
    add(3 * n_layers + 2, 1, width)
    return shapes
