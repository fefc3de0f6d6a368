"""Turn an uploaded file into a generator, or say why not.

Meant to run where no file can be opened and nothing executed: bytes come in, and `warm_up`
imports and initialises beforehand everything that loading and running may need.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import nn

from styletransfer.architectures import ARCHITECTURES
from styletransfer.errors import CheckpointRejected
from styletransfer.generators import build
from styletransfer.inference import FileSize, Floats, Generator, stylise
from styletransfer.manifest import Manifest
from styletransfer.memory_need import MemoryNeed, Room, need_of_architecture
from styletransfer.onnx_file import check_onnx
from styletransfer.onnx_generator import (
    explain_crash,
    is_out_of_memory,
    open_onnx,
    shorten_message,
)
from styletransfer.proposing import propose
from styletransfer.safetensors_file import (
    count_weights,
    read_header,
    require_architecture,
    require_finite,
)
from styletransfer.sniff import HEAD_BYTES, sniff
from styletransfer.state_dict import ENVELOPE_BYTES, convert
from styletransfer.warm_samples import honest_samples, hostile_samples, state_dicts

_TAIL_BYTES = 65_536
_LARGE = Room(memory_bytes=1 << 40, height=16, width=16)


@dataclass(frozen=True)
class TorchGenerator:
    """One of the platform's own architectures; see `styletransfer.inference.Generator`."""

    manifest: Manifest
    network: nn.Module
    parameters_count: int
    size_multiple: int
    fixed_sizes: Mapping[str, FileSize]
    memory_need: MemoryNeed | None = None

    @property
    def inputs(self) -> tuple[str, ...]:
        return self.manifest.roles()

    def run(self, images: Mapping[str, Floats]) -> Floats:
        device = next(self.network.parameters()).device
        tensors = [torch.from_numpy(images[role]).to(device) for role in self.inputs]
        try:
            with torch.inference_mode():
                output = self.network(*tensors)
        except RuntimeError as error:
            raise explain_crash(error) from error
        return np.asarray(output.cpu().numpy(), dtype=np.float32)


def load_generator(
    data: bytes | memoryview, manifest: Manifest, room: Room | None = None
) -> Generator:
    """Check a whole file and build the generator it holds.

    Args:
        data: the file's bytes; nothing is ever read from a path.
        manifest: what the participant says the file is.
        room: refuse what can't fit into it before anything is built.

    Raises:
        CheckpointRejected: with the reason, and nothing else whatever the bytes are.
    """
    try:
        return _load(data, manifest, room)
    except CheckpointRejected:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise CheckpointRejected("out_of_memory") from error
        raise CheckpointRejected(
            "corrupt_file", reason=type(error).__name__, message=shorten_message(error)
        ) from error


def warm_up() -> None:
    """Load and run a tiny generator of every kind, and fail in every way once.

    Libraries import modules and open files when something is first used, an error included.
    """
    content = np.zeros((16, 16, 3), dtype=np.uint8)
    for data, manifest in honest_samples():
        propose(data)
        stylise(load_generator(data, manifest, _LARGE), content, content)
    for data, manifest in hostile_samples():
        try:
            with contextlib.suppress(CheckpointRejected):
                propose(data)
            stylise(load_generator(data, manifest, _LARGE), content, content)
        except CheckpointRejected:
            continue
        raise AssertionError("a hostile sample was accepted")
    for data in state_dicts():
        with contextlib.suppress(CheckpointRejected):
            convert(data, memoryview(bytearray(len(data) + ENVELOPE_BYTES)))


def _load(data: bytes | memoryview, manifest: Manifest, room: Room | None) -> Generator:
    found = sniff(bytes(data[:HEAD_BYTES]), len(data), bytes(data[-_TAIL_BYTES:]))
    if found != manifest.format:
        raise CheckpointRejected("format_mismatch", expected=manifest.format, found=found)
    if found == "state_dict":  # has to be converted first, apart from everything else
        raise CheckpointRejected("format_refused", kind="state_dict")
    if found == "onnx":
        return open_onnx(check_onnx(data, manifest, room), manifest)
    return _load_safetensors(data, manifest, room)


def _load_safetensors(
    data: bytes | memoryview, manifest: Manifest, room: Room | None
) -> TorchGenerator:
    # Manifest lets no file of weights through without an architecture it knows.
    architecture = ARCHITECTURES[str(manifest.architecture)]
    header = require_architecture(read_header(data), architecture, manifest.parameters)
    need = None
    if room is not None:
        need = need_of_architecture(architecture, manifest, room, len(data))
        need.require(room)
    require_finite(data, header)
    try:
        tensors = safetensors.torch.load(bytes(data))
    except SafetensorError as error:
        raise CheckpointRejected(
            "corrupt_file", reason="safetensors", message=shorten_message(error)
        ) from error
    network = build(architecture.name, manifest.parameters)
    weights = {key: tensors[key] for key in header.entries}
    # Copies into float32, so 16-bit weights are widened here.
    network.load_state_dict(weights, strict=True)
    return TorchGenerator(
        manifest=manifest,
        network=network.eval().requires_grad_(False),
        parameters_count=count_weights(header),
        size_multiple=architecture.size_multiple(manifest.parameters),
        fixed_sizes={},
        memory_need=need,
    )
