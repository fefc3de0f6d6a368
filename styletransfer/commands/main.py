"""Read the command line and run what it names."""

import argparse
import sys
from collections.abc import Sequence

from styletransfer.commands import compare, fid, schema
from styletransfer.commands import score as scoring
from styletransfer.errors import StyleTransferError

UNUSABLE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0, or 2 where the input can't be used as it is."""
    parser = argparse.ArgumentParser(
        prog="python -m styletransfer",
        description="Score style transfer generators and compare their score cards.",
        epilog="python -m styletransfer score --help shows examples.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (scoring, compare, fid, schema):
        command.add_parser(commands)
    chosen = parser.parse_args(arguments)
    try:
        chosen.run(chosen)
    except (StyleTransferError, OSError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return UNUSABLE
    return 0
