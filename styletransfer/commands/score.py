"""``score``: run a generator over pairs and write its score card."""

import argparse
import hashlib
import json
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from pydantic import ValidationError

from styletransfer.checkpoint import load_generator
from styletransfer.determinism import make_deterministic
from styletransfer.errors import InvalidRecipe, StyleTransferError
from styletransfer.folders import Folder, read_references
from styletransfer.inference import Generator, stylise, to_pixels
from styletransfer.manifest import Manifest
from styletransfer.pretrained import OFFICIAL, extractor_pin
from styletransfer.progress import show_progress
from styletransfer.scoring import Scorer
from styletransfer.second_pass import choose_order, pass_again
from styletransfer.values import METRICS, ExtractorPin, Image, Recipe, ReferenceImages, ScoreCard

EXAMPLES = """\
examples:
  With the pairs and the recipe of a phase, as its page offers them for download:
    python -m styletransfer score --generator mine.onnx --manifest mine.json \\
        --content pairs/contents --style pairs/styles --pairs pairs/pairs.csv \\
        --recipe pairs/recipe.json --out card.json

  With pictures of your own and the default recipe:
    python -m styletransfer score --generator mine.safetensors --manifest mine.json \\
        --content photos --style paintings --real more-paintings --out card.json

The manifest is the one you submit. Scores equal the platform's bit for bit on the same torch, kind
of CPU and number of threads. What the given files don't suffice for is left out and named: FID
needs --real, the adversarial and total loss the recipe's discriminator.
"""


@dataclass(frozen=True)
class Task:
    """What a recipe file says, as far as it can be measured here."""

    recipe: Recipe
    extractors: Mapping[str, ExtractorPin]
    recipe_sha256: str
    references_sha256: str | None
    left_out: tuple[str, ...]


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
    add("--manifest", type=Path, required=True, help="JSON file that describes the generator")
    add("--content", type=Path, required=True, help="folder of content images, 8-bit RGB PNG")
    add("--style", type=Path, required=True, help="folder of style images")
    add("--real", type=Path, help="folder of real images of the target style, for FID")
    add("--pairs", type=Path, help="CSV with the columns content and style")
    add("--recipe", type=Path, help="JSON: a recipe, or a phase's recipe.json")
    add("--discriminator", type=Path, help="the file that the recipe names by its hash")
    for role, name in OFFICIAL.items():
        add(f"--{role}", help=f"name of the weights for {role}; else the recipe's, else {name}")
    add("--weights", type=Path, help="folder of published weights; else they are fetched")
    add("--threads", type=int, default=1, help="more are faster and change the last bits")
    add("--out", type=Path, required=True, help="where the score card goes")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Score and write the card."""
    make_deterministic(arguments.threads)
    real = Folder.read(arguments.real) if arguments.real else None
    references = read_references(
        Folder.read(arguments.content), Folder.read(arguments.style), real, arguments.pairs
    )
    discriminator = arguments.discriminator.read_bytes() if arguments.discriminator else None
    task = read_task(arguments, references, has_discriminator=discriminator is not None)
    if task.left_out:
        print(f"left out, for want of files: {', '.join(task.left_out)}", file=sys.stderr)
    checkpoint = arguments.generator.read_bytes()
    manifest = read_manifest(arguments.manifest)
    generator = load_generator(checkpoint, manifest)
    outputs, milliseconds = generate(generator, references, range(len(references.pairs)))
    scorer = Scorer(
        task.recipe,
        replace(references, sha256=task.references_sha256 or references.sha256),
        task.extractors,
        discriminator if task.recipe.discriminator_sha256 else None,
        weights_dir=arguments.weights,
        recipe_sha256=task.recipe_sha256,
    )
    with show_progress("references") as report:
        scorer.prepare(report)
    with show_progress("scoring") as report:
        sha256 = hashlib.sha256(checkpoint).hexdigest()
        card = scorer.score(outputs, checkpoint_sha256=sha256, on_pair=report)

    def again(numbers: Sequence[int]) -> list[Image]:
        anew = load_generator(checkpoint, manifest)
        return generate(anew, references, numbers, title="checking order")[0]

    order = choose_order(len(outputs), scorer.seed(sha256))
    if order:
        card = pass_again(order, outputs.__getitem__, again).add_to(card)
    write_card(arguments.out, card, measure(generator, milliseconds), task)
    print_scores(card)


def read_manifest(path: Path) -> Manifest:
    """Read a manifest.

    Raises:
        StyleTransferError: it does not describe a generator.
    """
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise StyleTransferError(f"{path} is not a manifest: {error}") from error


def read_task(
    arguments: argparse.Namespace, references: ReferenceImages, *, has_discriminator: bool
) -> Task:
    """Read the recipe, and leave out of it what there are no files for.

    Raises:
        InvalidRecipe: the file holds no recipe, or nothing is left of it.
    """
    described = _read_json(arguments.recipe) if arguments.recipe else {}
    recipe = Recipe.from_json(described.get("recipe", described)) if described else Recipe()
    wanted = recipe.measured
    missing = set()
    if recipe.discriminator_sha256 is not None and not has_discriminator:
        missing |= {key for key in wanted if "discriminator" in METRICS[key].needs}
        missing |= {"total"} if recipe.gamma else set()
    if len(references.reals) < 2:
        missing |= {key for key in wanted if "inception" in METRICS[key].needs}
    left = tuple(key for key in wanted if key not in missing)
    if not left:
        raise InvalidRecipe(f"nothing is left to measure: {', '.join(wanted)} need more files")
    possible = replace(recipe, metrics=left)
    if not has_discriminator:
        possible = replace(possible, gamma=0.0, discriminator_sha256=None)
    return Task(
        recipe=possible,
        extractors={
            role: _pin(getattr(arguments, role), described, role, arguments.weights)
            for role in possible.extractors
        },
        recipe_sha256=recipe.sha256(),
        references_sha256=described.get("reference_set", {}).get("sha256") or None,
        left_out=tuple(key for key in wanted if key in missing),
    )


def _read_json(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidRecipe(f"{path} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise InvalidRecipe(f"{path} is not a recipe")
    return found


def _pin(
    name: str | None, described: Mapping[str, Any], role: str, weights: Path | None
) -> ExtractorPin:
    given = described.get("extractors", {}).get(role)
    if name is None and given:
        return ExtractorPin(given["name"], given["sha256"])
    return extractor_pin(name or OFFICIAL[role], weights_dir=weights)


def generate(
    generator: Generator,
    references: ReferenceImages,
    numbers: Sequence[int],
    *,
    title: str = "generating",
) -> tuple[list[Image], list[float]]:
    """Return the outputs of some pairs in their order, and how many milliseconds each took."""
    outputs, milliseconds = [], []
    with show_progress(title) as report:
        for number in numbers:
            content, style = references.pairs[number]
            started = time.perf_counter()
            floats = stylise(generator, references.contents[content], references.styles[style])
            outputs.append(to_pixels(floats))
            milliseconds.append((time.perf_counter() - started) * 1000)
            report(len(outputs), len(numbers))
    return outputs, milliseconds


def measure(generator: Generator, milliseconds: list[float]) -> dict[str, float]:
    """Say what running the generator took here."""
    return {
        "ms_per_image": round(median(milliseconds), 3),
        "parameters": generator.parameters_count,
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def write_card(path: Path, card: ScoreCard, measured: Mapping[str, float], task: Task) -> None:
    """Write the card; a file that is there is replaced as a whole or not at all."""
    written = card.to_json()
    written["measurements"] |= measured
    written["provenance"]["left_out"] = list(task.left_out)
    draft = path.with_name(f".{path.name}.part")
    draft.write_text(json.dumps(written, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    draft.replace(path)


def print_scores(card: ScoreCard) -> None:
    """Print the scores as a table."""
    for key, score in card.scores.items():
        interval = "" if score.low is None else f"  {score.low:.5g} … {score.high:.5g}"
        print(f"{key:<18}{score.value:>12.6g}{interval}")
