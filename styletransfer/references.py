"""What scoring needs of a phase's reference images, computed once."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from styletransfer.determinism import arithmetic
from styletransfer.devices import CPU, choose_batch
from styletransfer.errors import DegenerateAnchor, ShapeMismatch
from styletransfer.feature_cache import ReadTensor, recall
from styletransfer.metrics.content import content_loss
from styletransfer.metrics.style import Gram, weigh_layers
from styletransfer.recipe import Recipe
from styletransfer.values import ExtractorPin, Image, ReferenceImages, sha256_of
from styletransfer.vgg import Vgg19, to_batch

Progress = Callable[[int, int], None]
"""Called with what is done and how much there is to do."""

# Counts the forms of the cached files; raise it when what is stored in them changes.
_FORM = 2


def require_consistent(references: ReferenceImages) -> None:
    """Refuse a reference set without pairs, of several sizes or with pairs of nothing.

    Raises:
        ShapeMismatch: it is such a set.
    """
    if not references.pairs:
        raise ShapeMismatch("a reference set needs at least one pair")
    for content, style in references.pairs:
        if not (0 <= content < len(references.contents) and 0 <= style < len(references.styles)):
            raise ShapeMismatch(f"pair ({content}, {style}) names an image that is not there")
    first = references.contents[0]
    for image in (*references.contents, *references.styles, *references.reals):
        require_image(image, first.shape)


def require_image(image: Image, shape: tuple[int, ...]) -> None:
    """Refuse anything but 8-bit RGB of one shape.

    Raises:
        ShapeMismatch: it is something else.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ShapeMismatch(f"expected 8-bit (H, W, 3), got {image.dtype} {image.shape}")
    if image.shape != shape:
        raise ShapeMismatch(f"expected an image of {shape}, got {image.shape}")


def vgg_key(
    recipe: Recipe,
    references: ReferenceImages,
    vgg_sha256: str,
    device: torch.device = CPU,
) -> str:
    """Name all that the VGG features of a reference set depend on.

    Of the recipe only the parts that choose features: a new weight of the total costs nothing.
    """
    parts: dict[str, Any] = {
        "content_layer": recipe.content_layer,
        "style_layers": list(recipe.style_layers),
        "style_weights": list(recipe.style_weights),
        "normalization": recipe.normalization,
        "vgg": vgg_sha256,
    }
    return "vgg-" + _key(references, parts, device)


def fid_key(
    references: ReferenceImages,
    inception_sha256: str,
    preparation: str,
    device: torch.device = CPU,
) -> str:
    """Name all that the Inception features of a reference set depend on."""
    parts = {"inception": inception_sha256, "preparation": preparation}
    return "fid-" + _key(references, parts, device)


def lpips_key(references: ReferenceImages, lpips_sha256: str, device: torch.device = CPU) -> str:
    """Name all that the LPIPS features of a reference set depend on."""
    return "lpips-" + _key(references, {"lpips": lpips_sha256}, device)


def anchors_key(
    recipe: Recipe,
    references: ReferenceImages,
    pins: Mapping[str, str],
    pairs: Sequence[int],
    device: torch.device = CPU,
) -> str:
    """Name all that the metrics of a reference set's own images depend on."""
    parts = {"recipe": recipe.to_json(), "extractors": dict(pins), "pairs": list(pairs)}
    return "anchors-" + _key(references, parts, device)


def _key(references: ReferenceImages, parts: dict[str, Any], device: torch.device) -> str:
    named = parts | arithmetic(device) | {"references": references.sha256, "form": _FORM}
    return sha256_of(named)


def look(network: Vgg19, recipe: Recipe, batch: Tensor) -> tuple[Tensor, list[Gram]]:
    """Take one image's content map and style Gram matrices in one pass."""
    maps: dict[str, Tensor] = {}
    grams: dict[str, Gram] = {}

    def take(layer: str, features: Tensor) -> None:
        if layer == recipe.content_layer:
            maps[layer] = features
        if layer in recipe.style_layers:
            grams[layer] = Gram.of(features)

    network.visit(batch, {recipe.content_layer, *recipe.style_layers}, take)
    return maps[recipe.content_layer], [grams[layer] for layer in recipe.style_layers]


def make_vgg_features(
    recipe: Recipe, references: ReferenceImages, network: Vgg19, advance: Callable[[], None]
) -> dict[str, Tensor]:
    """Compute content maps, style Gram matrices and the two baselines' losses of each pair.

    *Identity* returns the content image, *style paste* the style image: their losses follow from
    the same features, without a pass of their own.
    """
    tensors: dict[str, Tensor] = {}
    style_maps: dict[int, Tensor] = {}
    style_grams: dict[int, list[Gram]] = {}
    for style in sorted({style for _, style in references.pairs}):
        style_maps[style], style_grams[style] = look(
            network, recipe, to_batch([references.styles[style]], network.device)
        )
        for layer, gram in enumerate(style_grams[style]):
            tensors[f"gram.{style}.{layer}"] = gram.matrix.cpu()
            tensors[f"positions.{layer}"] = torch.tensor(gram.positions)
        advance()
    paste_content = torch.zeros(len(references.pairs), dtype=torch.float64)
    identity_style = torch.zeros(len(references.pairs), dtype=torch.float64)
    for content in sorted({content for content, _ in references.pairs}):
        maps, grams = look(
            network, recipe, to_batch([references.contents[content]], network.device)
        )
        # Channels last, as the pass makes them: sums over the cached map then run in one order.
        tensors[f"content.{content}"] = maps.permute(0, 2, 3, 1).contiguous().cpu()
        for number, pair in enumerate(references.pairs):
            if pair[0] == content:
                paste_content[number] = content_loss(style_maps[pair[1]], maps)[0]
                identity_style[number] = weigh_layers(
                    grams, style_grams[pair[1]], recipe.style_weights, recipe.normalization
                )[0]
        advance()
    return tensors | {"paste_content": paste_content, "identity_style": identity_style}


def make_fid_features(
    references: ReferenceImages,
    features: Callable[[Sequence[Image], Tensor], Tensor],
    device: torch.device,
    advance: Callable[[], None],
) -> dict[str, Tensor]:
    """Compute the pool3 features of the real images.

    ``features`` takes those of some images, given as they are and as floats in 0..1.
    """
    rows = []
    height, width = references.contents[0].shape[:2]
    step = choose_batch(device, height * width)
    for start in range(0, len(references.reals), step):
        images = references.reals[start : start + step]
        rows.append(features(images, to_batch(images, device)).cpu())
        for _ in images:
            advance()
    return {"reals": torch.cat(rows) if rows else torch.zeros(0, 2048)}


class VggReferences:
    """Cached VGG features of a reference set."""

    def __init__(self, recipe: Recipe, read: ReadTensor) -> None:
        self._layers = len(recipe.style_layers)
        self._read = read
        self._positions = [int(read(f"positions.{layer}")) for layer in range(self._layers)]
        self.paste_content = _to_array(read("paste_content"))
        self.identity_style = _to_array(read("identity_style"))

    def contents(self, indices: Sequence[int], device: torch.device = CPU) -> Tensor:
        """Return content images' maps ``(N, C, H, W)``, channels last."""
        return self._gather([f"content.{index}" for index in indices], device).permute(0, 3, 1, 2)

    def styles(self, indices: Sequence[int], device: torch.device = CPU) -> list[Gram]:
        """Return style images' Gram matrices, layer by layer."""
        return [
            Gram(
                self._gather([f"gram.{index}.{layer}" for index in indices], device),
                self._positions[layer],
            )
            for layer in range(self._layers)
        ]

    def _gather(self, names: Sequence[str], device: torch.device) -> Tensor:
        found = {name: self._read(name) for name in dict.fromkeys(names)}
        return torch.cat([found[name] for name in names]).to(device)

    def require_anchors(self) -> None:
        """Refuse pairs whose baselines leave nothing to divide by.

        Raises:
            DegenerateAnchor: a baseline's loss is zero.
        """
        for name in ("paste_content", "identity_style"):
            for number, anchor in enumerate(getattr(self, name)):
                if anchor == 0:
                    raise DegenerateAnchor(
                        f"pair {number}: content and style image do not differ ({name} is 0)"
                    )


def _to_array(values: Tensor) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return cast("np.ndarray[tuple[int], np.dtype[np.float64]]", values.numpy())


def recall_vgg_features(
    recipe: Recipe,
    references: ReferenceImages,
    network: Vgg19,
    pin: ExtractorPin,
    cache_dir: Path | None,
    advance: Callable[[], None],
) -> VggReferences:
    """Return the references' VGG features, from the cache where they are there."""
    read = recall(
        cache_dir,
        vgg_key(recipe, references, pin.sha256, network.device),
        lambda: make_vgg_features(recipe, references, network, advance),
    )
    return VggReferences(recipe, read)


def count_contents(references: ReferenceImages) -> int:
    """Count the contents that are in a pair."""
    return len({content for content, _ in references.pairs})


def count_used(references: ReferenceImages) -> int:
    """Count the contents and styles that are in a pair."""
    contents, styles = zip(*references.pairs, strict=True)
    return len(set(contents)) + len(set(styles))


def count_up(of: int, on_progress: Progress | None) -> Callable[[], None]:
    """Return a function to call after each step, which reports how many are done."""
    done = 0

    def advance() -> None:
        nonlocal done
        done += 1
        if on_progress is not None:
            on_progress(done, of)

    return advance
