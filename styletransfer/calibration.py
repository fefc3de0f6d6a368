"""Weigh the terms of the total so that they count alike."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from styletransfer.metrics.adversarial import generator_loss
from styletransfer.pinned import open_discriminator, open_vgg
from styletransfer.recipe import Recipe
from styletransfer.references import (
    Progress,
    count_up,
    count_used,
    recall_vgg_features,
    require_consistent,
)
from styletransfer.values import ExtractorPin, ReferenceImages
from styletransfer.vgg import to_batch


def calibrate(
    recipe: Recipe,
    references: ReferenceImages,
    vgg: ExtractorPin,
    discriminator: bytes | None,
    *,
    cache_dir: Path | None = None,
    weights_dir: Path | None = None,
    on_progress: Progress | None = None,
) -> Recipe:
    """Return the recipe with weights by which the three terms of the total count alike.

    ``alpha = 1 / (style paste's content)``, ``beta = 1 / (identity's style)``,
    ``gamma = 1 / (mean adversarial of the two)``, 0 without a discriminator.

    Raises:
        DegenerateAnchor: a pair's images do not differ.
        WeightsUnavailable, WeightsMismatch: the pinned extractor is not to be had.
    """
    require_consistent(references)
    network = open_vgg(vgg, recipe, weights_dir)
    advance = count_up(count_used(references), on_progress)
    features = recall_vgg_features(recipe, references, network, vgg, cache_dir, advance)
    features.require_anchors()
    alpha = 1 / float(features.paste_content.mean())
    beta = 1 / float(features.identity_style.mean())
    if discriminator is None:
        return replace(recipe, alpha=alpha, beta=beta, gamma=0.0, discriminator_sha256=None)
    sha256 = hashlib.sha256(discriminator).hexdigest()
    recipe = replace(recipe, discriminator_sha256=recipe.discriminator_sha256 or sha256)
    judge = open_discriminator(discriminator, recipe)
    assert judge is not None  # noqa: S101 - there are bytes to open
    with torch.inference_mode():
        losses = [
            generator_loss(judge(to_batch([image]))).item()
            for content, style in references.pairs
            for image in (references.contents[content], references.styles[style])
        ]
    return recipe.calibrated(alpha=alpha, beta=beta, gamma=1 / float(np.mean(losses)))
