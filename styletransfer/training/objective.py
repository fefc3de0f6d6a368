"""What a generator is trained towards: the brief's content and style losses, made relative.

Computed once: Gram matrices of styles, and content maps of pictures that come again. The content
maps of others need no gradients and end at the content layer.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import TypeVar

import torch
from torch import Tensor

from styletransfer.devices import CPU
from styletransfer.metrics.content import content_loss
from styletransfer.metrics.style import Gram, gram_distance
from styletransfer.recipe import Recipe
from styletransfer.training.config import Precision
from styletransfer.training.features import FeatureNetwork
from styletransfer.training.feeding import Batch, TrainingPictures
from styletransfer.training.pictures import Pictures
from styletransfer.training.precision import autocast, widen

# Photographs that tell what losses are relative to, where they are not measured for each.
ANCHORING = 16
_ANCHOR_DRAW = 1 << 40  # no step's
T = TypeVar("T")


class Objective:
    """Content and style losses against one style, the mean of several, or each picture's own."""

    def __init__(
        self,
        features: FeatureNetwork,
        recipe: Recipe,
        pictures: TrainingPictures,
        *,
        is_arbitrary: bool = False,
        relative_to_each: bool = False,
        cache_bytes: int = 0,
        device: torch.device = CPU,
        precision: Precision = "float32",
    ) -> None:
        self.features_of, self.recipe, self.pictures = features, recipe, pictures
        self.is_arbitrary, self.cache_bytes = is_arbitrary, cache_bytes
        self.device, self.precision = device, precision
        self._maps: dict[int, Tensor] = {}
        self._grams: dict[int, list[Gram]] = {}
        self._pasted: dict[tuple[int, ...], Tensor] = {}
        self._bytes = 0
        self.target = None if is_arbitrary else self._average_styles()
        self.relative_to_each = relative_to_each

    @cached_property
    def anchors(self) -> Tensor:
        """What losses are relative to: (2,) for all photographs, or (n, 2) for each its own."""
        return self._measure_each() if self.relative_to_each else self._measure_some()

    def walk(self, images: Tensor) -> dict[str, Tensor]:
        """Return all maps that the losses need."""
        layers = {self.recipe.content_layer, *self.recipe.style_layers}
        return self._walk(images, layers)

    def measure(self, outputs: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the mean content and style losses of a batch, relative to their anchors."""
        anchors = self.anchors
        if self.relative_to_each:
            anchors = anchors[list(batch.numbers)].mean(0)
        maps = self.walk(outputs)
        content = content_loss(maps[self.recipe.content_layer], self.recall_content(batch)).mean()
        style = self.compare(maps, self.recall_styles(batch)).mean()
        content, style = torch.stack([content, style]) / anchors
        return content, style

    @torch.no_grad()
    def recall_content(self, batch: Batch) -> Tensor:
        """Return the content maps of a batch, kept ones where a picture is always the same."""
        if not self.pictures.contents.is_fixed:
            return self.content_maps(batch.contents)
        found = []
        for slot, number in enumerate(batch.numbers):
            maps = self._maps.get(number)
            if maps is None:
                maps = self.content_maps(batch.contents[slot : slot + 1])
                self._keep(self._maps, number, maps, maps.nbytes)
            found.append(maps)
        return torch.cat(found)

    @torch.no_grad()
    def recall_styles(self, batch: Batch) -> list[Gram]:
        """Return, layer by layer, the Gram matrices that a batch is compared with."""
        if self.target is not None:
            return self.target
        each = []
        for slot, number in enumerate(batch.style_numbers):
            grams = self._grams.get(number)
            if grams is None:
                grams = self.style_grams(batch.styles[slot : slot + 1])
                if self.pictures.styles.is_fixed:
                    size = sum(gram.matrix.nbytes for gram in grams)
                    self._keep(self._grams, number, grams, size)
            each.append(grams)
        return [
            Gram(torch.cat([gram.matrix for gram in layer]), layer[0].positions)
            for layer in zip(*each, strict=True)
        ]

    @torch.no_grad()
    def content_maps(self, contents: Tensor) -> Tensor:
        """Return the content layer's maps; nothing deeper is computed."""
        return self._walk(contents, {self.recipe.content_layer})[self.recipe.content_layer]

    @torch.no_grad()
    def style_grams(self, styles: Tensor) -> list[Gram]:
        """Return the Gram matrices of each style layer."""
        maps = self._walk(styles, set(self.recipe.style_layers))
        return [Gram.of(maps[layer]) for layer in self.recipe.style_layers]

    def compare(self, maps: dict[str, Tensor], targets: Sequence[Gram]) -> Tensor:
        """Return the style loss of each picture from its maps."""
        recipe, terms = self.recipe, []
        for layer, weight, target in zip(
            recipe.style_layers, recipe.style_weights, targets, strict=True
        ):
            gram = Gram.of(maps[layer])
            repeated = Gram(target.matrix.expand_as(gram.matrix), target.positions)
            terms.append(weight * gram_distance(gram, repeated, recipe.normalization))
        return torch.stack(terms).sum(0)

    def _walk(self, images: Tensor, layers: set[str]) -> dict[str, Tensor]:
        with autocast(self.precision, self.device):
            found = self.features_of.features(images, layers)
        # Gram matrices are sums over many positions: in half precision little would be left.
        return {name: widen(maps) for name, maps in found.items()}

    def _average_styles(self) -> list[Gram]:
        """Return the one style's Gram matrices, or the mean of all styles'.

        The squared distance to the mean differs from the mean squared distance to all of them by a
        constant: it has the same gradients, without their noise.
        """
        styles = self.pictures.styles
        grams = [self.style_grams(self._take(styles, number)) for number in range(len(styles))]
        if len(grams) == 1:
            return grams[0]
        return [
            Gram(torch.stack([gram.matrix / gram.positions for gram in layer]).mean(0), 1)
            for layer in zip(*grams, strict=True)
        ]

    @torch.no_grad()
    def _measure_each(self) -> Tensor:
        """Return (n, 2): what each photograph's losses are relative to.

        An anchor below a third of the median counts as that third, or the few photographs that
        resemble the style by chance would outweigh all others.
        """
        costs = torch.stack(
            [self._cost_of(number) for number in range(len(self.pictures.contents))]
        )
        return costs.maximum(costs.median(dim=0).values / 3)

    @torch.no_grad()
    def _measure_some(self) -> Tensor:
        """Return (2,): the medians of some photographs' anchors."""
        count = len(self.pictures.contents)
        numbers = [index * count // ANCHORING for index in range(ANCHORING)]
        costs = [self._cost_of(number, slot) for slot, number in enumerate(numbers)]
        return torch.stack(costs).median(dim=0).values

    def _cost_of(self, number: int, slot: int = 0) -> Tensor:
        """Return what pasting a style costs a photograph in content, and copying it in style."""
        photo = self._take(self.pictures.contents, number, slot)
        styles = self.pictures.styles
        style_number = slot % len(styles)
        style = self._take(styles, style_number)
        maps = self.walk(photo)
        kept = maps[self.recipe.content_layer]
        if self.pictures.contents.is_fixed and number not in self._maps:
            self._keep(self._maps, number, kept, kept.nbytes)
        key = style_number, *photo.shape[2:]
        if key not in self._pasted:
            self._pasted = {key: self.content_maps(style[..., : key[1], : key[2]])}
        pasted = self._pasted[key]
        targets = self.target or self.style_grams(style)
        return torch.stack([content_loss(pasted, kept).mean(), self.compare(maps, targets).mean()])

    def _take(self, source: Pictures, number: int, slot: int = 0) -> Tensor:
        return source.take([number], [(_ANCHOR_DRAW, slot)]).to(self.device)

    def _keep(self, cache: dict[int, T], number: int, value: T, size: int) -> None:
        if self._bytes + size <= self.cache_bytes:
            cache[number] = value
            self._bytes += size
