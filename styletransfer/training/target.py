"""What a generator is trained towards: one style image's Gram matrices, each photograph's maps."""

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from styletransfer.metrics.content import content_loss
from styletransfer.metrics.style import Gram, gram_distance
from styletransfer.recipe import Recipe
from styletransfer.vgg import Vgg19


class StyleTarget:
    """Content and style losses against one style image."""

    def __init__(self, vgg: Vgg19, recipe: Recipe, style: Tensor) -> None:
        self.vgg, self.recipe = vgg, recipe
        layers = {recipe.content_layer, *recipe.style_layers}
        self.walk = partial(vgg.features, layers=layers)
        self.style = style
        with torch.no_grad():
            self.grams = {name: Gram.of(maps) for name, maps in self.walk(style).items()}

    @torch.no_grad()
    def prepare(self, photos: Tensor) -> tuple[Tensor, Tensor]:
        """Return the content maps of photographs, and (n, 2) what their losses are relative to.

        An anchor below a third of the median counts as that third, or the few photographs that
        resemble the style by chance would outweigh all others.
        """
        height, width = photos.shape[2:]
        pasted = self.content_maps(self.style[..., :height, :width])
        kept, anchors = [], []
        for photo in photos:
            maps = self.walk(photo[None])
            kept.append(maps[self.recipe.content_layer])
            anchors.append(torch.stack([content_loss(pasted, kept[-1]).mean(), self.compare(maps)]))
        costs = torch.stack(anchors)
        return torch.cat(kept), costs.maximum(costs.median(dim=0).values / 3)

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
