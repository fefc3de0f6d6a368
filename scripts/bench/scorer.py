"""A scorer with all that a phase has, for sections that score as the platform does."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from evaluation.demo.baselines import discriminator_bytes
from scripts.bench import pictures
from styletransfer.folders import Folder
from styletransfer.images import encode_png
from styletransfer.recipe import Recipe
from styletransfer.scoring import Scorer
from styletransfer.surrogates import INCEPTION, PINS, VGG
from styletransfer.values import Image, ReferenceImages, sha256_of


def make_recipe() -> Recipe:
    """Return the default recipe with the demo's discriminator."""
    sha256 = hashlib.sha256(discriminator_bytes()).hexdigest()
    return Recipe(alpha=1e-6, beta=1e2, gamma=1.0, discriminator_sha256=sha256)


def make_scorer(pairs: int, side: int = 256) -> Scorer:
    """Return a scorer of ``pairs`` pairs and as many real images."""
    images = [pictures.make(100 + number, side) for number in range(pairs)]
    references = ReferenceImages(
        contents=images,
        styles=[pictures.make(10_000, side), pictures.make(10_001, side)],
        pairs=[(number, number % 2) for number in range(pairs)],
        reals=[pictures.make(20_000 + number, side) for number in range(max(2, pairs))],
        sha256=sha256_of({"pairs": pairs, "side": side}),
    )
    judge = discriminator_bytes()
    pins = {"vgg": PINS[VGG], "inception": PINS[INCEPTION]}
    return Scorer(make_recipe(), references, pins, judge)


def write_outputs(folder: Path, pairs: int, side: int = 256) -> Path:
    """Write one output per pair as PNG, as the sandbox's are stored."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(pairs):
        pixels = pictures.make(30_000 + number, side)
        (folder / f"{number:04}.png").write_bytes(encode_png(pixels))
    return folder


def read_outputs(folder: Path) -> Sequence[Image]:
    """Decode them."""
    return list(Folder.read(folder).images())
