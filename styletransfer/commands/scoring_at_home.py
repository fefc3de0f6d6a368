"""Score a generator at home: what the command ``score`` does."""

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from styletransfer.checkpoint import load_generator
from styletransfer.commands.manifests import choose_manifest
from styletransfer.commands.whole_file import require_writable, write_whole
from styletransfer.determinism import make_deterministic
from styletransfer.errors import InvalidRecipe
from styletransfer.folders import Folder, hash_pairs_of, read_references
from styletransfer.footprint import Footprint
from styletransfer.inference import Generator, stylise, to_pixels
from styletransfer.making import Making, measure_making
from styletransfer.manifest import Manifest
from styletransfer.metric_specs import METRICS
from styletransfer.pretrained import OFFICIAL, extractor_pin
from styletransfer.progress import show_progress
from styletransfer.recipe import Recipe
from styletransfer.score_card import ScoreCard
from styletransfer.scoring import Scorer
from styletransfer.second_pass import choose_order, pass_again
from styletransfer.values import Estimate, ExtractorPin, Image, ReferenceImages

# What a phase says beside its recipe.
_PARTS = ("recipe", "reference_set", "extractors")


@dataclass(frozen=True)
class Task:
    """What a recipe file says, as far as it can be measured here."""

    recipe: Recipe
    extractors: Mapping[str, ExtractorPin]
    recipe_sha256: str
    references_sha256: str | None
    pairs_sha256: str | None
    left_out: tuple[str, ...]


def score_at_home(arguments: argparse.Namespace) -> None:
    """Score as the arguments of ``score`` say, print the scores and write the card."""
    require_writable(arguments.out)
    checkpoint = arguments.generator.read_bytes()
    manifest, told = choose_manifest(arguments.manifest, checkpoint)
    make_deterministic(arguments.threads)
    real = Folder.read(arguments.real) if arguments.real else None
    with show_progress("reading pictures") as report:
        references = read_references(
            Folder.read(arguments.content),
            Folder.read(arguments.style),
            real,
            arguments.pairs,
            on_progress=report,
        )
    discriminator = arguments.discriminator.read_bytes() if arguments.discriminator else None
    task = read_task(arguments, references, has_discriminator=discriminator is not None)
    if told:
        print(told, file=sys.stderr)
    if task.left_out:
        print(f"left out, for want of files: {', '.join(task.left_out)}", file=sys.stderr)
    if discriminator is not None and task.recipe.discriminator_sha256 is None:
        print("--discriminator is not used: the recipe names none", file=sys.stderr)
    footprint = Footprint()
    generator = load_generator(checkpoint, manifest)
    outputs, seconds = generate(generator, references, range(len(references.pairs)))
    measured = measure(generator, seconds, footprint)
    scorer = Scorer(
        task.recipe,
        name_references(references, task),
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
    with show_progress("checking sensitivity") as report:
        disturbed = scorer.disturb(outputs.__getitem__, on_step=report)
    if disturbed is not None:
        card = disturbed.judge().add_to(card)

    def again(numbers: Sequence[int]) -> list[Image]:
        anew = load_generator(checkpoint, manifest)
        return generate(anew, references, numbers, title="checking order")[0]

    order = choose_order(len(outputs), scorer.seed(sha256))
    if order:
        card = pass_again(order, outputs.__getitem__, again).add_to(card)
    card = card.with_measurements(measured)
    write_card(arguments.out, card, task, manifest)
    print_values(card.values_of(task.recipe))


def read_task(
    arguments: argparse.Namespace, references: ReferenceImages, *, has_discriminator: bool
) -> Task:
    """Read the recipe, and leave out of it what there are no files for.

    Raises:
        InvalidRecipe: the file holds no recipe, or nothing is left of it.
    """
    described = _read_described(arguments.recipe) if arguments.recipe else {}
    recipe = _read_recipe(arguments.recipe, described)
    wanted = recipe.measured
    missing = set()
    if recipe.discriminator_sha256 is not None and not has_discriminator:
        missing |= {key for key in wanted if "discriminator" in METRICS[key].needs}
        missing |= {"total"} if recipe.gamma else set()
    if len(references.reals) < 2:
        missing |= {key for key in wanted if "inception" in METRICS[key].needs}
    left = tuple(key for key in wanted if key not in missing)
    if all(METRICS[key].source == "run" for key in left):
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
        references_sha256=described.get("reference_set", {}).get("sha256"),
        pairs_sha256=described.get("reference_set", {}).get("pairs_sha256"),
        left_out=tuple(key for key in wanted if key in missing),
    )


def name_references(references: ReferenceImages, task: Task) -> ReferenceImages:
    """Give the pictures the name of the phase's reference set, where they are its public part.

    Raises:
        InvalidRecipe: the recipe is that of a phase with other pairs.
    """
    if task.pairs_sha256 not in (None, hash_pairs_of(references)):
        raise InvalidRecipe(
            "the pairs are not those of the phase that the recipe is of: give its pictures and its "
            "pairs.csv, or a recipe alone"
        )
    if task.references_sha256 in (None, references.sha256):
        return references
    if references.reals:
        print(
            "these are not just the pictures of the phase that the recipe is of: the card names a "
            "reference set of its own",
            file=sys.stderr,
        )
        return references
    return replace(references, sha256=task.references_sha256)


def _read_described(path: Path) -> Mapping[str, Any]:
    """Read what a phase offers as recipe.json, or a recipe alone."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidRecipe(f"{path} is not JSON: {error}") from error
    parts = (
        [found, *(found.get(name, {}) for name in _PARTS)] if isinstance(found, dict) else [None]
    )
    if all(isinstance(part, dict) for part in parts):
        pins = found.get("extractors", {}).values()
        if all(isinstance(pin, dict) and {"name", "sha256"} <= pin.keys() for pin in pins):
            return dict(found)
    raise InvalidRecipe(f"{path} is not a recipe")


def _read_recipe(path: Path | None, described: Mapping[str, Any]) -> Recipe:
    if path is None:
        return Recipe()
    try:
        return Recipe.from_json(described.get("recipe", described))
    except InvalidRecipe as error:
        raise InvalidRecipe(f"{path}: {error}") from error


def _pin(
    name: str | None, described: Mapping[str, Any], role: str, weights: Path | None
) -> ExtractorPin:
    given = described.get("extractors", {}).get(role)
    wanted = name or (given["name"] if given else OFFICIAL[role])
    with show_progress(f"weights for {role}") as report:  # fetched, where they are not here yet
        found = extractor_pin(
            wanted, weights_dir=weights, on_progress=lambda done, of: report(done, of or done)
        )
    # Scoring refuses weights that are not the pinned ones.
    return ExtractorPin(given["name"], given["sha256"]) if given and name is None else found


def generate(
    generator: Generator,
    references: ReferenceImages,
    numbers: Sequence[int],
    *,
    title: str = "generating",
) -> tuple[list[Image], list[float]]:
    """Return the outputs of some pairs in their order, and how many seconds each took."""
    outputs, seconds = [], []
    with show_progress(title) as report:
        for number in numbers:
            content, style = references.pairs[number]
            started = time.perf_counter()
            floats = stylise(generator, references.contents[content], references.styles[style])
            outputs.append(to_pixels(floats))
            seconds.append(time.perf_counter() - started)
            report(len(outputs), len(numbers))
    return outputs, seconds


def measure(generator: Generator, seconds: list[float], footprint: Footprint) -> dict[str, float]:
    """Say what running the generator took here, by the keys of metrics."""
    return measure_making([Making(seconds, generator.parameters_count, footprint.added_bytes())])


def write_card(path: Path, card: ScoreCard, task: Task, manifest: Manifest) -> None:
    """Write the card, with what only somebody who runs the generator at home can say."""
    written = card.to_json()
    written["provenance"] |= {
        "left_out": list(task.left_out),
        "manifest": manifest.model_dump(mode="json"),
    }
    write_whole(path, json.dumps(written, indent=2, allow_nan=False) + "\n")


def print_values(values: Mapping[str, Estimate]) -> None:
    """Print scores and measurements as a table."""
    for key, score in values.items():
        interval = "" if score.low is None else f"  {score.low:.5g} … {score.high:.5g}"
        print(f"{key:<18}{score.value:>12.6g}{interval}")
