"""``export``: make of a training's checkpoint or of weights what the platform takes."""

import argparse
from pathlib import Path
from typing import Any

from styletransfer.commands.arguments import NotThere, size
from styletransfer.errors import StyleTransferError

EXAMPLES = """\
examples:
  %(prog)s run/last.pt --out mine.safetensors
  %(prog)s mine.pth --out mine.onnx
  %(prog)s mine.pth --out mine.onnx --size 256 --manifest mine.json

Beside the file its manifest is written, such as mine.onnx.manifest.json, for submit. The ending of
--out says which format is meant. What is written is opened again by the platform's own checks, and
run beside the original: on test pictures no value may differ by more than 0.05 of a grey level (of
255), safetensors by nothing at all; else nothing is written.

Without --size an ONNX file takes pictures of any size. A checkpoint says nothing of the range of
values it was trained with: what is usual for the architecture is assumed unless --range or a
manifest says otherwise.
"""
ENDINGS = (".safetensors", ".onnx")
RANGES = ("0..1", "-1..1", "0..255", "imagenet")


def add_parser(commands: Any) -> None:
    """Add the command to ``commands``, which ``argparse`` made."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "export",
        help="write a trained generator as safetensors or ONNX, with its manifest",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("checkpoint", type=Path, help="a training's checkpoint, a state dict, or safetensors")
    add("--out", type=Path, required=True, help="file to write: .safetensors or .onnx")
    add("--manifest", type=Path, help="JSON file that describes the generator; else proposed")
    add("--architecture", help="what the weights have to be of; else recognised")
    add("--range", choices=RANGES, help="of the values it takes and returns")
    add("--size", type=size, help="the one size an ONNX file takes: 256 or 320x240, width first")
    add("--force", action="store_true", help="replace files that are there")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Export, and say what was written."""
    from styletransfer.architectures import ARCHITECTURES

    if arguments.out.suffix not in ENDINGS:
        raise NotThere(f"{arguments.out}: end its name with {' or '.join(ENDINGS)}")
    if arguments.size and arguments.out.suffix != ".onnx":
        raise StyleTransferError("--size is for ONNX: a file of weights takes pictures of any size")
    if arguments.architecture not in (None, *ARCHITECTURES):
        known = ", ".join(ARCHITECTURES)
        raise StyleTransferError(
            f"there is no architecture {arguments.architecture!r} here, only {known}"
        )
    from styletransfer.commands.exporting import export  # loads torch

    export(arguments)
