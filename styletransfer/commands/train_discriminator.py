"""``train-discriminator``: teach a phase's discriminator, and examine it."""

import argparse
from pathlib import Path
from typing import Any

from styletransfer.commands.arguments import positive

EXAMPLES = """\
examples:
  Paintings against what some generators make of photographs:
    %(prog)s --reals paintings --contents photos --styles paintings \\
        --generator one.safetensors --generator two.onnx --out judge.safetensors

  Paintings against pictures that are there:
    %(prog)s --reals paintings --outputs theirs --contents photos --out judge.safetensors

Photographs count as not painted too, unless --no-photographs is given: else a generator that copies
its input would be judged well. A fifth of the paintings and of the photographs, with all that was
made of them, is held out; on those it is examined: AUC, Brier score and calibration are printed and
written beside the file. Generators are run in this process: give it files that you trust.
"""


def add_parser(commands: Any) -> None:
    """Add the command to ``commands``, which ``argparse`` made."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "train-discriminator",
        help="train a discriminator for a phase, on paintings and generators' outputs",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--reals", type=Path, required=True, help="folder of paintings")
    add("--contents", type=Path, required=True, help="folder of photographs")
    add("--styles", type=Path, help="folder of styles for generators of two inputs; else --reals")
    add("--generator", type=Path, action="append", default=[], help="may be given several times")
    add("--outputs", type=Path, action="append", default=[], help="folder of pictures made before")
    add("--photographs", action=argparse.BooleanOptionalAction, default=True, help="see below")
    add("--size", type=positive, default=256, help="side of the phase's pictures (256)")
    add(
        "--window", type=positive, default=128, help="side of the windows that it learns from (128)"
    )
    add("--ndf", type=positive, default=16, help="its width (16)")
    add("--norm", choices=("instance", "spectral"), default="instance", help="its normalisation")
    add("--steps", type=positive, default=800, help="of training (800)")
    add("--batch", type=positive, default=6, help="pictures of each kind in a step (6)")
    add("--rate", type=float, default=1e-3, help="Adam's learning rate (0.001)")
    add("--seed", type=int, default=0, help="decides about all that is random (0)")
    add("--device", default="cpu", help="cpu, cuda, cuda:1, or auto for a GPU if there is one")
    add("--threads", type=positive, default=1, help="more are faster and change the last bits")
    add("--out", type=Path, required=True, help="safetensors file to write")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Train, examine and write."""
    from styletransfer.commands.training_discriminator import train  # loads torch

    train(arguments)
