"""``compare``: paired differences of two score cards."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from styletransfer.comparison import Difference, compare_cards
from styletransfer.errors import InvalidScoreCard
from styletransfer.metric_specs import METRICS
from styletransfer.score_card import ScoreCard

EXAMPLE = """\
examples:
  %(prog)s monday.json tuesday.json
  %(prog)s monday.json tuesday.json --json > differences.json

A difference is the second card's value minus the first's, with its 95 %% interval from resampling
the pairs (both cards together). Where the interval holds 0 no difference is shown. Distances of
whole sets, such as FID, have no values of pairs: their difference comes without an interval.
"""
WORDS = {"first": "first is better", "second": "second is better", "open": "no difference shown"}


def add_parser(commands: Any) -> None:
    """Add the command to ``commands``, which ``argparse`` made."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "compare",
        help="compare two score cards of the same phase",
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("first", type=Path, help="a score card")
    parser.add_argument("second", type=Path, help="another one")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Print the differences."""
    found = compare_cards(read_card(arguments.first), read_card(arguments.second))
    if arguments.json:
        json.dump([vars(each) | {"value": each.value} for each in found], sys.stdout, indent=2)
        print()
        return
    print(f"{'metric':<18}{'first':>12}{'second':>12}{'difference':>12}   95 % interval")
    for each in found:
        print(_line(each))


def read_card(path: Path) -> ScoreCard:
    """Read a score card.

    Raises:
        InvalidScoreCard: the file is none, or was changed.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidScoreCard(f"{path} is not JSON: {error}") from error
    try:
        return ScoreCard.from_json(found)
    except InvalidScoreCard as error:
        raise InvalidScoreCard(f"{path}: {error}") from error


def _line(each: Difference) -> str:
    numbers = f"{each.key:<18}{each.first:>12.5g}{each.second:>12.5g}{each.value:>+12.4g}"
    if each.low is None or each.high is None:
        return f"{numbers}   none: {_why_none(each.key)}"
    return f"{numbers}   {each.low:+.4g} … {each.high:+.4g}  {WORDS[each.better]}"


def _why_none(key: str) -> str:
    if key in METRICS and not METRICS[key].per_pair:
        return "it has no values of pairs"
    return "a card leaves the values of pairs out"
