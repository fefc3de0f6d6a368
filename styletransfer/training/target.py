"""What a generator is trained towards: one style image's Gram matrices, each photograph's maps."""

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from styletransfer.metrics.content import content_loss
from styletransfer.metrics.style import Gram, gram_distance
from styletransfer.values import Recipe
from styletransfer.vgg import Vgg19


class StyleTarget:
    """Content and style losses against one style image.

    The style may come as several windows (k, 3, h, w): their mean Gram matrices then carry the
    same share of border as those of training windows of that size.
    """

    def __init__(self, vgg: Vgg19, recipe: Recipe, style: Tensor) -> None:
        self.vgg, self.recipe = vgg, recipe
        layers = {recipe.content_layer, *recipe.style_layers}
        self.walk = partial(vgg.features, layers=layers)
        with torch.no_grad():
            grams = {name: Gram.of(maps) for name, maps in self.walk(style).items()}
        self.grams = {
            name: Gram(gram.matrix.mean(dim=0, keepdim=True), gram.positions)
            for name, gram in grams.items()
        }

    @torch.no_grad()
    def content_maps(self, contents: Tensor) -> Tensor:
        """Return the content layer's maps, which ``measure`` compares with."""
        return self.vgg.features(contents, [self.recipe.content_layer])[self.recipe.content_layer]

    def measure(self, outputs: Tensor, kept: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean content and style losses of a batch; ``kept`` are its content maps."""
        maps = self.walk(outputs)
        return content_loss(maps[self.recipe.content_layer], kept).mean(), self.compare(maps)

    def compare(self, maps: dict[str, Tensor]) -> Tensor:
        """Return the mean style loss of a batch from its maps."""
        return torch.stack(list(self._style_terms(maps))).sum()

    def _style_terms(self, maps: dict[str, Tensor]) -> Iterator[Tensor]:
        recipe = self.recipe
        for layer, weight in zip(recipe.style_layers, recipe.style_weights, strict=True):
            gram, target = Gram.of(maps[layer]), self.grams[layer]
            repeated = Gram(target.matrix.expand_as(gram.matrix), target.positions)
            yield weight * gram_distance(gram, repeated, recipe.normalization).mean()
