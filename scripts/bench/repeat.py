"""The same submission again: equal bits, and what threads and batches change."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from scripts.bench import pictures, scorer
from scripts.bench.rows import Row, at_most
from scripts.bench.setting import Setting
from scripts.bench.timing import run_python
from styletransfer.metrics.content import content_loss
from styletransfer.metrics.style import style_loss
from styletransfer.recipe import Recipe
from styletransfer.surrogates import INCEPTION, VGG
from styletransfer.vgg import to_batch
from styletransfer.weights import load_inception, load_vgg

SIDE, BATCH = 256, 4


def measure(setting: Setting) -> Iterator[Row]:
    """Score in processes of their own, with one thread twice and with two."""
    pairs = setting.choose(6, quick=2)
    outputs = scorer.write_outputs(setting.folder / "again", pairs)
    once, again, two = (
        json.loads(
            run_python(
                ["-m", "scripts.bench.score_program", SIDE, pairs, threads, outputs],
                threads=threads,
            ).output
        )
        for threads in (1, 1, 2)
    )
    # Written with all their digits: equal text is equal bits.
    differing = [key for key, value in once["scores"].items() if again["scores"][key] != value]
    text = f"{len(once['scores'])} scores made twice, not bit-identical"
    yield Row(text, len(differing), "scores", bar=at_most(0))
    difference = largest_difference(once["scores"], two["scores"])
    yield Row("1 or 2 threads, largest relative difference", difference, "", bar=at_most(1e-5))
    yield from measure_batch()


def largest_difference(first: Mapping[str, Any], second: Mapping[str, Any]) -> float:
    """Return the largest relative difference of two cards' values."""
    pairs = [(first[key]["value"], second[key]["value"]) for key in first]
    return float(max(abs(a - b) / max(abs(a), 1e-12) for a, b in pairs))


def measure_batch() -> Iterator[Row]:
    """Compare losses and features of images measured together with those measured alone."""
    recipe = Recipe()
    network, inception = load_vgg(VGG)[0], load_inception(INCEPTION)[0]
    images = [pictures.make(seed) for seed in range(BATCH)]
    other = to_batch([pictures.make(99)])

    def losses(chosen: Sequence[Any]) -> torch.Tensor:
        with torch.inference_mode():
            layers = (recipe.content_layer, *recipe.style_layers)
            maps = network.features(to_batch(chosen), layers)
            others = network.features(other, layers)
            content = content_loss(
                maps[recipe.content_layer],
                others[recipe.content_layer].expand(len(chosen), -1, -1, -1),
            )
            made, styles = (
                [each[layer] for layer in recipe.style_layers] for each in (maps, others)
            )
            return torch.stack([content, style_loss(made, styles)], dim=1)

    alone = torch.cat([losses([image]) for image in images])
    change = float((losses(images) / alone - 1).abs().max())
    text = f"VGG losses in a batch of {BATCH} or alone, relative difference"
    yield Row(text, change, "", bar=at_most(1e-5))
    single = inception.features(images)
    error = float((inception(to_batch(images)) - single).norm() / single.norm())
    yield Row("Inception features, the same, rel. L2", error, "", bar=at_most(1e-5))
