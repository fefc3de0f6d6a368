"""Read the file of a generator that is one's own: also a state dict, or a training's checkpoint."""

from dataclasses import dataclass
from pathlib import Path

from styletransfer.commands.arguments import require_file
from styletransfer.commands.manifests import choose_manifest
from styletransfer.manifest import Manifest
from styletransfer.sniff import HEAD_BYTES, sniff
from styletransfer.state_dict import ENVELOPE_BYTES, convert

MANIFEST_ENDING = ".manifest.json"
_TAIL_BYTES = 65_536


@dataclass(frozen=True)
class GeneratorFile:
    """A generator as the platform would take it.

    Attributes:
        data: safetensors or ONNX.
        manifest: how it is run.
        told: what to say of the manifest, unless it was given.
    """

    data: bytes
    manifest: Manifest
    told: str


def read_generator(path: Path, manifest_path: Path | None) -> GeneratorFile:
    """Read a generator's file; a state dict is turned into safetensors.

    Without a manifest, the one beside the file is taken; without one, it is proposed.

    A pickle is opened here, in this process: with ``weights_only``, which runs nothing of it. The
    platform does the same in a sandbox, for files of strangers.

    Raises:
        NotThere: there is no such file.
        NotAManifest: the manifest is none.
        CheckpointRejected: nothing can be made of it.
    """
    require_file(path)
    data = path.read_bytes()
    if sniff(data[:HEAD_BYTES], len(data), data[-_TAIL_BYTES:]) == "state_dict":
        data = convert_here(data)
    beside = find_manifest(path) if manifest_path is None else None
    manifest, told = choose_manifest(manifest_path or beside, data)
    if beside is not None:
        told = f"{beside} describes {path.name}"
    if manifest.format == "state_dict":
        manifest = manifest.model_copy(update={"format": "safetensors"})
    return GeneratorFile(data, manifest, told)


def find_manifest(path: Path) -> Path | None:
    """Return the manifest that `export` or a training has written beside a file, if there is one.

    A ``manifest.json`` speaks only for a file that is called ``generator``, as trainings call it.
    """
    named = path.with_name(f"{path.name}{MANIFEST_ENDING}")
    if named.is_file():
        return named
    plain = path.with_name("manifest.json")
    return plain if path.stem == "generator" and plain.is_file() else None


def convert_here(data: bytes) -> bytes:
    """Turn a state dict into safetensors.

    Raises:
        CheckpointRejected: it holds no weights, or other things than tensors.
    """
    output = bytearray(len(data) + ENVELOPE_BYTES)
    return bytes(output[: convert(data, memoryview(output))])
