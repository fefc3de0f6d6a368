"""``schema``: print what a score card looks like."""

import argparse
from typing import Any

from styletransfer.card_schema import read_schema

EXAMPLE = """\
example:
  %(prog)s > score_card.schema.json
"""


def add_parser(commands: Any) -> None:
    """Add the command to ``commands``, which ``argparse`` made."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "schema",
        help="print the JSON Schema of score cards",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)


def run(_arguments: argparse.Namespace) -> None:
    """Print the schema."""
    print(read_schema(), end="")
