"""LPIPS of outputs against their content images, whose features are kept."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from styletransfer.feature_cache import ReadTensor, recall
from styletransfer.lpips import Lpips
from styletransfer.lpips_layout import LINS
from styletransfer.references import lpips_key
from styletransfer.values import ExtractorPin, ReferenceImages
from styletransfer.vgg import to_batch


class PerceptualReferences:
    """The network of LPIPS and the cached features of a reference set's content images."""

    def __init__(self, network: Lpips, read: ReadTensor) -> None:
        self._network, self._read = network, read

    def compare(self, contents: Sequence[int], batch: Tensor) -> Tensor:
        """Return the distance of each image of ``batch`` to its content image: ``(N,)`` float64.

        Args:
            contents: which content image each belongs to.
            batch: ``(N, 3, H, W)`` in 0..1.
        """
        found = self._network.take_features(batch)
        kept = [self._gather(contents, layer, batch.device) for layer in range(len(LINS))]
        return self._network.compare(found, kept)

    def _gather(self, contents: Sequence[int], layer: int, device: torch.device) -> Tensor:
        read = {index: self._read(f"content.{index}.{layer}") for index in set(contents)}
        return torch.cat([read[index] for index in contents]).to(device).permute(0, 3, 1, 2)


def recall_lpips_features(
    references: ReferenceImages,
    network: Lpips,
    pin: ExtractorPin,
    cache_dir: Path | None,
    advance: Callable[[], None],
) -> PerceptualReferences:
    """Return the content images' features, from the cache where they are there."""
    read = recall(
        cache_dir,
        lpips_key(references, pin.sha256, network.device),
        partial(_make_features, references, network, advance),
    )
    return PerceptualReferences(network, read)


def _make_features(
    references: ReferenceImages, network: Lpips, advance: Callable[[], None]
) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for content in sorted({content for content, _ in references.pairs}):
        batch = to_batch([references.contents[content]], network.device)
        for layer, maps in enumerate(network.take_features(batch)):
            # Channels last, as the network makes them.
            tensors[f"content.{content}.{layer}"] = maps.permute(0, 2, 3, 1).contiguous().cpu()
        advance()
    return tensors
