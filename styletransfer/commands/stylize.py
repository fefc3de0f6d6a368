"""``stylize``: paint pictures, folders and videos with a generator."""

import argparse
from pathlib import Path
from typing import Any

from styletransfer.commands.arguments import positive, whole

EXAMPLES = """\
examples:
  %(prog)s photo.jpg --generator mine.safetensors --out painted.png
  %(prog)s photos more.jpg --generator mine.onnx --out painted
  %(prog)s photo.jpg --generator adain.pth --style wave.png --out painted.png
  %(prog)s clip.mp4 --generator mine.safetensors --out painted.mp4

Pictures are PNG, JPEG, WebP, TIFF or BMP of any size. They are turned upright, brought to sRGB and
painted as the platform does it: filled up by reflection, right and below, to what the generator
takes, and cut back. Results are PNG, named like the pictures. A folder stands for the pictures in
it, in the order of their names; frames of a video too.

What is larger than --tile is painted in tiles that overlap and are blended. File of weights: all
tiles are normalised by the statistics of the whole picture, so no seams are left, though strokes
differ a little from those of one pass. ONNX: tiles are normalised one by one and may differ in
light; make --tile larger if you see it.

Videos need PyAV (pip install 'stylearena[video]'); they are written as H.264 without sound. Frames
are painted one by one: equal frames give equal frames.
"""


def add_parser(commands: Any) -> None:
    """Add the command to ``commands``, which ``argparse`` made."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "stylize",
        help="paint pictures, folders or a video with a generator",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("images", type=Path, nargs="+", metavar="IMAGE", help="picture, folder, or one video")
    add("--generator", type=Path, required=True, help="safetensors, ONNX or a .pth state dict")
    add("--manifest", type=Path, help="JSON file that describes it; else proposed from the file")
    add("--style", type=Path, help="the style picture, for a generator that takes one")
    add("--out", type=Path, required=True, help="file for one picture or video, else a folder")
    add("--force", action="store_true", help="replace files that are there")
    add("--tile", type=positive, default=1024, help="longest side painted at once (1024)")
    add("--overlap", type=whole, default=160, help="pixels that tiles share at least (160)")
    add("--batch", type=positive, default=1, help="pictures of one size painted at once (1)")
    add("--device", default="cpu", help="cpu, cuda, cuda:1, or auto for a GPU if there is one")
    add("--threads", type=positive, default=1, help="more are faster and change the last bits")
    parser.set_defaults(run=run, when_interrupted="what is written so far is whole")


def run(arguments: argparse.Namespace) -> None:
    """Paint."""
    from styletransfer.commands.stylizing import stylize  # loads torch

    stylize(arguments)
