"""Read the command line and run what it names."""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path

from styletransfer.commands import (
    compare,
    export,
    fid,
    schema,
    stylize,
    submit,
    train,
    train_discriminator,
)
from styletransfer.commands import score as scoring
from styletransfer.errors import StyleTransferError

UNUSABLE = 2
INTERRUPTED = 130  # as shells have it: 128 and the signal's number


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0; 2 where the input can't be used as it is; 130 if it was interrupted.
    """
    parser = make_parser()
    chosen = parser.parse_args(arguments)
    try:
        chosen.run(chosen)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print(f"{parser.prog}: interrupted, {chosen.when_interrupted}", file=sys.stderr)
        return INTERRUPTED
    except (StyleTransferError, OSError, MemoryError) as error:
        print(f"{parser.prog}: {describe(error)}", file=sys.stderr)
        return UNUSABLE
    return 0


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    is_module = Path(sys.argv[0]).name == "__main__.py"
    parser = argparse.ArgumentParser(
        prog="python -m styletransfer" if is_module else "stylearena",
        description="Train, export, score, run and submit style transfer generators.",
        epilog="%(prog)s score --help shows examples, and so does every other command.",
    )
    parser.set_defaults(when_interrupted="nothing was written")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (
        train,
        export,
        stylize,
        scoring,
        compare,
        fid,
        submit,
        schema,
        train_discriminator,
    ):
        command.add_parser(commands)
    for point in sorted(entry_points(group="stylearena.commands")):
        point.load()(commands)  # of what is installed beside this package and may use it
    return parser


def describe(error: Exception) -> str:
    """Say in one sentence what went wrong."""
    if isinstance(error, MemoryError):
        return "there is not enough memory here for pictures of this size or number"
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split())
