"""How a phase scores: layers, weights and metrics; free of Django and torch."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, Self, get_args

from styletransfer.errors import InvalidRecipe
from styletransfer.metric_specs import DEFAULT_METRICS, EXTRACTORS, METRICS
from styletransfer.values import canonical_json, sha256_of

Normalization = Literal["gatys", "spatial"]

VGG19_LAYERS = tuple(
    f"relu{block}_{index}"
    for block, depth in enumerate((2, 2, 4, 4, 4), start=1)
    for index in range(1, depth + 1)
)
"""The layers a recipe may name, shallowest first."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a phase scores: layers, weights and metrics.

    Attributes:
        alpha: weight of the content loss in the total.
        beta: weight of the style loss.
        gamma: weight of the adversarial loss; needs a discriminator unless zero.
        discriminator_sha256: of the discriminator's file.

    Raises:
        InvalidRecipe: its parts contradict each other.
    """

    content_layer: str = "relu4_2"
    style_layers: tuple[str, ...] = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
    style_weights: tuple[float, ...] = (0.2,) * 5
    normalization: Normalization = "gatys"
    alpha: float = 1.0
    beta: float = 1.0
    gamma: float = 0.0
    discriminator_sha256: str | None = None
    metrics: tuple[str, ...] = DEFAULT_METRICS

    def __post_init__(self) -> None:
        # 1 and 1.0, a list and a tuple must not differ in the hash.
        for name in ("alpha", "beta", "gamma"):
            object.__setattr__(self, name, float(getattr(self, name)))
        object.__setattr__(self, "style_layers", tuple(self.style_layers))
        object.__setattr__(self, "style_weights", tuple(float(w) for w in self.style_weights))
        object.__setattr__(self, "metrics", tuple(self.metrics))
        for problem in self._problems():
            raise InvalidRecipe(problem)

    def _problems(self) -> list[str]:
        layers = (self.content_layer, *self.style_layers)
        weights = (self.alpha, self.beta, self.gamma, *self.style_weights)
        checks = {
            f"layers are {', '.join(VGG19_LAYERS)}": set(layers) <= set(VGG19_LAYERS),
            "style layers are named once each, at least one": (
                0 < len(self.style_layers) == len(set(self.style_layers))
            ),
            "each style layer needs a weight": len(self.style_layers) == len(self.style_weights),
            "weights are finite and not negative": all(
                math.isfinite(w) and w >= 0 for w in weights
            ),
            "normalization is 'gatys' or 'spatial'": self.normalization in get_args(Normalization),
            f"metrics are {', '.join(METRICS)}": set(self.metrics) <= set(METRICS),
            "metrics are named once each, at least one": (
                0 < len(self.metrics) == len(set(self.metrics))
            ),
            "at least one metric is of the outputs, not of how they are made": (
                any(METRICS[key].source == "outputs" for key in self.metrics if key in METRICS)
            ),
            "an adversarial term needs a discriminator": (
                self.gamma == 0 or self.discriminator_sha256 is not None
            ),
        }
        return [rule for rule, holds in checks.items() if not holds]

    @property
    def measured(self) -> tuple[str, ...]:
        """Name the metrics that come out: without a discriminator, no adversarial one."""
        if self.discriminator_sha256 is not None:
            return self.metrics
        return tuple(key for key in self.metrics if "discriminator" not in METRICS[key].needs)

    @property
    def scored(self) -> tuple[str, ...]:
        """Name the measured metrics that are scores: only those may rank."""
        return tuple(key for key in self.measured if METRICS[key].source == "outputs")

    @property
    def needs(self) -> frozenset[str]:
        """Name the networks that the measured metrics take, of those a ``MetricSpec`` names."""
        return frozenset().union(*(METRICS[key].needs for key in self.measured))

    @property
    def extractors(self) -> tuple[str, ...]:
        """Name the roles whose networks have to be pinned; content and style are always taken."""
        needed = self.needs | {"vgg"}
        return tuple(role for role in EXTRACTORS if role in needed)

    def calibrated(self, *, alpha: float, beta: float, gamma: float) -> Self:
        """Return the same recipe with other weights of the total."""
        return replace(self, alpha=alpha, beta=beta, gamma=gamma)

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Read what ``to_json`` wrote; unknown names are refused.

        Raises:
            InvalidRecipe: a name is unknown, a value has the wrong type or contradicts another.
        """
        unknown = sorted(set(data) - {each.name for each in fields(cls)})
        if unknown:
            raise InvalidRecipe(f"a recipe has no {', '.join(unknown)}")
        try:
            return cls(**data)
        except InvalidRecipe:
            raise
        except (TypeError, ValueError) as error:
            raise InvalidRecipe(f"not a recipe: {error}") from error

    def canonical_json(self) -> str:
        """Return the one JSON text whose hash names this recipe."""
        return canonical_json(self.to_json())

    def sha256(self) -> str:
        """Hash the recipe."""
        return sha256_of(self.to_json())
