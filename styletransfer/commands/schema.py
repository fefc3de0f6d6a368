"""``schema``: print what a score card looks like."""

import argparse
from importlib.resources import files
from typing import Any

EXAMPLE = """\
example:
  %(prog)s > score_card.schema.json
"""
FILE_NAME = "score_card.schema.json"


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


def read_schema() -> str:
    """Return the JSON Schema of score cards, as text."""
    return (files("styletransfer") / FILE_NAME).read_text()
