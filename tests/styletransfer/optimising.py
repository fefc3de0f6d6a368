"""The attack that sensitivity is there for: pixels fitted to the scoring network by gradients."""

import torch

from styletransfer.inference import to_pixels
from styletransfer.metrics.content import content_loss
from styletransfer.metrics.style import Gram, weigh_layers
from styletransfer.prepared import Prepared
from styletransfer.values import Image
from styletransfer.vgg import to_batch


def optimise(prepared: Prepared, number: int, output: Image, *, levels: int, steps: int) -> Image:
    """Lower a pair's content and style loss by changing each value by at most ``levels``."""
    recipe, features = prepared.recipe, prepared.features
    content, style = prepared.references.pairs[number]
    maps, grams = features.contents([content]), features.styles([style])
    start, bound = to_batch([output]), levels / 255
    change = torch.zeros_like(start, requires_grad=True)
    optimizer = torch.optim.Adam([change], lr=bound / 4)
    for _ in range(steps):
        found = prepared.vgg.features(
            (start + change).clamp(0, 1), {recipe.content_layer, *recipe.style_layers}
        )
        made = [Gram.of(found[layer]) for layer in recipe.style_layers]
        weighed = weigh_layers(made, grams, recipe.style_weights, recipe.normalization)
        loss = content_loss(found[recipe.content_layer], maps) / features.paste_content[number]
        loss = (loss + weighed / features.identity_style[number]).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            change.clamp_(-bound, bound)
    pixels = 255 * (start + change).clamp(0, 1).detach()[0].permute(1, 2, 0)
    return to_pixels(pixels.numpy())
