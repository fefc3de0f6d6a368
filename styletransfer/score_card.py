"""What scoring one submission found, as it is stored and published; free of Django and torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

from styletransfer.card_schema import SCHEMA_ID
from styletransfer.errors import InvalidScoreCard
from styletransfer.metric_specs import METRICS
from styletransfer.recipe import Recipe
from styletransfer.values import Estimate, sha256_of


@dataclass(frozen=True, slots=True)
class ScoreCard:
    """What scoring one submission found.

    Attributes:
        scores: by metric key; bit-identical for equal inputs, versions and threads.
        per_pair: by metric key, in the order of the pairs.
        flags: what looks odd about the outputs, see ``styletransfer.flags``.
        guards: what was tried to find oddities, by its name: ``second_pass``, ``sensitivity``.
        measurements: times, memory, device; they differ from run to run.
        provenance: hashes and versions of all that went in.
    """

    scores: Mapping[str, Estimate]
    per_pair: Mapping[str, list[float]]
    measurements: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    flags: Sequence[Mapping[str, Any]] = ()
    guards: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def with_guard(
        self, name: str, found: Mapping[str, Any], flags: Sequence[Mapping[str, Any]]
    ) -> Self:
        """Return the same scores with what one more guard found."""
        return replace(self, guards={**self.guards, name: found}, flags=[*self.flags, *flags])

    def with_measurements(self, found: Mapping[str, float]) -> Self:
        """Return the same card with more measurements."""
        return replace(self, measurements={**self.measurements, **found})

    def values_of(self, recipe: Recipe) -> dict[str, Estimate]:
        """Return the recipe's metrics that were found, scores and measurements alike."""
        found = {
            key: Estimate(float(self.measurements[key]))
            for key in recipe.measured
            if METRICS[key].source == "run" and key in self.measurements
        }
        return {**self.scores, **found}

    @property
    def scores_sha256(self) -> str:
        """Hash the canonical JSON of the scores."""
        return sha256_of({key: estimate.to_json() for key, estimate in self.scores.items()})

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "$schema": SCHEMA_ID,
            "scores": {key: estimate.to_json() for key, estimate in self.scores.items()},
            "scores_sha256": self.scores_sha256,
            "per_pair": {key: list(values) for key, values in self.per_pair.items()},
            "flags": [dict(flag) for flag in self.flags],
            "guards": {name: dict(found) for name, found in self.guards.items()},
            "measurements": dict(self.measurements),
            "provenance": dict(self.provenance),
        }

    @classmethod
    def from_json(cls, data: object) -> Self:
        """Read what ``to_json`` wrote, now or by an earlier version.

        Raises:
            InvalidScoreCard: it is something else, or its scores are not those that were hashed.
        """
        try:
            card = cls._read(data)
            stated = data["scores_sha256"]  # type: ignore[index]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InvalidScoreCard("not a score card") from error
        if card.scores_sha256 != stated:
            raise InvalidScoreCard(
                "its scores are not those that its scores_sha256 was taken of: it was changed "
                "after it was made"
            )
        return card

    @classmethod
    def _read(cls, data: Any) -> Self:
        return cls(
            scores={
                str(key): Estimate(
                    float(each["value"]), _number(each["low"]), _number(each["high"])
                )
                for key, each in data["scores"].items()
            },
            per_pair={
                str(key): [float(value) for value in values]
                for key, values in data.get("per_pair", {}).items()
            },
            measurements=dict(data["measurements"]),
            provenance=dict(data["provenance"]),
            flags=tuple(dict(flag) for flag in data.get("flags", ())),
            guards={str(key): dict(found) for key, found in data.get("guards", {}).items()},
        )


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
