"""``train``: train a generator on folders of pictures."""

import argparse
import os
from pathlib import Path
from typing import Any

from styletransfer.training.flags import add_flags, read_flags

EXAMPLES = """\
examples:
  Photographs in the manner of one painting:
    %(prog)s --contents photos --styles night.jpg --parameters width=16 --out night

  The same from a file of settings, with another weight of the style:
    %(prog)s --config night.toml --beta 2

  All paintings of a folder as one style, with an adversarial loss:
    %(prog)s --contents photos --styles monet --mode collection --gamma 0.1 --out monet

  Any style, by a generator that takes a painting beside the photograph:
    %(prog)s --contents photos --styles paintings --mode arbitrary --architecture adain \\
        --parameters width=16 --out any

  On two processes, which share each batch:
    torchrun --nproc-per-node 2 -m styletransfer train --config night.toml --batch 4

Ctrl-C and SIGTERM end it after the step that it is in, with a checkpoint; the same command with
--resume goes on from there, on the same CPU bit for bit as if nothing had been. At the end OUT
holds generator.safetensors and manifest.json, which can be submitted as they are. docs/training.md
says how to choose the weights and what can go wrong.
"""


def add_parser(commands: Any) -> None:
    """Add the command to ``commands``, which ``argparse`` made."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "train",
        help="train a generator on folders of pictures",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in OUT")
    parser.add_argument(
        "--tensorboard", action="store_true", help="write event files, OUT/tensorboard"
    )
    add_flags(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Train, and show how it goes."""
    config = read_flags(arguments)

    from styletransfer.commands.training_bar import TrainingBar
    from styletransfer.training.event_files import EventFiles
    from styletransfer.training.events import Listener
    from styletransfer.training.opening import train
    from styletransfer.training.report import HtmlReport
    from styletransfer.training.samples import SampleFiles

    out = Path(config.out)
    listeners: list[Listener] = [SampleFiles(out), HtmlReport(out)]
    listeners += [EventFiles(out)] if arguments.tensorboard else []

    with TrainingBar() as bar:
        is_complete = train(config, [bar, *listeners], resume=arguments.resume)
    if is_complete and os.environ.get("RANK", "0") == "0":
        print(f"{config.out}: generator.safetensors with its manifest.json")
