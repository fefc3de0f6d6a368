"""Content and style of a pair, references cached, beside the evaluator that tutorials write."""

from collections.abc import Iterator

import torch

from scripts.bench import machine, pictures
from scripts.bench.naive import NaiveEvaluator
from scripts.bench.rows import Row, at_least, at_most
from scripts.bench.setting import Setting
from scripts.bench.timing import interleave
from styletransfer.metrics.content import content_loss
from styletransfer.metrics.style import weigh_layers
from styletransfer.recipe import VGG19_LAYERS, Recipe
from styletransfer.references import look
from styletransfer.surrogate_weights import make_weights
from styletransfer.surrogates import VGG
from styletransfer.vgg import to_batch
from styletransfer.weights import load_vgg

BARS = {256: 3.0, 512: 3.8}
WIDTHS = (64, 128, 256, 512, 512)
UNIT = "CPU ms/pair"


def measure(setting: Setting) -> Iterator[Row]:
    """Measure at both sizes."""
    for side in BARS:
        yield from measure_side(setting, side)


def count_flop(side: int, recipe: Recipe) -> float:
    """Count what one output needs: convolutions to the deepest layer, and whole Gram matrices."""
    total, inputs = 0.0, 3
    layers = (recipe.content_layer, *recipe.style_layers)
    deepest = max(VGG19_LAYERS.index(layer) for layer in layers)
    for place, layer in enumerate(VGG19_LAYERS):
        block = int(layer[4])
        outputs, positions = WIDTHS[block - 1], (side >> (block - 1)) ** 2
        if place <= deepest:
            total += 2 * 9 * inputs * outputs * positions
        if layer in recipe.style_layers:
            total += 2 * outputs**2 * positions
        inputs = outputs
    return total


def measure_side(setting: Setting, side: int) -> Iterator[Row]:
    """Measure at one size."""
    recipe = Recipe()
    weights = {key: torch.from_numpy(array) for key, array in make_weights(VGG).items()}
    naive, network = NaiveEvaluator(weights), load_vgg(VGG)[0]
    yardstick = machine.Yardstick()
    output, content, style = (to_batch([pictures.make(seed, side)]) for seed in range(3))
    first = tuple(image.contiguous() for image in (output, content, style))
    content_maps = look(network, recipe, content)[0]
    style_grams = look(network, recipe, style)[1]
    found: dict[str, tuple[float, float]] = {}

    def ours() -> None:
        with torch.inference_mode():
            maps, grams = look(network, recipe, output)
            losses = (
                content_loss(maps, content_maps),
                weigh_layers(grams, style_grams, recipe.style_weights, recipe.normalization),
            )
            found["ours"] = losses[0].item(), losses[1].item()

    def theirs() -> None:
        found["naive"] = naive.measure(*first)

    runs = {"ours": ours, "naive": theirs} | yardstick.variants()
    taken = interleave(runs, setting.rounds)
    size = f"VGG-19, {side} x {side}"
    milliseconds = {name: 1000 * seconds for name, seconds in taken.items()}
    bar = at_least(BARS[side])
    yield Row(size, milliseconds["ours"], UNIT, "naive evaluator", milliseconds["naive"], bar)
    for name, rate in yardstick.rates(taken).items():
        share = 100 * count_flop(side, recipe) / taken["ours"] / rate
        limit = at_least(85) if name == "gemm" else None
        yield Row(f"{size}, share of {name} ({rate / 1e9:.0f} GFLOP/s)", share, "%", bar=limit)
    for number, name in enumerate(("content", "style")):
        difference = abs(found["ours"][number] / found["naive"][number] - 1)
        yield Row(f"  {name}, relative difference", difference, "", "naive", bar=at_most(1e-5))
