"""``score``: run a generator over pairs and write its score card."""

import argparse
from pathlib import Path
from typing import Any

from styletransfer.commands.arguments import positive
from styletransfer.pretrained import OFFICIAL

EXAMPLES = """\
examples:
  With the pairs and the recipe of a phase, as its page offers them for download:
    %(prog)s --generator mine.onnx --content pairs/contents --style pairs/styles \\
        --pairs pairs/pairs.csv --recipe pairs/recipe.json --out card.json

  With pictures of your own and the default recipe:
    %(prog)s --generator mine.safetensors --content photos --style paintings \\
        --real more-paintings --out card.json

Without --manifest the inputs, ranges and sizes are read from the file or guessed, and what was
guessed is said; give the manifest that you submit to have the same scores for sure. They equal the
platform's bit for bit on the same torch, kind of CPU and number of threads. What the given files
don't suffice for is left out and named: FID needs --real, the adversarial and total loss the
recipe's discriminator.
"""


def add_parser(commands: Any) -> None:
    """Add the command to ``commands``, which ``argparse`` made."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "score",
        help="run a generator over pairs and write its score card",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--generator", type=Path, required=True, help="safetensors or ONNX file")
    add(
        "--manifest",
        type=Path,
        help="JSON file that describes it; proposed from the file if absent",
    )
    add("--content", type=Path, required=True, help="folder of content images, 8-bit RGB PNG")
    add("--style", type=Path, required=True, help="folder of style images")
    add("--real", type=Path, help="folder of real images of the target style, for FID")
    add("--pairs", type=Path, help="CSV with the columns content and style")
    add("--recipe", type=Path, help="JSON: a recipe, or a phase's recipe.json")
    add("--discriminator", type=Path, help="the file that the recipe names by its hash")
    for role, name in OFFICIAL.items():
        add(f"--{role}", help=f"name of the weights for {role}; else the recipe's, else {name}")
    add("--weights", type=Path, help="folder of published weights; else they are fetched")
    add("--threads", type=positive, default=1, help="more are faster and change the last bits")
    add("--out", type=Path, required=True, help="where the score card goes")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Score and write the card."""
    from styletransfer.commands.scoring_at_home import score_at_home  # loads torch

    score_at_home(arguments)
