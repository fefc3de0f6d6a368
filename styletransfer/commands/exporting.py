"""Write a generator as safetensors or ONNX, once it is seen to paint as before."""

import argparse
import math
import sys
from pathlib import Path

import numpy as np
import safetensors.torch

from styletransfer.architectures import ARCHITECTURES
from styletransfer.checkpoint import TorchGenerator, load_generator
from styletransfer.commands.generator_file import (
    MANIFEST_ENDING,
    GeneratorFile,
    read_generator,
)
from styletransfer.commands.whole_file import require_new, write_whole
from styletransfer.determinism import make_deterministic
from styletransfer.errors import StyleTransferError
from styletransfer.inference import Generator, stylise
from styletransfer.manifest import Fixed, Manifest
from styletransfer.onnx_writing import write_onnx
from styletransfer.sample_pair import make_content, make_style

# Largest difference of any value, on the scale 0..255, that an export may make.
TOLERANCE = {".safetensors": 0.0, ".onnx": 0.05}
# What a manifest may say that sides are multiples of.
_LARGEST_MULTIPLE = 64


class NotExported(StyleTransferError):
    """A generator can't be written as it was asked for."""


def export(arguments: argparse.Namespace) -> None:
    """Do what the arguments of ``export`` say.

    Raises:
        NotExported: it can't be, or would paint otherwise.
        NotWritable, NotThere, NotAManifest, CheckpointRejected: as their names say.
    """
    out: Path = arguments.out
    described = out.with_name(f"{out.name}{MANIFEST_ENDING}")
    for path in (out, described):
        require_new(path, force=arguments.force)
    source = read_generator(arguments.checkpoint, arguments.manifest)
    manifest = correct_manifest(source, arguments)
    make_deterministic()
    original = load_generator(source.data, manifest)
    if not isinstance(original, TorchGenerator):
        raise NotExported(f"{arguments.checkpoint} is ONNX already: submit it as it is")
    if out.suffix == ".onnx":
        data, written = make_onnx(original, arguments.size)
    else:
        weights = {key: value.contiguous() for key, value in original.network.state_dict().items()}
        data, written = safetensors.torch.save(weights), manifest
    difference = compare(original, load_generator(data, written))
    if not difference <= TOLERANCE[out.suffix]:
        raise NotExported(
            f"the export paints otherwise: a value differs by {difference:.3g} of 255; nothing was "
            "written. Please report it"
        )
    write_whole(out, data)
    write_whole(described, f"{written.model_dump_json(indent=2)}\n")
    if source.told:
        print(source.told, file=sys.stderr)
    print(f"{out}: {len(data):,} bytes, largest difference {difference:.2g} of 255")
    print(f"{described}: its manifest")


def correct_manifest(source: GeneratorFile, arguments: argparse.Namespace) -> Manifest:
    """Return the manifest with what the arguments say of it.

    Raises:
        NotExported: the weights are of another architecture.
    """
    found = source.manifest
    if arguments.architecture not in (None, found.architecture):
        raise NotExported(
            f"the weights are those of {found.architecture or 'an ONNX graph'}, not of "
            f"{arguments.architecture}"
        )
    if arguments.range is None:
        return found
    return found.model_copy(
        update={"input_range": arguments.range, "output_range": arguments.range}
    )


def make_onnx(generator: TorchGenerator, size: tuple[int, int] | None) -> tuple[bytes, Manifest]:
    """Return the ONNX file of a generator, and its manifest.

    Raises:
        NotExported: its sides have to be multiples of more than a manifest can say, or the size is
            not one it can take.
    """
    before = generator.manifest
    multiple = generator.size_multiple
    if size is None and multiple > _LARGEST_MULTIPLE:
        raise NotExported(
            f"sides have to be multiples of {multiple}, and an ONNX file can ask for "
            f"{_LARGEST_MULTIPLE} at most: name the one size that is needed, as --size {multiple}"
        )
    if size is not None and any(side % multiple for side in size):
        raise NotExported(f"--size: this architecture takes sides that are multiples of {multiple}")
    described = before.model_dump(mode="json") | {
        "format": "onnx",
        "architecture": None,
        "parameters": {},
        "size": {"fixed": list(size)} if size else {"multiple_of": multiple},
    }
    data = write_onnx(
        ARCHITECTURES[str(before.architecture)],
        before.parameters,
        {key: value.float().numpy() for key, value in generator.network.state_dict().items()},
        names=tuple(image.name for image in before.inputs),
        size=size or (None, None),
    )
    return data, Manifest.model_validate(described)


def compare(one: Generator, other: Generator) -> float:
    """Return by how much two generators differ at most, of 255, on pictures of their sizes."""
    largest = 0.0
    for height, width in _sizes(one, other):
        side = max(height, width)
        content = make_content(side)[:height, :width]
        style = make_style(side)[:height, :width]
        pair = stylise(one, content, style), stylise(other, content, style)
        largest = max(largest, float(np.abs(pair[0] - pair[1]).max()))
    return largest


def _sizes(*generators: Generator) -> list[tuple[int, int]]:
    for generator in generators:
        size = generator.manifest.size
        if isinstance(size, Fixed):
            return [size.fixed]
    multiple = math.lcm(*(generator.size_multiple for generator in generators))
    side = -(-96 // multiple) * multiple
    return [(side, side), (side + 1, 2 * side - 3)]
