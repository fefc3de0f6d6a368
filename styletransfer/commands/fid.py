"""``fid``: compare two folders of pictures as sets."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from styletransfer.commands.arguments import positive
from styletransfer.commands.whole_file import require_writable
from styletransfer.errors import MetricInputError
from styletransfer.pretrained import INCEPTION

EXAMPLES = """\
examples:
  python -m styletransfer fid outputs paintings
  python -m styletransfer fid outputs paintings --metric fid_pytorch --metric kid

  Keep the features of the paintings and compare with them later, without computing them again:
    python -m styletransfer fid paintings --save paintings.npz
    python -m styletransfer fid outputs paintings.npz

A folder holds 8-bit RGB PNG files, of any sizes. An npz file is one that --save wrote, or one with
the mu and sigma that pytorch-fid writes (it also reads ours). fid_pytorch agrees with pytorch-fid,
fid_clean with clean-fid; values of one are never comparable with those of the other, nor are values
of different numbers of pictures. kid has no such bias.
"""

# How the metrics want pictures prepared for the network.
PREPARATIONS: Mapping[str, str] = {
    "fid_pytorch": "pytorch",
    "fid_clean": "clean",
    "kid": "pytorch",
    "mifid": "pytorch",
}


def add_parser(commands: Any) -> None:
    """Add the command to ``commands``, which ``argparse`` made."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "fid",
        help="compare two folders of pictures: FID, KID, MiFID",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("outputs", type=Path, help="folder of PNG files, or an npz file")
    add("references", type=Path, nargs="?", help="what they are compared with: the same")
    add(
        "--metric",
        action="append",
        choices=list(PREPARATIONS),
        help="may be given several times; fid_pytorch if not given",
    )
    add(
        "--save", type=Path, metavar="FILE", help="keep the last folder's features in this npz file"
    )
    add("--inception", default=INCEPTION, help="name of the Inception weights")
    add("--weights", type=Path, help="folder of published weights; else they are fetched")
    add("--device", default="cpu", help="cpu, cuda, cuda:1, or auto for a GPU if there is one")
    add("--threads", type=positive, default=1, help="more are faster and change the last bits")
    add("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Measure, print, and save what is to be kept."""
    require_sense(arguments)
    from styletransfer.commands.folder_distances import compare_folders  # loads torch

    compare_folders(arguments)


def require_sense(arguments: argparse.Namespace) -> None:
    """Refuse what can't be meant.

    Raises:
        MetricInputError: nothing to do, or nothing that could be saved.
        NotWritable: it could not be saved there.
    """
    if arguments.references is None and not arguments.save:
        raise MetricInputError("name what to compare with, or a file with --save; see --help")
    if not arguments.save:
        return
    last = arguments.references or arguments.outputs
    if not last.is_dir():
        raise MetricInputError(f"--save keeps the features of a folder, and {last} is none")
    if len({PREPARATIONS[metric] for metric in arguments.metric or ()}) > 1:
        raise MetricInputError(
            "--save keeps the features of one preparation: leave out fid_clean, or the others"
        )
    if arguments.save.suffix != ".npz":
        raise MetricInputError(f"--save writes an npz file: call it {arguments.save}.npz")
    require_writable(arguments.save)
