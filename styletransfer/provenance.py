"""What a score card says about where its scores come from."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from styletransfer.determinism import versions
from styletransfer.inception import FEATURES
from styletransfer.metric_specs import METRICS
from styletransfer.pretrained import hash_files, is_surrogate
from styletransfer.recipe import Recipe
from styletransfer.values import ExtractorPin, ReferenceImages


@dataclass(frozen=True)
class Origin:
    """What all submissions to a phase have in common.

    Attributes:
        recipe: the part that is measured.
        recipe_sha256: of the whole recipe.
        extractors: the pinned networks, by their role.
        arithmetic: what the last bits depend on.
        batch: how many outputs are measured at once.
    """

    recipe: Recipe
    recipe_sha256: str
    references: ReferenceImages
    extractors: Mapping[str, ExtractorPin]
    weights_dir: Path | None
    arithmetic: Mapping[str, Any]
    batch: int

    def describe(self, checkpoint_sha256: str, seed: int) -> dict[str, Any]:
        """Return the provenance of one checkpoint's scores, as plain JSON values."""
        reals, pairs = len(self.references.reals), len(self.references.pairs)
        return {
            "checkpoint_sha256": checkpoint_sha256,
            "recipe_sha256": self.recipe_sha256,
            "references_sha256": self.references.sha256,
            "discriminator_sha256": self.recipe.discriminator_sha256,
            "extractors": {
                role: {
                    **pin.to_json(),
                    "is_surrogate": is_surrogate(pin.name),
                    "files": hash_files(pin.name, weights_dir=self.weights_dir),
                }
                for role, pin in self.extractors.items()
            },
            "metrics": {key: _describe_metric(key, self.recipe) for key in self.recipe.measured},
            "seed": str(seed),
            "pairs": pairs,
            "reals": reals,
            # Biased upwards: comparable only with values of the same counts.
            "fid_low_n": min(pairs, reals) <= FEATURES,
            "batch": self.batch,
            **self.arithmetic,
            **versions(),
        }


def seed_of(checkpoint_sha256: str, recipe_sha256: str, references_sha256: str) -> int:
    """Return the first 8 bytes of the SHA-256 of the three hashes, each on a line of its own."""
    text = "".join(f"{part}\n" for part in (checkpoint_sha256, recipe_sha256, references_sha256))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def _describe_metric(key: str, recipe: Recipe) -> dict[str, Any]:
    spec = METRICS[key]
    return {
        "version": spec.version,
        "convention": spec.convention.format(recipe=recipe),
        "direction": spec.direction,
        "unit": spec.unit,
        "interval": spec.interval,
    }
